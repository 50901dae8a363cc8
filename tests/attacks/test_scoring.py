import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import default_attacks
from lightning_mia.attacks.scoring import as_control, score_attacks
from lightning_mia.probe.signals import Signals
from lightning_mia.split import SpeakerDesign, Split, UtteranceDesign


def table() -> pd.DataFrame:
    rows = [(f"s{s:02d}/u{u}", f"s{s:02d}") for s in range(20) for u in range(12)]
    return pd.DataFrame(rows, columns=["id", "speaker"]).assign(path="")


def planted(split: Split) -> Signals:
    """Signals of a model that solves its task better on what it was trained on, and knows nothing else."""
    rng = np.random.default_rng(0)
    ids = split.table["id"]
    scalars = pd.DataFrame(
        {
            "pairwise_cosine_layer0": rng.uniform(-1, 1, len(ids)),
            "pretext_score_mask0": rng.standard_normal(len(ids)) + 3 * split.table["trained"].to_numpy(),
        },
        index=list(ids),
    )
    return Signals(scalars, rng.standard_normal((len(ids), 1, 8)).astype(np.float32))


def auroc(scores: np.ndarray, members: np.ndarray) -> float:
    return float((scores[members][:, None] > scores[~members][None]).mean())


def test_utterance_level_finds_the_planted_leak_where_it_is() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = UtteranceDesign(n_units=120, n_auxiliary=40).draw(table(), contents)
    found = {
        scores.name: scores
        for scores in score_attacks(default_attacks(), planted(split), split, "utterance", "trained")
    }
    assert set(found) == {"utterance_similarity", "pretext_loss"}
    assert auroc(found["pretext_loss"].values, found["pretext_loss"].members) > 0.95
    assert 0.35 < auroc(found["utterance_similarity"].values, found["utterance_similarity"].members) < 0.65


def test_speaker_level_asks_held_back_and_trained_recordings_apart() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = SpeakerDesign(n_units=16, n_auxiliary=4).draw(table(), contents)
    found = {
        scores.name: scores
        for part in ("held_back", "trained")
        for scores in score_attacks(default_attacks(), planted(split), split, "speaker", part)
    }
    assert set(found) == {
        "speaker_similarity",
        "speaker_similarity_trained",
        "pretext_loss",
        "pretext_loss_trained",
    }
    assert len(found["pretext_loss"].unit_ids) == 16
    assert auroc(found["pretext_loss_trained"].values, found["pretext_loss_trained"].members) == 1.0
    assert auroc(found["pretext_loss"].values, found["pretext_loss"].members) == pytest.approx(0.5, abs=0.35)


def test_a_control_is_named_for_its_model_and_has_no_access() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = UtteranceDesign(n_units=120, n_auxiliary=40).draw(table(), contents)
    control = as_control(
        score_attacks(default_attacks(), planted(split), split, "utterance", "trained")[-1], "untrained"
    )
    assert (control.name, control.access) == ("untrained_pretext_loss", "none")
