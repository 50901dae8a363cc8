"""Learned similarity attacks: compared with slow fits, and on planted cases."""

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from lightning_mia.attacks import Attack, Evidence
from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.frame_networks.attack import LearnedAttack
from lightning_mia.attacks.learned_similarity import (
    LearnedSpeakerSimilarity,
    LearnedUtteranceSimilarity,
    SpeakerNet,
    UtteranceNet,
)
from lightning_mia.evaluation.statistics.auroc import auroc, labelled_aurocs
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.utilities.errors import InputError

EvidenceOf = Callable[..., Evidence]
BOTH = [("utterance", LearnedUtteranceSimilarity), ("speaker", LearnedSpeakerSimilarity)]
DIM = 8
QUICK = FitSettings(learning_rate=0.01, epochs=4)
THOROUGH = FitSettings(learning_rate=0.01, epochs=30)


def names(n_speakers: int, n_utterances: int) -> list[str]:
    return [f"s{speaker:02d}/u{number:02d}" for speaker, number in product(range(n_speakers), range(n_utterances))]


def noise(ids: list[str], seed: int = 0) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.standard_normal((rng.integers(4, 15), DIM), np.float32)) for name in ids}


def with_steady_part(frames: dict[str, Tensor], strength: dict[str, float], seed: int = 1) -> dict[str, Tensor]:
    """Add one vector to all frames of an utterance, which makes them more similar."""
    steady = torch.from_numpy(np.random.default_rng(seed).standard_normal(DIM).astype(np.float32))
    return {name: own + strength[name] * steady for name, own in frames.items()}


def planted(level: str, shift: float, seed: int = 0) -> tuple[dict[str, Tensor], list[str], set[str]]:
    """Draw frames, auxiliary ids, and members whose frames (or utterances) are more similar by `shift`."""
    ids = names(30, 6)
    rng = np.random.default_rng(seed)
    unit = (lambda name: name) if level == "utterance" else (lambda name: name.split("/")[0])
    units = sorted({unit(name) for name in ids})
    auxiliary_units = set(units[: len(units) // 3])
    members = set(rng.permutation(units[len(units) // 3 :])[: len(units) // 3].tolist())
    similarity = {name: rng.uniform(0, 1) + shift * (name in members) for name in units}
    frames = with_steady_part(noise(ids, seed), {name: similarity[unit(name)] for name in ids})
    return frames, [name for name in ids if unit(name) in auxiliary_units], members


def auroc_of(scores: pd.Series, members: set[str]) -> float:
    return auroc(scores.to_numpy(), scores.index.isin(list(members)))


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_planted_similarity_is_found_and_shuffled_labels_are_at_chance(
    level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf
) -> None:
    frames, auxiliary, members = planted(level, shift=1.0)
    scores = attack(fit=THOROUGH).score(evidence_of(frames, auxiliary, level))
    result = auroc_of(scores, members)
    # At utterance level, a "member" has dissimilar frames, as published; the planted effect has the opposite sign.
    assert (1 - result if level == "utterance" else result) > 0.9
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(scores.index.isin(list(members))) for _ in range(200)])
    assert labelled_aurocs(scores.to_numpy(), shuffled).mean() == pytest.approx(0.5, abs=0.02)
    frames, auxiliary, members = planted(level, shift=0.0)
    assert auroc_of(attack(fit=THOROUGH).score(evidence_of(frames, auxiliary, level)), members) == pytest.approx(
        0.5, abs=0.15 if level == "utterance" else 0.35
    )


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_scores_depend_on_the_seed_and_not_on_the_order_of_rows(
    level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf
) -> None:
    frames, auxiliary, _ = planted(level, shift=0.5)
    evidence = evidence_of(frames, auxiliary, level, seed=3)
    torch.manual_seed(1)
    np.random.seed(1)
    state = torch.get_rng_state()
    scores = attack(fit=QUICK).score(evidence)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    np.random.seed(2)
    shuffled = replace(
        evidence,
        challenge=evidence.challenge.sample(frac=1, random_state=0),
        auxiliary=evidence.auxiliary.sample(frac=1, random_state=0),
    )
    again = attack(fit=QUICK).score(shuffled)
    assert scores.to_dict() == again.to_dict()  # bit by bit
    assert scores.to_dict() != attack(fit=QUICK).score(replace(evidence, seed=4)).to_dict()


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_scores_do_not_depend_on_batches_cache_or_other_units(
    level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf
) -> None:
    frames, auxiliary, _ = planted(level, shift=0.5)
    scores = attack(fit=QUICK).score(evidence_of(frames, auxiliary, level))
    for changed in ({"batch_size": 1}, {"cache_bytes": 0}, {"cache_bytes": 5000}):
        fit = replace(QUICK, cache_bytes=changed.get("cache_bytes", QUICK.cache_bytes))
        again = attack(fit=fit).score(evidence_of(frames, auxiliary, level, batch_size=changed.get("batch_size", 16)))
        pd.testing.assert_series_equal(again, scores, rtol=1e-4, check_exact=False)
    evidence = evidence_of(frames, auxiliary, level)
    some = evidence.challenge["unit_id"].isin(scores.index[:7])
    fewer = attack(fit=QUICK).score(replace(evidence, challenge=evidence.challenge[some]))
    pd.testing.assert_series_equal(fewer, scores.iloc[:7], rtol=1e-5, check_exact=False)


def slow_fit(net: Any, training: list[tuple[Any, float]], validation: list[tuple[Any, float]], epochs: int) -> None:
    """Run full-batch Adam in a plain loop, and keep the best weights."""

    def loss(examples: list[tuple[Any, float]]) -> Tensor:
        losses = []
        for utterances, label in examples:
            vectors = [net.project(frames[None], torch.tensor([len(frames)])) for frames in utterances]
            logit = net.logits(torch.stack(vectors, dim=1)).squeeze()
            losses.append(-nn.functional.logsigmoid(logit if label else -logit))
        return torch.stack(losses).mean()

    optimizer = torch.optim.Adam(net.parameters(), lr=net.learning_rate)
    lowest, weights = float("inf"), {}
    for _ in range(epochs):
        optimizer.zero_grad()
        loss(training).backward()
        optimizer.step()
        with torch.no_grad():
            validation_loss = loss(validation).item()
        if validation_loss < lowest:
            lowest, weights = validation_loss, copy.deepcopy(net.state_dict())
    net.load_state_dict(weights)


DETERMINISTIC = FitSettings(learning_rate=0.01, epochs=8, patience=8, batch_size=1000, dropout=0.0)


def test_utterance_level_equals_the_slow_fit(evidence_of: EvidenceOf) -> None:
    frames, auxiliary, _ = planted("utterance", shift=0.5)
    torch.manual_seed(0)
    net = UtteranceNet(DIM, 0.0, DETERMINISTIC.learning_rate)
    fresh = copy.deepcopy(net)

    class WithThisNet(LearnedUtteranceSimilarity):
        def _net(self, dim: int) -> UtteranceNet:
            return fresh

    scores = WithThisNet(k=5, fit=DETERMINISTIC).score(evidence_of(frames, auxiliary, "utterance"))

    def dissimilarity(name: str) -> float:
        pairs = combinations(frames[name].double(), 2)
        return float(np.mean([1 - torch.cosine_similarity(a, b, dim=0) for a, b in pairs]))

    ranked = sorted(auxiliary, key=dissimilarity)
    parts = (ranked[:5], ranked[-5:]), (ranked[5:10], ranked[-10:-5])  # training, validation
    examples = [[([frames[name]], float(label)) for label, ids in enumerate(part) for name in ids] for part in parts]
    slow_fit(net, *examples, DETERMINISTIC.epochs)
    with torch.no_grad():
        for name, score in scores.items():
            vector = net.project(frames[name][None], torch.tensor([len(frames[name])]))
            assert score == pytest.approx(net.logits(vector[None]).item(), rel=1e-4, abs=1e-5)


def test_speaker_level_equals_the_slow_fit(evidence_of: EvidenceOf) -> None:
    ids = names(14, 2)  # two utterances per speaker: a single pair
    frames, speakers = noise(ids), [f"s{number:02d}" for number in range(14)]
    torch.manual_seed(0)
    net = SpeakerNet(DIM, 0.0, DETERMINISTIC.learning_rate)
    fresh = copy.deepcopy(net)

    class WithThisNet(LearnedSpeakerSimilarity):
        def _net(self, dim: int) -> SpeakerNet:
            return fresh

    scores = WithThisNet(k=2, fit=DETERMINISTIC).score(evidence_of(frames, ids[:20], "speaker"))
    assert list(scores.index) == speakers[10:]

    def utterances(speaker: str) -> list[Tensor]:
        return [frames[f"{speaker}/u00"], frames[f"{speaker}/u01"]]

    def cosine(speaker: str) -> float:
        first, second = (own.double().mean(0) for own in utterances(speaker))
        return torch.cosine_similarity(first, second, dim=0).item()

    ranked = sorted(speakers[:10], key=cosine)
    parts = (ranked[:2], ranked[-2:]), (ranked[2:4], ranked[-4:-2])  # training, validation
    examples = [
        [(utterances(speaker), float(label)) for label, group in enumerate(part) for speaker in group] for part in parts
    ]
    slow_fit(net, *examples, DETERMINISTIC.epochs)
    with torch.no_grad():
        for speaker, score in scores.items():
            first, second = (net.project(own[None], torch.tensor([len(own)]))[0] for own in utterances(str(speaker)))
            assert score == pytest.approx((first @ second).item(), rel=1e-4, abs=1e-5)


def test_speaker_score_is_the_mean_over_all_pairs(evidence_of: EvidenceOf) -> None:
    frames, auxiliary, _ = planted("speaker", shift=0.5)
    nets: list[SpeakerNet] = []

    class Watched(LearnedSpeakerSimilarity):
        def _net(self, dim: int) -> SpeakerNet:
            nets.append(super()._net(dim))
            return nets[-1]

    scores = Watched(fit=QUICK).score(evidence_of(frames, auxiliary, "speaker"))
    with torch.no_grad():
        for speaker, score in scores.items():
            own = [frames[name].double() for name in frames if name.startswith(f"{speaker}/")]
            vectors = [nets[0].project(hidden[None], torch.tensor([len(hidden)]))[0] for hidden in own]
            assert score == pytest.approx(np.mean([(a @ b).item() for a, b in combinations(vectors, 2)]))


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_fit_uses_auxiliary_recordings_only(level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf) -> None:
    frames, auxiliary, _ = planted(level, shift=0.5)
    evidence = evidence_of(frames, auxiliary, level)
    scores = attack(fit=replace(QUICK, cache_bytes=0)).score(evidence)
    *before, last = evidence.frames.queries  # type: ignore[union-attr]
    assert {name for ids in before for name in ids} <= set(auxiliary)
    assert set(last) == set(evidence.challenge["id"])
    assert set(scores.index) == set(evidence.challenge["unit_id"])
    assert not set(scores.index) & {*auxiliary, *(name.split("/")[0] for name in auxiliary if level == "speaker")}


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_challenge_units_are_excluded_except_in_the_paper_protocol(
    level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf
) -> None:
    frames, auxiliary, _ = planted(level, shift=0.5)
    evidence = evidence_of(frames, auxiliary, level)
    overlapping = replace(evidence, auxiliary=pd.concat([evidence.auxiliary, evidence.challenge[["id", "speaker"]]]))
    expected = attack(fit=QUICK).score(evidence)
    pd.testing.assert_series_equal(attack(fit=QUICK).score(overlapping), expected)
    with_challenge = replace(evidence, auxiliary=evidence.challenge[["id", "speaker"]])
    with pytest.raises(CannotRun, match=r"auxiliary (utterances|speakers) with at least two \w+, and there are 0$"):
        attack(fit=QUICK).score(with_challenge)
    as_published = attack(fit=QUICK, paper_protocol=True)
    assert as_published.paper_protocol and as_published.name.endswith("_paper_protocol")
    assert len(as_published.score(with_challenge)) == len(expected)


@pytest.mark.parametrize(("level", "attack", "minimum"), [(*BOTH[0], 16), (*BOTH[1], 24)])
def test_missing_requirements_raise(
    level: str, attack: type[LearnedAttack], minimum: int, evidence_of: EvidenceOf
) -> None:
    ids = names(10, 6)
    frames = noise(ids)
    with pytest.raises(CannotRun, match="it needs the model's frames"):
        attack().score(replace(evidence_of(frames, ids[:30], level), frames=None))
    for n_auxiliary in (0, minimum - 6):
        with pytest.raises(CannotRun, match=r"it needs \d+ or more auxiliary .*, and there are \d+$"):
            attack(fit=QUICK).score(evidence_of(frames, ids[:n_auxiliary], level))
    assert np.isfinite(attack(fit=QUICK).score(evidence_of(frames, ids[:minimum], level))).all()
    diverging = replace(QUICK)
    object.__setattr__(diverging, "learning_rate", 1e30)  # out of its range, so that any network diverges
    with pytest.raises(CannotRun, match="diverged at learning rate 1e\\+30"):
        attack(fit=diverging).score(evidence_of(frames, ids[:30], level))


@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_units_without_pairs_are_not_labelled(level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf) -> None:
    ids = [*names(10, 6), "t/u0"]  # a speaker with one utterance
    frames = noise(ids) | {"s00/u00": torch.ones(1, DIM), "t/u0": torch.ones(1, DIM)}  # a single frame
    scores = attack(fit=QUICK).score(evidence_of(frames, [*ids[:30], "t/u0"], level))
    assert np.isfinite(scores).all()
    if level == "utterance":
        with pytest.raises(CannotRun, match=r"and there are 15$"):
            attack(fit=QUICK).score(evidence_of(frames, ids[:16], level))


def test_missing_layer_raises(evidence_of: EvidenceOf) -> None:
    ids = names(10, 6)
    with pytest.raises(InputError, match="Layer 7 does not exist"):
        LearnedUtteranceSimilarity(layer=7).score(evidence_of(noise(ids), ids[:30], "utterance"))


@pytest.mark.slow
@pytest.mark.parametrize(("level", "attack"), BOTH)
def test_p_values_on_noise_are_uniform(level: str, attack: type[LearnedAttack], evidence_of: EvidenceOf) -> None:
    """Over 100 fits to noise, the mean AUROC is 0.5 and the p-value is uniform."""
    ids = names(24, 6)
    aurocs, p_values = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = attack(fit=QUICK).score(evidence_of(noise(ids, seed), ids[:48], level, seed=seed)).to_numpy()
        labels = np.stack([rng.permutation(np.arange(len(scores)) % 2 == 0) for _ in range(200)])
        null = labelled_aurocs(scores, labels)
        aurocs.append(null[0])
        p_values.append(p_value(NullDistribution(null, attack.two_sided)))
    assert abs(np.mean(aurocs) - 0.5) < 3 * np.std(aurocs) / 10  # three standard errors
    for alpha in (0.05, 0.25, 0.5):
        assert abs(np.mean(np.array(p_values) <= alpha) - alpha) < 3 * np.sqrt(alpha * (1 - alpha) / 100)


def test_names_show_options_that_are_not_the_default() -> None:
    assert LearnedUtteranceSimilarity().name == "learned_utterance_similarity"
    assert LearnedSpeakerSimilarity(layer=2).name == "learned_speaker_similarity_layer2"
    fit = FitSettings(learning_rate=1e-3, epochs=30)
    name = LearnedUtteranceSimilarity(fit=fit, paper_protocol=True).name
    assert name == "learned_utterance_similarity_lr0.001_epochs30_paper_protocol"


def test_k_of_zero_raises() -> None:
    with pytest.raises(InputError, match=r"LearnedSpeakerSimilarity\.k is 0"):
        LearnedSpeakerSimilarity(k=0)


def test_config_creates_attacks() -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--attacks", type=list[Attack])
    arguments = {"k": 20, "fit": {"learning_rate": 1e-3}, "paper_protocol": True}
    config = parser.parse_object(
        {
            "attacks": [
                {"class_path": f"{attack.__module__}.{attack.__name__}", "init_args": arguments} for _, attack in BOTH
            ]
        }
    )
    for attack, (_, expected) in zip(parser.instantiate(config).attacks, BOTH, strict=True):
        assert isinstance(attack, expected)
        assert (attack.k, attack.fit.learning_rate, attack.fit.epochs, attack.paper_protocol) == (20, 1e-3, 20, True)


def test_scores_from_frames_of_a_model(tiny_manifest: Path, evidence_of: EvidenceOf) -> None:
    from lightning_mia.corpora import Manifest
    from lightning_mia.corpora.audio.cache import decode
    from lightning_mia.corpora.loading.datasets import Recordings
    from lightning_mia.models.tera import TERA
    from lightning_mia.signals.runner.frames import FrameStream

    audio = decode(Manifest(str(tiny_manifest)).table(), progress=False)
    ids = list(audio.index.index)
    torch.manual_seed(0)
    model = TERA(dim=16, n_heads=2, feedforward_dim=32).eval()
    frames = {name: torch.zeros(2, 2) for name in ids}
    for level, attack in BOTH:
        evidence = evidence_of(frames, [name for name in ids if name < "s04"], level)
        results = []
        for batch_seconds, cache_bytes in ((2.0, 2**30), (6.0, 0)):
            stream = FrameStream(model, Recordings(audio, ids), batch_seconds)
            state = torch.get_rng_state()
            scores = attack(fit=replace(QUICK, cache_bytes=cache_bytes)).score(replace(evidence, frames=stream))
            assert torch.equal(torch.get_rng_state(), state)
            results.append(scores)
        assert np.isfinite(results[0]).all() and results[0].nunique() > 1
        pd.testing.assert_series_equal(*results, rtol=1e-3, check_exact=False)
