import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy, kstest

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.crop_responses import CropResponses, response_divergence
from lightning_mia.signals.inputs.random_masks import utterance_generator
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]


def slow(group: CropResponses, model: SpeechModel, name: str, waveform: torch.Tensor) -> dict[str, np.ndarray]:
    """Sorted divergences of one utterance, one crop after the other."""

    def frames(samples: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return model.encode(samples.unsqueeze(0), torch.tensor([len(samples)])).hidden[-1][0].double().numpy()

    whole = frames(waveform)
    noise = utterance_generator(name, 0, group.seed, "noise/").random((len(whole), group.n_crops), dtype=np.float32)
    normal = math.sqrt(2) * torch.erfinv(2 * (torch.from_numpy(noise).double() + 2.0**-25) - 1).numpy()
    uniform, gaussian = [], []
    for draw in range(group.n_crops):
        rng = utterance_generator(name, draw, group.seed, "crop/")
        share = rng.uniform(group.shortest, group.longest)
        length = max(round(share * len(waveform) / 160) * 160, 1_600)
        start = int(rng.integers(len(waveform) - length + 1))
        response = softmax(whole @ frames(waveform[start : start + length]).mean(axis=0))
        uniform.append(entropy(np.full(len(whole), 1 / len(whole)), response))
        gaussian.append(entropy(softmax(normal[:, draw]), response))
    return {"uniform": np.sort(uniform), "gaussian": np.sort(gaussian)}


@pytest.mark.parametrize("n_crops", [5, 9])
def test_signals_equal_a_slow_version(n_crops: int, speech: Speech, tera: SpeechModel) -> None:
    group, batch = CropResponses(n_crops, n_kept=n_crops, seed=2), speech(0.12, 1.5)
    with torch.inference_mode():
        signals = group.measure(tera, batch).scalars
    for row, (name, length) in enumerate(zip(batch.ids, batch.lengths.tolist(), strict=True)):
        for kind, expected in slow(group, tera, name, batch.waveforms[row, :length]).items():
            columns = [signals[f"crops_{kind}_{i}"][row].item() for i in range(n_crops)]
            assert columns == pytest.approx(expected.tolist(), rel=1e-5)


def test_quantiles_of_many_crops_are_kept(speech: Speech, tera: SpeechModel) -> None:
    with torch.inference_mode():
        all_of_them = CropResponses(9, n_kept=9).measure(tera, speech(1.5)).scalars
        three = CropResponses(9, n_kept=3).measure(tera, speech(1.5)).scalars
    assert list(three) == [f"crops_{kind}_{i}" for kind in ("uniform", "gaussian") for i in range(3)]
    assert [three[f"crops_uniform_{i}"] for i in range(3)] == [all_of_them[f"crops_uniform_{i}"] for i in (0, 4, 8)]


def test_divergences_of_huge_responses_stay_exact() -> None:
    scores = torch.tensor([[[0.0, 5_000.0, 1_000.0, 9.0]]]).double()
    divergence = response_divergence(scores, torch.zeros_like(scores), torch.tensor([3]))
    assert divergence.item() == pytest.approx(5_000 - 2_000 - math.log(3))


def test_noise_is_normal_and_differs_between_utterances(speech: Speech) -> None:
    noise = CropResponses(n_crops=20, n_kept=20)._noise(speech(0.1, 0.1), torch.tensor([200, 300]))
    assert noise.shape == (2, 20, 300) and not noise[0, :, 200:].any()
    assert kstest(noise[1].flatten().numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[0, :, :200].flatten(), noise[1, :, :200].flatten())[0, 1]) < 0.06


@pytest.mark.parametrize(
    "settings", [{"n_kept": 40}, {"n_kept": 1}, {"shortest": 0.3}, {"longest": 1.5}, {"shortest": 0}]
)
def test_invalid_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="CropResponses"):
        CropResponses(**settings)  # type: ignore[arg-type]
