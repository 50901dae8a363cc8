"""wav2vec 2.0 against transformers' model with the same weights, its temperature, and its collapse."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import normalise
from lightning_mia.models.objectives.contrastive import draw_negatives
from lightning_mia.models.wav2vec2 import Wav2Vec2, mean_square, scale_gradient
from lightning_mia.training.callbacks import KeyedRandomness
from lightning_mia.utilities.errors import InputError
from tests.models.fitting import bare_trainer

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
BASE = {
    "conv_channels": 512,
    "conv_group_norm": True,
    "n_layers": 12,
    "dim": 768,
    "n_heads": 12,
    "feedforward_dim": 3072,
    "pre_norm": False,
    "position_kernel": 128,
    "position_groups": 16,
    "codebook_size": 320,
    "code_dim": 256,
    "projection_dim": 256,
    "n_negatives": 100,
}
TINY = {
    "conv_channels": 8,
    "dim": 16,
    "n_heads": 2,
    "feedforward_dim": 32,
    "codebook_size": 5,
    "code_dim": 6,
    "projection_dim": 12,
    "n_negatives": 20,
}
# transformers' names → ours
NAMES = {
    "wav2vec2.feature_extractor.conv_layers": "front_end.convolutions",
    "wav2vec2.feature_projection.layer_norm": "frame_norm",
    "wav2vec2.feature_projection.projection": "projection",
    "wav2vec2.masked_spec_embed": "mask_embedding",
    "wav2vec2.encoder.pos_conv_embed.conv": "transformer.positions.convolution",
    "wav2vec2.encoder.layer_norm": "transformer.norm",
    "wav2vec2.encoder.layers": "transformer.layers",
    ".conv.weight": ".weight",
    ".conv.bias": ".bias",
    "attention.out_proj": "attention_output",
    "feed_forward.intermediate_dense": "feedforward.0",
    "feed_forward.output_dense": "feedforward.3",
    "final_layer_norm": "feedforward_norm",
    "project_hid": "prediction_projection",
    "project_q": "target_projection",
}


def their_config(group_norm: bool) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        conv_bias=not group_norm,
        feat_extract_norm="group" if group_norm else "layer",
        do_stable_layer_norm=not group_norm,
        num_conv_pos_embedding_groups=4,
        num_codevectors_per_group=5,
        codevector_dim=6,
        proj_codevector_dim=12,
    )


def twin_of(theirs: Wav2Vec2ForPreTraining, group_norm: bool) -> Wav2Vec2:
    """Our model with their weights."""
    ours = Wav2Vec2(
        **TINY, conv_group_norm=group_norm, pre_norm=not group_norm, position_kernel=128, position_groups=4,
        diversity_weight=0.1,
    )  # fmt: skip
    state = {}
    for key, value in theirs.state_dict().items():
        for old, new in NAMES.items():
            key = key.replace(old, new)
        for layer in range(7):
            key = key.replace(f"front_end.convolutions.{layer}.layer_norm", f"front_end.norms.{layer}")
        state[key.replace("0.layer_norm", "0.attention_norm").replace("1.layer_norm", "1.attention_norm")] = value
    for layer in (0, 1):
        for kind in ("weight", "bias"):
            parts = [state.pop(f"transformer.layers.{layer}.attention.{x}_proj.{kind}") for x in "qkv"]
            state[f"transformer.layers.{layer}.queries_keys_values.{kind}"] = torch.cat(parts)
    ours.load_state_dict(state)
    return ours.eval()


def make_twins(group_norm: bool) -> tuple[Wav2Vec2ForPreTraining, Wav2Vec2]:
    torch.manual_seed(0)
    theirs = Wav2Vec2ForPreTraining(their_config(group_norm)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))  # norms and biases start at 1 and 0
    return theirs, twin_of(theirs, group_norm)


def draw_inputs(ours: Wav2Vec2, make_batch: MakeBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Waveforms, lengths and masks of two recordings of the same length: theirs cannot be padded with group norm."""
    waveforms, lengths = make_batch(1.3, 1.3)
    torch.manual_seed(7)
    return waveforms, lengths, ours.draw_masks(waveforms, lengths)


@pytest.mark.parametrize("group_norm", [False, True])
def test_loss_and_gradients_equal_transformers(group_norm: bool, make_batch: MakeBatch) -> None:
    """The same masks and negatives, the most probable codes; theirs is a sum over the masked frames."""
    theirs, ours = make_twins(group_norm)
    waveforms, lengths, masks = draw_inputs(ours, make_batch)
    torch.manual_seed(3)
    noise = torch.rand(masks.shape[1], 2, ours.noise_dim).transpose(0, 1)
    negatives = draw_negatives(masks, ours.frame_lengths(lengths), noise)
    expected = theirs(
        normalise(waveforms.unsqueeze(2), lengths).squeeze(2),  # their feature extractor's part
        mask_time_indices=masks,
        sampled_negative_indices=negatives + torch.tensor([0, masks.shape[1]]).view(2, 1, 1),
    )
    torch.manual_seed(3)
    answer = ours.pretext(waveforms, lengths, masks)
    n_masked = masks.sum()
    hard_diversity = 0.1 * (1 - answer.health["code_perplexity"] / 10)  # theirs, in evaluation mode, is of the codes
    contrastive = answer.health["contrastive_loss"]
    torch.testing.assert_close(contrastive, expected.contrastive_loss / n_masked, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(contrastive + hard_diversity, expected.loss / n_masked, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(answer.health["code_perplexity"], expected.codevector_perplexity)

    answer.loss.backward()
    (expected.loss / n_masked).backward()
    layer = theirs.wav2vec2.encoder.layers[0].feed_forward.output_dense
    pairs = [
        (ours.prediction_projection.weight, theirs.project_hid.weight),
        (ours.target_projection.weight, theirs.project_q.weight),
        (ours.mask_embedding, theirs.wav2vec2.masked_spec_embed),
        (ours.quantizer.codevectors, theirs.quantizer.codevectors),
        (ours.transformer.layers[0].feedforward[3].weight, layer.weight),
    ]
    for our, their in pairs:
        torch.testing.assert_close(our.grad, their.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("group_norm", [False, True])
def test_hidden_states_equal_transformers(group_norm: bool, make_batch: MakeBatch) -> None:
    theirs, ours = make_twins(group_norm)
    for seconds in (0.1, 1.3):
        waveforms, lengths = make_batch(seconds)
        with torch.no_grad():
            hidden = ours.encode(waveforms, lengths).hidden
            normal = normalise(waveforms.unsqueeze(2), lengths).squeeze(2)
            expected = theirs.wav2vec2(normal, output_hidden_states=True)
        torch.testing.assert_close(hidden[-1], expected.last_hidden_state, rtol=1e-3, atol=1e-4)
        for layer, their_layer in zip(hidden[:-1], expected.hidden_states, strict=False):
            torch.testing.assert_close(layer, their_layer, rtol=1e-3, atol=1e-4)


def test_base_has_the_published_size() -> None:
    with torch.device("meta"):
        ours, theirs = Wav2Vec2(**BASE), Wav2Vec2ForPreTraining(Wav2Vec2Config(num_negatives=100))
    n_parameters = sum(parameter.numel() for parameter in ours.parameters())
    assert n_parameters == sum(parameter.numel() for parameter in theirs.parameters())
    assert n_parameters == 95_044_608


def test_short_clips_have_finite_scores_even_with_collapsed_codebooks(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2(**TINY).eval()
    waveforms, lengths = make_batch(0.1, 0.12, 0.3)
    masks = model.draw_masks(waveforms, lengths)
    masks[1] = torch.arange(masks.shape[1]) == 2  # one masked frame only
    noise = torch.rand(*masks.shape, model.noise_dim)
    with torch.no_grad():
        healthy = model.pretext_score(waveforms, lengths, masks, noise)
        collapse_codebooks(model)
        collapsed = model.pretext_score(waveforms, lengths, masks, noise)
    assert healthy.dtype == torch.float64 and healthy.isfinite().all()
    torch.testing.assert_close(collapsed, torch.full((3,), -math.log(20), dtype=torch.float64))  # chance


def collapse_codebooks(model: Wav2Vec2) -> None:
    """Let one code of each codebook win always."""
    with torch.no_grad():
        model.quantizer.weight_proj.bias.unflatten(0, (2, -1))[:, 1] += 1e4


def test_collapsed_codebooks_are_reported(make_batch: MakeBatch) -> None:
    torch.manual_seed(0)
    model = Wav2Vec2(**{**TINY, "codebook_size": 16, "code_dim": 16})
    waveforms, lengths = make_batch(1.0, 1.0)
    masks = model.draw_masks(waveforms, lengths)
    for planted in (False, True):
        if planted:
            collapse_codebooks(model)
        answer = model.pretext(waveforms, lengths, masks)
        figures = {name: value.item() for name, value in answer.health.items()} | {"loss": answer.loss.item()}
        assert ("codebooks have collapsed" in model.collapse(figures)) == planted
        assert set(figures) >= {"masked_share", "temperature"}
        assert figures["masked_share"] == pytest.approx(masks.float().mean().item())
    assert figures["contrastive_loss"] == 0.0  # nothing to tell apart
    assert figures["code_perplexity"] == 2.0


class Interruption(Exception):  # noqa: N818
    """The power fails."""


class Diary(L.Callback):
    """Keeps temperatures and health figures of all steps; may be interrupted after two epochs."""

    def __init__(self, checkpoint: Path | None = None) -> None:
        self.checkpoint = checkpoint
        self.temperatures: list[float] = []
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Wav2Vec2, *args: object) -> None:
        self.temperatures.append(pl_module.temperature)
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.rows.append({name.removeprefix("train/"): value for name, value in figures.items()})

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Wav2Vec2) -> None:
        if self.checkpoint and trainer.current_epoch == 1:
            trainer.save_checkpoint(self.checkpoint)
            raise Interruption


def train(
    model: Wav2Vec2, batches: list[Batch], epochs: int, checkpoint: Path | None = None, resume: Path | None = None
) -> Diary:
    diary = Diary(checkpoint)
    trainer = bare_trainer(epochs, diary, KeyedRandomness(0))
    with contextlib.suppress(Interruption):
        trainer.fit(model, DataLoader(batches, batch_size=None), ckpt_path=resume, weights_only=True)
    return diary


@pytest.mark.slow
def test_temperature_decays_by_the_step_and_survives_resuming(make_batch: MakeBatch, tmp_path: Path) -> None:
    def fresh() -> Wav2Vec2:
        torch.manual_seed(0)
        return Wav2Vec2(**TINY, gumbel_start=2.0, gumbel_end=0.5, gumbel_fraction=0.5)

    batches = [Batch(["a", "b"], *make_batch(0.4, 0.3, seed=seed)) for seed in (0, 2)]
    undisturbed, resumed = fresh(), fresh()
    complete = train(undisturbed, batches, epochs=4)
    assert complete.temperatures == pytest.approx([2 ** (1 - step / 2) for step in range(5)] + [0.5] * 3)
    assert [row["temperature"] for row in complete.rows] == pytest.approx(complete.temperatures)
    begun = train(fresh(), batches, epochs=4, checkpoint=tmp_path / "last.ckpt")
    rest = train(resumed, batches, epochs=4, resume=tmp_path / "last.ckpt")
    assert begun.temperatures + rest.temperatures == complete.temperatures
    for parameter, other in zip(undisturbed.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(parameter, other)


@pytest.mark.slow
def test_training_learns_and_collapses_without_diversity_loss(make_batch: MakeBatch) -> None:
    """Nothing but the diversity loss keeps the codes in use; here the latents are pressed together besides."""
    batches = [Batch(list("abcd"), *make_batch(0.8, 0.8, 0.8, 0.8, seed=seed)) for seed in (0, 4)]
    sizes = {**TINY, "conv_channels": 16, "dim": 32, "codebook_size": 16, "code_dim": 32, "projection_dim": 32}
    ends, collapses = [], []
    for settings in ({}, {"diversity_weight": 0.0, "feature_penalty": 10.0}):
        torch.manual_seed(4)  # with which nothing is left of the codes after 60 epochs; others take longer
        model = Wav2Vec2(**sizes, learning_rate=5e-3, **settings)
        ends.append(train(model, batches, epochs=60).rows[-1])
        collapses.append(model.collapse(ends[-1]))
    assert ends[0]["contrastive_accuracy"] > 1.5 * ends[0]["contrastive_chance"]
    assert ends[0]["code_perplexity"] > 8
    assert collapses[0] == ""
    assert "codebooks have collapsed" in collapses[1]


def test_scale_gradient_keeps_the_values() -> None:
    x = torch.tensor([1e-3, 1.0, -3e5], requires_grad=True)
    scaled = scale_gradient(x, 0.1)
    assert torch.equal(scaled, x)
    scaled.sum().backward()
    torch.testing.assert_close(x.grad, torch.full((3,), 0.1))


def test_mean_square_ignores_padding() -> None:
    latents = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[5.0, 1.0], [torch.inf, 9.0]]])
    assert mean_square(latents, torch.tensor([2, 1])).item() == pytest.approx((1 + 4 + 9 + 0 + 25 + 1) / 6)


@pytest.mark.parametrize(
    "settings",
    [{"n_negatives": 0}, {"gumbel_end": 3.0}, {"gumbel_end": 0.0}, {"gumbel_fraction": 0.0}, {"code_dim": 7}],
)
def test_invalid_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"Expected .*{next(iter(settings))}"):
        Wav2Vec2(**{**TINY, **settings})
