import pandas as pd
import pytest

from lightning_mia.splits import predefined
from lightning_mia.utilities.errors import InputError


def manifest(rows: str, same_audio: list[set[str]] = []):  # noqa: B006
    """Parse rows "speaker:values", with one character per utterance.

    1, 0, h = held back, - = auxiliary.
    """
    value = {"1": "1", "0": "0", "h": "held_back", "-": ""}
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
