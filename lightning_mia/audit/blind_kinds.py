"""Kinds of blind statistics of a split: acoustics, fine, content, metadata, encoder."""

import numpy as np
import pandas as pd

from lightning_mia.audit.provenance import evaluated_ids
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.signals.runner.frames import FrameStream
from lightning_mia.splits import Split
from lightning_mia.splits.blind_baseline.classifier import fit_blind_baselines
from lightning_mia.splits.blind_baseline.content import content_statistics
from lightning_mia.splits.blind_baseline.fine_statistics import fine_statistics
from lightning_mia.splits.blind_baseline.metadata import listed_by_membership, metadata_statistics
from lightning_mia.splits.blind_baseline.statistics import blind_statistics
from lightning_mia.utilities.progress_bar import tqdm

LISTING_AUROC = 0.99
"""AUROC of metadata above which they are the author's listing, and not a difference between the recordings."""

N_COMPONENTS = 100  # principal components of the encoder's outputs


def blind_name(kind: str) -> str:
    """Return the name of the control of one kind.

    >>> blind_name("acoustics"), blind_name("content")
    ('blind', 'blind_content')
    """
    return "blind" if kind == "acoustics" else f"blind_{kind}"


def blind_kinds(
    split: Split, audio: AudioCache, table: pd.DataFrame, encoder: str | None = None, device: str = "cpu"
) -> dict[str, pd.DataFrame]:
    """Compute the model-free statistics of the evaluated recordings.

    Args:
        split: members and non-members.
        audio: decoded corpus.
        table: utterance table of the corpus.
        encoder: folder or hub name of an encoder trained on neither members nor non-members.
        device: device of the encoder.

    Returns:
        One table per kind, index = id: `acoustics`, `fine` (faint traces), `content` if there are transcripts,
        `metadata` unless it only repeats the membership, `encoder` if there is one.
    """
    ids = evaluated_ids(split)
    kinds = {
        "acoustics": blind_statistics(audio, ids),
        "fine": fine_statistics(audio, ids),
        "content": content_statistics(audio.texts, ids),
        "metadata": _metadata(split, table, ids),
        "encoder": encoder_statistics(encoder, audio, ids, device) if encoder else None,
    }
    return {kind: statistics for kind, statistics in kinds.items() if statistics is not None}


def _metadata(split: Split, table: pd.DataFrame, ids: list[str]) -> pd.DataFrame | None:
    """Describe the manifest, unless it only repeats who is a member.

    Two sources differ in names and places of all their recordings, which no model hears. Metadata that separate members
    from non-members nearly without exception, one by one or together, say no more than the labels.
    """
    statistics = metadata_statistics(table, ids)
    if split.drawn:
        return statistics
    challenge = split.challenge("utterance")
    statistics = statistics.drop(columns=listed_by_membership(statistics, challenge))
    if statistics.empty:
        return None
    no_redraws = np.empty((0, challenge["unit_id"].nunique()), bool)
    fit = fit_blind_baselines({"metadata": statistics}, challenge, no_redraws, "utterance")["metadata"]
    return None if fit.aurocs[0] > LISTING_AUROC else statistics


def encoder_statistics(
    checkpoint: str, audio: AudioCache, ids: list[str], device: str = "cpu", batch_seconds: float = 60.0
) -> pd.DataFrame:
    """Average the last hidden states of an encoder over each recording.

    Args:
        checkpoint: folder or hub name, as `PretrainedEncoder` takes it.
        audio: decoded corpus.
        ids: recordings.
        device: device of the encoder.
        batch_seconds: audio in one batch (seconds).

    Returns:
        Principal components of the averages, float64, one row per recording (index `id`).

    Raises:
        InputError: the checkpoint cannot be loaded.
    """
    frames = FrameStream(PretrainedEncoder(checkpoint), Recordings(audio, ids), batch_seconds, device)
    pooled: dict[str, np.ndarray] = {}
    with tqdm(total=len(ids), desc="Blind encoder", unit="clip") as bar:
        for batch in frames(ids):
            for utterance, hidden, length in zip(batch.ids, batch.hidden, batch.lengths, strict=True):
                pooled[utterance] = hidden[:length].double().mean(dim=0).cpu().numpy()
            bar.update(len(batch.ids))
    values = np.stack([pooled[utterance] for utterance in ids])
    left, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    components = (left * sizes)[:, :N_COMPONENTS]
    columns = [f"component_{number:02d}" for number in range(components.shape[1])]
    return pd.DataFrame(components, index=pd.Index(ids, name="id"), columns=columns)
