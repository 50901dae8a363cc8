import csv
import json
import re

import pandas as pd
import pytest

from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign, predefined
from lightning_mia.utilities.errors import InputError


@pytest.fixture
def saved(make_corpus, tmp_path):
    split = UtteranceDesign(20, 5).draw(*make_corpus(20, 20), n_shadows=3)
    split.save(tmp_path / "run" / "split.csv")
    return tmp_path / "run" / "split.csv"


def assert_same(split: Split, other: Split) -> None:
    pd.testing.assert_frame_equal(split.table, other.table, check_dtype=False)
    assert split.table.select_dtypes("bool").columns.equals(other.table.select_dtypes("bool").columns)
    assert (split.level, split.levels, split.drawn, split.sha256) == (
        other.level,
        other.levels,
        other.drawn,
        other.sha256,
    )


def test_a_saved_split_is_loaded(make_corpus, tmp_path):
    corpus = make_corpus(*(8,) * 12)
    marked = corpus[0].assign(member=corpus[0]["speaker"].isin(list("abcd")).map({True: "1", False: "0"}))
    for split in (
        UtteranceDesign(30, 8).draw(*corpus, n_shadows=3),
        SpeakerDesign().draw(*corpus),
        predefined(marked, corpus[1]),
    ):
        split.save(tmp_path / "split.csv")
        loaded = Split.load(tmp_path / "split.csv")
        assert_same(loaded, split)
        units = split.challenge("utterance")["unit_id"]
        assert (loaded.redraw(units, "utterance", 5, 1) == split.redraw(units, "utterance", 5, 1)).all()


def test_a_saved_split_has_the_same_sibling_split(make_corpus, tmp_path):
    table, contents = make_corpus(12, 12)
    position = table.groupby("speaker").cumcount()
    table = table.assign(session=(position // 3).astype(str), member=position.floordiv(3).map(dict(enumerate("10s-"))))
    split = predefined(table.replace({"member": {"s": "sibling", "-": ""}}), contents)
    split.save(tmp_path / "split.csv")
    loaded = Split.load(tmp_path / "split.csv")
    assert_same(loaded, split)
    assert_same(loaded.sibling_split(), split.sibling_split())
    assert loaded.sibling_split().assignment == ("sessions",)
    other = table.assign(session=table["session"].replace({"2": "1"})).replace({"member": {"s": "sibling", "-": ""}})
    assert predefined(other, contents).sibling_split().sha256 != split.sibling_split().sha256


def test_unusual_names_are_kept(make_corpus, tmp_path):
    table, contents = make_corpus(10, 10)
    odd = {"a-000": "NA", "a-001": 'say "a", b', "a-002": "0012", "a-003": "ä ß", "a-004": "null"}
    table = table.replace({"id": odd, "speaker": {"a": "nan", "b": "007"}})
    contents = {odd.get(name, name): content for name, content in contents.items()}
    split = UtteranceDesign(20, 0).draw(table, contents)
    split.save(tmp_path / "split.csv")
    assert_same(Split.load(tmp_path / "split.csv"), split)
    assert set(odd.values()) < set(split.table["id"])


def test_file_follows_the_contract(saved):
    with open(saved, newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    assert header[:8] == [
        "id",
        "speaker",
        "role",
        "trained",
        "target",
        "shadow_000",
        "shadow_001",
        "shadow_002",
    ]
    assert {value for row in rows for value in row[3:8]} == {"0", "1"}
    assert sorted(path.name for path in saved.parent.iterdir()) == ["split.csv", "split.json"]


def edit(path, change):
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["target", "part"]), "lacks columns: target; part;"),
        (lambda t: t.assign(target="yes"), "column target is neither 1 nor 0: row 2 'yes'; .* and 20 more;"),
        (lambda t: t.assign(shadow_001=""), "column shadow_001 is neither 1 nor 0"),
        (lambda t: t.assign(role="boss"), "column role is none of member, nonmember, held_back, auxiliary"),
        (lambda t: pd.concat([t, t[:1]]), "column id occurs twice: row 27 'a-"),
        (lambda t: t[1:], "was changed since it was written"),
        (lambda t: t.assign(target=t["target"].where(t["role"] == "auxiliary", "1")), "was changed since"),
    ],
)
def test_damaged_tables_are_rejected_in_one_line(saved, change, message):
    edit(saved, change)
    with pytest.raises(InputError, match=message) as error:
        Split.load(saved)
    assert str(saved) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_hash_ignores_shadow_models(saved):
    edit(saved, lambda t: t.drop(columns="shadow_002"))
    assert Split.load(saved).shadows == ["shadow_000", "shadow_001"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("split.csv", None, "split.csv does not exist; draw the split first"),
        ("split.json", None, "split.json does not exist, but describes the split beside it"),
        ("split.csv", "", "split.csv is not a split"),
        ("split.csv", "a,b\n1,2,3\n1,2,3,4,5\n", "split.csv is not a split"),
        ("split.csv", "a,b\n", "lacks columns: id;"),
        ("split.json", "{", "split.json does not describe a split"),
        ("split.json", '{"level": "utterance"}', "split.json does not describe a split"),
        ("split.json", "[]", "split.json does not describe a split"),
    ],
)
def test_missing_and_damaged_files_are_rejected_in_one_line(saved, name, content, message):
    path = saved.parent / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        Split.load(saved)
    assert "\n" not in str(error.value)


def test_changed_level_or_origin_is_detected(saved):
    path = saved.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"drawn": False}))
    with pytest.raises(InputError, match="was changed since it was written"):
        Split.load(saved)
