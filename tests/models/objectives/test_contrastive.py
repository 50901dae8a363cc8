"""The contrastive objective against loops that are slow and plain, and against transformers' own."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.layers.quantizer import GumbelQuantizer, Quantised, quantise
from lightning_mia.models.objectives.contrastive import (
    code_ids,
    contrastive_accuracy,
    contrastive_chance,
    contrastive_collapse,
    contrastive_logits,
    contrastive_loss,
    contrastive_pretext,
    contrastive_score,
    draw_negatives,
    perplexity,
)
from lightning_mia.utilities.errors import InputError

LENGTHS = torch.tensor([12, 7])
MASKS = torch.tensor([[0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1], [0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]], dtype=torch.bool)
N_NEGATIVES = 6


class ContrastiveExample:
    """A batch of 12 and 7 frames with 3 × 3 codes, so that some targets are equal, and its expected values."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.predictions = torch.randn(2, 12, 5, generator=generator)
        self.logits_of_codes = torch.randn(2, 12, 2, 3, generator=generator)
        self.codebooks = torch.randn(2, 3, 4, generator=generator)
        self.quantised = quantise(self.logits_of_codes, self.codebooks, None)
        self.targets = self.quantised.vectors @ torch.randn(8, 5, generator=generator)
        self.noise = torch.rand(2, 12, N_NEGATIVES, generator=generator)
        self.negatives = draw_negatives(MASKS, LENGTHS, self.noise)

    @property
    def logits(self) -> Tensor:
        return contrastive_logits(self.predictions, self.targets, self.negatives, self.quantised.codes)

    def masked(self) -> list[tuple[int, int]]:
        return [(b, t) for b in range(2) for t in range(12) if MASKS[b, t]]

    def cosine(self, utterance: int, frame: int, other: int) -> float:
        a, b = self.predictions[utterance, frame].double(), self.targets[utterance, other].double()
        return float(a @ b / a.norm() / b.norm())

    def rivals(self, utterance: int, frame: int, with_equals: bool = False) -> list[int]:
        codes = self.quantised.codes[utterance]
        drawn = self.negatives[utterance, frame].tolist()
        return [other for other in drawn if with_equals or codes[other].tolist() != codes[frame].tolist()]

    def log_probability(self, utterance: int, frame: int, with_equals: bool = False) -> float:
        rivals = self.rivals(utterance, frame, with_equals)
        true, *others = [math.exp(self.cosine(utterance, frame, other) / 0.1) for other in (frame, *rivals)]
        return math.log(true / (true + sum(others)))


def test_negatives_are_other_masked_frames_uniformly_drawn() -> None:
    """What the n-th of all numbers in [0, 1) draws is the n-th of the other masked frames."""
    grid = torch.arange(500) / 500
    negatives = draw_negatives(MASKS, LENGTHS, grid.expand(2, 12, 500))
    for utterance in (0, 1):
        masked = MASKS[utterance].nonzero().flatten().tolist()
        for frame in masked:
            others = [other for other in masked if other != frame]
            expected = [others[math.floor(i * len(others) / 500)] for i in range(500)]
            assert negatives[utterance, frame].tolist() == expected


def test_highest_noise_draws_the_last_frame() -> None:
    highest = np.nextafter(np.float32(1), np.float32(0))
    for n_masked in (2, 3, 5, 49, 700, 9_999):
        masks = torch.ones(1, n_masked, dtype=torch.bool)
        negatives = draw_negatives(masks, torch.tensor([n_masked]), torch.full((1, n_masked, 1), highest))
        assert negatives[0, :, 0].tolist() == [n_masked - 1] * (n_masked - 1) + [n_masked - 2]


def test_single_masked_frame_has_all_other_real_frames_as_negatives() -> None:
    masks = torch.zeros(1, 6, dtype=torch.bool)
    masks[0, 2] = True
    noise = torch.tensor([0.0, 0.3, 0.6, 0.9]).expand(1, 6, 4)
    assert draw_negatives(masks, torch.tensor([4]), noise)[0, 2].tolist() == [0, 0, 1, 3]
    assert draw_negatives(masks, torch.tensor([6]), noise)[0, 2].tolist() == [0, 1, 4, 5]


def test_negatives_depend_neither_on_padding_nor_on_the_batch() -> None:
    example = ContrastiveExample()
    alone = draw_negatives(MASKS[1:, :7], LENGTHS[1:], example.noise[1:, :7])
    assert torch.equal(alone[MASKS[1:, :7]], example.negatives[1:, :7][MASKS[1:, :7]])
    padding = (0, 0, 0, 9)
    longer = draw_negatives(F.pad(MASKS, (0, 9)), LENGTHS, F.pad(example.noise, padding, value=0.5))
    assert torch.equal(longer[:, :12][MASKS], example.negatives[MASKS])


@pytest.mark.parametrize("seed", range(3))
def test_logits_equal_a_loop(seed: int) -> None:
    example = ContrastiveExample(seed)
    assert any(len(example.rivals(*frame)) < N_NEGATIVES for frame in example.masked())  # some targets are the same
    for utterance, frame in example.masked():
        expected = [example.cosine(utterance, frame, frame) / 0.1]
        for other in example.negatives[utterance, frame].tolist():
            rival = other in example.rivals(utterance, frame)
            expected.append(example.cosine(utterance, frame, other) / 0.1 if rival else -math.inf)
        assert example.logits[utterance, frame].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_score_equal_loops(seed: int) -> None:
    example = ContrastiveExample(seed)
    losses = [-example.log_probability(*frame) for frame in example.masked()]
    assert contrastive_loss(example.logits, MASKS).item() == pytest.approx(np.mean(losses), rel=1e-5)
    scores = contrastive_score(example.predictions, example.targets, MASKS, example.negatives)
    assert scores.dtype == torch.float64
    for utterance in (0, 1):
        frames = [frame for frame in example.masked() if frame[0] == utterance]
        mean = math.exp(np.mean([example.log_probability(*frame, with_equals=True) for frame in frames]))
        assert scores[utterance].item() == pytest.approx(math.log(mean / (1 - mean)), rel=1e-5)


def test_score_equals_the_log_odds_of_the_loss_without_equal_codes() -> None:
    example = ContrastiveExample()
    codes = torch.arange(12).expand(1, 12).unsqueeze(2)
    first = slice(0, 1)
    logits = contrastive_logits(example.predictions[first], example.targets[first], example.negatives[first], codes)
    p = math.exp(-contrastive_loss(logits, MASKS[first]).item())
    score = contrastive_score(
        example.predictions[first],
        example.targets[first],
        MASKS[first],
        example.negatives[first],
    )
    assert score.item() == pytest.approx(math.log(p / (1 - p)), rel=1e-5)


def test_identical_targets_give_finite_loss_and_score() -> None:
    example = ContrastiveExample()
    predictions = example.predictions.requires_grad_()
    targets = example.targets[:, :1].expand_as(example.targets)
    codes = torch.zeros(2, 12, 2, dtype=torch.long)
    loss = contrastive_loss(contrastive_logits(predictions, targets, example.negatives, codes), MASKS)
    loss.backward()
    assert loss.item() == 0.0
    assert predictions.grad is not None and predictions.grad.abs().max() == 0.0
    score = contrastive_score(predictions, targets, MASKS, example.negatives)
    assert score.tolist() == pytest.approx([-math.log(N_NEGATIVES)] * 2)  # chance


def test_loss_is_the_mean_over_masked_frames_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, with 8 and with 3 masked frames, take the mean of their losses and of their gradients."""
    logits, counts = ContrastiveExample().logits, MASKS.sum(dim=1)
    together = contrastive_loss(logits, MASKS)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    losses = []
    for process in (0, 1):
        monkeypatch.setattr(torch.distributed, "all_reduce", lambda count, other=counts[1 - process]: count.add_(other))
        losses.append(contrastive_loss(logits[process : process + 1], MASKS[process : process + 1]))
    torch.testing.assert_close((losses[0] + losses[1]) / 2, together)


def test_accuracy_and_chance_equal_loops() -> None:
    for seed in range(5):
        example = ContrastiveExample(seed)
        hits, chances = [], []
        for utterance, frame in example.masked():
            rivals = example.rivals(utterance, frame)
            true = example.cosine(utterance, frame, frame)
            hits.append(bool(rivals) and all(true > example.cosine(utterance, frame, other) for other in rivals))
            codes = example.quantised.codes[utterance][MASKS[utterance]]
            chances.append(1 / min(len({tuple(code) for code in codes.tolist()}), N_NEGATIVES + 1))
        assert contrastive_accuracy(example.logits, MASKS).item() == pytest.approx(np.mean(hits))
        chance = contrastive_chance(example.quantised.codes, MASKS, N_NEGATIVES)
        assert chance.item() == pytest.approx(np.mean(chances))


@pytest.mark.slow
@pytest.mark.parametrize("n_negatives", [10, 200])
def test_chance_equals_the_accuracy_of_guessing(n_negatives: int) -> None:
    """Predictions that know nothing, 40 frames an utterance, every target another: standard error 3 to 4 %."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.ones(1000, 40, dtype=torch.bool)
    codes = torch.arange(40).view(1, 40, 1).expand(1000, -1, -1)
    negatives = draw_negatives(masks, torch.full((1000,), 40), torch.rand(1000, 40, n_negatives, generator=generator))
    predictions, targets = torch.randn(2, 1000, 40, 64, generator=generator)
    accuracy = contrastive_accuracy(contrastive_logits(predictions, targets, negatives, codes), masks)
    # Some frames are drawn twice and others never, so that guessing is a little easier than chance says.
    expected = np.mean([1 / (1 + len(set(row.tolist()))) for row in negatives.flatten(0, 1)[:2000]])
    chance = contrastive_chance(codes, masks, n_negatives).item()
    assert chance <= expected < 1.15 * chance
    assert accuracy.item() == pytest.approx(expected, rel=0.1)


def test_chance_with_full_masks_and_equal_codes() -> None:
    codes = torch.tensor([[[0, 0], [0, 1], [1, 0], [0, 1]]])
    everything = torch.ones(1, 4, dtype=torch.bool)
    assert contrastive_chance(codes, everything, 50).item() == pytest.approx(1 / 3)
    assert contrastive_chance(codes, everything, 1).item() == pytest.approx(1 / 2)
    assert contrastive_chance(torch.zeros_like(codes), everything, 50).item() == 1.0
    assert contrastive_chance(codes, torch.tensor([[False, True, False, True]]), 50).item() == 1.0


def test_every_combination_of_codes_has_a_unique_id() -> None:
    codes = torch.cartesian_prod(*[torch.arange(4)] * 3).unsqueeze(0)  # (1, 64, 3)
    assert code_ids(codes).unique().numel() == 64


def test_perplexity_equals_a_loop() -> None:
    example = ContrastiveExample()
    probabilities = example.logits_of_codes.softmax(dim=3)
    expected = 0.0
    for codebook in (0, 1):
        mean = np.mean([probabilities[frame][codebook].double().numpy() for frame in example.masked()], axis=0)
        expected += math.exp(-(mean * np.log(mean)).sum())
    assert perplexity(probabilities, MASKS).item() == pytest.approx(expected, rel=1e-5)
    one_code = torch.zeros_like(probabilities)
    one_code[..., 0] = 1.0
    assert perplexity(one_code, MASKS).item() == 2.0


def test_pretext_adds_the_diversity_loss() -> None:
    example = ContrastiveExample()
    answer = contrastive_pretext(
        example.predictions, example.targets, example.quantised, MASKS, example.negatives, diversity_weight=0.3
    )
    used = perplexity(example.quantised.probabilities, MASKS).item()
    contrastive = contrastive_loss(example.logits, MASKS).item()
    assert answer.loss.item() == pytest.approx(contrastive + 0.3 * (1 - used / 6), rel=1e-5)
    chosen = F.one_hot(example.quantised.codes, 3).float()
    assert answer.health["code_perplexity"].item() == pytest.approx(perplexity(chosen, MASKS).item())
    assert answer.health["contrastive_loss"].item() == pytest.approx(contrastive)
    assert set(answer.health) == {
        "contrastive_loss", "contrastive_accuracy", "contrastive_chance", "code_perplexity"
    }  # fmt: skip


def health(accuracy: float, chance: float, code_perplexity: float, loss: float) -> dict[str, float]:
    names = ("contrastive_accuracy", "contrastive_chance", "code_perplexity", "contrastive_loss")
    return dict(zip(names, (accuracy, chance, code_perplexity, loss), strict=True))


@pytest.mark.parametrize(
    ("figures", "what"),
    [
        # Ends of tiny trainings on real speech.
        (health(0.157, 0.044, 73.3, 3.30), ""),
        (health(0.104, 0.041, 97.0, 3.58), ""),
        (health(0.199, 0.041, 108.9, 3.06), ""),
        (health(0.000, 0.999, 2.0, 0.00), "collapsed"),
        (health(0.112, 0.863, 2.0, 0.59), "collapsed"),
        (health(0.723, 0.502, 2.9, 1.38), "collapsed"),  # accurate, since there is next to nothing to tell apart
        (health(0.725, 0.314, 4.5, 1.67), "collapsed"),
        (health(0.042, 0.041, 105.0, 3.93), "does not discriminate"),
    ],
)
def test_collapse_is_reported_and_healthy_training_is_not(figures: dict[str, float], what: str) -> None:
    assert what in contrastive_collapse(figures, n_codebooks=2, codebook_size=64)
    assert bool(contrastive_collapse(figures, n_codebooks=2, codebook_size=64)) == bool(what)


# --- the quantiser


def their_quantizer(ours: GumbelQuantizer) -> torch.nn.Module:
    from transformers import Wav2Vec2Config
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

    theirs = Wav2Vec2GumbelVectorQuantizer(
        Wav2Vec2Config(num_codevector_groups=2, num_codevectors_per_group=5, codevector_dim=6, conv_dim=(8,) * 7)
    )
    theirs.load_state_dict(ours.state_dict())
    return theirs


@pytest.mark.parametrize("temperature", [None, 0.7])
def test_quantizer_equals_transformers(temperature: float | None) -> None:
    """Values, perplexity and gradients, also where codes are drawn: the same noise, in the same order."""
    torch.manual_seed(0)
    ours = GumbelQuantizer(8, n_codebooks=2, codebook_size=5, code_dim=6)
    theirs = their_quantizer(ours).train(temperature is not None)
    theirs.temperature = temperature
    frames = torch.randn(2, 12, 8)
    direction = torch.randn(2, 12, 6)
    torch.manual_seed(1)
    quantised = ours(frames, temperature)
    torch.manual_seed(1)
    vectors, used = theirs(frames, mask_time_indices=MASKS)
    torch.testing.assert_close(quantised.vectors, vectors)
    chosen = F.one_hot(quantised.codes, 5).float() if temperature is None else quantised.probabilities
    assert perplexity(chosen, MASKS).item() == pytest.approx(used.item(), rel=1e-5)
    ((quantised.vectors * direction).sum() + perplexity(quantised.probabilities, MASKS)).backward()
    ((vectors * direction).sum() + (used if temperature is not None else 0)).backward()
    torch.testing.assert_close(ours.codevectors.grad, theirs.codevectors.grad)
    if temperature is not None:
        torch.testing.assert_close(ours.weight_proj.weight.grad, theirs.weight_proj.weight.grad)


def test_codes_index_the_vectors() -> None:
    example = ContrastiveExample()
    for temperature in (None, 0.5):
        quantised = quantise(example.logits_of_codes, example.codebooks, temperature)
        assert isinstance(quantised, Quantised)
        parts = [example.codebooks[g][quantised.codes[:, :, g]] for g in (0, 1)]
        torch.testing.assert_close(quantised.vectors, torch.cat(parts, dim=2))


def test_codes_are_drawn_by_their_probability() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([0.1, 0.6, 0.3]).log().expand(1, 20_000, 1, 3)
    codes = quantise(logits, torch.randn(1, 3, 2), temperature=2.0).codes
    torch.testing.assert_close(codes.flatten().bincount() / 20_000, torch.tensor([0.1, 0.6, 0.3]), atol=0.015, rtol=0)


@pytest.mark.parametrize("sizes", [{"code_dim": 7}, {"codebook_size": 1}, {"n_codebooks": 0}])
def test_impossible_codebooks_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(InputError, match="Expected"):
        GumbelQuantizer(**{"dim": 8, "n_codebooks": 2, "codebook_size": 4, "code_dim": 8, **sizes})
