"""The probe finds planted labels, and nothing in noise."""

import numpy as np
import pandas as pd
import pytest

from lightning_mia.audit.utility.linear_probe import linear_probe
from lightning_mia.audit.utility.measure import CommonTask, summarise
from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.models.cpc import CPC
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.tera import TERA
from lightning_mia.signals.table import Signals

N_SPEAKERS, N_WORDS, N_EACH, DIM = 10, 4, 4, 6


def recordings() -> pd.DataFrame:
    """Every speaker says every word several times."""
    rows = [
        (f"s{speaker}/w{word}/{take}", f"s{speaker}", f"w{word}")
        for speaker in range(N_SPEAKERS)
        for word in range(N_WORDS)
        for take in range(N_EACH)
    ]
    return pd.DataFrame(rows, columns=["id", "speaker", "label"])


def noise(n_layers: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N_SPEAKERS * N_WORDS * N_EACH, n_layers, DIM))


def planted(of: pd.Series, layer: int, strength: float = 4.0, n_layers: int = 3) -> np.ndarray:
    """Noise, with a direction of its own for each value at one layer."""
    pooled = noise(n_layers)
    pooled[np.arange(len(of)), layer, pd.factorize(of)[0] % DIM] += strength
    return pooled


def test_a_planted_keyword_is_found_at_its_layer() -> None:
    table = recordings()
    probed = linear_probe(planted(table["label"], 1), table["label"].to_numpy(), table["speaker"].to_numpy(), seed=0)
    assert probed.hits.mean() > 0.9
    assert probed.layers == (1,) * 5


@pytest.mark.slow
def test_noise_stays_at_chance_with_many_layers() -> None:
    table = recordings()
    labels, speakers = table["label"].to_numpy(), table["speaker"].to_numpy()
    rates = [linear_probe(noise(8, seed), labels, speakers, seed=seed).hits.mean() for seed in range(2)]
    assert abs(np.mean(rates) - 1 / N_WORDS) < 0.1  # 320 recordings: two standard errors are .05


def test_speaker_specific_codes_do_not_help_with_other_speakers() -> None:
    """A code for each word of each speaker: other recordings of the speaker would make the word easy."""
    table = recordings()
    labels, speakers = table["label"].to_numpy(), table["speaker"].to_numpy()
    codes = pd.factorize(table["speaker"] + table["label"])[0]
    pooled = np.eye(N_SPEAKERS * N_WORDS)[codes][:, None]
    assert linear_probe(pooled, labels, None, seed=0).hits.mean() == 1.0
    assert linear_probe(pooled, labels, speakers, seed=0).hits.mean() < 0.45


@pytest.mark.slow
@pytest.mark.parametrize(("probe", "n_classes"), [("keyword", N_WORDS), ("speaker", N_SPEAKERS)])
def test_the_summary_has_target_untrained_and_chance(probe: str, n_classes: int) -> None:
    table = recordings()
    labelled = table if probe == "keyword" else table.assign(label=table["speaker"])
    ids = pd.Index(table["id"], dtype=object)
    scores = pd.DataFrame({"pretext_score_mask0": 1.0, "pretext_score_mask1": 2.0}, index=ids)
    signals = {
        "target": Signals(scores, planted(labelled["label"], 2, strength=2.5).astype(np.float32)),
        "untrained": Signals(scores[[]], noise(3).astype(np.float32)),
    }
    utility = summarise(signals, labelled, UtilitySettings(probe), 0.4)  # type: ignore[arg-type]
    assert (utility.n_recordings, utility.n_speakers, utility.n_classes) == (160, N_SPEAKERS, n_classes)
    assert utility.chance == 1 / n_classes
    assert utility.target is not None and utility.untrained is not None
    (low, high), accuracy = utility.target.accuracy_ci95, utility.target.accuracy
    assert low < accuracy < high
    assert accuracy > 0.5
    assert utility.untrained.accuracy < utility.chance + 0.1
    assert (utility.pretext, utility.pretext_untrained, utility.mask_probability) == (1.5, None, 0.4)


def test_models_are_compared_under_common_masks() -> None:
    models = [TERA(n_layers=1, dim=16, mask_probability=probability) for probability in (0.15, 0.6)]
    assert [CommonTask(1, 0, 0.3).mask_distribution(model) for model in models] == [SpanMask(0.3, 7)] * 2
    assert [CommonTask(1, 0).mask_distribution(model) for model in models] == [SpanMask(0.15, 7), SpanMask(0.6, 7)]
    assert CommonTask(1, 0, 0.3).mask_distribution(CPC(dim=8, n_steps=3)) is None
    assert CommonTask(1, 0, 0.3).fingerprint() != CommonTask(1, 0).fingerprint()
