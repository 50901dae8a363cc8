"""Properties of every signal group, for every family."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.ctc import CTC
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.view_consistency import ViewAgreement

Speech = Callable[..., Batch]
GROUPS: dict[str, SignalGroup] = {
    "geometry": EncoderGeometry(most_frames=40),
    "views": ViewAgreement(n_views=4),
    "crops": CropResponses(n_crops=6, n_kept=4),
    "pretext_details": PretextDetails(),
    "perturbed": PerturbedTask(),
}
BLACK_BOX = ("geometry", "views", "crops")
SMALL = {"dim": 16, "n_heads": 2, "feedforward_dim": 32}
FAMILIES: dict[str, Callable[[], SpeechModel]] = {
    "tera": partial(TERA, **SMALL),
    "mel_hubert": partial(MelHuBERT, **SMALL, n_clusters=8),
    "hubert": partial(HuBERT, **SMALL, n_clusters=8, conv_channels=8, conv_group_norm=True, pre_norm=False),
    "wav2vec2": partial(Wav2Vec2, **SMALL, conv_channels=8, n_negatives=8, codebook_size=8, code_dim=8),
    "cpc": partial(CPC, dim=16, n_negatives=8),
}


class BareTERA(TERA):
    """An encoder that came without its head."""

    @property
    def has_pretext(self) -> bool:
        return False


def measure_scalars(group: SignalGroup, model: SpeechModel, batch: Batch) -> pd.DataFrame:
    with torch.inference_mode():
        scalars = group.measure(model, batch).scalars
    return pd.DataFrame({name: values.double().numpy() for name, values in scalars.items()}, index=batch.ids)


def one_by_one(group: SignalGroup, model: SpeechModel, batch: Batch) -> pd.DataFrame:
    singles = [
        Batch([batch.ids[i]], batch.waveforms[i : i + 1, :n], batch.lengths[i : i + 1], batch.texts[i : i + 1])
        for i, n in enumerate(batch.lengths.tolist())
    ]
    return pd.concat([measure_scalars(group, model, single) for single in singles])


def assert_close(together: pd.DataFrame, alone: pd.DataFrame) -> None:
    assert list(together) == list(alone)
    difference = (together - alone).abs().max()
    assert (difference <= 1e-5 * together.abs().max() + 1e-6).all(), difference.nlargest(3)


def fresh(family: str, speech: Speech, seed: int = 0) -> SpeechModel:
    torch.manual_seed(seed)
    model = FAMILIES[family]()
    training = speech(0.4, 0.9)
    model.fit_targets([(training.waveforms, training.lengths)])
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("family", FAMILIES)
def test_signals_do_not_depend_on_the_batch(family: str, name: str, speech: Speech) -> None:
    """To 1e-5 of a column's largest number, and to a thousandth of its spread."""
    model, group = fresh(family, speech), GROUPS[name]
    if not group.supports(model):
        assert (family, name) == ("cpc", "pretext_details")
        return
    batch = speech(0.1, 3.0, 0.7, 1.03)
    together = measure_scalars(group, model, batch)
    alone = one_by_one(group, model, batch)
    assert_close(together, alone)
    assert ((together - alone).abs().max() <= 1e-3 * together.std()).all()
    assert all(column.startswith(f"{group.name}_") for column in together)
    assert together.columns.is_unique
    constant = together.columns[together.nunique() == 1]
    assert all("_norm_" in column or "_gain_" in column for column in constant)  # a layer norm makes them equal


@pytest.mark.parametrize("name", GROUPS)
def test_digital_silence_has_finite_signals(name: str, tera: SpeechModel) -> None:
    silence = Batch(["s", "t"], torch.zeros(2, 8_000), torch.tensor([1_600, 8_000]))
    assert measure_scalars(GROUPS[name], tera, silence).notna().all(axis=None)


@contextmanager
def recorded_inputs(model: SpeechModel) -> Iterator[list[Any]]:
    """Inputs of the model."""
    inputs: list[Any] = []
    encode, score = model.encode, model.pretext_score

    def record(method: Callable[..., Any], *arguments: Tensor | None) -> Any:
        inputs.extend(tensor.clone() for tensor in arguments if tensor is not None)
        return method(*arguments)

    model.encode, model.pretext_score = partial(record, encode), partial(record, score)  # type: ignore[method-assign]
    try:
        yield inputs
    finally:
        model.encode, model.pretext_score = encode, score  # type: ignore[method-assign]


@pytest.mark.parametrize("name", GROUPS)
def test_models_get_the_same_inputs_and_seeds_change_them(name: str, speech: Speech) -> None:
    group, batch = GROUPS[name], speech(0.5, 0.9)
    recorded = []
    for seed in (0, 1):
        model = fresh("tera", speech, seed)
        with recorded_inputs(model) as inputs:
            measure_scalars(group, model, batch)
        recorded.append(inputs)
    first_model, second_model = recorded
    assert len(first_model) == len(second_model) > 0
    assert all(torch.equal(first, second) for first, second in zip(first_model, second_model, strict=True))
    if hasattr(group, "seed"):
        with recorded_inputs(model) as other:
            measure_scalars(replace(group, seed=5), model, batch)  # type: ignore[type-var]
        same = [
            first.shape == second.shape and torch.equal(first, second)
            for first, second in zip(second_model, other, strict=True)
        ]
        assert not all(same)


@pytest.mark.parametrize("name", GROUPS)
def test_queries_are_counted(name: str, speech: Speech, tera: SpeechModel) -> None:
    batch = speech(0.5, 0.9)
    with recorded_inputs(tera) as inputs:
        measure_scalars(GROUPS[name], tera, batch)
    waveforms = [len(tensor) for tensor in inputs if tensor.dtype == torch.float32 and tensor.dim() == 2]
    masks = [len(tensor.flatten(0, -2)) for tensor in inputs if tensor.dtype == torch.bool]
    assert GROUPS[name].queries == sum(masks or waveforms) / len(batch.ids)


def test_supported_models(speech: Speech) -> None:
    cpc, bare = fresh("cpc", speech), BareTERA(**SMALL)
    assert all(GROUPS[name].supports(model) for name in BLACK_BOX for model in (cpc, bare))
    assert GROUPS["perturbed"].supports(cpc) and not GROUPS["pretext_details"].supports(cpc)
    assert not GROUPS["perturbed"].supports(bare) and not GROUPS["pretext_details"].supports(bare)


def test_ctc_scores_are_measured_too(speech: Speech, tera: SpeechModel, tmp_path: Path) -> None:
    checkpoint: dict[str, Any] = {"state_dict": tera.state_dict(), "hyper_parameters": dict(tera.hparams)}
    tera.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "tera.ckpt")
    batch = speech(0.5, 0.9)
    texts = dict(zip(batch.ids, batch.texts, strict=True))
    model = CTC(str(tmp_path / "tera.ckpt")).for_corpus(texts, dict.fromkeys(texts, 0.5)).eval()
    signals = measure_scalars(GROUPS["perturbed"], model, batch)
    kinds = ("noise", "shift", "band")
    assert list(signals) == [f"perturbed_{score}_{kind}" for kind in kinds for score in ("ctc_score", "pretext_score")]
    assert_close(signals, one_by_one(GROUPS["perturbed"], model, batch))


@pytest.mark.parametrize("name", GROUPS)
def test_settings_change_the_fingerprint(name: str) -> None:
    default = type(GROUPS[name])()
    changes = {"geometry": {"most_frames": 9}, "views": {"n_views": 3}, "crops": {"n_kept": 2}}
    changed = replace(default, **changes.get(name, {"n_masks": 7}))  # type: ignore[type-var]
    assert changed.fingerprint() != default.fingerprint() == type(default)().fingerprint()
