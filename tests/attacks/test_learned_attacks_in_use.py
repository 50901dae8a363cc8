"""The learned attacks as a config names them, and on the frames of a real model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.attacks import Attack, Evidence
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.learned_similarity import LearnedSpeakerSimilarity, LearnedUtteranceSimilarity
from lightning_mia.utilities.errors import InputError

EvidenceOf = Callable[..., Evidence]
BOTH = [("utterance", LearnedUtteranceSimilarity), ("speaker", LearnedSpeakerSimilarity)]
QUICK = FitSettings(learning_rate=0.01, epochs=4)


def test_names_say_what_is_not_the_default() -> None:
    assert LearnedUtteranceSimilarity().name == "learned_utterance_similarity"
    assert LearnedSpeakerSimilarity(layer=2).name == "learned_speaker_similarity_layer2"
    fit = FitSettings(learning_rate=1e-3, epochs=30)
    name = LearnedUtteranceSimilarity(fit=fit, paper_protocol=True).name
    assert name == "learned_utterance_similarity_lr0.001_epochs30_paper_protocol"


def test_k_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="k of LearnedSpeakerSimilarity is 0"):
        LearnedSpeakerSimilarity(k=0)


def test_a_config_can_name_them() -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--attacks", type=list[Attack])
    arguments = {"k": 20, "fit": {"learning_rate": 1e-3}, "paper_protocol": True}
    config = parser.parse_object(
        {"attacks": [{"class_path": f"{one.__module__}.{one.__name__}", "init_args": arguments} for _, one in BOTH]}
    )
    for attack, (_, expected) in zip(parser.instantiate(config).attacks, BOTH, strict=True):
        assert isinstance(attack, expected)
        assert (attack.k, attack.fit.learning_rate, attack.fit.epochs, attack.paper_protocol) == (20, 1e-3, 20, True)


def test_a_real_model_is_asked_for_its_frames(tiny_manifest: Path, evidence_of: EvidenceOf) -> None:
    from lightning_mia.corpora import Manifest
    from lightning_mia.corpora.audio.cache import decode
    from lightning_mia.corpora.loading.datasets import Recordings
    from lightning_mia.models.tera import TERA
    from lightning_mia.signals.runner.frames import FrameStream

    audio = decode(Manifest(str(tiny_manifest)).table(), progress=False)
    ids = list(audio.index.index)
    torch.manual_seed(0)
    model = TERA(dim=16, n_heads=2, feedforward_dim=32).eval()
    frames = {name: torch.zeros(2, 2) for name in ids}
    for level, attack in BOTH:
        evidence = evidence_of(frames, [name for name in ids if name < "s04"], level)
        found = []
        for batch_seconds, cache_bytes in ((2.0, 2**30), (6.0, 0)):
            stream = FrameStream(model, Recordings(audio, ids), batch_seconds)
            state = torch.get_rng_state()
            scores = attack(fit=replace(QUICK, cache_bytes=cache_bytes)).score(replace(evidence, frames=stream))
            assert torch.equal(torch.get_rng_state(), state)
            found.append(scores)
        assert np.isfinite(found[0]).all() and found[0].nunique() > 1
        pd.testing.assert_series_equal(*found, rtol=1e-3, check_exact=False)
