import itertools

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import Attack, Evidence, SpeakerSimilarity, UtteranceSimilarity
from lightning_mia.signals.table import Signals

IDS = [f"s{speaker}/u{clip}" for speaker in range(5) for clip in range(4)]


@pytest.fixture
def signals() -> Signals:
    rng = np.random.default_rng(0)
    scalars = pd.DataFrame(
        {
            "pairwise_cosine_layer0": rng.uniform(-1, 1, len(IDS)),
            "pairwise_cosine_layer1": rng.uniform(-1, 1, len(IDS)),
        },
        index=IDS,
    )
    return Signals(scalars, rng.standard_normal((len(IDS), 2, 8)).astype(np.float32))


def challenge(level: str) -> pd.DataFrame:
    table = pd.DataFrame({"id": IDS, "speaker": [name.split("/")[0] for name in IDS]})
    table["unit_id"] = table["id"] if level == "utterance" else table["speaker"]
    return table.sample(frac=1, random_state=0)  # the order of the rows must not matter


def test_utterance_similarity_is_one_minus_the_mean_cosine(signals: Signals) -> None:
    scores = UtteranceSimilarity(layer=0).score(Evidence(signals, challenge("utterance")))
    assert np.allclose(scores.loc[IDS], 1 - signals.scalars["pairwise_cosine_layer0"])


def test_speaker_similarity_equals_the_double_loop(signals: Signals) -> None:
    scores = SpeakerSimilarity().score(Evidence(signals, challenge("speaker")))
    for speaker in range(5):
        vectors = signals.pooled[4 * speaker : 4 * speaker + 4, 1].astype(float)
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in itertools.combinations(vectors, 2)]
        assert scores[f"s{speaker}"] == pytest.approx(np.mean(cosines), abs=1e-12)


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (UtteranceSimilarity(), "utterance_similarity"),
        (UtteranceSimilarity(layer=3), "utterance_similarity_layer3"),
        (SpeakerSimilarity(layer=0), "speaker_similarity_layer0"),
    ],
)
def test_names_show_layers_other_than_the_last(attack: Attack, name: str) -> None:
    assert attack.name == name
