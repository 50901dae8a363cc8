"""Damaged files of our own: one line names them and what to do, they are made again, or read as they were."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from lightning_mia.attacks.base import Evidence
from lightning_mia.attacks.loss import PretextLoss
from lightning_mia.attacks.runner.scoring import cached_scores
from lightning_mia.audit.ablation.cell import COPIED, _read_copied
from lightning_mia.audit.monitor import records as leakage
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.huggingface import AUDIO, INDEX, _read_index
from lightning_mia.corpora.synthetic import voices
from lightning_mia.models import MelHuBERT
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import read_table, write_table
from lightning_mia.report.write import load_report, write_report
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Split, UtteranceDesign
from lightning_mia.training.exposures import read_exposures
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file, write_json
from lightning_mia.utilities.stage import Stage
from tests.planted_report import make_small_report
from tests.report.ablation.conftest import table_of

MODEL = MelHuBERT(n_layers=1, dim=16, n_heads=2, feedforward_dim=32, n_clusters=8, code_dim=8)
REPORT = make_small_report()
IDS = [f"clip {number}" for number in range(20)]
SIGNALS = Signals(pd.DataFrame({"pretext_score_mask0": np.linspace(-1, 1, 20)}, index=IDS), np.ones((20, 2, 4)))
EVIDENCE = Evidence(SIGNALS, pd.DataFrame({"id": IDS, "unit_id": IDS, "speaker": "s"}))


@dataclass(frozen=True)
class Kind:
    """A kind of file: `write` fills a folder, `read` returns what can be compared.

    `exact`: what is read is what was written, since its hash is stored or it is made again.
    """

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    exact: bool = True


def cached(folder: Path) -> pd.Series:
    return cached_scores(PretextLoss(), EVIDENCE, folder, "model")


def save_checkpoint(folder: Path) -> None:
    checkpoint: dict[str, Any] = {"state_dict": MODEL.state_dict(), "hyper_parameters": dict(MODEL.hparams)}
    MODEL.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "model.ckpt")


def weights(model: SpeechModel) -> dict[str, list[float]]:
    return {name: weight.flatten().tolist() for name, weight in model.state_dict().items()}


def draw_split(folder: Path) -> None:
    table = pd.DataFrame({"id": IDS, "speaker": ["s", "t"] * 10})
    UtteranceDesign(16, 2).draw(table, {name: name for name in IDS}, n_shadows=2).save(folder / "split.csv")


def load_split(folder: Path) -> tuple[object, ...]:
    split = Split.load(folder / "split.csv")
    return split.table[["id", "role", "target", "unit"]].to_csv(), split.level  # shadow models are drawn again


def read_signals(folder: Path) -> tuple[object, ...]:
    signals = Signals.load(folder / "target-answers-0.npz")
    Signals.versions(folder / "target-answers-0.npz")  # may be unknown
    return signals.scalars.to_csv(), signals.pooled.tolist()


def write_exposures(folder: Path) -> None:
    table = folder / "trained_utterances.csv"
    pd.DataFrame({"id": IDS, "times": 3}).to_csv(table, index=False)
    Stage(folder, {"epochs": 3}).begin().finish({"steps": 1, "exposures_sha256": hash_of_file(table)})


def exposures(folder: Path) -> dict[str, int]:
    record = Stage(folder, {"epochs": 3}).begin().record
    assert record is not None
    return read_exposures(Trained(MODEL, folder / "model.ckpt", "", record))


def write_record(folder: Path) -> None:
    GridRecord("g", "b.yaml", {"x": [1]}, {"x": ["y"]}, [0], ["x=1"], {}, "command", {"torch": "2"}, {}).write(folder)


def write_leakage(folder: Path) -> None:
    row = {"epoch": 1, "step": 4, "attack": "loss", "layer": 1, "auroc": 0.5, "lo": 0.4, "hi": 0.6, "gap": 0.1}
    leakage.write_table(folder, [row] * 3)


def write_hub_index(folder: Path) -> None:
    (folder / AUDIO).mkdir()
    rows = [{"id": name, "path": str(folder / "elsewhere" / f"{name}.flac"), "speaker": "s"} for name in IDS]
    (folder / INDEX).write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_voices(folder: Path) -> None:
    write_json(folder / "index.json", [["a sentence", 100], ["another", 200]])


def decode_clips(folder: Path) -> list[object]:
    table = pd.DataFrame({"id": ["a", "b"], "path": [str(SOUNDS / f"{name}.wav") for name in "ab"]})
    audio = decode(table, cache_dir=folder, progress=False)
    return [audio.index.drop(columns=["offset"]).to_csv(), *(audio.waveform(name).tolist() for name in "ab")]


def write_clips(folder: Path) -> None:
    for number, name in enumerate("ab"):
        if not (SOUNDS / f"{name}.wav").exists():
            soundfile.write(SOUNDS / f"{name}.wav", 0.1 * np.sin(np.arange(4000) / (9 + number)), 16_000)
    decode_clips(folder)


def results_of(folder: Path) -> list[object]:
    report = load_report(folder)  # command, config and notes may be shortened before a file is shared
    return [report.attacks, report.controls, report.verdict, report.split, report.target, report.scores]


def write_copied(folder: Path) -> None:
    write_json(folder / COPIED, {"cell": "x", "trainings": ["target"]})


SOUNDS = Path(tempfile.mkdtemp(prefix="lightning_mia_test_"))  # same paths, times and inodes in all tests
KINDS = {
    "signals": Kind(lambda folder: SIGNALS.save(folder / "target-answers-0.npz"), read_signals),
    "stage and exposures": Kind(write_exposures, exposures),
    "checkpoint": Kind(save_checkpoint, lambda folder: weights(model_from_checkpoint(folder / "model.ckpt"))),
    "split": Kind(draw_split, load_split),
    "report": Kind(lambda folder: write_report(folder, make_small_report()), results_of),
    "cached scores": Kind(cached, lambda folder: cached(folder).to_csv()),
    "grid": Kind(write_record, lambda folder: asdict(GridRecord.read(folder)), exact=False),
    "table of a grid": Kind(
        lambda folder: write_table(table_of(), folder), lambda folder: read_table(folder, ["size"]), exact=False
    ),
    "copied checkpoints": Kind(
        lambda folder: write_json(folder / COPIED, {"trainings": ["target"]}), _read_copied, exact=False
    ),
    "leakage": Kind(write_leakage, lambda folder: leakage.read_table(folder / leakage.TABLE), exact=False),
    "index of a hub data set": Kind(write_hub_index, lambda folder: _read_index(folder, None), exact=False),
    "index of voices": Kind(write_voices, voices._read_index, exact=False),
    "decoded audio": Kind(write_clips, decode_clips),
}


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def with_zeros(content: bytes, rng: random.Random) -> bytes:
    """As a power failure leaves the end of a file."""
    start = rng.randrange(len(content))
    return content[:start] + bytes(len(content) - start)


def with_a_hole(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + bytes(min(16, len(content) - start)) + content[start + 16 :]


def with_a_flipped_bit(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    return content[:position] + bytes([content[position] ^ (1 << rng.randrange(8))]) + content[position + 1 :]


OTHER = (b"", b"\0" * 100, b"\xff\xfe\xfd", b"[]", b"null", b'"text"', b"{}", b"[[[1]]]", b"[" * 100_000, b"a,b\n1,2\n")


def damages(content: bytes, rng: random.Random, n: int = 8) -> Iterator[bytes]:
    yield from OTHER
    for damage in (cut, with_zeros, with_a_hole, with_a_flipped_bit):
        yield from (damage(content, rng) for _ in range(n))
    yield from (with_a_flipped_bit(content[:200], rng) + content[200:] for _ in range(n))  # headers


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_named_or_made_again(name: str, tmp_path: Path) -> None:
    kind, rng = KINDS[name], random.Random(0)
    (tmp_path / "run").mkdir()
    kind.write(tmp_path / "run")
    expected = kind.read(tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "original")
    files = [path.relative_to(tmp_path / "original") for path in (tmp_path / "original").rglob("*") if path.is_file()]
    faults = []
    for file in files:
        if file.name in NOT_READ or "tensorboard" in file.parts:
            continue
        for damaged in damages((tmp_path / "original" / file).read_bytes(), rng):
            shutil.rmtree(tmp_path / "run")
            shutil.copytree(tmp_path / "original", tmp_path / "run")
            (tmp_path / "run" / file).write_bytes(damaged)
            if fault := fault_of(kind, tmp_path / "run", file, expected):
                faults.append(f"{file}, {damaged[:60]!r}: {fault}")
    assert not faults, "\n".join(faults)


NOT_READ = ("lock", "report.html", "report.md", "speakers.csv")


def fault_of(kind: Kind, folder: Path, file: Path, expected: object) -> str:
    try:
        found = kind.read(folder)
    except InputError as error:
        message = str(error)
        named = file.name in message or file.stem in message or str((folder / file).parent) in message
        remedy = any(word in message for word in ("delete", "again", "restore", "give", "use"))
        return "" if named and remedy and "\n" not in message else message
    except Exception as error:
        return repr(error)
    return "other content" if kind.exact and repr(found) != repr(expected) else ""
