"""What holds for every family."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2
from lightning_mia.utilities.errors import InputError
from tests.models.fitting import Figures, Recordings, bare_trainer

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
SMALL = {"dim": 16, "n_heads": 2, "feedforward_dim": 32}
FAMILIES = {
    "tera": partial(TERA, **SMALL),
    "tera_post_norm": partial(TERA, **SMALL, pre_norm=False),
    "mel_hubert": partial(MelHuBERT, **SMALL, n_clusters=8),
    "hubert": partial(HuBERT, **SMALL, n_clusters=8, conv_channels=8),
    "hubert_group_norm": partial(
        HuBERT, **SMALL, n_clusters=8, conv_channels=8, conv_group_norm=True, pre_norm=False, position_kernel=128
    ),
    "wav2vec2": partial(Wav2Vec2, **SMALL, conv_channels=8, n_negatives=8, codebook_size=8, code_dim=8),
    "wav2vec2_group_norm": partial(
        Wav2Vec2,
        **SMALL,
        conv_channels=8,
        n_negatives=8,
        codebook_size=8,
        code_dim=8,
        conv_group_norm=True,
        pre_norm=False,
        position_kernel=128,
        feature_penalty=1.0,
    ),
    "cpc": partial(CPC, dim=16, n_negatives=8),
    "cpc_lstm": partial(CPC, dim=16, n_negatives=8, negatives="batch", lstm=True, n_layers=2),
    "cpc_transformer": partial(CPC, dim=16, n_negatives=8, predictor_heads=2),
}


def noise_for(model: SpeechModel, masks: Tensor) -> Tensor:
    """(…, batch, frames, noise_dim), the same for the same shape."""
    return torch.rand(*masks.shape, model.noise_dim, generator=torch.Generator().manual_seed(9))


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest, make_batch: MakeBatch) -> SpeechModel:
    torch.manual_seed(0)
    model = FAMILIES[request.param]()
    model.fit_targets([make_batch(0.4, 0.9)])
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [torch.enable_grad, torch.inference_mode])
def test_outputs_do_not_depend_on_the_batch(model: SpeechModel, make_batch: MakeBatch, mode: type) -> None:
    """Without gradients, PyTorch takes another path through its transformer blocks: both are tried."""
    waveforms, lengths = make_batch(0.1, 15.0, 0.7)
    with mode():
        masks = model.draw_masks(waveforms, lengths)
        together = model.encode(waveforms, lengths)
        masked = model.encode(waveforms, lengths, masks)
        noise = noise_for(model, masks)
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        for i, n in enumerate(lengths.tolist()):
            own, own_length = waveforms[i : i + 1, :n], lengths[i : i + 1]
            frames = model.frame_lengths(own_length).item()
            own_masks = masks[i : i + 1, :frames]
            for batch, single in (
                (together, model.encode(own, own_length)),
                (masked, model.encode(own, own_length, own_masks)),
            ):
                assert batch.lengths[i] == single.lengths[0] == frames
                for layer, alone in zip(batch.hidden, single.hidden, strict=True):
                    assert alone.shape[1] == frames
                    assert (layer[i, :frames] - alone[0]).norm() <= 1e-5 * alone[0].norm()
            score = model.pretext_score(own, own_length, own_masks, noise[i : i + 1, :frames])
            torch.testing.assert_close(scores[i : i + 1], score, rtol=1e-5, atol=1e-6)


def test_batching_test_detects_a_planted_error(make_batch: MakeBatch) -> None:
    """PyTorch's own group norm, which counts the padding, fails the test above by far with gradients."""
    model = FAMILIES["hubert_group_norm"]()
    waveforms, lengths = make_batch(0.1, 1.0)
    norm = torch.nn.GroupNorm(8, 8)
    model.front_end.norms[0].forward = lambda x, lengths: norm(x.transpose(1, 2)).transpose(1, 2)
    together = model.encode(waveforms, lengths).hidden[0][0, :4]
    alone = model.encode(waveforms[:1, :1600], lengths[:1]).hidden[0][0]
    assert (together - alone).norm() > 1e-2 * alone.norm()


def test_several_masks_equal_one_after_another(model: SpeechModel, make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.2, 0.5)
    masks = torch.stack([model.draw_masks(waveforms, lengths) for _ in range(3)])
    with torch.no_grad():
        noise = noise_for(model, masks)
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        assert scores.shape == (3, 2)
        for draw, draw_noise, score in zip(masks, noise, scores, strict=True):
            torch.testing.assert_close(model.pretext_score(waveforms, lengths, draw, draw_noise), score)


def test_masked_frames_do_not_affect_the_output(model: SpeechModel, make_batch: MakeBatch) -> None:
    """Other sounds behind a mask change nothing, but for the normalisation that hears all of the utterance."""
    waveforms, lengths = make_batch(0.6)
    masks = torch.zeros(1, model.frame_lengths(lengths).item(), dtype=torch.bool)
    with torch.no_grad():
        seen = model.encode(waveforms, lengths, masks).hidden[0]
        masks[0, 2:6] = True
        hidden = model.encode(waveforms, lengths, masks).hidden[0]
        masks[0, 2:6] = False
        assert not torch.allclose(seen, hidden)
        torch.testing.assert_close(model.encode(waveforms, lengths).hidden[0], seen)


def test_loss_does_not_depend_on_padding(model: SpeechModel, make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.2, 0.5)
    longer = torch.nn.functional.pad(waveforms, (0, 8_000))
    model.max_masked_bands, model.noise_probability = 0, 0.0  # TERA draws these anew each time
    masks = model.draw_masks(waveforms, lengths)
    extra = int(model.frame_lengths(torch.tensor(longer.shape[1]))) - masks.shape[1]
    torch.manual_seed(5)
    short = model.pretext(waveforms, lengths, masks).loss
    torch.manual_seed(5)
    long = model.pretext(longer, lengths, torch.nn.functional.pad(masks, (0, extra))).loss
    torch.testing.assert_close(short, long)


def test_hyperparameters_rebuild_the_model(model: SpeechModel) -> None:
    again = type(model)(**model.hparams)
    assert dict(again.hparams) == dict(model.hparams)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_bf16_keeps_the_loss_in_float32(model: SpeechModel, make_batch: MakeBatch) -> None:
    model.train()
    waveforms, lengths = make_batch(0.4, 0.9)
    masks = model.draw_masks(waveforms, lengths)
    torch.manual_seed(0)
    full = model.pretext(waveforms, lengths, masks).loss
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.pretext(waveforms, lengths, masks).loss
    half.backward()
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("settings", [{"dim": 30, "n_heads": 4}, {"dim": 20, "position_kernel": 8}])
def test_incompatible_sizes_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match="Expected dim to be a multiple"):
        MelHuBERT(**settings)


def fit(model: SpeechModel, data: Recordings, epochs: int, folder: Path, **options: object) -> tuple[Figures, Path]:
    figures = Figures()
    trainer = bare_trainer(epochs, figures)
    trainer.fit(model, data, **options)
    trainer.save_checkpoint(folder / "last.ckpt")
    return figures, folder / "last.ckpt"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tera", "mel_hubert"])
def test_short_training_learns_and_logs_its_figures(name: str, make_batch: MakeBatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = FAMILIES[name](learning_rate=1e-2)
    data = Recordings([Batch(["a", "b"], *make_batch(0.4, 0.9, seed=s)) for s in (0, 2)])
    figures, checkpoint = fit(model, data, 30, tmp_path)
    losses = [row["train/loss"] for row in figures.rows]
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
    health = {"masked_share"} if name == "tera" else {"masked_accuracy", "code_perplexity"}
    health |= {"loss", "grad_norm", "learning_rate", "audio_seconds_per_second"}
    assert {f"train/{figure}" for figure in health} <= figures.rows[0].keys()
    rates = [row["train/learning_rate"] for row in figures.rows]
    assert max(rates) == rates[5] == pytest.approx(1e-2)
    assert rates[0] < rates[5] > rates[-1]

    loaded = type(model).load_from_checkpoint(checkpoint, weights_only=True)
    waveforms, lengths = make_batch(0.3)
    masks = model.draw_masks(waveforms, lengths)
    with torch.no_grad():
        assert torch.equal(
            loaded.eval().pretext_score(waveforms, lengths, masks),
            model.eval().pretext_score(waveforms, lengths, masks),
        )


def test_targets_are_fitted_once(make_batch: MakeBatch, tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = Recordings([Batch(["a", "b"], *make_batch(0.4, 0.9, seed=s)) for s in (0, 2)])
    model = FAMILIES["mel_hubert"]()
    _, checkpoint = fit(model, data, 1, tmp_path)
    assert data.target_passes == 1
    again = FAMILIES["mel_hubert"](cluster_seed=9)
    fit(again, data, 2, tmp_path, ckpt_path=checkpoint, weights_only=True)
    assert data.target_passes == 1
    assert torch.equal(again.clusters.centroids, model.clusters.centroids)
