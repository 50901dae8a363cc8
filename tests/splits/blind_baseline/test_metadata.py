import os
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.splits.blind_baseline.metadata import listed_by_membership, metadata_statistics


def corpus(**columns: list[str]) -> pd.DataFrame:
    """Two speakers with four recordings each, in alternating order."""
    ids = ["a-3", "b-3", "a-2", "b-2", "a-1", "b-1", "a-0", "b-0"]
    paths = [f"/speech/{name[0]}/take_{name[2]}.wav" for name in ids]
    return pd.DataFrame({"id": ids, "path": paths, "speaker": [name[0] for name in ids]} | columns)


def test_order_of_rows_and_ids() -> None:
    statistics = metadata_statistics(corpus(), ["a-0", "a-3", "b-1"])
    assert statistics["row"].tolist() == [6, 0, 5]
    assert statistics["id_order"].tolist() == [0, 1, 2]  # among the evaluated ones
    assert (statistics.dtypes == np.float64).all()


def test_names_and_folders() -> None:
    table = corpus()
    table.loc[:3, "path"] = [f"/speech/b/new/utt{number}_x.flac" for number in (12, 7, 5, 3)]
    statistics = metadata_statistics(table, list(table["id"]))
    new = (np.arange(8) < 4).astype(float)
    for column in ("folder=/speech/b/new", "suffix=.flac", "name_begins=utt", "name_ends=x", "depth"):
        values = statistics[column].to_numpy()
        np.testing.assert_array_equal(values - values.min(), new)
    assert statistics["name_last_number"].tolist()[:5] == [12, 7, 5, 3, 1]
    assert statistics["name_length"].tolist()[:2] == [7, 6]


def test_sessions() -> None:
    sessions = ["1", "1", "1", "1", "2", "2", "", ""]  # of two speakers, so that a's 1 is not b's
    statistics = metadata_statistics(corpus(session=sessions), list(corpus()["id"]))
    assert statistics["session_size"].tolist() == [2, 2, 2, 2, 1, 1, 1, 1]
    assert statistics["session_missing"].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert statistics["session=a\n1"].tolist() == [1, 0, 1, 0, 0, 0, 0, 0]


def test_days_of_the_last_change(tmp_path: Path) -> None:
    table = corpus()
    table["path"] = [str(tmp_path / f"{name}.wav") for name in table["id"]]
    for number, path in enumerate(table["path"]):
        Path(path).touch()
        os.utime(path, (1e9, 1e9 + number))
    assert "changed_on_day" not in metadata_statistics(table, list(table["id"]))
    os.utime(table["path"][3], (2e9, 2e9))
    changed = metadata_statistics(table, list(table["id"]))["changed_on_day"]
    assert (changed > changed.min()).tolist() == [False, False, False, True, False, False, False, False]


def challenge(table: pd.DataFrame, members: list[bool]) -> pd.DataFrame:
    return pd.DataFrame({"id": table["id"], "speaker": table["speaker"], "member": members})


def test_a_manifest_sorted_by_membership_gives_nothing_away() -> None:
    table = corpus()
    statistics = metadata_statistics(table, list(table["id"]))
    sorted_rows = challenge(table, 4 * [True] + 4 * [False])
    assert set(listed_by_membership(statistics, sorted_rows)) == {"row", "row_of_speaker"}  # ids are not sorted overall
    within = challenge(table, [True, False, True, False, False, True, False, True])
    assert set(listed_by_membership(statistics, within)) == {"row", "row_of_speaker"}
    assert listed_by_membership(statistics, challenge(table, 2 * [True, False, False, True])) == []


def test_takes_of_members_and_non_members_give_them_away() -> None:
    table = corpus()
    members = [name[2] in "23" for name in table["id"]]  # the later takes
    statistics = metadata_statistics(table, list(table["id"]))
    kept = statistics.drop(columns=listed_by_membership(statistics, challenge(table, members)))
    assert (kept["name_last_number"] >= 2).tolist() == members
    assert "id_order_of_speaker" in kept


def test_folders_of_members_and_non_members_give_nothing_away() -> None:
    table = corpus()
    members = [True, False, False, True, True, False, True, False]
    table["path"] = [
        f"/{'in' if member else 'out'}/{name}.wav" for name, member in zip(table["id"], members, strict=True)
    ]
    statistics = metadata_statistics(table, list(table["id"]))
    assert {"folder=/in", "folder=/out"} <= set(listed_by_membership(statistics, challenge(table, members)))
