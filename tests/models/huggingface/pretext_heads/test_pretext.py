"""Losses and scores of pretext heads, compared with transformers."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lightning_mia.models.objectives.contrastive import draw_negatives
from tests.models.huggingface.pretext_heads.conftest import CONTRASTIVE, MakeBatch, T, draw_inputs, pretrained, ready


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_contrastive_score_equals_that_of_transformers_states(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = pretrained(write(name)).eval()
    theirs = CONTRASTIVE[name][0].from_pretrained(write(name)).eval()
    preprocessor = T.AutoFeatureExtractor.from_pretrained(write(name))
    assert model.has_pretext
    assert not model.needs_targets
    waveforms, lengths = make_batch(0.7, 0.2)
    (masks,), (noise,) = draw_inputs(model, waveforms, lengths)
    negatives = draw_negatives(masks, model.frame_lengths(lengths), noise)
    with torch.no_grad():
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        for i, n in enumerate(lengths.tolist()):
            input_values = preprocessor(
                waveforms[i, :n].numpy(), sampling_rate=16_000, return_tensors="pt"
            ).input_values
            frames = model.frame_lengths(lengths[i]).item()
            mask = masks[i, :frames]
            states = theirs(input_values, mask_time_indices=mask[None])
            predictions, targets = states.projected_states[0], states.projected_quantized_states[0]
            log_p = []
            for t in mask.nonzero().flatten().tolist():
                rivals = torch.cat([targets[t : t + 1], targets[negatives[i, t]]])
                cosines = torch.cosine_similarity(predictions[t], rivals, dim=1)
                log_p.append((cosines / 0.1).log_softmax(dim=0)[0].item())
            mean = math.exp(sum(log_p) / len(log_p))
            assert scores[i].item() == pytest.approx(math.log(mean / (1 - mean)), rel=1e-4)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_layer_norm", "conformer"])
def test_contrastive_loss_equals_transformers(name: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    """Without noise of the Gumbel softmax, that is in evaluation mode; transformers sums where we take the mean."""
    model = pretrained(write(name)).eval()
    theirs = CONTRASTIVE[name][0].from_pretrained(write(name)).eval()
    preprocessor = T.AutoFeatureExtractor.from_pretrained(write(name))
    waveforms, lengths = make_batch(0.8)
    masks = model.draw_masks(waveforms, lengths)
    torch.manual_seed(3)
    ours = model.pretext(waveforms, lengths, masks)
    torch.manual_seed(3)
    noise = torch.rand(masks.shape[1], 1, 7).transpose(0, 1)
    input_values = preprocessor(waveforms[0].numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        answer = theirs(
            input_values,
            mask_time_indices=masks,
            sampled_negative_indices=draw_negatives(masks, lengths // 320 - 1, noise),
        )
    expected = answer.contrastive_loss / masks.sum()
    torch.testing.assert_close(ours.health["contrastive_loss"], expected, rtol=1e-4, atol=0)
    assert {"contrastive_accuracy", "contrastive_chance", "code_perplexity", "masked_share"} <= ours.health.keys()


def test_score_does_not_depend_on_the_batch(family: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    model = ready(write(family), make_batch)
    waveforms, lengths = make_batch(0.1, 1.9, 0.7)
    masks, noise = draw_inputs(model, waveforms, lengths, draws=2)
    with torch.inference_mode():
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        assert scores.shape == (2, 3)
        assert scores.dtype == torch.float64
        for i, n in enumerate(lengths.tolist()):
            frames = model.frame_lengths(lengths[i]).item()
            own = masks[:, i : i + 1, :frames], noise[:, i : i + 1, :frames]
            alone = model.pretext_score(waveforms[i : i + 1, :n], lengths[i : i + 1], *own)
            torch.testing.assert_close(scores[:, i : i + 1], alone, rtol=1e-5, atol=1e-6)
            single = model.pretext_score(waveforms[i : i + 1, :n], lengths[i : i + 1], own[0][0], own[1][0])
            torch.testing.assert_close(single, alone[0])


def test_bf16_loss_is_finite_and_reaches_all_trainable_parameters(
    family: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = ready(write(family), make_batch).train()
    waveforms, lengths = make_batch(0.4, 0.9, 0.1)
    masks = model.draw_masks(waveforms, lengths)
    model.eval()  # the same codes and no dropout
    torch.manual_seed(0)
    full = model.pretext(waveforms, lengths, masks).loss
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.pretext(waveforms, lengths, masks).loss
    half.backward()
    assert half.dtype == full.dtype == torch.float32
    assert half.isfinite()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in learning.items() if p.grad is None or not p.grad.isfinite().all()] == []
    assert sum(p.grad.abs().sum() for name, p in learning.items() if "encoder.model" in name) > 0


def test_loss_does_not_depend_on_padding(family: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    model = ready(write(family), make_batch)
    waveforms, lengths = make_batch(0.2, 0.5)
    longer = torch.nn.functional.pad(waveforms, (0, 8_000))
    masks = model.draw_masks(waveforms, lengths)
    extra = int(model.frame_lengths(torch.tensor(longer.shape[1]))) - masks.shape[1]
    losses = []
    for padded, hidden in ((waveforms, masks), (longer, torch.nn.functional.pad(masks, (0, extra)))):
        torch.manual_seed(5)
        losses.append(model.pretext(padded, lengths, hidden).loss)
    torch.testing.assert_close(*losses)
