from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.classifiers.speaker_features import inter_features, intra_features
from lightning_mia.attacks.slmia import SLMIA
from lightning_mia.signals.table import Signals

Auroc = Callable[[pd.Series, pd.Series], float]
CLIPS = 4


def speakers(n_shadows: int, effect: float, seed: int, n_challenge: int = 30) -> tuple[Evidence, pd.Series]:
    """Draw vectors around speakers, closer by the factor 1 − `effect` if IN; 6 speakers are auxiliary."""
    rng = np.random.default_rng(seed)
    names = [f"s{number:02d}" for number in range(n_challenge)] + [f"a{number:02d}" for number in range(6)]
    table = pd.DataFrame({"id": [f"{name}/{clip}" for name in names for clip in range(CLIPS)]})
    table["speaker"] = table["unit_id"] = table["id"].str.split("/").str[0]
    challenge, auxiliary = (
        table[: n_challenge * CLIPS],
        table[n_challenge * CLIPS :][["id", "speaker"]].reset_index(drop=True),
    )
    centres = np.repeat(rng.standard_normal((len(names), 1, 8)), CLIPS, axis=1)

    def half() -> pd.Series:
        return pd.Series(rng.permutation(np.arange(n_challenge) % 2 == 1), index=names[:n_challenge])

    def signals(members: pd.Series) -> Signals:
        inside = members.reindex(names, fill_value=False).to_numpy(dtype=float)[:, None, None]
        vectors = centres + (1 - effect * inside) * rng.standard_normal(centres.shape)
        pooled = np.stack([rng.standard_normal(vectors.shape), vectors], axis=2).reshape(-1, 2, 8)
        return Signals(pd.DataFrame({"pairwise_cosine_layer0": 0.0}, index=list(table["id"])), pooled)

    halves = [half() for _ in range(n_shadows // 2)]
    shadow_members = [inside for members in halves for inside in (members, ~members)]
    members = pd.DataFrame(
        {
            f"shadow_{k:03d}": challenge["speaker"].map(inside).to_numpy(dtype=bool)
            for k, inside in enumerate(shadow_members)
        },
        index=list(challenge["id"]),
    )
    target = half()
    evidence = Evidence(
        signals(target),
        challenge,
        auxiliary,
        shadows=ShadowModels([signals(inside) for inside in shadow_members], members),
    )
    return evidence, target


@pytest.mark.slow
@pytest.mark.parametrize("n_shadows", [4, 8])
def test_attack_learns_that_recordings_move_together(n_shadows: int, auroc: Auroc) -> None:
    evidence, members = speakers(n_shadows, effect=0.5, seed=0)
    scores = SLMIA().score(evidence)
    assert sorted(scores.index) == sorted(members.index)
    assert auroc(scores, members) > 0.85
    assert abs(auroc(SLMIA(layer=0).score(evidence), members) - 0.5) < 0.3  # layer 0 has no effect
    assert auroc(SLMIA(calibrated=True).score(evidence), members) > 0.85


@pytest.mark.slow
def test_auroc_on_noise_is_chance(auroc: Auroc) -> None:
    """Standard error .03."""
    aurocs = []
    for seed in range(12):
        evidence, members = speakers(4, effect=0.0, seed=seed)
        aurocs.append(auroc(SLMIA().score(evidence), members))
    assert abs(np.mean(aurocs) - 0.5) < 0.09


def test_missing_requirements_raise() -> None:
    evidence, _ = speakers(4, effect=0.0, seed=0)
    few = evidence.auxiliary[evidence.auxiliary["speaker"].isin(["a00", "a01"])]
    once = evidence.auxiliary.drop_duplicates("speaker")
    challenge = evidence.challenge[["id", "speaker"]]
    for auxiliary, number in ((few, 2), (once, 0), (challenge, 0)):
        with pytest.raises(
            CannotRun, match=f"3 or more auxiliary speakers with at least two recordings each, .* are {number}$"
        ):
            SLMIA().score(replace(evidence, auxiliary=auxiliary))
    with pytest.raises(CannotRun, match="needs two recordings of every speaker, and some speaker has only one"):
        SLMIA().score(replace(evidence, challenge=evidence.challenge[1 + CLIPS - 2 :]))
    with pytest.raises(CannotRun, match="needs shadow models"):
        SLMIA().score(replace(evidence, shadows=None))


def test_names() -> None:
    assert [SLMIA().name, SLMIA(2, calibrated=True).name] == ["slmia", "slmia_layer2_calibrated"]


def test_features_of_a_speaker_use_its_recordings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, _ = speakers(4, effect=0.0, seed=0, n_challenge=10)
    monkeypatch.setattr("lightning_mia.attacks.slmia.MAX_COSINES_AT_ONCE", 100)  # three speakers at once
    mixed = evidence.challenge.sample(frac=1, random_state=0).drop_duplicates()[:-1]  # one speaker has one less
    features = SLMIA()._features(evidence.target, mixed, evidence.auxiliary)
    pooled = evidence.target.pooled_layer(-1)
    imposters = [pooled.loc[own].to_numpy() for own in evidence.auxiliary.groupby("speaker")["id"].agg(list)]
    for speaker, own in mixed.groupby("speaker")["id"]:
        vectors = pooled.loc[own].to_numpy()[None]
        expected = np.concatenate([intra_features(vectors), inter_features(vectors, imposters)], axis=1)[0]
        for name in own:
            np.testing.assert_allclose(features.loc[name], expected, atol=1e-9, err_msg=str(speaker))
