import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, rankdata

from lightning_mia.splits import Split, predefined
from lightning_mia.utilities.errors import InputError


def manifest(rows: str, same_audio: list[set[str]] = []):  # noqa: B006
    """Parse rows "speaker:values", with one character per utterance.

    1, 0, h = held back, s = sibling, - = auxiliary.
    """
    value = {"1": "1", "0": "0", "h": "held_back", "s": "sibling", "-": ""}
    columns = ["id", "speaker", "member"]
    speakers = [row.split(":") for row in rows.split()]
    table = pd.DataFrame(
        [(f"{s}{i}", s, value.get(v, v)) for s, values in speakers for i, v in enumerate(values)],
        columns=columns,
    )
    contents = {name: f"content of {name}" for name in table["id"]}
    for copies in same_audio:
        contents |= dict.fromkeys(copies, f"content of {min(copies)}")
    return table, contents


def names(text: str) -> set[str]:
    return set(text.split())


TWO_LEVELS = "a:11hh b:111hhh c:1hh d:11hh e:000 f:00 g:0000 h:00 x:---"


def test_roles_and_flags():
    table = predefined(*manifest(TWO_LEVELS)).table.set_index("id")
    sample = table.loc[["a0", "a2", "e0", "x0"]]
    assert sample["role"].tolist() == ["member", "held_back", "nonmember", "auxiliary"]
    assert sample["trained"].tolist() == [True, False, False, False]
    assert sample["target"].tolist() == [True, True, False, False]
    assert len(table) == 31


def test_challenge_sets_of_both_levels(caplog):
    split = predefined(*manifest(TWO_LEVELS))
    assert (split.drawn, split.level, split.levels) == (False, "utterance", ("utterance", "speaker"))
    assert not caplog.records
    utterances = split.challenge("utterance")
    assert set(utterances["id"][utterances["member"]]) == names("a0 a1 b0 b1 b2 c0 d0 d1")
    assert set(utterances["id"][~utterances["member"]]) == names("e0 e1 e2 f0 f1 g0 g1 g2 g3 h0 h1")
    speakers = split.challenge("speaker")
    assert speakers["unit_id"].value_counts().to_dict() == dict.fromkeys("abcdefgh", 2)
    assert set(speakers["id"][speakers["member"]]) <= names("a2 a3 b3 b4 b5 c1 c2 d2 d3")
    assert split.training_ids() == sorted(names("a0 a1 b0 b1 b2 c0 d0 d1"))
    assert split.auxiliary_ids() == sorted(names("x0 x1 x2"))


def test_parts_of_the_speaker_level():
    assert predefined(*manifest(TWO_LEVELS)).parts("speaker") == ("held_back",)  # c has one member recording
    both = predefined(*manifest("a:11hh b:11hh c:11hh d:11hh e:00 f:00 g:00 h:00"))
    assert both.parts("speaker") == ("held_back", "trained")
    assert both.challenge("speaker", "trained")["unit_id"].value_counts().eq(2).all()
    none_held_back = predefined(*manifest("a:11 b:11 c:11 d:11 e:00 f:00 g:00 h:00"))
    assert none_held_back.parts("speaker") == ("trained",)
    assert set(none_held_back.challenge("speaker")["id"][:8]) == names("a0 a1 b0 b1 c0 c1 d0 d1")
    with pytest.raises(InputError, match="cannot be evaluated at speaker level on held_back recordings"):
        none_held_back.challenge("speaker", "held_back")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a:1100 b:11 c:11 d:11 e:00 f:00 g:00 h:00", "speakers are both members and non-members: a"),
        ("a:11 b:11 c:11 e:00 f:00 g:00 h:00", "fewer than 4 member or non-member speakers"),
        ("a:1 b:11 c:11 d:11 e:00 f:00 g:00 h:00", "fewer than 4 member or non-member speakers"),
    ],
)
def test_speaker_level_is_omitted_with_a_warning_or_rejected(rows, reason, caplog):
    split = predefined(*manifest(rows))
    assert split.levels == ("utterance",)
    (line,) = caplog.messages
    assert line.startswith("The speaker level is omitted: ")
    assert reason in line
    with pytest.raises(InputError, match=f"cannot be evaluated at speaker level: {reason}"):
        predefined(*manifest(rows), level="speaker")


def test_auxiliary_speakers_may_be_members_or_nonmembers():
    assert "speaker" in predefined(*manifest("a:11- b:11- c:11 d:11 e:00- f:00 g:00 h:00")).levels


def test_copies_are_evaluated_once_but_all_trained_on():
    split = predefined(*manifest("a:11111 b:11 e:0000 f:000", [{"a1", "a2", "b0"}, {"e1", "f1"}]))
    assert set(split.challenge("utterance")["id"]) == names("a0 a1 a3 a4 b1 e0 e1 e2 e3 f0 f2")
    assert split.training_ids() == sorted(names("a0 a1 a2 a3 a4 b0 b1"))


@pytest.mark.parametrize(
    ("rows", "same_audio", "message"),
    [
        ("a:11111 b:00000", [{"a1", "b2"}], r"same audio has .* values.*: a1 \(member\) = b2 \(nonmember\);"),
        ("a:1111hh b:00000", [{"a1", "a4"}], r"a1 \(member\) = a4 \(held_back\)"),
        ("a:1111hh b:00000", [{"a5", "b0"}], r"a5 \(held_back\) = b0 \(nonmember\)"),
        ("a:11111 b:00000 c:--", [{"a1", "c1"}, {"b0", "c0"}], r"a1 .* = c1 \(auxiliary\); b0 .* = c0"),
        ("a:11111 b:00000 c:hh", [], "speakers have no recording with member 1: c;"),
        ("a:11111 b:00000 c:0h", [], "speakers have no recording with member 1: c;"),
        ("a:111 b:00000", [], "gives 3 member and 5 non-member recordings"),
        ("a:1111 b:000-", [], "gives 4 member and 3 non-member recordings"),
        ("a:1111 b:00000", [{"a0", "a1"}], "gives 3 member and 5 non-member recordings"),
        ("a:11111 b:11111", [], "gives 10 member and 0 non-member"),
        ("a:---- b:----", [], "gives 0 member and 0 non-member"),
        ("a:11110000", [], "The corpus has 1 speaker"),
        ("a:11112 b:0000", [], "Unknown values in column member: a4 '2';"),
    ],
)  # fmt: skip
def test_contradictions_are_rejected_in_one_line(rows, same_audio, message):
    with pytest.raises(InputError, match=message) as error:
        predefined(*manifest(rows, same_audio))
    assert "\n" not in str(error.value)


def test_no_member_column():
    table, contents = manifest("a:11111 b:00000")
    with pytest.raises(InputError, match="no column member"):
        predefined(table.drop(columns="member"), contents)


def test_many_conflicts_are_counted():
    conflicts = [{f"a{i}", f"b{i}"} for i in range(9)]
    with pytest.raises(InputError, match=r"a4 \(member\) = b4 \(nonmember\); and 4 more"):
        predefined(*manifest("a:111111111 b:000000000", conflicts))


def test_order_of_rows_does_not_matter():
    table, contents = manifest(TWO_LEVELS)
    split, again = (predefined(t, contents) for t in (table, table.sample(frac=1, random_state=0)))
    assert split.sha256 == again.sha256
    changed = table.assign(member=table["member"].where(table["id"] != "e0", ""))
    assert predefined(changed, contents).sha256 != split.sha256


def with_sessions(rows: str):
    """Parse rows "speaker:session=values,session=values"."""
    speakers = [row.split(":") for row in rows.split()]
    sessions = [(s, *session.split("=")) for s, listed in speakers for session in listed.split(",")]
    table, contents = manifest(" ".join(f"{s}:{''.join(v for t, _, v in sessions if t == s)}" for s, _ in speakers))
    return table.assign(session=[name for _, name, values in sessions for _ in values]), contents


def blocks(split: Split) -> dict[str, set[frozenset[str]]]:
    """Recordings that are redrawn together, by stratum."""
    evaluated = split.table[split.table["part"] == "trained"]
    groups = evaluated.groupby(["stratum", "unit"])["id"].agg(frozenset).reset_index("unit", drop=True)
    return {stratum: set(units) for stratum, units in groups.groupby(level=0)}


def sets(*texts: str) -> set[frozenset[str]]:
    return {frozenset(text.split()) for text in texts}


def test_sessions_with_one_label_move_as_blocks_within_their_speaker():
    split = predefined(*with_sessions("a:x=11,y=000,z=1 b:x=1,y=0 c:x=11 d:x=00,y=0"))
    assert blocks(split) == {
        "sessions of a": sets("a0 a1", "a2 a3 a4", "a5"),
        "sessions of b": sets("b0", "b1"),
        "one-sided speakers": sets("c0 c1", "d0 d1 d2"),
    }
    assert split.assignment == ("speakers", "sessions")


def test_recordings_of_a_session_with_both_labels_stay_in_their_session():
    split = predefined(*with_sessions("a:x=10,y=1100,z=1,w=0 b:x=10,y=01"))
    assert blocks(split) == {
        "session ('x', 'a')": sets("a0", "a1"),
        "session ('y', 'a')": sets("a2", "a3", "a4", "a5"),
        "sessions of a": sets("a6", "a7"),
        "session ('x', 'b')": sets("b0", "b1"),
        "session ('y', 'b')": sets("b2", "b3"),
    }
    assert split.assignment == ("sessions", "recordings within sessions")


def test_sessions_of_single_recordings_are_the_recordings():
    rows = "a:u=1,v=1,w=0,x=0 b:u=1,v=1,w=0,x=0"
    known, (table, contents) = predefined(*with_sessions(rows)), with_sessions(rows)
    unknown = predefined(table.drop(columns="session"), contents)
    units = list(known.challenge("utterance")["unit_id"])
    redraws = [split.redraw(units, "utterance", 50, seed=0) for split in (known, unknown)]
    np.testing.assert_array_equal(*redraws)
    assert (known.assignment, unknown.assignment) == (("sessions",), ("recordings",))


def test_sessions_are_not_mistaken_for_speakers(caplog):
    split = predefined(*with_sessions("a:x=11,y=00 b:x=11,y=00 c:x=11,y=00 d:x=11,y=00"))
    assert split.levels == ("utterance",)
    assert "speakers are both members and non-members: a; b; c; d" in caplog.text


def test_sessions_of_speakers_with_one_label_change_nothing():
    table, contents = with_sessions("a:x=11,y=1 b:x=1,= c:x=00 d:x=0,y=0")
    table.loc[0, "session"] = ""  # not needed, since the speaker has one label
    assert predefined(table, contents).sha256 == predefined(table.drop(columns="session"), contents).sha256


def test_a_session_column_that_is_empty_for_some_is_rejected_in_one_line():
    table, contents = with_sessions("a:x=11,=000 b:x=11,y=00 c:=11 d:=-")
    with pytest.raises(InputError) as error:
        predefined(table, contents)
    assert str(error.value) == (
        "The column session is empty for 3 of 9 recordings of speakers with both labels: a2; a3; a4; fill it in for "
        "all of them, or drop the column"
    )
    unknown = predefined(table.assign(session=""), contents)
    assert unknown.sha256 == predefined(table.drop(columns="session"), contents).sha256


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_labels_given_by_session_do_not_reject_the_null(known):
    """Recordings of a session resemble each other; without the column, p < .05 is several times too frequent."""
    rng, n_draws = np.random.default_rng(0), 400
    session = [f"s{i // 4}" for i in range(24)]
    table = pd.DataFrame([(f"{s}{i:02d}", s, session[i]) for s in "abcdef" for i in range(24)])
    table.columns = ["id", "speaker", "session"]
    contents = {name: name for name in table["id"]}
    key = table["speaker"] + table["session"]
    if not known:
        table = table.drop(columns="session")
    n_rejected = 0
    for seed in range(n_draws):
        members = {s + f"s{i}" for s in "abcdef" for i in rng.permutation(6)[:3]}
        split = predefined(table.assign(member=key.isin(members).map({True: "1", False: "0"})), contents)
        effect = dict(zip(key.unique(), rng.normal(size=key.nunique()), strict=True))
        ranks = rankdata(key.map(effect) + rng.normal(size=len(table)))
        labels = split.redraw(list(table["id"]), "utterance", 199, seed)
        truth = key.isin(members).to_numpy()
        n_rejected += (1 + np.sum(labels @ ranks >= truth @ ranks)) / 200 < 0.05
    if known:
        assert binomtest(n_rejected, n_draws, 0.045).pvalue > 0.001  # 9 of 200 p-values are below .05
    else:
        assert n_rejected / n_draws > 0.1


SIBLINGS = "a:11 b:11 c:11 d:11 e:00 f:00 g:00 h:00 i:ss j:ss k:ss l:ss x:---"


def test_siblings_are_neither_trained_on_nor_evaluated_nor_auxiliary():
    split = predefined(*manifest(SIBLINGS))
    siblings = names("i0 i1 j0 j1 k0 k1 l0 l1")
    rows = split.table[split.table["id"].isin(siblings)]
    assert rows["role"].eq("sibling").all()
    assert not rows[["trained", "target"]].any(axis=None)
    for level in ("utterance", "speaker"):
        assert not siblings & set(split.challenge(level)["id"])
    assert not siblings & {*split.training_ids(), *split.auxiliary_ids(), *split.auxiliary()["id"]}
    with pytest.raises(ValueError, match="not evaluated at utterance level"):
        split.redraw(["i0"], "utterance", 2, seed=0)
    without = predefined(*manifest(SIBLINGS.replace("s", "-")))
    challenges = [predefined_split.challenge("utterance") for predefined_split in (split, without)]
    pd.testing.assert_frame_equal(*challenges)


def test_in_the_sibling_split_siblings_take_the_place_of_nonmembers():
    split = predefined(*manifest(SIBLINGS))
    siblings = split.sibling_split()
    assert (siblings.drawn, siblings.level, siblings.levels) == (False, "utterance", ("utterance", "speaker"))
    assert siblings.parts("speaker") == ("trained",)
    utterances = siblings.challenge("utterance")
    assert set(utterances["id"][utterances["member"]]) == set(split.training_ids()) == set(siblings.training_ids())
    assert set(utterances["id"][~utterances["member"]]) == names("i0 i1 j0 j1 k0 k1 l0 l1")
    assert set(siblings.challenge("speaker")["unit_id"]) == set("abcdijkl")
    assert siblings.auxiliary_ids() == split.auxiliary_ids()
    assert siblings.sha256 != split.sha256
    assert siblings.sibling_split().sha256 == split.sha256  # roles change places
    redrawn = siblings.redraw(list("abcdijkl"), "speaker", 300, seed=0)
    assert (redrawn.sum(axis=1) == 4).all()
    assert len(np.unique(redrawn, axis=0)) > 60  # of 70
    assert predefined(*manifest(TWO_LEVELS)).sibling_split() is None


def test_siblings_of_member_speakers_are_redrawn_by_session(caplog):
    rows = "a:x=11,y=ss,z=11 b:x=11,y=sss e:x=0000 f:x=0,y=0"
    siblings = predefined(*with_sessions(rows)).sibling_split()
    assert blocks(siblings) == {
        "sessions of a": sets("a0 a1", "a2 a3", "a4 a5"),
        "sessions of b": sets("b0 b1", "b2 b3 b4"),
    }
    assert siblings.levels == ("utterance",)
    table, contents = with_sessions(rows)
    table.loc[table["id"] == "a2", "session"] = ""
    with pytest.raises(InputError, match="The column session is empty for 1 of 11 recordings of speakers with both"):
        predefined(table, contents)


def test_siblings_without_speaker_level_are_reported(caplog):
    rows = SIBLINGS.replace("a:11", "a:11s")
    assert predefined(*manifest(rows), level="speaker").sibling_split().levels == ("utterance",)
    assert caplog.messages == ["The sibling control has no speaker level: speakers are both members and siblings: a"]


@pytest.mark.parametrize(
    ("rows", "same_audio", "message"),
    [
        ("a:00000 b:ssss", [], r"4 recordings are siblings of the members \(b0; b1; b2; b3\), but no recording is a"),
        ("a:11111 b:00000 c:sss", [], "gives 3 sibling recordings"),
        ("a:11111 b:00000 c:ssss", [{"c0", "c1"}], "gives 3 sibling recordings"),
        ("a:11111 b:00000 c:sssss", [{"a1", "c1"}], r"same audio has .*: a1 \(member\) = c1 \(sibling\);"),
        ("a:11111 b:00000 c:sssss", [{"b1", "c1"}], r"same audio has .*: b1 \(nonmember\) = c1 \(sibling\);"),
    ],
)
def test_unusable_siblings_are_rejected_in_one_line(rows, same_audio, message):
    with pytest.raises(InputError, match=message) as error:
        predefined(*manifest(rows, same_audio))
    assert "\n" not in str(error.value)
