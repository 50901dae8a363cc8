"""CTC checkpoints of transformers: losses and errors of transcripts, with the checkpoint's own vocabulary."""

import json
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
FAMILIES = [
    "wav2vec2",
    "wav2vec2_layer_norm",
    "hubert",
    "wavlm",
    "data2vec",
    "unispeech_sat",
    "conformer_relative",
    "wav2vec2_bert",
    "sew",
]
TEXTS = {"a": "no", "b": "Zero  one, go on", "c": "go\ton", "d": "bad dog"}
DURATIONS = {"a": 0.5, "b": 1.63, "c": 0.875, "d": 1.0}


@pytest.fixture(scope="module")
def batch(make_batch: Callable[..., Any]) -> Batch:
    return Batch(list(TEXTS), *make_batch(*DURATIONS.values()), tuple(TEXTS.values()))


def recogniser(folder: Path, texts: dict[str, str] = TEXTS) -> PretrainedRecogniser:
    model = PretrainedEncoder(str(folder)).for_corpus(texts, DURATIONS)
    assert isinstance(model, PretrainedRecogniser)
    return model.eval()


def scores(model: PretrainedRecogniser, batch: Batch) -> dict[str, torch.Tensor]:
    nothing = torch.empty(0)
    with torch.inference_mode():
        return model.task_scores(batch, nothing, nothing)


def losses_of_transformers(folder: Path, batch: Batch, change_case: Callable[[str], str] = str.upper) -> list[float]:
    """CTC loss per character of every recording alone, by transformers and the checkpoint's processor."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    delimiter = json.loads((folder / "tokenizer_config.json").read_text())["word_delimiter_token"]
    model = transformers.AutoModelForCTC.from_pretrained(folder, ctc_loss_reduction="mean").eval()
    losses = []
    for waveform, length, text in zip(batch.waveforms, batch.lengths.tolist(), batch.texts, strict=True):
        inputs = processor(waveform[:length].numpy(), sampling_rate=16_000, return_tensors="pt")
        labels = processor.tokenizer(change_case(delimiter.join(text.split())), return_tensors="pt").input_ids
        mask = inputs.pop("attention_mask", torch.ones(1, next(iter(inputs.values())).shape[1], dtype=torch.int32))
        with torch.inference_mode():
            losses.append(float(model(**inputs, attention_mask=mask, labels=labels).loss))
    return losses


def loss(ctc_score: torch.Tensor) -> list[float]:
    """Inverse of the log-odds of exp(−loss)."""
    return torch.nn.functional.softplus(-ctc_score).tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_equal_those_of_transformers_alone(family: str, save_recogniser: Save, batch: Batch) -> None:
    folder = save_recogniser(family)
    actual = scores(recogniser(folder), batch)["ctc_score"]
    assert loss(actual) == pytest.approx(losses_of_transformers(folder, batch), rel=1e-5)


def test_training_minimises_the_same_loss(save_recogniser: Save, batch: Batch) -> None:
    dropouts = ("hidden", "attention", "activation", "feat_proj", "final")
    folder = save_recogniser("hubert", **{f"{name}_dropout": 0.0 for name in dropouts})
    model = recogniser(folder).train()
    output = model.training_loss(batch)
    expected = losses_of_transformers(folder, batch)
    assert output.loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    output.loss.backward()
    unused = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert unused == []


@pytest.mark.parametrize(
    ("characters", "settings", "change_case"),
    [
        ("abdeginorz'", {}, str.lower),
        ("ABDEGINORZ'", {"do_lower_case": True}, str.upper),  # the tokenizer writes upper case itself
        ("ABDEGINORZabdeginorz", {}, str),
    ],
)
def test_transcripts_take_the_case_of_the_vocabulary(
    characters: str, settings: dict, change_case: Callable[[str], str], save_recogniser: Save, batch: Batch
) -> None:
    folder = save_recogniser("hubert", {"characters": characters, **settings})
    actual = loss(scores(recogniser(folder), batch)["ctc_score"])
    assert actual == pytest.approx(losses_of_transformers(folder, batch, change_case), rel=1e-5)


def test_the_blank_and_the_word_delimiter_are_those_of_the_checkpoint(save_recogniser: Save, batch: Batch) -> None:
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "_", *"abdeginorz,"]
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    folder = save_recogniser("wav2vec2", {"tokens": tokens, "word_delimiter_token": "_", **names})
    model = recogniser(folder)
    assert model.head.vocabulary.blank == 0
    assert model.head.vocabulary.labels("go on") == [tokens.index(token) for token in "go_on"]
    expected = losses_of_transformers(folder, batch, str.lower)
    assert loss(scores(model, batch)["ctc_score"]) == pytest.approx(expected, rel=1e-5)


def test_greedy_transcripts_equal_those_of_the_processor(save_recogniser: Save) -> None:
    folder = save_recogniser("hubert")
    vocabulary = recogniser(folder).head.vocabulary
    processor = transformers.AutoProcessor.from_pretrained(folder)
    path = torch.randint(len(processor.tokenizer), (400,), generator=torch.Generator().manual_seed(0)).tolist()
    path = [label for label in path if label != processor.tokenizer.unk_token_id]
    assert vocabulary.text(path) == " ".join(processor.decode(path).split())
    assert vocabulary.text([5, 5, vocabulary.blank, 5, 0, 0, 7]) == "GG N"


def test_errors_are_counted_in_the_case_of_the_vocabulary(
    save_recogniser: Save, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = recogniser(save_recogniser("hubert"))
    monkeypatch.setattr(model.head.vocabulary, "text", lambda path: "NO DOG")
    counts = {name: value.tolist() for name, value in scores(model, batch).items() if name != "ctc_score"}
    assert counts["ctc_words"] == [1, 4, 2, 2]
    assert counts["ctc_characters"] == [2, 15, 5, 7]
    assert counts["ctc_word_errors"] == [1, 4, 2, 1]


def test_unknown_and_unused_characters_are_named(save_recogniser: Save, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        recogniser(save_recogniser("hubert", {"characters": "ABDEGINORZQ"}))
    (unknown,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "1 of 4 transcripts hold 1 of 29 characters that the vocabulary of" in unknown
    assert "lacks: ','; they count as its unknown token [UNK]" in unknown
    (unused,) = [record.getMessage() for record in caplog.records if "no transcript" in record.getMessage()]
    assert unused.startswith("2 of 11 characters of") and unused.endswith("occur in no transcript: 'I'; 'Q'")


def test_transcripts_of_another_script_are_refused(save_recogniser: Save) -> None:
    texts = dict.fromkeys(TEXTS, "да нет")
    with pytest.raises(InputError, match=r"4 of 4 transcripts hold 20 of 24 characters .* lacks: 'А'; 'Д'; 'Е'"):
        recogniser(save_recogniser("hubert"), texts)


def test_an_unknown_character_without_an_unknown_token_is_refused(save_recogniser: Save) -> None:
    folder = save_recogniser("hubert", {"tokens": ["|", *"ABDEGINORZ", "[PAD]"], "unk_token": "[PAD]"}, vocab_size=12)
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]", "unk_token": "<unk>"}))
    with pytest.raises(InputError, match="lacks: ','; give transcripts in its language"):
        recogniser(folder)


def test_missing_transcripts_are_named(save_recogniser: Save, caplog: pytest.LogCaptureFixture) -> None:
    folder = save_recogniser("hubert")
    with pytest.raises(InputError, match=r"needs transcripts, and 2 of 4 recordings have none: a; c; add them"):
        recogniser(folder, {**TEXTS, "a": "", "c": " "})
    bare = PretrainedEncoder(str(folder)).for_corpus(dict.fromkeys(TEXTS, ""), DURATIONS)
    assert type(bare) is PretrainedEncoder
    assert "no transcripts, so that only its encoder is attacked" in caplog.text


def test_a_transcript_longer_than_its_recording_is_refused(save_recogniser: Save) -> None:
    with pytest.raises(InputError, match=r"1 transcripts need more frames .*: a \(95 needed, 24 available\)"):
        recogniser(save_recogniser("hubert"), {**TEXTS, "a": "no" + 23 * "oo" + "n"})


@pytest.mark.slow
def test_a_missing_or_foreign_vocabulary_is_refused(save_recogniser: Save, save_checkpoint: Save) -> None:
    with pytest.raises(InputError, match=r"has no vocabulary: vocab\.json is missing; save its processor"):
        recogniser(save_checkpoint("hubert", "ForCTC"))
    with pytest.raises(InputError, match=r"has the blank 3 \(pad_token_id\), but its vocabulary 13"):
        recogniser(save_recogniser("hubert", pad_token_id=3))
    with pytest.raises(InputError, match="has the label 13, but its output only 8 labels"):
        recogniser(save_recogniser("hubert", vocab_size=8, pad_token_id=13))
    phonemes = save_recogniser("hubert")
    (phonemes / "tokenizer_config.json").write_text('{"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}')
    with pytest.raises(InputError, match="is a Wav2Vec2PhonemeCTCTokenizer, but only Wav2Vec2CTCTokenizer"):
        recogniser(phonemes)
    damaged = save_recogniser("hubert")
    for content, problem in {
        "{": "The vocabulary of .* cannot be used",
        '{"eng": {"A": 0}, "fra": {"A": 0}}': "The vocabulary of .* cannot be used",
        '{"A": "0", "[PAD]": "1"}': "is not a table of characters and labels",
    }.items():
        (damaged / "vocab.json").write_text(content)
        with pytest.raises(InputError, match=problem):
            recogniser(damaged)


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("wav2vec2", {"output_hidden_size": 12}),
        ("wav2vec2_bert", {}),
        ("wav2vec2_bert", {"use_intermediate_ffn_before_adapter": True, "num_adapter_layers": 2}),
    ],
)
def test_losses_through_an_adapter_equal_those_of_transformers_alone(
    family: str, settings: dict, save_recogniser: Save, make_batch: Callable[..., Any]
) -> None:
    """Of recordings with an odd and an even number of log-mel frames."""
    texts = {"a": "no", "b": "on", "c": "go", "d": "zi"}
    folder = save_recogniser(family, add_adapter=True, **settings)
    batch = Batch(list(texts), *make_batch(0.5, 1.63, 0.875, 0.895), tuple(texts.values()))
    actual = scores(recogniser(folder, texts), batch)["ctc_score"]
    assert loss(actual) == pytest.approx(losses_of_transformers(folder, batch), rel=1e-5)


def test_a_missing_output_layer_is_refused(save_recogniser: Save, save_checkpoint: Save) -> None:
    folder, bare = save_recogniser("hubert"), save_checkpoint("hubert")
    (folder / "model.safetensors").write_bytes((bare / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"CTC output is incomplete: lm_head\.weight is missing; lm_head\.bias"):
        recogniser(folder)


def test_the_untrained_control_has_the_same_vocabulary(save_recogniser: Save, batch: Batch) -> None:
    model = recogniser(save_recogniser("hubert"))
    fresh = model.untrained().eval()
    assert isinstance(fresh, PretrainedRecogniser)
    assert not torch.equal(fresh.head.lm_head.weight, model.head.lm_head.weight)
    assert scores(fresh, batch).keys() == scores(model, batch).keys()
    assert fresh.weights_sha256() == "" != model.weights_sha256()


def test_the_hash_covers_the_vocabulary(save_recogniser: Save) -> None:
    folder = save_recogniser("hubert")
    before = recogniser(folder).weights_sha256()
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    assert recogniser(folder).weights_sha256() != before
