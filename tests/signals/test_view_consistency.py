from collections.abc import Callable

import numpy as np
import pytest
import torch

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.inputs.augmentations import Mixed
from lightning_mia.signals.inputs.random_masks import utterance_generator
from lightning_mia.signals.view_consistency import ViewAgreement
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def frames_of(model: SpeechModel, waveform: np.ndarray, layer: int) -> np.ndarray:
    """(frames, dim) of one recording alone."""
    with torch.inference_mode():
        encoded = model.encode(torch.from_numpy(waveform.copy()).unsqueeze(0), torch.tensor([len(waveform)]))
    return encoded.hidden[layer][0].double().numpy()


def test_signals_equal_a_slow_version(speech: Speech, tera: SpeechModel) -> None:
    """One utterance, one view, one frame after the other."""
    group, batch = ViewAgreement(n_views=4, seed=3), speech(0.35, 0.8)
    with torch.inference_mode():
        signals = group.measure(tera, batch).scalars
    for row, (name, length) in enumerate(zip(batch.ids, batch.lengths.tolist(), strict=True)):
        waveform = batch.waveforms[row, :length].numpy()
        for layer in (1, 2):
            plain = frames_of(tera, waveform, layer)
            for view in group.kinds:
                seen = view(waveform, utterance_generator(name, 0, 3, f"view/{view.name}/"))
                frames = frames_of(tera, seen, layer)
                pooled = cosine(plain.mean(axis=0), frames.mean(axis=0))
                assert signals[f"views_{view.name}_pooled_layer{layer}"][row].item() == pytest.approx(pooled, abs=1e-6)
                column = f"views_{view.name}_frames_layer{layer}"
                assert (column in signals) == (view.name != "crop")
                if column in signals:
                    frames = frames[::-1] if view.name == "reversed" else frames
                    mean = np.mean([cosine(first, second) for first, second in zip(plain, frames, strict=True)])
                    assert signals[column][row].item() == pytest.approx(mean, abs=1e-6)
        mixed = [Mixed()(waveform, utterance_generator(name, draw, 3, "view/mixed/")) for draw in range(4)]
        pooled_views = [frames_of(tera, view, 2).mean(axis=0) for view in mixed]
        pairs = sorted(cosine(pooled_views[i], pooled_views[j]) for i in range(4) for j in range(i))
        assert [signals[f"views_pair{i}"][row].item() for i in range(6)] == pytest.approx(pairs, abs=1e-6)


def test_ten_views_have_45_sorted_pairs(speech: Speech, tera: SpeechModel) -> None:
    with torch.inference_mode():
        signals = ViewAgreement().measure(tera, speech(0.5)).scalars
    pairs = [values.item() for name, values in signals.items() if name.startswith("views_pair")]
    assert len(pairs) == 45 and pairs == sorted(pairs) and "views_pair00" in signals and "views_pair44" in signals
    assert pairs[0] < pairs[-1] <= 1


def test_one_view_is_refused() -> None:
    with pytest.raises(InputError, match=r"ViewAgreement\.n_views is 1: give 2 to 100"):
        ViewAgreement(n_views=1)
