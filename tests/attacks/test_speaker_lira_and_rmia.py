from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.lira import LiRA, SpeakerLiRA, lira_offline, lira_online
from lightning_mia.attacks.rmia import RMIA, SpeakerRMIA, log_ratio_online, share_exceeded
from lightning_mia.signals.table import Signals


def standardised(signals: Signals, ids: pd.Series) -> pd.Series:
    values = signals.scalars["pretext_score_mask0"]
    challenge_values = values.loc[ids]
    return (values - challenge_values.median()) / (challenge_values.quantile(0.75) - challenge_values.quantile(0.25))


def by_speaker(signals: Signals, challenge: pd.DataFrame) -> np.ndarray:
    """Average the standardised signals of every speaker, in the order of the challenge set."""
    values = standardised(signals, challenge["id"])
    return np.array([values.loc[rows["id"]].mean() for _, rows in challenge.groupby("unit_id", sort=False)])


def test_signals_are_averaged_before_the_ratio(simulate: Callable) -> None:
    evidence = simulate(20, 8, level="speaker", clips=4).evidence
    challenge, shadows = evidence.challenge, evidence.shadows
    target = by_speaker(evidence.target, challenge)
    shadow_signals = np.stack([by_speaker(signals, challenge) for signals in shadows.signals])
    members = shadows.members.loc[challenge["id"][::4]].to_numpy().T
    online = SpeakerLiRA().score(evidence)
    assert list(online.index) == list(challenge["unit_id"].unique())
    assert np.allclose(online, lira_online(target[:, None], shadow_signals[..., None], members), atol=1e-9)
    assert np.allclose(
        SpeakerLiRA(online=False).score(evidence), lira_offline(target, shadow_signals, members), atol=1e-9
    )
    auxiliary = [
        standardised(signals, challenge["id"]).loc[evidence.auxiliary["id"]].to_numpy()
        for signals in (evidence.target, *shadows.signals)
    ]
    z_ratios = log_ratio_online(auxiliary[0], np.stack(auxiliary[1:]), np.zeros((8, 50), dtype=bool))
    shares = share_exceeded(log_ratio_online(target, shadow_signals, members), z_ratios, 2.0)
    assert np.allclose(SpeakerRMIA().score(evidence), shares, atol=1e-5)  # up to the tie-break


@pytest.mark.parametrize("attack", [SpeakerLiRA(), SpeakerLiRA(online=False), SpeakerRMIA(), SpeakerRMIA(online=False)])
def test_more_recordings_find_a_leak_better(simulate: Callable, auroc: Callable, attack: LiRA | RMIA) -> None:
    def mean_auroc(clips: int) -> float:
        fleets = [simulate(60, 8, effect=0.7, level="speaker", clips=clips, seed=seed) for seed in range(5)]
        return float(np.mean([auroc(attack.score(fleet.evidence), fleet.members) for fleet in fleets]))

    assert 0.52 < mean_auroc(1) < mean_auroc(8) - 0.1


def test_names_and_levels(planted_signal: Callable) -> None:
    signal = planted_signal(["a"])
    attacks = [SpeakerLiRA(), SpeakerLiRA(online=False), SpeakerRMIA(), SpeakerRMIA(signal, online=False)]
    assert [attack.name for attack in attacks] == [
        "speaker_lira",
        "speaker_lira_offline",
        "speaker_rmia",
        "speaker_rmia_offline_planted",
    ]
    assert all(attack.levels == ("speaker",) for attack in attacks)
