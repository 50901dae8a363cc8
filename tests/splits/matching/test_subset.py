"""Tests of the matched subset of a decoded corpus."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import decode
from lightning_mia.splits import predefined
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.matching.subset import matched_subset
from lightning_mia.utilities.errors import InputError

SECONDS = {"1": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "0": [0.12, 0.3, 0.4, 0.5, 0.6, 0.7], "": [0.2, 0.9]}


@pytest.fixture
def corpus(tmp_path: Path):
    """Write five speakers' recordings; the table states wrong durations."""
    noise = np.random.default_rng(0)
    rows = []
    for member, durations in SECONDS.items():
        for index, seconds in enumerate(durations):
            name = f"{member or 'x'}-{index}"
            sf.write(tmp_path / f"{name}.flac", noise.uniform(-0.5, 0.5, round(seconds * 16_000)), 16_000)
            path, speaker = str(tmp_path / f"{name}.flac"), f"{member or 'x'}{index % 2}"
            rows.append({"id": name, "path": path, "speaker": speaker, "member": member})
    table = pd.DataFrame(rows)
    return table, decode(table, cache_dir=tmp_path / "cache", progress=False)


def test_decoded_durations_are_matched(corpus) -> None:
    table, audio = corpus
    subset, same_audio, notes, discarded = matched_subset(table, audio, Matching(duration="nearest"), progress=False)
    assert discarded["id"].tolist() == ["1-5", "0-0"]
    assert same_audio is audio
    assert subset.columns.tolist() == table.columns.tolist()
    assert set(subset["id"]) == set(table["id"]) - {"1-5", "0-0"}
    assert notes[0].startswith("Matching (nearest duration within 5 %) kept 5 of 6 member recordings (2 of 2 speakers")
    assert predefined(subset, audio.contents).challenge("utterance")["member"].sum() == 5


def test_all_recordings_are_cropped_and_short_ones_discarded(corpus) -> None:
    table, audio = corpus
    subset, cropped, notes, discarded = matched_subset(table, audio, Matching(crop_seconds=0.3), progress=False)
    assert dict(zip(discarded["id"], discarded["reason"], strict=True)) == dict.fromkeys(
        ["0-0", "x-0"], "shorter than matching.crop_seconds"
    )
    assert discarded["seconds"].tolist() == pytest.approx([0.12, 0.2])
    assert subset["id"].tolist() == cropped.index.index.tolist()
    assert set(cropped.index["n_samples"]) == {4800}
    assert "(cropped to 0.3 s)" in notes[0]
    assert predefined(subset, cropped.contents).challenge("utterance")["member"].sum() == 6


def test_full_durations_are_matched_before_cropping(corpus) -> None:
    table, audio = corpus
    settings = Matching(duration="nearest", crop_seconds=0.3)
    _, cropped, _, discarded = matched_subset(table, audio, settings, progress=False)
    assert set(discarded["id"]) == {"0-0", "x-0", "1-5"}
    assert set(cropped.index["n_samples"]) == {4800}


def test_a_recording_that_starts_in_silence(corpus, tmp_path: Path) -> None:
    table, _ = corpus
    with_silence = np.concatenate([np.zeros(3200), 0.1 * np.ones(6400)])
    sf.write(table["path"][0], with_silence, 16_000)
    audio = decode(table, cache_dir=tmp_path / "cache", progress=False)
    _, _, _, discarded = matched_subset(table, audio, Matching(crop_seconds=0.12), progress=False)
    assert discarded[["id", "reason"]].to_numpy().tolist() == [["1-0", "the cropped part is silent"]]


def test_unmatchable_corpora_are_rejected(corpus) -> None:
    table, audio = corpus
    with pytest.raises(InputError, match=r"a randomly drawn split is matched by design: remove the option"):
        matched_subset(table.drop(columns="member"), audio, Matching(duration="nearest"))
    with pytest.raises(InputError, match=r"keeps 3 of 6 member and 2 of 6 non-member .*; lower matching.crop_seconds"):
        matched_subset(table, audio, Matching(crop_seconds=0.6), progress=False)
