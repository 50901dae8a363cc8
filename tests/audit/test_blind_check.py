"""`lightning-mia blind` on recordings with planted confounds."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from scipy.signal import butter, fftconvolve, sosfilt

from lightning_mia.audit.cli import main
from lightning_mia.corpora import Manifest
from lightning_mia.report import load_report

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


def blind(manifest: Path, folder: Path, *options: str) -> dict:
    assert main(["blind", str(manifest), "--out", str(folder), *options]) == 0
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
    assert "cannot be separated without a model" in found["verdict"]["reason"]


@pytest.mark.slow
def test_longer_members_are_detected(tiny_manifest: Path, tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_different_audio_in_the_same_folder_is_refused(
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
    assert "was created with different settings" in capsys.readouterr().err


def test_a_file_as_run_directory_is_refused(tiny_manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blind", str(tiny_manifest), "--out", str(tiny_manifest)]) == 2
    assert "is a file, but the run directory" in capsys.readouterr().err


def voice(rng: np.random.Generator, seconds: float, pitch: float) -> np.ndarray:
    """A harmonic tone with a wandering amplitude in noise, (samples,)."""
    time = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6))
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6))
    return 0.1 * tone * envelope + 0.01 * rng.standard_normal(len(time))


def write_librispeech(root: Path, n_speakers: int, n_clips: int) -> None:
    """Both splits in the publisher's layout: speakers of one population, whose recordings differ in length alone."""
    rng = np.random.default_rng(0)
    for split, first_speaker, median in (("train-clean-100", 1000, 0.78), ("dev-clean", 5000, 0.6)):
        for speaker in range(first_speaker, first_speaker + n_speakers):
            folder = root / "LibriSpeech" / split / str(speaker) / "7"
            folder.mkdir(parents=True)
            names, pitch = [f"{speaker}-7-{clip:04d}" for clip in range(n_clips)], rng.uniform(90, 250)
            for name in names:
                seconds = max(0.2, median * np.exp(0.3 * rng.standard_normal()))
                soundfile.write(folder / f"{name}.flac", voice(rng, seconds, pitch), RATE)
            (folder / f"{speaker}-7.trans.txt").write_text("".join(f"{name} WORDS\n" for name in names))


def two_splits(root: Path, folder: Path) -> Path:
    """A config of `blind`: members of one split of LibriSpeech, non-members of another."""
    splits = {"members": "train-clean-100", "nonmembers": "dev-clean"}
    sources = {
        side: {
            "class_path": "lightning_mia.corpora.LibriSpeech",
            "init_args": {"root": str(root), "splits": [split]},
        }
        for side, split in splits.items()
    }
    corpus = {"class_path": "lightning_mia.corpora.TwoSources", "init_args": sources}
    (folder / "blind.yaml").write_text(yaml.safe_dump({"corpus": corpus, "matching": {"duration": "nearest"}}))
    return folder / "blind.yaml"


@pytest.mark.slow
def test_longer_members_of_librispeech_are_assessable_after_matching(tmp_path: Path) -> None:
    # 300 speakers a side: fewer would leave the bound of the blind AUROC above .60 by chance, now and then.
    write_librispeech(tmp_path, n_speakers=300, n_clips=3)
    config = str(two_splits(tmp_path, tmp_path))
    assert main(["blind", "-c", config, "--out", str(tmp_path / "unmatched"), "--matching.duration", "none"]) == 0
    unmatched = load_report(tmp_path / "unmatched" / "report")
    assert unmatched.verdict.status == "not_assessable"
    assert unmatched.blind("utterance").p_value < 0.01

    assert main(["blind", "-c", config, "--out", str(tmp_path / "matched")]) == 0
    matched = load_report(tmp_path / "matched" / "report")
    assert matched.verdict.status == "no_evidence"
    assert matched.blind_upper95["utterance"] <= 0.6
    assert matched.split.n_members == matched.split.n_nonmembers > 500  # of 900
    before = next(
        control for control in matched.controls if (control.name, control.level) == ("blind_unmatched", "utterance")
    )
    assert before.auroc == unmatched.blind("utterance").auroc
    assert matched.notes[0].startswith(
        "Before matching: not assessable. Utterance level: members and non-members can be separated without any model"
    )
    assert f"kept {matched.split.n_members} of 900 member recordings" in matched.notes[1]


@pytest.fixture
def longer_members(tiny_manifest: Path, tmp_path: Path) -> Path:
    """The longer half of each speaker's recordings are members."""
    table = Manifest(str(tiny_manifest)).table()
    durations = table["path"].map(lambda path: soundfile.info(path).duration)
    member = (durations > durations.groupby(table["speaker"]).transform("median")).astype(int)
    table.assign(member=member).to_csv(tmp_path / "split.csv", index=False)
    return tmp_path / "split.csv"


@pytest.mark.slow
def test_results_before_and_after_matching_are_reported(
    longer_members: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = blind(longer_members, tmp_path / "run", "--matching.crop_seconds", "0.35")
    names = [control["name"] for control in found["controls"]]
    kept = [name for name in names if not name.endswith("_unmatched")]
    assert {"blind", "blind_within", "blind_metadata"} <= set(kept)
    assert names == [*kept, *(f"{name}_unmatched" for name in kept)]
    unmatched = found["controls"][len(kept)]
    assert found["controls"][0]["p_value"] > unmatched["p_value"]
    assert unmatched == blind(longer_members, tmp_path / "whole")["controls"][0] | {"name": "blind_unmatched"}
    scores = pd.read_csv(tmp_path / "run" / "report" / "scores.csv")
    discarded = pd.read_csv(tmp_path / "run" / "discarded.csv")
    n_scores = scores["attack"].value_counts()
    assert all(n_scores[name] == 72 - len(discarded) for name in kept)
    assert all(n_scores[f"{name}_unmatched"] == 72 for name in kept)
    assert set(discarded["reason"]) == {"shorter than matching.crop_seconds"}
    assert (discarded["seconds"] < 0.35).all()
    assert set(pd.read_csv(tmp_path / "run" / "split.csv")["id"]) == set(scores["unit_id"]) - set(discarded["id"])
    page = (tmp_path / "run" / "report" / "report.html").read_text()
    assert "Before matching: not assessable" in page
    assert f"Discarded by matching: {len(discarded)} non-member recordings" in page
    assert "blind_unmatched" in capsys.readouterr().out


@pytest.mark.slow
def test_a_folder_of_another_matching_is_refused(
    longer_members: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        blind(longer_members, tmp_path / "run", "--matching.crop_seconds", "0.3")
    other = ["--out", str(tmp_path / "run"), "--matching.crop_seconds", "0.31"]
    assert main(["blind", str(longer_members), *other]) == 2
    assert "give another run directory" in capsys.readouterr().err.replace("--run_dir", "run directory")


def test_a_matching_that_keeps_nothing_is_refused_in_one_line(
    longer_members: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--matching.duration", "nearest", "--matching.tolerance", "0.00001"]
    assert main(["blind", str(longer_members), "--out", str(tmp_path / "run"), *options]) == 2
    *_, message = capsys.readouterr().err.splitlines()  # what the log says comes before it
    assert (
        "error: Matching keeps 1 of 36 member and 1 of 36 non-member recordings, but at least 4 of each are needed"
        in message
    )
    assert not (tmp_path / "run").exists()


def test_a_manifest_or_another_corpus(longer_members: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["blind", "--out", str(tmp_path / "run")]) == 2
    assert "give either a manifest or --corpus" in capsys.readouterr().err
    assert main(["blind", str(longer_members), "--out", str(tmp_path), "-c", str(two_splits(tmp_path, tmp_path))]) == 2
    assert "either a manifest or --corpus" in capsys.readouterr().err


def split_of(tiny_manifest: Path, folder: Path, **columns: Callable[[pd.DataFrame], pd.Series]) -> Path:
    table = Manifest(str(tiny_manifest)).table()
    member = (table.groupby("speaker").cumcount() % 2).astype(str)
    table = table.assign(member=member, **{name: make(table) for name, make in columns.items()})
    table.to_csv(folder / "split.csv", index=False)
    return folder / "split.csv"


@pytest.mark.slow
def test_shared_audio_and_text_are_reported(tiny_manifest: Path, tmp_path: Path) -> None:
    manifest = split_of(tiny_manifest, tmp_path, text=lambda table: table["speaker"])
    table = pd.read_csv(manifest, dtype=str)
    waveform, rate = soundfile.read(table["path"][0])  # a non-member
    rng = np.random.default_rng(0)
    speech = waveform + 0.05 * np.repeat(rng.lognormal(0, 1, 50), len(waveform) // 50 + 1)[: len(waveform)] * (
        rng.standard_normal(len(waveform))
    )
    for row, copy in ((0, speech), (1, 0.5 * speech)):
        table.loc[row, "path"] = str(tmp_path / f"{row}.wav")
        soundfile.write(table.loc[row, "path"], copy, rate)
    table.to_csv(manifest, index=False)
    notes = blind(manifest, tmp_path / "run")["notes"]
    (near,) = (note for note in notes if "nearly the same audio as a non-member" in note)
    assert not any(name in near for name in table["id"])  # results.json is handed on
    assert any("36 of 36 member recordings have the text of a non-member" in note for note in notes)


@pytest.mark.slow
def test_the_report_states_what_the_redraws_assume(tiny_manifest: Path, tmp_path: Path) -> None:
    unknown = blind(split_of(tiny_manifest, tmp_path), tmp_path / "run")
    assert unknown["split"]["assignment"] == ["recordings"]
    assert "which the corpus does not state, the p-values are too small" in (
        tmp_path / "run" / "report" / "report.html"
    ).read_text(encoding="utf-8")
    sessions = split_of(tiny_manifest, tmp_path, session=lambda table: table.groupby("speaker").cumcount().astype(str))
    known = blind(sessions, tmp_path / "sessions")
    assert known["split"]["assignment"] == ["sessions"]
    assert known["split"]["n_siblings"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.assign(session=["x"] * 70 + [""] * 2),
            "The column session is empty for 2 of 72 recordings of speakers with both labels: s05/c10; s05/c11; fill",
        ),
        (
            lambda table: table.assign(member=table["member"].replace({"1": "sibling"})),
            "36 recordings are siblings of the members (s00/c01; ",
        ),
        (
            lambda table: table.assign(member=["sibling"] * 3 + list(table["member"][3:])),
            "gives 3 sibling recordings (copies counted once), but a sibling control needs at least 4; add some",
        ),
        (
            lambda table: table.assign(member=["child", *list(table["member"][1:])]),
            "unknown member value in 1 of 72 rows: line 2 ('child'); use 1, 0, held_back, sibling or empty (auxiliary)",
        ),
    ],
)
def test_unusable_sessions_and_siblings_are_refused_in_one_line(
    tiny_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable, message: str
) -> None:
    manifest = split_of(tiny_manifest, tmp_path)
    change(pd.read_csv(manifest, dtype=str)).to_csv(manifest, index=False)
    assert main(["blind", str(manifest), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1]
    assert "Traceback" not in "".join(error)
