from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from jsonargparse import ArgumentParser

from lightning_mia.attacks.base import Attack, CannotRun
from lightning_mia.attacks.lira import LiRA
from lightning_mia.attacks.surrogate_head import SurrogateHeadAttack, SurrogateHeadScore
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.signals.surrogate.fillings import ShapedNoise, Silence
from lightning_mia.signals.surrogate.targets import AdversarysClusters
from lightning_mia.signals.surrogate_pretext import SurrogateHead

HEAD = SurrogateHead()
COLUMN = f"{HEAD.prefix}_layer0"


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_score_is_the_mean_over_recordings(level: str, simulate: Callable[..., Any]) -> None:
    clips = 3 if level == "speaker" else 1
    evidence = simulate(40, 2, columns=[COLUMN, "other"], level=level, clips=clips).evidence
    scores = SurrogateHeadAttack().score(evidence)
    for unit, rows in evidence.challenge.groupby("unit_id"):
        assert scores[unit] == pytest.approx(evidence.target.scalars.loc[rows["id"], COLUMN].mean())
    assert list(scores.index) == list(evidence.challenge["unit_id"].unique())


def test_shadow_models_reveal_what_the_score_alone_hides(simulate: Callable[..., Any]) -> None:
    fleet = simulate(400, 8, columns=[COLUMN], spread=5.0, effect=2.0)
    members = fleet.members

    def success(attack: Attack) -> float:
        scores = attack.score(fleet.evidence)
        return float(auroc(scores.to_numpy(), members[scores.index].to_numpy()))

    assert success(SurrogateHeadAttack()) < 0.7
    assert success(LiRA(SurrogateHeadScore())) > 0.85


def test_layers_are_combined(simulate: Callable[..., Any]) -> None:
    head = replace(HEAD, layers=(1, 2))
    columns = [f"{head.prefix}_layer0", f"{head.prefix}_layer1"]
    evidence = simulate(40, 2, columns=[*columns, COLUMN]).evidence
    assert list(SurrogateHeadScore(head).read(evidence.target)) == columns
    mean = evidence.target.scalars.loc[evidence.challenge["id"], columns].mean(axis=1)
    assert np.allclose(SurrogateHeadAttack(head).score(evidence), mean)


@pytest.mark.parametrize(
    ("head", "suffix", "name", "access"),
    [
        (None, None, "surrogate_head", "black-box"),
        (SurrogateHead(None), None, "surrogate_head_open", "open-weights"),
        (SurrogateHead(Silence()), None, "surrogate_head_silence", "black-box"),
        (SurrogateHead(target=AdversarysClusters()), "clusters", "surrogate_head_clusters", "black-box"),
    ],
)
def test_names_and_access(head: SurrogateHead | None, suffix: str | None, name: str, access: str) -> None:
    attack, joint = SurrogateHeadAttack(head, suffix), LiRA(SurrogateHeadScore(head, suffix))
    assert (attack.name, attack.access) == (name, access)
    assert (joint.name, joint.access) == (f"lira_{name}", access)
    assert attack.groups == joint.groups == (head or SurrogateHead(),)


def test_missing_signals_are_named(simulate: Callable[..., Any]) -> None:
    evidence = simulate(40, 2, columns=["other"]).evidence
    with pytest.raises(CannotRun, match=r"^it needs 2 or more auxiliary recordings to fit a head on$"):
        SurrogateHeadAttack().score(evidence)
    with pytest.raises(CannotRun, match="it needs an encoder with a training mask and 2 or more auxiliary recordings"):
        LiRA(SurrogateHeadScore(SurrogateHead(None))).score(evidence)


def test_config_selects_filling_and_target() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--attacks", type=list[Attack])
    filling = {"class_path": "lightning_mia.signals.surrogate.fillings.ShapedNoise", "init_args": {"gain": 3.0}}
    target = {
        "class_path": "lightning_mia.signals.surrogate.targets.AdversarysClusters",
        "init_args": {"n_clusters": 20},
    }
    score = {
        "class_path": "lightning_mia.attacks.surrogate_head.SurrogateHeadScore",
        "init_args": {"head": {"filling": filling, "target": target, "every": 4}},
    }
    config = {"attacks": [{"class_path": "lightning_mia.attacks.lira.LiRA", "init_args": {"signal": score}}]}
    (attack,) = parser.instantiate(parser.parse_object(config)).attacks
    assert attack.name == "lira_surrogate_head_shaped_noise"
    assert attack.groups == (SurrogateHead(ShapedNoise(3.0), AdversarysClusters(20), every=4),)
