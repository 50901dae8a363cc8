"""Held-out recordings: none of a member's, under any id."""

import numpy as np
import pandas as pd
import pytest

from lightning_mia.audit.utility.held_out import draw, held_out_recordings
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.splits import SpeakerDesign, Split, UtteranceDesign
from lightning_mia.utilities.errors import InputError

N_SPEAKERS, N_CLIPS = 20, 20


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    names = [(f"s{speaker:02d}", clip) for speaker in range(N_SPEAKERS) for clip in range(N_CLIPS)]
    rows = [(f"{speaker}/c{clip:02d}", "x.flac", speaker, f"w{clip % 4}") for speaker, clip in names]
    return pd.DataFrame(rows, columns=["id", "path", "speaker", "label"])


@pytest.fixture(scope="module")
def contents(table: pd.DataFrame) -> dict[str, str]:
    return {name: f"sound of {name}" for name in table["id"]}


def speakers_of(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["id"], table["speaker"], strict=True))


def split_of(table: pd.DataFrame, contents: dict[str, str]) -> Split:
    return UtteranceDesign(n_units=100, n_auxiliary=40).draw(table, contents, n_shadows=0, seed=0)


def test_everything_but_the_members_is_held_out(table: pd.DataFrame, contents: dict[str, str]) -> None:
    split = split_of(table, contents)
    held_out = set(held_out_recordings(split, contents, speakers_of(table))["id"])
    members = set(split.training_ids())
    assert len(members) == 50
    assert held_out == set(table["id"]) - members
    assert set(split.auxiliary_ids()) < held_out


def test_a_members_recording_under_another_id_is_left_out(table: pd.DataFrame, contents: dict[str, str]) -> None:
    split = split_of(table, contents)
    outside = sorted(set(table["id"]) - set(split.table["id"]))
    copies = {**contents, outside[0]: contents[split.training_ids()[0]], outside[1]: contents[outside[2]]}
    held_out = set(held_out_recordings(split, copies, speakers_of(table))["id"])
    assert outside[0] not in held_out
    assert {outside[1], outside[2]} & held_out == {outside[1]}  # the same audio once


def test_recordings_discarded_by_matching_are_left_out(table: pd.DataFrame, contents: dict[str, str]) -> None:
    split = split_of(table, contents)
    kept = {name: speaker for name, speaker in speakers_of(table).items() if name in set(split.table["id"])}
    assert set(held_out_recordings(split, contents, kept)["id"]) == set(kept) - set(split.training_ids())


def test_all_recordings_of_member_speakers_are_left_out(table: pd.DataFrame, contents: dict[str, str]) -> None:
    design = SpeakerDesign(n_units=12, n_auxiliary=4, trained_per_speaker=8, held_back_per_speaker=4)
    split = design.draw(table, contents, n_shadows=0, seed=0)
    held_out = held_out_recordings(split, contents, speakers_of(table))
    members = set(split.table["speaker"][split.table["target"]])
    assert len(members) == 6
    assert set(held_out["speaker"]) == set(table["speaker"]) - members


def test_labels_are_balanced_and_draws_reproducible(table: pd.DataFrame) -> None:
    settings = UtilitySettings("keyword", n_recordings=100)
    drawn = draw(table, settings)
    assert drawn["label"].value_counts().tolist() == [25] * 4
    pd.testing.assert_frame_equal(drawn, draw(table, settings))
    other = draw(table, UtilitySettings("keyword", n_recordings=100, seed=1))
    assert set(other["id"]) != set(drawn["id"])
    assert draw(table, UtilitySettings("keyword"))["id"].tolist() == table["id"].tolist()


def test_rare_labels_are_left_out(table: pd.DataFrame) -> None:
    labels = np.where(table["speaker"] < "s04", "of four speakers", table["label"])
    labels[:3] = ""
    held_out = draw(table.assign(label=labels), UtilitySettings("keyword"))
    assert set(held_out["label"]) == {"w0", "w1", "w2", "w3"}
    assert not len(draw(table.assign(label="the same"), UtilitySettings("keyword")))


@pytest.mark.parametrize("options", [{"mask_probability": 0.0}, {"mask_probability": 1.5}, {"n_recordings": 1}])
def test_bad_settings_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        UtilitySettings(**options)  # type: ignore[arg-type]
