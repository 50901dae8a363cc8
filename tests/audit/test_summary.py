"""The printed summary is short and contains the attack of every verdict."""

import re
from dataclasses import replace

import pytest

from lightning_mia.audit.summary import MAX_ATTACKS, summary
from lightning_mia.evaluation.privacy import EpsilonBound
from lightning_mia.evaluation.results import AttackResult, LevelVerdict, TprAtFpr, Verdict
from lightning_mia.evaluation.scores import Scores
from lightning_mia.report import AuditReport, SplitSummary, Target

NAMES = [f"attack_{n:02d}" for n in range(12)]
REASON = "attack_11 has AUROC 0.55 (corrected p < .001), and the wrong model has less"


def result(name: str, auroc: float, access: str, level: str = "utterance", two_sided: bool = False) -> AttackResult:
    is_control = access == "none"
    return AttackResult(
        name=name,
        level=level,
        access=access,
        n_members=100,
        n_nonmembers=100,
        n_speakers=20,
        auroc=auroc,
        auroc_ci95=(auroc - 0.05, auroc + 0.05),
        p_value=0.5,
        p_value_corrected=None if is_control else 0.25,
        two_sided=two_sided,
        advantage=0.1,
        advantage_null_mean=0.06,
        tpr_at_fpr=(TprAtFpr(0.01, 0.01, (0.0, 0.02), 0.125, (0.1, 0.2), False),),
        smallest_detectable_auroc=None if is_control else 0.58,
        n_shadows=0 if is_control or name == "attack_03" else 16,
    )


@pytest.fixture(scope="module")
def report() -> AuditReport:
    attacks = [result(name, 0.90 - 0.03 * n, "grey-box") for n, name in enumerate(NAMES)]
    attacks = [*attacks[::-1], result("similarity", 0.2, "black-box", two_sided=True)]
    kinds = ("untrained", "wrong_model")
    controls = [result("blind", 0.5, "none")]
    controls += [result(f"{kind}_{attack.name}", 0.5, "none") for kind in kinds for attack in attacks]
    return AuditReport(
        target=Target("tera", "ab" * 32, 1000),
        split=SplitSummary("utterance", "cd" * 32, 100, 100, 20, drawn=True),
        verdict=Verdict("leak", "Because.", (LevelVerdict("utterance", "grey-box", "leak", "so"),)),
        attacks=tuple(attacks),
        controls=tuple(controls),
        scores=tuple(_scores(result) for result in (*attacks, *controls)),
    )


def _scores(result: AttackResult) -> Scores:
    units, labels, values = ["a", "b"], [True, False], [1.0, 0.0]
    return Scores(result.name, result.level, result.access, result.two_sided, units, ["s", "s"], labels, values)


def names(text: str) -> list[str]:
    """The first word of every line of a result or a heading."""
    return [line.split()[0] for line in text.splitlines() if re.match(r"  \S+ +\d\.\d{3}  ", line)]


def test_attacks_are_grouped_by_access_with_the_strongest_first(report):
    text = summary(report)
    headings = [line for line in text.splitlines() if " level, " in line]
    assert headings == [
        "utterance level, black-box",
        "utterance level, grey-box: leak",
    ]
    assert text.count("  (100 members, 100 non-members; smallest detectable AUROC 0.58)") == 2
    assert names(text) == [
        "similarity",
        "untrained_similarity",
        "wrong_model_similarity",
        *NAMES[:MAX_ATTACKS],
        "untrained_attack_00",
        "wrong_model_attack_00",
        "blind",
    ]


def test_omitted_attacks_and_controls_are_counted(report):
    text = summary(report)
    assert f"… {len(NAMES) - MAX_ATTACKS} more attacks in the report" in text
    assert f"… {len(report.controls) - 5} more controls in the report" in text
    only = {"attack_00", "untrained_attack_00", "wrong_model_attack_00", "blind"}
    few = replace(
        report,
        attacks=tuple(attack for attack in report.attacks if attack.name in only),
        controls=tuple(control for control in report.controls if control.name in only),
        scores=tuple(scores for scores in report.scores if scores.name in only),
    )
    assert "more" not in summary(few)


def test_the_attack_named_in_the_verdict_and_its_controls_are_always_listed(report):
    verdict = Verdict("leak", REASON, (LevelVerdict("utterance", "grey-box", "leak", REASON, "attack_11"),))
    printed = names(summary(replace(report, verdict=verdict)))
    assert [name for name in printed if name.endswith("attack_11")] == [
        "attack_11",
        "untrained_attack_11",
        "wrong_model_attack_11",
    ]
    assert "untrained_attack_00" not in printed


def test_a_line_shows_auroc_interval_p_value_and_tpr(report):
    lines = {line.split()[0]: line for line in summary(report).splitlines() if line.startswith("  ")}
    assert " ".join(lines["attack_00"].split()) == ("attack_00 0.900 [0.850, 0.950] 0.25 12.5 % *")
    assert lines["*:"] == "  *: with 16 shadow models"
    assert not lines["attack_03"].endswith("*")
    assert "controls, utterance level" in summary(report).splitlines()
    headers = {line for line in summary(report).splitlines() if "95 % interval" in line}
    assert [" ".join(header.split()) for header in headers] == ["AUROC 95 % interval p TPR at 1 %"]
    header = headers.pop()
    assert header.index("AUROC") == lines["attack_00"].index("0.900")
    assert header.index("p  ") == lines["attack_00"].index("0.25")


def test_the_summary_fits_80_columns(report):
    long_name = result("wrong_model_learned_utterance_similarity_layer12", 0.5, "none")
    text = summary(replace(report, controls=(*report.controls, long_name), scores=(*report.scores, _scores(long_name))))
    assert max(map(len, text.splitlines())) <= 80
    assert "wrong_model_learne…larity_layer12" in text


@pytest.mark.parametrize(
    ("status", "p_value", "explained"),
    [("no_evidence", 0.01, True), ("not_assessable", 0.01, True), ("no_evidence", 0.25, False), ("leak", 0.01, False)],
)
def test_a_verdict_that_a_p_value_seems_to_contradict_is_explained(report, status, p_value, explained):
    attacks = [replace(attack, p_value_corrected=p_value) for attack in report.attacks]
    levels = (LevelVerdict("utterance", "grey-box", status, "the difference is the wrong model's too"),)
    changed = replace(report, attacks=tuple(attacks), verdict=Verdict("no_evidence", "Because.", levels))
    assert ("the difference is the wrong model's too" in summary(changed)) == explained
    told = replace(changed, verdict=Verdict("no_evidence", f"Because {levels[0].reason}.", levels))
    assert " ".join(summary(told).split()).count("the difference is the wrong model's too") == 1


@pytest.mark.parametrize("bounds", [(None, None), (0.0, 1.0)])
def test_an_unknown_interval_is_called_so(report, bounds):
    unknown = replace(report.attacks[-1], auroc_ci95=bounds, tpr_at_fpr=())
    text = summary(replace(report, attacks=(*report.attacks[:-1], unknown)))
    assert "None" not in text
    assert " ".join(next(line for line in text.splitlines() if "similarity" in line).split()) == (
        "similarity 0.200 no interval 0.25 *"
    )


def test_a_blind_check_lists_only_the_blind_baseline(report):
    blind = replace(report, target=None, attacks=(), controls=report.controls[:1], scores=report.scores[13:14])
    text = summary(blind)
    assert names(text) == ["blind"]
    assert "more" not in text
    assert text.rstrip().endswith("verdict: leak – Because.")


def test_the_largest_bound_that_holds_is_printed_and_approximate_ones_are_not(report):
    strong = EpsilonBound("lira", "utterance", "grey-box", "one_run", 1e-5, 1.999, 1.648, 1000, 124, 110)
    nothing = EpsilonBound("loss", "utterance", "grey-box", "one_run", 1e-5, 0.0, 0.0, 1000, 936, 470)
    text = summary(replace(report, epsilon_bounds=(nothing, strong)))
    condition = "at δ = 1e-05; 95 %, corrected for the number of attacks"
    assert f"ε ≥ 1.64 (lira, 110 of 124 guesses correct) {condition}" in text
    assert f"no attack shows that it is above 0, {condition}" in summary(replace(report, epsilon_bounds=(nothing,)))
    assert "ε" not in summary(replace(report, epsilon_bounds=(replace(strong, method="rates"),)))
