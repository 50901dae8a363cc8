"""Peak memory of one stage on one corpus: `python -m tools.benchmark.peak_memory STAGE MANIFEST`."""

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
from lightning_mia.signals.runner.run import probe
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from tools.benchmark.loops import training_recordings, training_step

STATUS = Path("/proc/self/status")


class Watch:
    """Watches this process's memory while it is open (Linux only).

    Attributes:
        own: most memory that no file backs, as seen every few milliseconds (MiB).
    """

    def __init__(self) -> None:
        self.own = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.own = max(self.own, mebibytes("RssAnon"))


def mebibytes(name: str) -> float:
    """A figure of this process, as the kernel keeps it.

    Not `ru_maxrss`, which a process inherits from the one that started it.

    Args:
        name: such as `VmHWM`, the most memory that was ever resident.
    """
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024


def main() -> None:
    """Do the stage, and print its peaks as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=["decode", "train", "probe"])
    parser.add_argument("manifest", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with Watch() as watch:
        # The first stage decodes; the others find its work, as they do in an audit.
        audio = decode(Manifest(str(arguments.manifest)).table(), cache_dir=arguments.manifest.parent, progress=False)
        if arguments.stage == "train":
            train(audio)
        elif arguments.stage == "probe":
            ask(audio)
    print(json.dumps({"resident": mebibytes("VmHWM"), "own": watch.own}))


def train(audio: AudioCache) -> None:
    """An epoch of a tiny TERA."""
    model = TERA()
    step = training_step(model, n_steps=100_000)
    for batch in training_recordings(audio, batch_seconds=32.0, workers=0).train_dataloader():
        step(batch)


def ask(audio: AudioCache) -> None:
    """The signals that every audit takes, of a tiny TERA."""
    settings = ProbeSettings(n_masks=2)  # more would take longer, and no more memory at a time
    everything = Recordings(audio, list(audio.index.index))
    factory = TrainerFactory({"accelerator": "cpu", "enable_progress_bar": False})
    with tempfile.TemporaryDirectory() as name:
        make_trainer = partial(factory.for_probing, Path(name), "Probing")
        path = Path(name) / "signals.npz"
        probe(TERA(), settings.encoder_outputs, everything, Recordings(audio, []), settings, path, make_trainer)


if __name__ == "__main__":
    main()
