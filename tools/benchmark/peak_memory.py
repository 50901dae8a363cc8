"""Measure peak memory: `python -m tools.benchmark.peak_memory STAGE MANIFEST`."""

import argparse
import json
import logging
import tempfile
import threading
import warnings
from functools import partial
from pathlib import Path

import torch

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models import TERA
from lightning_mia.signals.base import Resources
from lightning_mia.signals.runner.run import probe
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from tools.benchmark.loops import training_recordings, training_step

STATUS = Path("/proc/self/status")


class MemoryMonitor:
    """Context manager that samples this process's memory (Linux only).

    Attributes:
        own: peak of the memory not backed by files, sampled every 20 ms (MiB).
    """

    def __init__(self) -> None:
        self.own = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "MemoryMonitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self.own = max(self.own, mebibytes("RssAnon"))


def mebibytes(name: str) -> float:
    """Read a memory figure of this process from the kernel.

    `ru_maxrss` would not do: a process inherits it from its parent.

    Args:
        name: kernel's name, such as `VmHWM` (peak resident memory).
    """
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


def main() -> None:
    """Run the stage and print its peaks as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=["decode", "train", "probe"])
    parser.add_argument("manifest", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with MemoryMonitor() as monitor:
        # The first stage decodes; the others find the cached audio, as in an audit.
        audio = decode(Manifest(str(arguments.manifest)).table(), cache_dir=arguments.manifest.parent, progress=False)
        if arguments.stage == "train":
            train(audio)
        elif arguments.stage == "probe":
            probe_all(audio)
    print(json.dumps({"resident": mebibytes("VmHWM"), "own": monitor.own}))


def train(audio: AudioCache) -> None:
    """Train a tiny TERA for one epoch."""
    model = TERA()
    step = training_step(model, n_steps=100_000)
    for batch in training_recordings(audio, batch_seconds=32.0, workers=0).train_dataloader():
        step(batch)


def probe_all(audio: AudioCache) -> None:
    """Compute the default signals of a tiny TERA."""
    settings = ProbeSettings(n_masks=2)  # more would take longer, but no more memory
    recordings = Recordings(audio, list(audio.index.index))
    factory = TrainerFactory({"accelerator": "cpu", "enable_progress_bar": False})
    with tempfile.TemporaryDirectory() as name:
        make_trainer = partial(factory.for_probing, Path(name))
        path = Path(name) / "signals.npz"
        probe(
            TERA(), settings.encoder_outputs, recordings, Resources(Recordings(audio, [])), settings, path, make_trainer
        )


if __name__ == "__main__":
    main()
