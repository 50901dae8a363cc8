import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.cpc import CPC, CausalLayer
from lightning_mia.models.objectives.future_prediction import (
    draw_batch_negatives,
    draw_other_frames,
    similarities,
)
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
VARIANTS: dict[str, dict[str, Any]] = {
    "gru": {},
    "lstm": {"lstm": True, "n_layers": 2},
    "transformer": {"predictor_heads": 2},
}


def small(**settings: Any) -> CPC:
    torch.manual_seed(0)
    return CPC(**{"dim": 8, "n_steps": 3, "n_negatives": 5, **settings}).eval()


def noise_for(model: CPC, lengths: Tensor, draws: int = 1) -> Tensor:
    frames = int(model.frame_lengths(lengths).max())
    return torch.rand(draws, len(lengths), frames, model.noise_dim, generator=torch.Generator().manual_seed(1))


def no_masks(model: CPC, lengths: Tensor) -> Tensor:
    return torch.zeros(len(lengths), int(model.frame_lengths(lengths).max()), dtype=torch.bool)


def list_predictions(model: CPC, waveforms: Tensor, lengths: Tensor) -> list[tuple[int, int, int, Tensor, Tensor]]:
    """List utterance, frame, step, prediction for the frame that many steps later, and all latents."""
    predictions = []
    for utterance, n in enumerate(lengths.tolist()):
        encoded = model.encode(waveforms[utterance : utterance + 1, :n], lengths[utterance : utterance + 1])
        latents, contexts = encoded.hidden[0][0], encoded.hidden[-1]
        for step in range(1, min(model.n_steps, len(latents) - 1) + 1):
            prediction = model.predictors[step - 1](contexts)[0]
            predictions += [(utterance, t, step, prediction[t], latents) for t in range(len(latents) - step)]
    return predictions


@pytest.mark.parametrize("variant", VARIANTS)
def test_score_equals_a_loop(variant: str, make_batch: MakeBatch) -> None:
    model = small(**VARIANTS[variant])
    waveforms, lengths = make_batch(0.1, 0.25)
    noise = noise_for(model, lengths, draws=2)
    with torch.no_grad():
        scores = model.pretext_score(waveforms, lengths, no_masks(model, lengths).expand(2, -1, -1), noise)
        predictions = list_predictions(model, waveforms, lengths)
    assert scores.dtype == torch.float64
    frames = model.frame_lengths(lengths).tolist()
    assert frames == [8, 23]
    for draw in range(2):
        log_p: list[list[float]] = [[], []]
        for utterance, t, step, prediction, latents in predictions:
            others = [
                (t + step + 1 + math.floor(u * (frames[utterance] - 1))) % frames[utterance]
                for u in noise[draw, utterance, t + step].tolist()
            ]
            assert t + step not in others
            logits = latents[[t + step, *others]].double() @ prediction.double() / math.sqrt(8)
            log_p[utterance].append(logits.log_softmax(dim=0)[0].item())
        for utterance in range(2):
            p = math.exp(np.mean(log_p[utterance]))
            assert scores[draw, utterance].item() == pytest.approx(math.log(p / (1 - p)), rel=1e-4)


@pytest.mark.parametrize("negatives", ["utterance", "batch"])
def test_loss_and_accuracy_equal_a_loop(negatives: str) -> None:
    model = small(negatives=negatives)
    lengths = torch.tensor([1600, 4000])
    waveforms = torch.randn(2, 4000).masked_fill(torch.arange(4000) >= lengths.unsqueeze(1), 0.0)  # no two frames alike
    with torch.no_grad():
        torch.manual_seed(7)
        answer = model.pretext(waveforms, lengths, no_masks(model, lengths))
        torch.manual_seed(7)
        torch.rand(2)  # where the windows start
        encoded = model.encode(waveforms, lengths)
        candidates = encoded.hidden[0]
        if negatives == "batch":
            candidates, indices = draw_batch_negatives(candidates, encoded.lengths, 5)
        else:
            indices = draw_other_frames(torch.rand(23, 2, 5).transpose(0, 1), encoded.lengths)
        losses, hits = [], []
        for utterance, t, step, prediction, latents in list_predictions(model, waveforms, lengths):
            others = candidates[utterance, indices[utterance, t + step]]
            logits = torch.cat([latents[t + step : t + step + 1], others]).double() @ prediction.double() / math.sqrt(8)
            losses.append(-logits.log_softmax(dim=0)[0].item())
            hits.append(bool((logits[0] > logits[1:]).all()))
    assert answer.loss.item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert answer.health["contrastive_accuracy"].item() == pytest.approx(np.mean(hits), abs=1e-6)
    assert answer.health["loss_over_chance"].item() == pytest.approx(np.mean(losses) / math.log(6), rel=1e-4)


def test_scores_never_draw_from_other_utterances(make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.3, 0.3)
    within, across = small(), small(negatives="batch")
    across.load_state_dict(within.state_dict())
    masks, noise = no_masks(within, lengths), noise_for(within, lengths)[0]
    with torch.no_grad():
        expected = within.pretext_score(waveforms, lengths, masks, noise)
        assert torch.equal(across.pretext_score(waveforms, lengths, masks, noise), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_contexts_are_causal(variant: str, make_batch: MakeBatch) -> None:
    model = small(**VARIANTS[variant])
    waveforms, lengths = make_batch(0.4)
    masks = no_masks(model, lengths)
    with torch.no_grad():
        full = model.encode(waveforms, lengths, masks).hidden
        masks[0, 20:] = True
        cut = model.encode(waveforms, lengths, masks).hidden
        assert (cut[0][0, 20:] == 0).all()
        torch.testing.assert_close(cut[-1][0, :20], full[-1][0, :20])
        assert not torch.allclose(cut[-1][0, 20:], full[-1][0, 20:], atol=1e-3)
        from_full, from_cut = (model.predictors[0](hidden[-1])[0] for hidden in (full, cut))
        torch.testing.assert_close(from_full[:20], from_cut[:20])


def test_causal_layer_reaches_back_one_window() -> None:
    torch.manual_seed(0)
    layer = CausalLayer(8, 2, dropout=0.0, window=1600).eval()
    contexts = torch.randn(1, 40, 8)
    other = contexts.clone()
    other[0, 15] += 1.0
    with torch.no_grad():
        changed = (layer(contexts) - layer(other)).abs().amax(dim=2)[0] > 1e-5
    assert changed.nonzero()[:, 0].tolist() == list(range(15, 25))


def test_base_has_the_published_size() -> None:
    with torch.device("meta"):
        model = CPC(dim=256, lstm=True, n_negatives=128, predictor_heads=8)
    encoder = [*model.front_end.parameters(), *model.context.parameters()]
    assert sum(p.numel() for p in encoder) == 1_843_456  # convolutions, channel norms and one LSTM of 256
    linear = small(dim=256, n_steps=12, n_layers=1)
    assert sum(p.numel() for p in linear.predictors.parameters()) == 12 * 256 * 256


def test_short_clips_have_fewer_steps(make_batch: MakeBatch) -> None:
    model = small(n_steps=12)
    waveforms, lengths = make_batch(0.1)
    encoded = model.encode(waveforms, lengths)
    assert encoded.lengths.tolist() == [8]
    assert len(list(similarities(model.predictors, encoded, encoded.hidden[0], 1.0))) == 7
    score = model.pretext_score(waveforms, lengths, no_masks(model, lengths), noise_for(model, lengths)[0])
    assert score.isfinite().all()


def health_of(model: CPC, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    with torch.no_grad():
        answer = model.pretext(*batch, no_masks(model, batch[1]))
    return {"loss": answer.loss.item(), **{name: value.item() for name, value in answer.health.items()}}


@pytest.mark.slow
def test_collapse_is_reported_for_untrained_models_only(make_batch: MakeBatch) -> None:
    batch = make_batch(0.5, 0.7)
    model = small(dim=16, n_negatives=16)
    with torch.no_grad():
        for predictor in model.predictors:
            predictor.weight.zero_()
    health = health_of(model, batch)
    assert health["contrastive_accuracy"] == 0  # all logits are equal: a tie is a miss
    assert health["loss_over_chance"] == pytest.approx(1.0)
    assert "learned nothing: its loss is 1.00 of chance" in model.collapse(health)
    assert model.collapse({**health, "loss_over_chance": float("nan")})

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model.pretext(*batch, no_masks(model, batch[1])).loss.backward()
        optimizer.step()
    health = health_of(model, batch)
    assert health["loss_over_chance"] < 0.9
    assert health["contrastive_accuracy"] > 1.5 * health["contrastive_chance"]
    assert model.collapse(health) == ""

    with torch.no_grad():
        model.front_end.norms[-1].weight.zero_()
        model.front_end.norms[-1].bias.fill_(1.0)
    assert "frames are constant" in model.collapse(health_of(model, batch))


@pytest.mark.parametrize("negatives", ["utterance", "batch"])
def test_training_draws_windows_from_the_global_generator(negatives: str, make_batch: MakeBatch) -> None:
    model = small(negatives=negatives, window=2000)
    batch = Batch(["a", "b"], *make_batch(0.5, 0.7))
    torch.manual_seed(3)
    first, second = model.training_loss(batch).loss, model.training_loss(batch).loss
    torch.manual_seed(3)
    assert torch.equal(model.training_loss(batch).loss, first)
    assert not torch.equal(first, second)


def test_score_requires_noise(make_batch: MakeBatch) -> None:
    model, (waveforms, lengths) = small(), make_batch(0.2)
    with pytest.raises(ValueError, match="Expected noise"):
        model.pretext_score(waveforms, lengths, no_masks(model, lengths))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_steps": 0}, "Expected n_steps of at least 1, but got 0"),
        ({"n_negatives": 0}, "Expected n_negatives of at least 1, but got 0"),
        ({"n_layers": 0}, "Expected n_layers of at least 1, but got 0"),
        ({"window": 1000}, "Expected a window of at least 1600 samples"),
        ({"dim": 10, "predictor_heads": 4}, "Expected dim to be a multiple of predictor_heads = 4, but got 10"),
        ({"negatives": "speaker"}, "Expected negatives from utterance or batch, but got speaker"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CPC(**settings)
