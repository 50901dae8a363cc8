from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.attacks.base import Attack, CannotRun
from lightning_mia.attacks.classifiers.published import PublishedAttack
from lightning_mia.attacks.encodermi import DeepSets, EncoderMIS, EncoderMIT, EncoderMIV
from lightning_mia.attacks.partcrop import PartCrop

PAIRS = [f"views_pair{i:02d}" for i in range(45)]
CROPS = [f"crops_{kind}_{i:02d}" for kind in ("uniform", "gaussian") for i in range(16)]
LEARNED: list[PublishedAttack] = [
    EncoderMIV(),
    EncoderMIV(calibrated=True),
    EncoderMIS(),
    EncoderMIS(calibrated=True),
    PartCrop(),
    PartCrop(calibrated=True),
]
learned = pytest.mark.parametrize("attack", LEARNED, ids=lambda attack: attack.name)


def columns_of(attack: Attack) -> list[str]:
    return CROPS if isinstance(attack, PartCrop) else PAIRS


def test_names_and_levels() -> None:
    names = [attack.name for attack in (EncoderMIT(), *LEARNED)]
    assert names == [
        "encodermi_t",
        "encodermi_v",
        "encodermi_v_calibrated",
        "encodermi_s",
        "encodermi_s_calibrated",
        "partcrop",
        "partcrop_calibrated",
    ]
    assert all(attack.access == "black-box" and set(attack.levels) == {"utterance", "speaker"} for attack in LEARNED)
    assert EncoderMIT().two_sided and not LEARNED[0].two_sided


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_threshold_variant_is_the_mean_cosine(level: str, simulate: Callable[..., Any]) -> None:
    evidence = simulate(6, 2, columns=["views_pair0", "views_pair1", "views_noise_pooled_layer1"], clips=3, level=level)
    evidence = evidence.evidence
    scores = EncoderMIT().score(replace(evidence, shadows=None))
    table = evidence.target.scalars
    for unit, recordings in evidence.challenge.groupby("unit_id"):
        cosines = [table.loc[name, pair] for name in recordings["id"] for pair in ("views_pair0", "views_pair1")]
        assert scores[unit] == pytest.approx(np.mean(cosines))


@pytest.mark.slow
@learned
def test_planted_shift_is_found(attack: PublishedAttack, simulate: Callable[..., Any], auroc: Any) -> None:
    """Every fourth number depends on membership, by less than units differ."""
    columns = columns_of(attack)
    effect = [4.0 if attack.shared_scale or i % 4 == 3 else 0.0 for i in range(len(columns))]
    fleet = simulate(120, 4, columns=columns, effect=effect, seed=1)
    assert auroc(attack.score(fleet.evidence), fleet.members) > 0.9


@pytest.mark.slow
def test_calibration_removes_the_level_of_a_unit(simulate: Callable[..., Any], auroc: Any) -> None:
    fleet = simulate(200, 6, columns=PAIRS, effect=0.4, spread=3.0, seed=2)
    plain, calibrated = (auroc(attack.score(fleet.evidence), fleet.members) for attack in LEARNED[:2])
    assert calibrated > plain + 0.05


def mean_auroc_on_noise(attack: PublishedAttack, n_shadows: int, simulate: Callable[..., Any], auroc: Any) -> float:
    """Average over 6 audits of 60 units; the standard error is .031."""
    audits = [simulate(60, n_shadows, columns=columns_of(attack), effect=0.0, seed=seed) for seed in range(6)]
    return float(np.mean([auroc(attack.score(audit.evidence), audit.members) for audit in audits]))


@pytest.mark.slow
def test_auroc_on_noise_is_chance(simulate: Callable[..., Any], auroc: Any) -> None:
    assert abs(mean_auroc_on_noise(EncoderMIV(), 4, simulate, auroc) - 0.5) < 0.1


@learned
@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [2, 4, 8, 16])
def test_auroc_on_noise_is_chance_for_all_variants(
    attack: PublishedAttack, n_shadows: int, simulate: Callable[..., Any], auroc: Any
) -> None:
    assert abs(mean_auroc_on_noise(attack, n_shadows, simulate, auroc) - 0.5) < 0.1


@pytest.mark.slow
@learned
def test_scores_depend_only_on_the_seed(attack: PublishedAttack, simulate: Callable[..., Any]) -> None:
    evidence = simulate(40, 4, columns=columns_of(attack)).evidence
    torch.manual_seed(3)
    state = torch.get_rng_state()
    scores = attack.score(evidence)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    pd.testing.assert_series_equal(attack.score(evidence), scores)
    assert not np.allclose(attack.score(replace(evidence, seed=9)), scores)
    assert scores.dtype == np.float64 and list(scores.index) == list(evidence.challenge["unit_id"].unique())


@pytest.mark.slow
@learned
def test_speakers_and_shadow_models_from_a_pool(
    attack: PublishedAttack, simulate: Callable[..., Any], auroc: Any
) -> None:
    fleet = simulate(60, 6, columns=columns_of(attack), effect=3.0, level="speaker", clips=3, pool=True, seed=5)
    assert auroc(attack.score(fleet.evidence), fleet.members) > 0.9


def test_missing_requirements_raise(simulate: Callable[..., Any]) -> None:
    evidence = simulate(20, 4, columns=PAIRS).evidence
    with pytest.raises(CannotRun, match="needs shadow models"):
        EncoderMIV().score(replace(evidence, shadows=None))
    with pytest.raises(CannotRun, match="signals that every model provides"):
        PartCrop().score(evidence)


def test_deep_sets_are_permutation_invariant() -> None:
    torch.manual_seed(0)
    net, features = DeepSets(n_elements=5, n_kinds=2), torch.randn(3, 10)
    order = torch.tensor([3, 0, 4, 1, 2])
    together = torch.cat([features[:, order], features[:, 5 + order]], dim=1)
    torch.testing.assert_close(net(together), net(features))
    apart = torch.cat([features[:, order], features[:, 5:]], dim=1)
    assert not torch.allclose(net(apart), net(features), atol=1e-4)
