from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.classifiers.boosted_trees import TreeSettings
from lightning_mia.attacks.classifiers.feature_columns import default_groups, read_features
from lightning_mia.attacks.shadow_classifier import LearnedFromShadows, ShadowClassifier, ShadowClassifierTree
from lightning_mia.signals.encoder_geometry import EncoderGeometry
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.signals.table import Signals
from lightning_mia.signals.view_consistency import ViewAgreement
from lightning_mia.utilities.errors import InputError

BOTH = [ShadowClassifier, ShadowClassifierTree]
VIEWS = [f"views_pair{number:02d}" for number in range(30)]
Auroc = Callable[[pd.Series, pd.Series], float]
Fleet = Callable[..., Any]


def black_box(kind: type[LearnedFromShadows]) -> LearnedFromShadows:
    if kind is ShadowClassifierTree:
        return ShadowClassifierTree(
            "black-box", [ViewAgreement()], trees=TreeSettings(most_trees=50, learning_rate=0.2)
        )
    return ShadowClassifier("black-box", [ViewAgreement()])


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("n_shadows", "minimum"), [(2, 0.68), (4, 0.78), (8, 0.81)])
def test_attack_finds_one_informative_signal_of_thirty(
    kind: type[LearnedFromShadows], n_shadows: int, minimum: float, simulate: Fleet, auroc: Auroc
) -> None:
    """The optimal AUROC is .86; the plain signal gives .63 at this spread of the units."""
    effect = [0.0] * 17 + [1.5] + [0.0] * 12
    planted = simulate(200, n_shadows, columns=VIEWS, effect=effect, spread=1.5 if n_shadows > 2 else 0.5, seed=1)
    assert auroc(black_box(kind).score(planted.evidence), planted.members) > minimum


def on_noise(attack: LearnedFromShadows, n_shadows: int, seeds: range, simulate: Fleet, auroc: Auroc) -> float:
    """Return the mean distance from 0.5 in standard errors, for the target and for a shadow model as target."""
    aurocs = []
    for seed in seeds:
        planted = simulate(60, n_shadows, columns=VIEWS[:6], effect=0.0, seed=seed)
        aurocs.append(auroc(attack.score(planted.evidence), planted.members))
        place, shadows = seed % n_shadows, planted.evidence.shadows
        as_target = replace(
            planted.evidence, target=shadows.signals[place], shadows=shadows.without_pair_of(place), seed=seed
        )
        aurocs.append(auroc(attack.score(as_target), shadows.members.iloc[:, place]))
    return float((np.mean(aurocs) - 0.5) / (np.std(aurocs, ddof=1) / len(aurocs) ** 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("n_shadows", "seeds"), [(4, 24), (8, 16), (16, 10)])
def test_auroc_on_noise_is_chance(
    kind: type[LearnedFromShadows], n_shadows: int, seeds: int, simulate: Fleet, auroc: Auroc
) -> None:
    assert abs(on_noise(black_box(kind), n_shadows, range(seeds), simulate, auroc)) < 3


@pytest.mark.slow
def test_auroc_on_noise_is_chance_quick(simulate: Fleet, auroc: Auroc) -> None:
    assert abs(on_noise(black_box(ShadowClassifier), 4, range(6), simulate, auroc)) < 3


def test_classifier_uses_in_models(simulate: Fleet, auroc: Auroc) -> None:
    """Only every second unit leaks; IN models reveal which, OUT models alone do not."""
    planted = simulate(400, 8, columns=VIEWS[:4], effect=0.0, spread=1.0, noise=0.5, seed=2)
    leaky = np.arange(400) % 2 == 0
    evidence, challenge = planted.evidence, planted.evidence.challenge

    def leaking(signals: Signals, members: np.ndarray) -> Signals:
        table = signals.scalars.copy()
        table.loc[challenge["id"]] += (2.0 * (members & leaky))[:, None]
        return replace(signals, scalars=table)

    shadows = evidence.shadows
    labels = shadows.members.loc[challenge["id"]].to_numpy()
    leaky_signals = [leaking(signals, labels[:, k]) for k, signals in enumerate(shadows.signals)]
    target = leaking(evidence.target, planted.members.loc[challenge["unit_id"]].to_numpy())
    evidence = replace(evidence, target=target, shadows=replace(shadows, signals=leaky_signals))
    scores = black_box(ShadowClassifierTree).score(evidence)
    silent = challenge["unit_id"][~leaky]
    assert scores[silent].std() < 0.4 * scores.std()
    assert auroc(scores, planted.members) > 0.74  # half of the units at nearly 1, the others at 0.5


def test_signals_beyond_the_access_are_not_read(simulate: Fleet, auroc: Auroc) -> None:
    columns = [*VIEWS[:4], *(f"pretext_score_mask{draw}" for draw in range(4))]
    planted = simulate(100, 4, columns=columns, effect=[0.0] * 4 + [3.0] * 4, seed=0)
    assert auroc(ShadowClassifier().score(planted.evidence), planted.members) > 0.95
    assert abs(auroc(ShadowClassifier("black-box").score(planted.evidence), planted.members) - 0.5) < 0.17


def test_columns_by_access(simulate: Fleet) -> None:
    hidden, filled = SurrogateHead(filling=None), SurrogateHead()
    columns = [
        "pairwise_cosine_layer0",
        "views_pair00",
        "geometry_frames_cos_layer0",
        f"{filled.prefix}_layer0",
        f"{hidden.prefix}_layer0",
        "pretext_score_mask0",
        "pretext_score_mask1",
        "pretext_details_early",
        "unknown",
    ]
    signals = Signals(pd.DataFrame(np.ones((2, 9)), index=["a", "b"], columns=columns), np.zeros((2, 1, 1)))

    def read(access: Any) -> list[str]:
        return list(read_features(signals, default_groups(access), access))

    assert read("black-box") == columns[:4]
    assert read("open-weights") == columns[:5]
    assert read("grey-box") == [*columns[:8], "pretext_score"]
    assert list(read_features(signals, [EncoderGeometry()], "black-box")) == [columns[0], columns[2]]


def test_names_and_access() -> None:
    assert [ShadowClassifier().name, ShadowClassifierTree().name] == ["shadow_classifier", "shadow_classifier_tree"]
    assert ShadowClassifier("black-box").name == "shadow_classifier_black_box"
    plain = ShadowClassifierTree("open-weights", suffix="head", calibrated=False)
    assert plain.name == "shadow_classifier_tree_open_weights_head_uncalibrated"
    assert (plain.access, ShadowClassifier().access) == ("open-weights", "grey-box")
    assert {type(group) for group in ShadowClassifier("black-box").groups} == {
        type(group) for group in default_groups("black-box")
    }
    with pytest.raises(InputError, match="is black-box, but its group PretextDetails requires grey-box"):
        ShadowClassifier("black-box", [PretextDetails()])


def test_speakers_and_shadow_models_from_a_pool(simulate: Fleet, auroc: Auroc) -> None:
    speakers = simulate(40, 6, columns=VIEWS[:3], effect=1.5, level="speaker", clips=4, seed=0)
    assert auroc(black_box(ShadowClassifier).score(speakers.evidence), speakers.members) > 0.85
    offline = simulate(200, 6, columns=VIEWS[:3], effect=2.0, pool=True, seed=0)
    for kind in BOTH:
        scores = black_box(kind).score(offline.evidence)
        assert list(scores.index) == list(offline.evidence.challenge["unit_id"])
        assert auroc(scores, offline.members) > 0.85


def test_scores_depend_only_on_the_seed(simulate: Fleet) -> None:
    evidence = simulate(60, 4, columns=VIEWS[:3], effect=1.0, seed=0).evidence
    attack = black_box(ShadowClassifier)
    first = attack.score(evidence)
    pd.testing.assert_series_equal(attack.score(evidence), first)
    assert first.dtype == np.float64 and first.index.is_unique
    assert not np.allclose(attack.score(replace(evidence, seed=1)), first)


def test_missing_requirements_raise(simulate: Fleet) -> None:
    evidence = simulate(60, 4, columns=VIEWS[:3], seed=0).evidence
    with pytest.raises(CannotRun, match="needs signals that require grey-box access, and this model has none"):
        ShadowClassifier().score(evidence)
    with pytest.raises(CannotRun, match="needs signals that require open-weights access"):
        ShadowClassifierTree("open-weights").score(evidence)
    with pytest.raises(CannotRun, match="needs shadow models"):
        ShadowClassifier("black-box").score(replace(evidence, shadows=None))
    grey_box = simulate(60, 4, columns=["pretext_score_mask0"], seed=0).evidence
    with pytest.raises(CannotRun, match="needs signals that require open-weights access"):
        ShadowClassifier("open-weights").score(grey_box)
