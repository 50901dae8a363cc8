from dataclasses import replace

from lightning_mia.evaluation.results import LevelVerdict, Verdict
from lightning_mia.report.content.meaning import meaning
from lightning_mia.report.content.wording import ASSUMPTIONS


def test_a_leak_on_user_supplied_labels_states_its_assumption_and_what_is_not_excluded(planted_report):
    split = replace(planted_report.split, drawn=False, assignment=("recordings",))
    text, limits = meaning(replace(planted_report, split=split))
    assert ASSUMPTIONS["recordings"] in text
    assert "no siblings were evaluated" in text
    assert "does not prove that any single recording is a member" in limits
    drawn = replace(planted_report.split, drawn=True)
    assert "assumed" not in meaning(replace(planted_report, split=drawn))[0]


def test_no_evidence_counts_the_attacks_of_the_run(planted_report):
    nothing = Verdict("no_evidence", "nothing", ())
    first, *others = planted_report.attacks
    without = {attack.key for attack in others}
    scores = tuple(score for score in planted_report.scores if score.key not in without)
    one = replace(planted_report, verdict=nothing, attacks=(first,), scores=scores)
    assert meaning(one)[0].startswith("The one attack of this run (")
    several = replace(planted_report, verdict=nothing)
    assert meaning(several)[0].startswith(f"None of the {len(planted_report.attacks)} attacks of this run (")


def test_not_assessable_suggests_what_the_split_allows(planted_report):
    report = replace(planted_report, verdict=Verdict("not_assessable", "confounded", ()))
    drawn = replace(report, split=replace(report.split, drawn=True))
    supplied = replace(report, split=replace(report.split, drawn=False))
    assert "another seed" in meaning(drawn)[1]
    assert "match members and non-members" in meaning(supplied)[1]
    because = LevelVerdict("utterance", "grey-box", "not_assessable", "the positive control failed", "pretext_loss")
    failed = replace(supplied, verdict=Verdict("not_assessable", "the positive control failed", (because,)))
    assert "Remove the cause that the reason names" in meaning(failed)[1]
