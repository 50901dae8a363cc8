"""Whisper's decoder: losses of given transcripts, with the checkpoint's own tokenizer, language and task."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder, PretrainedRecogniser
from lightning_mia.utilities.errors import InputError

Save = Callable[..., Path]
TEXTS = {"a": "no", "b": "Zero  one, go on", "c": "über"}
DURATIONS = {"a": 0.5, "b": 2.4, "c": 1.2}


@pytest.fixture(scope="module")
def batch(make_batch: Callable[..., Any]) -> Batch:
    return Batch(list(TEXTS), *make_batch(*DURATIONS.values()), tuple(TEXTS.values()))


def recogniser(folder: Path, texts: dict[str, str] = TEXTS, **settings: Any) -> PretrainedRecogniser:
    model = PretrainedEncoder(str(folder), **settings).for_corpus(texts, DURATIONS)
    assert isinstance(model, PretrainedRecogniser)
    return model.eval()


def losses(model: PretrainedRecogniser, batch: Batch) -> list[float]:
    """Inverse of the log-odds of exp(−loss)."""
    nothing = torch.empty(0)
    with torch.inference_mode():
        scores = model.task_scores(batch, nothing, nothing)
    assert set(scores) == {"token_score"}
    return torch.nn.functional.softplus(-scores["token_score"]).tolist()


def losses_of_transformers(folder: Path, batch: Batch, **prefix: str) -> list[float]:
    """Loss of every recording alone, by transformers and the checkpoint's processor."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    processor.tokenizer.set_prefix_tokens(**prefix)
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    alone = []
    for waveform, length, text in zip(batch.waveforms, batch.lengths.tolist(), batch.texts, strict=True):
        inputs = processor(waveform[:length].numpy(), sampling_rate=16_000, return_tensors="pt")
        labels = processor.tokenizer(" ".join(text.split()), return_tensors="pt").input_ids[:, 1:]
        with torch.inference_mode():
            alone.append(float(model(input_features=inputs.input_features, labels=labels).loss))
    return alone


@pytest.mark.parametrize("task", ["transcribe", "translate"])
def test_losses_equal_those_of_transformers_alone(task: str, save_whisper: Save, batch: Batch) -> None:
    folder = save_whisper({"language": "german", "task": task})
    expected = losses_of_transformers(folder, batch, language="german", task=task)
    assert losses(recogniser(folder), batch) == pytest.approx(expected, rel=1e-5)


def test_the_language_comes_from_the_user_the_tokenizer_or_the_generation_settings(save_whisper: Save) -> None:
    both, generation = save_whisper({"language": "german"}, language="fr"), save_whisper(language="<|fr|>")
    prefixes = {
        "<|de|>": recogniser(both),
        "<|fr|>": recogniser(generation),
        "<|es|>": recogniser(both, language="Spanish"),
    }
    for token, model in prefixes.items():
        ids = model.head.tokenizer("no").input_ids[:4]
        expected = ["<|startoftranscript|>", token, "<|transcribe|>", "<|notimestamps|>"]
        assert model.head.tokenizer.convert_ids_to_tokens(ids) == expected


def test_an_english_checkpoint_has_neither_language_nor_task(save_whisper: Save, batch: Batch) -> None:
    folder = save_whisper(is_multilingual=False)
    assert losses(recogniser(folder), batch) == pytest.approx(losses_of_transformers(folder, batch), rel=1e-5)
    with pytest.raises(InputError, match=r"transcribes English only; leave out model\.language=de"):
        recogniser(folder, language="de")


def test_training_minimises_the_same_loss(save_whisper: Save, batch: Batch) -> None:
    folder = save_whisper({"language": "en"})
    model = recogniser(folder).train()  # Whisper's own dropout is 0
    output = model.training_loss(batch)
    expected = losses_of_transformers(folder, batch, language="en", task="transcribe")
    assert output.loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-5)
    output.loss.backward()
    unused = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert unused == []


def test_a_language_that_is_not_its_is_refused(save_whisper: Save, save_recogniser: Save) -> None:
    folder = save_whisper(lang_to_id={"<|en|>": 258, "<|de|>": 260})
    with pytest.raises(InputError, match=r"does not know the language klingon; its languages are en; de$"):
        recogniser(folder, language="klingon")
    with pytest.raises(InputError, match=r"does not know the language fr; its languages are en; de$"):
        recogniser(folder, language="fr")
    with pytest.raises(InputError, match=r"transcribes 2 languages and does not say which one: give --model\.language"):
        recogniser(folder)
    with pytest.raises(InputError, match=r"model\.language is en, but .* is hubert: only Whisper has one"):
        recogniser(save_recogniser("hubert"), language="en")


def test_the_hash_covers_the_language(save_whisper: Save) -> None:
    folder = save_whisper({"language": "en"})
    assert recogniser(folder).weights_sha256() != recogniser(folder, language="de").weights_sha256()


def test_a_missing_or_foreign_tokenizer_is_refused(save_checkpoint: Save, save_whisper: Save) -> None:
    with pytest.raises(InputError, match=r"has no vocabulary: neither tokenizer\.json nor vocab\.json"):
        recogniser(save_checkpoint("whisper", "ForConditionalGeneration"))
    damaged = save_whisper({"language": "en"})
    (damaged / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match=r"The vocabulary of .* cannot be used"):
        recogniser(damaged)


def test_a_transcript_longer_than_the_decoder_is_refused(save_whisper: Save) -> None:
    folder = save_whisper({"language": "en"})
    with pytest.raises(InputError, match=r"1 transcripts have more than the 40 tokens .*: b \(54\); leave out"):
        recogniser(folder, {**TEXTS, "b": 50 * "a"})


def test_recordings_that_are_cut_are_named(save_whisper: Save, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_whisper({"language": "en"})
    with caplog.at_level(logging.WARNING):
        PretrainedEncoder(str(folder)).for_corpus(TEXTS, {**DURATIONS, "c": 3.5})
    assert "takes 3 s, so that 1 transcripts are scored with the beginning" in caplog.text
