"""The probe against the usual way of extraction: one utterance at a time, features saved to disk.

    python tools/benchmark_probe.py

Both read the same audio files and ask the same models the same: to encode every clip, and to solve the pretext task
under one mask. The usual way decodes, encodes and saves the hidden states of all layers one file at a time. The probe
decodes into its cache, encodes in batches, and keeps signals only. Prints audio-seconds per second, bytes written, and
ratios.
"""

import argparse
import logging
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch

from lightning_mia.corpus import Manifest, SyntheticVoices
from lightning_mia.data.audio_cache import decode
from lightning_mia.data.recordings import Recordings
from lightning_mia.models import TERA, HuBERT, MelHuBERT, SpeechModel
from lightning_mia.probe.questions import draw_masks
from lightning_mia.probe.run import probe
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.trainer_factory import TrainerFactory


def write_clips(folder: Path, n_clips: int, seconds: float) -> Path:
    """Clips of equal length, cut from synthetic speech laid end to end."""
    speech = np.concatenate([soundfile.read(path)[0] for path in SyntheticVoices(20, 10).table()["path"]])
    samples = int(seconds * 16_000)
    rows = []
    for clip in range(n_clips):
        start = clip * samples % (len(speech) - samples)
        soundfile.write(folder / f"{clip}.flac", speech[start : start + samples], 16_000)
        rows.append({"id": f"c{clip}", "path": f"{clip}.flac", "speaker": "s"})
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def one_at_a_time(model: SpeechModel, clips: Path, folder: Path) -> tuple[float, int]:
    """Seconds and bytes of the usual way."""
    folder.mkdir()
    start = time.perf_counter()
    for row in pd.read_csv(clips).itertuples():
        waveform = torch.from_numpy(soundfile.read(clips.parent / str(row.path), dtype="float32")[0])
        with torch.no_grad():
            lengths = torch.tensor([len(waveform)])
            encoded = model.encode(waveform[None], lengths)
            frames = model.frame_lengths(lengths).tolist()
            score = model.pretext_score(
                waveform[None], lengths, draw_masks([str(row.id)], frames, model.mask_span, 0, 0)
            )
        torch.save((torch.stack(encoded.hidden).squeeze(1), score), folder / f"{row.id}.pt")
    return time.perf_counter() - start, sum(path.stat().st_size for path in folder.iterdir())


def by_probe(model: SpeechModel, clips: Path, folder: Path, batch_seconds: float) -> tuple[float, int]:
    """Seconds and bytes of the probe, decoding included."""
    factory = TrainerFactory({"accelerator": "cpu", "enable_progress_bar": False})
    start = time.perf_counter()
    audio = decode(Manifest(str(clips)).table(), cache_dir=folder / "cache", progress=False)
    path = folder / "signals.npz"
    settings = ProbeSettings(n_masks=1, batch_seconds=batch_seconds)
    queries = Recordings(audio, list(audio.index.index))
    probe(model, queries, settings, path, partial(factory.for_probing, folder, "Probing"))
    return time.perf_counter() - start, path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="*", default=[1.0, 2.0, 10.0], help="lengths of clips")
    parser.add_argument("--audio_seconds", type=float, default=600.0, help="of all clips together")
    parser.add_argument("--batch_seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print("model      clip s  one at a time s/s  probe s/s  ratio  features MB  signals kB  written")
    for seconds in arguments.seconds:
        compare(seconds, arguments.audio_seconds, arguments.batch_seconds)


def compare(seconds: float, audio_seconds: float, batch_seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        clips = write_clips(Path(name), int(audio_seconds / seconds), seconds)
        for like in (TERA(), MelHuBERT(), HuBERT()):
            model = like.eval()
            if model.needs_targets:
                audio = decode(Manifest(str(clips)).table(), progress=False)
                rows = [torch.from_numpy(audio.waveform(clip))[None] for clip in audio.index.index[:10]]
                model.fit_targets((row, torch.tensor([row.shape[1]])) for row in rows)
            folder = Path(name) / type(like).__name__
            slow, features = one_at_a_time(model, clips, folder)
            fast, signals = by_probe(model, clips, folder, batch_seconds)
            print(
                f"{type(like).__name__:9}  {seconds:6.1f}  {audio_seconds / slow:17.0f}  {audio_seconds / fast:9.0f}  "
                f"{slow / fast:5.2f}  {features / 1e6:11.1f}  {signals / 1e3:10.1f}  {signals / features:7.2%}"
            )


if __name__ == "__main__":
    main()
