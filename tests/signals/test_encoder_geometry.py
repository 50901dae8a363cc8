from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Resources
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.features.cosine import mean_pool
from lightning_mia.signals.features.frame_statistics import pair_statistics
from lightning_mia.signals.features.reference_statistics import pooled_references, reference_statistics

Speech = Callable[..., Batch]


@pytest.fixture(scope="module")
def auxiliary(speech: Speech) -> Recordings:
    """Six recordings; two of them, `a` and `c`, are probed too."""
    batch = speech(0.3, 0.5, 0.9, 0.4, 0.7, 0.6)
    lengths = batch.lengths.numpy()
    samples = np.concatenate([row[:n].numpy() for row, n in zip(batch.waveforms, lengths, strict=True)])
    index = pd.DataFrame(
        {"offset": lengths.cumsum() - lengths, "n_samples": lengths, "duration": lengths / 16_000}, index=batch.ids
    )
    cache = AudioCache((samples * 32768).round().astype(np.int16), index, pd.DataFrame())  # type: ignore[arg-type]
    return Recordings(cache, batch.ids)


def probed_batch(auxiliary: Recordings) -> Batch:
    return collate([auxiliary[0], ("new", auxiliary[1][1] * np.float32(0.5) + np.float32(0.01), ""), auxiliary[2]])


def test_references_add_columns_at_every_layer(auxiliary: Recordings, tera: SpeechModel) -> None:
    batch, group = probed_batch(auxiliary), EncoderGeometry()
    with torch.inference_mode():
        plain = group.measure(tera, batch).scalars
        full = group.prepare(tera, Resources(auxiliary, 1.0))(tera, batch).scalars
        encoded = tera.encode(batch.waveforms, batch.lengths)
    assert len(plain) == 3 * 20 and len(full) == 3 * 25
    assert all(torch.equal(full[name], values) for name, values in plain.items())
    assert all("_reference_" in name for name in full.keys() - plain.keys())
    direct = pair_statistics(encoded.hidden[1], encoded.lengths)["cos_q25"]
    assert torch.equal(full["geometry_cos_q25_layer1"], direct)


def test_references_are_the_auxiliary_recordings_by_the_same_model(auxiliary: Recordings, tera: SpeechModel) -> None:
    batch = probed_batch(auxiliary)
    measure = EncoderGeometry().prepare(tera, Resources(auxiliary, 1.0))
    references = pooled_references(tera, auxiliary, batch_seconds=100.0)
    assert sorted(references.ids) == list("abcdef")
    others = torch.tensor([[name != reference for reference in references.ids] for name in batch.ids])
    with torch.inference_mode():
        encoded = tera.encode(batch.waveforms, batch.lengths)
        pooled = mean_pool(encoded.hidden[2], encoded.lengths)
        measured = measure(tera, batch).scalars
    for name, values in reference_statistics(pooled, references.pooled[:, 2], others).items():
        torch.testing.assert_close(measured[f"geometry_reference_{name}_layer2"], values, rtol=1e-5, atol=1e-7)


def test_too_few_auxiliary_recordings_are_no_references(auxiliary: Recordings, tera: SpeechModel) -> None:
    group = EncoderGeometry()
    assert group.prepare(tera, Resources(Recordings(auxiliary.audio, ["a", "b"]))) == group.measure
