import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import Evidence
from lightning_mia.attacks.loss import CTCLoss, PretextLoss
from lightning_mia.attacks.runner.scoring import score_attacks
from lightning_mia.signals.table import Signals
from lightning_mia.splits import UtteranceDesign

IDS = [f"s{speaker:02d}/u{clip}" for speaker in range(20) for clip in range(6)]


def signals(scores: np.ndarray) -> Signals:
    scalars = pd.DataFrame({"ctc_score": scores, "ctc_words": 1.0, "pairwise_cosine_layer0": 0.0}, index=IDS)
    return Signals(scalars, np.zeros((len(IDS), 1, 2), np.float32))


def challenge(level: str) -> pd.DataFrame:
    table = pd.DataFrame({"id": IDS, "speaker": [name.split("/")[0] for name in IDS]})
    table["unit_id"] = table["id"] if level == "utterance" else table["speaker"]
    return table.sample(frac=1, random_state=0)  # the order of the rows must not matter


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_pretext_loss_is_the_mean_score_of_a_unit(level: str) -> None:
    masks = np.random.default_rng(0).standard_normal((len(IDS), 2))
    table = pd.DataFrame(masks, index=IDS, columns=["pretext_score_mask0", "pretext_score_mask1"])
    scores = PretextLoss().score(Evidence(Signals(table, np.zeros((len(IDS), 1, 2))), challenge(level)))
    unit = "s03" if level == "speaker" else "s03/u1"
    expected = table.mean(axis=1)[[name for name in IDS if name.startswith(unit)]].mean()
    assert scores[unit] == pytest.approx(expected)
    assert len(scores) == (20 if level == "speaker" else 120)
    assert PretextLoss().name == "pretext_loss"


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_ctc_loss_is_the_mean_score_of_a_unit(level: str) -> None:
    scores = np.random.default_rng(0).standard_normal(len(IDS))
    result = CTCLoss().score(Evidence(signals(scores), challenge(level)))
    for unit in challenge(level)["unit_id"].unique():
        assert result[unit] == pytest.approx(np.mean([s for name, s in zip(IDS, scores, strict=True) if unit in name]))
    assert len(result) == challenge(level)["unit_id"].nunique()


def test_ctc_loss_finds_a_planted_leak() -> None:
    table = challenge("utterance")[["id", "speaker"]].assign(path="")
    split = UtteranceDesign(n_units=80, n_auxiliary=20).draw(table, pd.Series(IDS, index=IDS))
    trained = split.table.set_index("id")["trained"].reindex(IDS, fill_value=False).to_numpy(dtype=bool)
    planted = signals(np.random.default_rng(0).standard_normal(len(IDS)) + 3 * trained)
    (scores,) = score_attacks([CTCLoss()], planted, split, "utterance", "trained").scores
    assert (scores.name, scores.access, scores.two_sided) == ("ctc_loss", "grey-box", False)
    members = scores.members
    assert (scores.values[members][:, None] > scores.values[~members][None]).mean() > 0.95


def test_ctc_loss_is_skipped_without_fine_tuning() -> None:
    table = challenge("utterance")[["id", "speaker"]].assign(path="")
    split = UtteranceDesign(n_units=80, n_auxiliary=20).draw(table, pd.Series(IDS, index=IDS))
    bare = signals(np.zeros(len(IDS)))
    bare = Signals(bare.scalars[["pairwise_cosine_layer0"]], bare.pooled)
    scored = score_attacks([CTCLoss()], bare, split, "utterance", "trained")
    assert not scored.scores
    assert "needs the ctc score" in scored.skipped[0]
