"""The corpora, settings and encoders that CTC takes, and those that it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.ctc import CTC
from lightning_mia.models.hubert import MelHuBERT
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
TEXTS = {"a": "no", "b": "Zero  one", "c": "go on"}
DURATIONS = {"a": 0.2, "b": 1.2, "c": 0.7}


def save(model: SpeechModel, path: Path) -> str:
    """Save what Lightning saves of a model."""
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return str(path)


@pytest.fixture(scope="module")
def mel_hubert(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    model = MelHuBERT(dim=16, n_heads=2, feedforward_dim=32, n_clusters=8)
    return save(model, tmp_path_factory.mktemp("encoder") / "mel_hubert.ckpt")


def test_characters_are_those_of_the_whole_corpus_in_any_order(mel_hubert: str) -> None:
    model = CTC(mel_hubert, head_dropout=0.3)
    forwards = model.for_corpus(TEXTS, DURATIONS)
    backwards = model.for_corpus(dict(reversed(TEXTS.items())), dict(reversed(DURATIONS.items())))
    assert forwards.hparams["characters"] == backwards.hparams["characters"] == " egnorz"
    assert forwards.hparams["head_dropout"] == 0.3
    assert forwards.head.out_features == 8
    assert CTC(mel_hubert, fold_case=False).for_corpus(TEXTS, DURATIONS).hparams["characters"] == " Zegnor"


def test_characters_that_are_given_are_kept(mel_hubert: str) -> None:
    model = CTC(mel_hubert, characters="zyx onger")
    assert model.for_corpus(TEXTS, DURATIONS).hparams["characters"] == "zyx onger"
    with pytest.raises(InputError, match=r"characters that model\.characters lacks: 'q'; 'ü'"):
        model.for_corpus({"a": "qüe"}, {"a": 1.0})


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "3 of 3 recordings have none: a; b; c"),
        ({"a": "no", "b": " \t", "c": ""}, "2 of 3 recordings have none: b; c"),
        ({**TEXTS, "a": "nooooo"}, r"1 transcripts need more frames .*: a \(10 needed, 9 there\)"),
        ({**TEXTS, "a": "noooon"}, ""),
    ],
)
def test_a_corpus_that_cannot_be_trained_on_is_refused(mel_hubert: str, texts: dict[str, str], said: str) -> None:
    model = CTC(mel_hubert)
    if not said:
        model.for_corpus(texts, DURATIONS)
        return
    with pytest.raises(InputError, match=said) as error:
        model.for_corpus(texts, DURATIONS)
    assert "\n" not in str(error.value)


def test_the_longest_text_that_is_let_through_has_a_finite_loss(mel_hubert: str, make_batch: MakeBatch) -> None:
    """And one character more has not: the check is neither too strict nor too lax."""
    waveforms, lengths = make_batch(0.2)
    batch = Batch(["a"], waveforms, lengths, ("noooon",))
    model = CTC(mel_hubert).for_corpus({"a": "noooon"}, {"a": 0.2})
    assert model.training_loss(batch).loss.isfinite()
    assert not model.training_loss(batch._replace(texts=("nooooo",))).loss.isfinite()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layer_decay": 0.0}, "layer_decay in"),
        ({"layer_decay": 1.5}, "layer_decay in"),
        ({"time_mask_probability": 2.0}, "mask_probability in"),
        ({"characters": "aa"}, "twice"),
    ],
)
def test_settings_that_make_no_sense_are_refused(mel_hubert: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CTC(mel_hubert, **settings)


def test_time_masks_want_an_encoder_that_hides_frames(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a family that hides no frames"):
        CTC(save(CPC(dim=16, n_negatives=5), tmp_path / "cpc.ckpt"), time_mask_probability=0.1)


def test_an_encoder_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.ckpt does not exist"):
        CTC(str(tmp_path / "nothing.ckpt"))
