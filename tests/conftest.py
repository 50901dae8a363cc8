"""Shared fixtures: synthetic corpora, a temporary cache, real speech."""

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for tiny models, several threads wait more than they compute
SAMPLE_RATE = 16_000
PRELOADED = [
    *("lightning_mia.audit.commands", "lightning_mia.attacks"),
    *("matplotlib.pyplot", "sklearn.cluster", "torch.utils.tensorboard"),
]


@pytest.fixture(scope="session", autouse=True)
def _temporary_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["LIGHTNING_MIA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Fork processes from one with all (slow) imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@pytest.fixture
def forked_workers(forkserver: ForkServerContext) -> Iterator[None]:
    """Fork workers from `forkserver`, where their start is not tested."""
    with pytest.MonkeyPatch.context() as patch:
        methods = SimpleNamespace(get_context=lambda _: forkserver)
        patch.setattr("lightning_mia.training.parallel.local.multiprocessing", methods)
        yield


def sound(rng: np.random.Generator, seconds: float, pitch: float) -> np.ndarray:
    """Make a harmonic tone in noise, (samples,) float64."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6))
    envelope = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6))
    return 0.1 * tone * envelope + 0.01 * rng.standard_normal(len(time))


def write_corpus(folder: Path, n_speakers: int, n_clips: int, seconds: tuple[float, float], seed: int = 0) -> Path:
    """Write FLAC files of random durations and a manifest."""
    rng = np.random.default_rng(seed)
    rows = []
    for speaker in range(n_speakers):
        for clip in range(n_clips):
            name = f"s{speaker:02d}/c{clip:02d}"
            path = folder / f"{name}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound(rng, rng.uniform(*seconds), 90 + 12 * speaker), SAMPLE_RATE)
            rows.append({"id": name, "path": f"{name}.flac", "speaker": f"s{speaker:02d}"})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


@pytest.fixture(scope="session")
def tiny_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 6 speakers × 12 clips of 0.3–0.8 s."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), 6, 12, (0.3, 0.8))


@pytest.fixture(scope="session")
def speakers_manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 20 speakers × 6 clips of 0.3–0.5 s."""
    return write_corpus(tmp_path_factory.mktemp("speakers"), 20, 6, (0.3, 0.5))


@pytest.fixture(scope="session")
def real_manifest() -> Path:
    """Manifest of real speech in LIGHTNING_MIA_CORPORA; skip if not set."""
    folder = os.environ.get("LIGHTNING_MIA_CORPORA")
    if not folder:
        pytest.skip("LIGHTNING_MIA_CORPORA is not set: no real speech available")
    return Path(folder) / "arabic-speech-commands" / "manifest.csv"


TINY_MODEL = {
    "class_path": "MelHuBERT",
    "init_args": {
        "n_layers": 1,
        "dim": 16,
        "n_heads": 2,
        "feedforward_dim": 32,
        "n_clusters": 8,
        "code_dim": 8,
        "position_kernel": 8,
        "position_groups": 4,
    },
}


@pytest.fixture(scope="session")
def config(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Audit config of a tiny MelHuBERT on `tiny_manifest`."""
    settings = {
        "seed_everything": 0,
        "data": {
            "corpus": {"class_path": "Manifest", "init_args": {"path": str(tiny_manifest)}},
            "design": {
                "class_path": "UtteranceDesign",
                "init_args": {"n_units": 48, "n_auxiliary": 24},
            },
            "batch_seconds": 8,
        },
        "model": TINY_MODEL,
        "trainer": {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 3,
            "enable_progress_bar": False,
            "log_every_n_steps": 2,
        },
        "probe": {"n_masks": 2},
        "attacks": ["UtteranceSimilarity", "SpeakerSimilarity", "PretextLoss", "CTCLoss"],  # the quick ones
    }
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path
