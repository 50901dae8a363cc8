"""`lightning-mia blind` and the confounds that it is there for, planted in recordings of the tests' own."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.signal import butter, fftconvolve, sosfilt

from lightning_mia.cli import main
from lightning_mia.corpus import Manifest

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
RATE = 16_000


def longer(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([waveform, waveform[: len(waveform) // 4]])


def louder(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(2 * waveform, -1, 1)


def another_room(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    tail = rng.standard_normal(RATE // 3) * np.exp(-np.arange(RATE // 3) / (0.06 * RATE))
    return 0.5 * fftconvolve(waveform, tail / np.linalg.norm(tail))[: len(waveform)]


def another_codec(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A telephone: 3.4 kHz, 8-bit μ-law."""
    narrow = sosfilt(butter(8, 3400, fs=RATE, output="sos"), waveform)
    code = np.round(127 * np.log1p(255 * np.abs(narrow)) / np.log(256)) / 127
    return np.sign(narrow) * (256**code - 1) / 255


def write_split(real: pd.DataFrame, folder: Path, change: Change | None) -> Path:
    """200 + 200 recordings of real speech, balanced within speakers; `change` is applied to the members."""
    rng = np.random.default_rng(0)
    rows = []
    for number, (_, clips) in enumerate(real.groupby("speaker")):
        chosen = clips.sample(20, random_state=number)  # other words for every speaker, or the words would tell
        for place, clip in enumerate(chosen.itertuples()):
            waveform, rate = soundfile.read(clip.path)
            if change and place % 2:
                waveform = change(waveform, rng)
            path = folder / f"{len(rows)}.flac"
            soundfile.write(path, waveform, rate)
            rows.append({"id": clip.id, "path": path.name, "speaker": clip.speaker, "member": place % 2})
    pd.DataFrame(rows).to_csv(folder / "split.csv", index=False)
    return folder / "split.csv"


def blind(manifest: Path, folder: Path) -> dict:
    assert main(["blind", str(manifest), "--out", str(folder)]) == 0
    return json.loads((folder / "report" / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("change", [longer, louder, another_room, another_codec])
def test_confounded_real_speech_is_not_assessable(real_manifest: Path, tmp_path: Path, change: Change) -> None:
    manifest = write_split(Manifest(str(real_manifest)).table(), tmp_path, change)
    found = blind(manifest, tmp_path / "run")
    assert found["verdict"]["status"] == "not_assessable"
    assert found["controls"][0]["p_value"] < 0.01
    assert found["target"] is None


@pytest.mark.slow
def test_clean_real_speech_passes(real_manifest: Path, tmp_path: Path) -> None:
    manifest = write_split(Manifest(str(real_manifest)).table(), tmp_path, None)
    found = blind(manifest, tmp_path / "run")
    assert found["verdict"]["status"] == "no_evidence"
    assert "cannot be told apart without a model" in found["verdict"]["reason"]


def test_a_longer_side_is_noticed(tiny_manifest: Path, tmp_path: Path) -> None:
    table = Manifest(str(tiny_manifest)).table()
    durations = table["path"].map(lambda path: soundfile.info(path).duration)
    rank = durations.groupby(table["speaker"]).rank(method="first")
    table.assign(member=(rank > 6).astype(int)).to_csv(tmp_path / "split.csv", index=False)
    found = blind(tmp_path / "split.csv", tmp_path / "run")
    assert found["verdict"]["status"] == "not_assessable"
    assert (tmp_path / "run" / "report" / "report.html").is_file()


def test_a_manifest_without_members_is_refused(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["blind", str(tiny_manifest), "--out", str(tmp_path)]) == 2
    message = capsys.readouterr().err.strip()
    assert "has no column member" in message
    assert "\n" not in message


def test_other_audio_in_the_same_folder_is_refused(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Manifest(str(tiny_manifest)).table()
    member = (table.groupby("speaker").cumcount() % 2).astype(int)
    table.assign(member=member).to_csv(tmp_path / "split.csv", index=False)
    blind(tmp_path / "split.csv", tmp_path / "run")
    soundfile.write(tmp_path / "other.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    other = table.assign(member=member, path=[str(tmp_path / "other.wav"), *table["path"][1:]])
    other.to_csv(tmp_path / "split.csv", index=False)
    assert main(["blind", str(tmp_path / "split.csv"), "--out", str(tmp_path / "run")]) == 2
    assert "was made by other settings" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_run_directory(tiny_manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blind", str(tiny_manifest), "--out", str(tiny_manifest)]) == 2
    assert "is a file, but the run directory" in capsys.readouterr().err
