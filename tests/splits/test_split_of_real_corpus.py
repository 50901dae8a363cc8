import os
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.splits import SpeakerDesign, UtteranceDesign

CORPORA = os.environ.get("LIGHTNING_MIA_CORPORA")
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(CORPORA is None, reason="LIGHTNING_MIA_CORPORA does not name a folder of corpora"),
]


@pytest.fixture
def corpus():
    manifest = Path(str(CORPORA)) / "arabic-speech-commands" / "manifest.csv"
    table = pd.read_csv(manifest, dtype=str)
    return table, dict(zip(table["id"], table["id"], strict=True))  # contents made up: all of them differ


def test_utterance_split_of_20_speakers(corpus):
    split = UtteranceDesign(400, 200).draw(*corpus, n_shadows=4, seed=1)
    roles = split.table.groupby("speaker")["role"].value_counts().unstack()
    assert (roles == pd.Series({"auxiliary": 10, "member": 10, "nonmember": 10})).all(axis=None)
    assert {len(split.training_ids(model)) for model in ("target", *split.shadows)} == {200}


def test_speaker_split_of_20_speakers(corpus):
    split = SpeakerDesign().draw(*corpus, n_shadows=4, seed=1)
    assert split.table.drop_duplicates("speaker")["target"].sum() == 8
    assert split.table["speaker"][split.table["role"] == "auxiliary"].nunique() == 4
    assert split.challenge("speaker")["unit_id"].value_counts().eq(10).all()
    assert {len(split.training_ids(model)) for model in ("target", *split.shadows)} == {160}
