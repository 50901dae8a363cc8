from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters_context
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import initialise, load_model
from lightning_mia.models.cpc import CPC
from lightning_mia.models.ctc import CTC
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.objectives.transcripts import loss_per_character
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
SMALL = {"dim": 16, "n_heads": 2, "feedforward_dim": 32}
ENCODERS: dict[str, Callable[[], SpeechModel]] = {
    "tera": lambda: TERA(**SMALL),
    "mel_hubert": lambda: MelHuBERT(**SMALL, n_clusters=8),
    "hubert": lambda: HuBERT(**SMALL, n_clusters=8, conv_channels=8, conv_group_norm=True),
    "wav2vec2": lambda: Wav2Vec2(**SMALL, conv_channels=8, n_negatives=5),
    "cpc": lambda: CPC(dim=16, n_negatives=5),
}
TEXTS = {"a": "no", "b": "Zero  one", "c": "go on"}
DURATIONS = {"a": 0.2, "b": 1.2, "c": 0.7}


def save(model: SpeechModel, path: Path) -> str:
    """Save what Lightning saves of a model."""
    checkpoint: dict[str, Any] = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams)}
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, path)
    return str(path)


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_batch: MakeBatch) -> str:
    """Checkpoints of pretrained encoders, one of each family."""
    torch.manual_seed(0)
    model = ENCODERS[request.param]()
    model.fit_targets([make_batch(0.4, 0.9)])
    return save(model, tmp_path_factory.mktemp("encoders") / f"{request.param}.ckpt")


@pytest.fixture(scope="module")
def mel_hubert(tmp_path_factory: pytest.TempPathFactory, make_batch: MakeBatch) -> str:
    torch.manual_seed(0)
    model = ENCODERS["mel_hubert"]()
    model.fit_targets([make_batch(0.4, 0.9)])
    return save(model, tmp_path_factory.mktemp("encoder") / "mel_hubert.ckpt")


@pytest.fixture(scope="module")
def batch(make_batch: MakeBatch) -> Batch:
    return Batch(list(TEXTS), *make_batch(*DURATIONS.values()), tuple(TEXTS.values()))


def fine_tuned(encoder: str, **settings: Any) -> CTC:
    """A model with the characters of the corpus and random weights, as if trained for a while."""
    torch.manual_seed(1)
    return CTC(encoder, **settings).for_corpus(TEXTS, DURATIONS)


def one_by_one(batch: Batch) -> list[Batch]:
    return [
        Batch([batch.ids[i]], batch.waveforms[i : i + 1, :n], batch.lengths[i : i + 1], (batch.texts[i],))
        for i, n in enumerate(batch.lengths.tolist())
    ]


def draw_inputs(model: CTC, batch: Batch) -> tuple[Tensor, Tensor]:
    masks = model.draw_masks(batch.waveforms, batch.lengths).unsqueeze(0)
    return masks, torch.rand(*masks.shape, model.noise_dim, generator=torch.Generator().manual_seed(0))


def test_outputs_do_not_depend_on_the_batch(encoder: str, batch: Batch) -> None:
    model = fine_tuned(encoder).eval()
    masks, noise = draw_inputs(model, batch)
    with torch.inference_mode():
        together = model.task_scores(batch, masks, noise)
        for i, single in enumerate(one_by_one(batch)):
            frames = int(model.frame_lengths(single.lengths))
            alone = model.task_scores(single, masks[:, i : i + 1, :frames], noise[:, i : i + 1, :frames])
            assert alone.keys() == together.keys()
            for name, scores in together.items():
                torch.testing.assert_close(scores[..., i], alone[name][..., 0], rtol=1e-5, atol=1e-6)


def test_score_is_the_log_odds_of_the_geometric_mean(encoder: str, batch: Batch) -> None:
    model = fine_tuned(encoder).eval()
    with torch.no_grad():
        scores = model.task_scores(batch, *draw_inputs(model, batch))
        logits, lengths = model._logits(batch)
    labels = [model.vocabulary.labels(text) for text in ("no", "zero one", "go on")]
    p = np.exp(-loss_per_character(logits.double(), lengths, labels).numpy())
    assert scores["ctc_score"].dtype == torch.float64
    assert np.allclose(scores["ctc_score"], np.log(p) - np.log1p(-p), rtol=1e-9)


@pytest.mark.parametrize("knows", [True, False])
def test_score_is_finite_for_certain_and_impossible_texts(mel_hubert: str, batch: Batch, knows: bool) -> None:
    """Logits so large that probabilities round to 1 in float64, for the text or for silence."""
    model = fine_tuned(mel_hubert).eval()

    def sure(of: Batch, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lengths = model.frame_lengths(of.lengths)
        logits = torch.zeros(len(of.ids), int(lengths.max()), len(model.vocabulary))
        for row, text in zip(logits, of.texts, strict=True):
            labels = model.vocabulary.labels(" ".join(text.lower().split())) if knows else []
            path = [label for character in labels for label in (character, 0)]
            row[torch.arange(len(row)), path + [0] * (len(row) - len(path))] = 1e3
        return logits, lengths

    model._logits = sure
    scores = model.task_scores(batch, *draw_inputs(model, batch))["ctc_score"]
    assert scores.isfinite().all()
    assert ((scores > 20) if knows else (scores < -990)).all()


def test_all_signals_are_returned(encoder: str, batch: Batch) -> None:
    model = fine_tuned(encoder).eval()
    masks, noise = draw_inputs(model, batch)
    with torch.no_grad():
        scores = model.task_scores(batch, masks.expand(2, -1, -1), noise.expand(2, -1, -1, -1))
    counts = {"ctc_word_errors", "ctc_words", "ctc_character_errors", "ctc_characters"}
    assert scores.keys() == counts | {"ctc_score", "pretext_score"}
    assert scores["pretext_score"].shape == (2, 3)
    assert scores["ctc_words"].tolist() == [1, 2, 2]
    assert scores["ctc_characters"].tolist() == [2, 8, 5]


def test_hidden_states_and_pretext_are_those_of_the_encoder(encoder: str, batch: Batch) -> None:
    model = fine_tuned(encoder).eval()
    audio, (masks, noise) = (batch.waveforms, batch.lengths), draw_inputs(model, batch)
    ours, theirs = ((m.encode(*audio, masks[0]), m.pretext_score(*audio, masks, noise)) for m in (model, model.encoder))
    assert all(torch.equal(a, b) for a, b in zip(ours[0].hidden, theirs[0].hidden, strict=True))
    assert torch.equal(ours[1], theirs[1])
    assert model.mask_span == model.encoder.mask_span
    assert model.family == f"{model.encoder.family}_ctc"


def test_encoder_weights_come_from_the_checkpoint_and_head_weights_from_the_seed(mel_hubert: str) -> None:
    like = fine_tuned(mel_hubert)
    first, second = initialise(like, seed=1), initialise(like, seed=2)
    weights = torch.load(mel_hubert, weights_only=True)["state_dict"]
    for model in (first, second):
        assert all(torch.equal(weights[name], tensor) for name, tensor in model.encoder.state_dict().items())
        assert model.training and model.encoder.training
    assert not torch.equal(first.head.weight, second.head.weight)
    assert torch.equal(first.head.weight, initialise(like, seed=1).head.weight)


def test_command_line_settings_apply_to_the_outer_model_only(mel_hubert: str) -> None:
    """LightningCLI passes its settings to every model constructed meanwhile, including the encoder."""
    settings = {"encoder": mel_hubert, "layer_decay": 0.5, "_class_path": "lightning_mia.models.CTC"}
    with _given_hyperparameters_context(settings, "some.instantiator"):
        model = CTC(mel_hubert, layer_decay=0.5)
    assert model.encoder.hparams["n_clusters"] == 8
    assert model.for_corpus(TEXTS, DURATIONS).hparams["layer_decay"] == 0.5


def test_trained_model_loads_from_its_checkpoint(mel_hubert: str, tmp_path: Path, batch: Batch) -> None:
    model = fine_tuned(mel_hubert, fold_case=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    path = Path(save(model, tmp_path / "model.ckpt"))
    again = load_model(path, fine_tuned(mel_hubert, fold_case=False))
    with torch.no_grad():
        logits = [m.eval()._logits(batch)[0] for m in (again, model)]
    assert torch.equal(*logits)


def test_weights_hash_is_that_of_the_encoder_file(mel_hubert: str, tmp_path: Path) -> None:
    copy = tmp_path / "encoder.ckpt"
    copy.write_bytes(Path(mel_hubert).read_bytes())
    assert CTC(str(copy)).weights_sha256() == CTC(mel_hubert).weights_sha256() == hash_of_file(copy)
    torch.manual_seed(5)
    save(ENCODERS["mel_hubert"](), copy)
    assert CTC(str(copy)).weights_sha256() != CTC(mel_hubert).weights_sha256()


def learns(model: CTC) -> dict[str, bool]:
    return {name: parameter.requires_grad for name, parameter in model.named_parameters()}


def test_only_trainable_parameters_get_a_gradient(encoder: str, batch: Batch) -> None:
    """Otherwise training on several processes would wait for ever."""
    hides_frames = CTC(encoder).mask_span is not None
    for settings in ({}, {"time_mask_probability": 0.3 * hides_frames, "freeze_front_end": False}):
        model = fine_tuned(encoder, **settings)
        model.training_loss(batch).loss.backward()
        assert {name: p.grad is not None for name, p in model.named_parameters()} == learns(model)
        grouped = {id(p) for group in model.parameter_groups() for p in group["params"]}
        assert grouped == {id(p) for p in model.parameters() if p.requires_grad}


def test_pretext_heads_are_frozen_and_the_front_end_optionally(tmp_path: Path) -> None:
    path = save(ENCODERS["hubert"](), tmp_path / "hubert.ckpt")
    frozen, free = learns(CTC(path)), learns(CTC(path, freeze_front_end=False))
    assert not any(frozen[name] for name in frozen if "front_end" in name)
    assert all(free[name] for name in free if "front_end" in name)
    heads = ("encoder.codes", "encoder.code_projection.weight", "encoder.mask_embedding")
    assert not any(free[name] for name in heads)
    assert free["encoder.transformer.layers.0.feedforward.0.weight"]
    assert learns(CTC(path, time_mask_probability=0.2))["encoder.mask_embedding"]


def test_layer_decay_reaches_the_optimizer(mel_hubert: str) -> None:
    model = fine_tuned(mel_hubert, layer_decay=0.5, learning_rate=0.8)
    rate = {id(p): group["lr"] for group in model.parameter_groups() for p in group["params"]}
    assert rate[id(model.head.weight)] == 0.8
    assert rate[id(model.encoder.transformer.layers[1].attention_norm.weight)] == 0.4
    assert rate[id(model.encoder.transformer.layers[0].attention_norm.weight)] == 0.2
    assert rate[id(model.encoder.projection.weight)] == pytest.approx(0.1)


def test_time_masks_apply_in_training_only(mel_hubert: str, batch: Batch) -> None:
    model = fine_tuned(mel_hubert, time_mask_probability=0.5, head_dropout=0.0)
    torch.manual_seed(0)
    first, second = model.training_loss(batch).loss, model.training_loss(batch).loss
    assert first != second
    scores = [model.eval().task_scores(batch, *draw_inputs(model, batch))["ctc_score"] for _ in range(2)]
    assert torch.equal(*scores)
    plain = fine_tuned(mel_hubert, head_dropout=0.0)
    assert plain.training_loss(batch).loss == plain.training_loss(batch).loss


def test_bf16_keeps_the_loss_in_float32(mel_hubert: str, batch: Batch) -> None:
    model = fine_tuned(mel_hubert, head_dropout=0.0)
    full = model.training_loss(batch).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.training_loss(batch).loss
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), rel=0.02)


HUGGING_FACE = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.mark.parametrize("family", ["Wav2Vec2", "WavLM", "Data2VecAudio"])
def test_hugging_face_encoder_is_fine_tuned(family: str, tmp_path: Path, batch: Batch) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = getattr(transformers, f"{family}Model")(getattr(transformers, f"{family}Config")(**HUGGING_FACE))
    theirs.save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(tmp_path)
    model = fine_tuned(str(tmp_path), layer_decay=0.5, learning_rate=1.0)
    assert len(model.weights_sha256()) == 64
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in model.parameter_groups() for p in group["params"]}
    assert {rate for name, rate in rates.items() if ".layers.1.attention" in name} == {0.5}
    assert {rate for name, rate in rates.items() if ".layers.0.attention" in name} == {0.25}
    assert not any("feature_extractor" in name for name in rates)
    model.training_loss(batch).loss.backward()
    assert {name: p.grad is not None for name, p in model.named_parameters()} == learns(model)
    with torch.no_grad():
        scores = model.eval().task_scores(batch, *draw_inputs(model, batch))
    assert {name for name in scores if not name.startswith("ctc_")} <= {"pretext_score"}
    again = load_model(Path(save(model, tmp_path / "fine_tuned.ckpt")), model)
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())


class Spoken(L.LightningDataModule):
    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader([self.batch], batch_size=None)


class Figures(L.Callback):
    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *args: object) -> None:
        self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items()})


@pytest.mark.slow
def test_short_training_memorises_the_texts(mel_hubert: str, batch: Batch) -> None:
    model, figures = fine_tuned(mel_hubert, learning_rate=2e-2, head_dropout=0.0), Figures()
    heads = {name: tensor.clone() for name, tensor in model.state_dict().items() if ".code" in name}
    before = model.eval().task_scores(batch, *draw_inputs(model, batch))
    trainer = L.Trainer(
        max_epochs=80, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, log_every_n_steps=1, callbacks=[figures], gradient_clip_val=1.0,
    )  # fmt: skip
    trainer.fit(model.train(), Spoken(batch))
    after = model.eval().task_scores(batch, *draw_inputs(model, batch))
    assert (after["ctc_score"] > before["ctc_score"] + 1).all()
    assert after["ctc_word_errors"].sum() == 0
    assert figures.rows[-1]["train/word_error_rate"] == figures.rows[-1]["train/character_error_rate"] == 0
    assert 0 < figures.rows[-1]["train/blank_share"] < 1
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in heads.items())


def test_health_ignores_padding(mel_hubert: str, batch: Batch) -> None:
    model = fine_tuned(mel_hubert, head_dropout=0.0)
    with torch.no_grad():
        model.head.bias[0] = 1.0  # some blanks, and some characters
        health = model.training_loss(batch).health
        logits = [model._logits(single)[0][0] for single in one_by_one(batch)]
    paths = torch.cat([of_one.argmax(dim=1) for of_one in logits])
    guesses = [model.vocabulary.text(of_one.argmax(dim=1).tolist()) for of_one in logits]
    texts = ["no", "zero one", "go on"]
    assert 0.1 < health["blank_share"] < 0.9
    assert health["blank_share"].item() == pytest.approx((paths == 0).float().mean().item())
    assert health["word_error_rate"] == word_error_rate(guesses, texts)
    assert health["character_error_rate"] == char_error_rate(guesses, texts)


def test_blank_output_is_a_collapse(mel_hubert: str, batch: Batch) -> None:
    model = fine_tuned(mel_hubert)
    with torch.no_grad():
        model.head.bias[0] = 100.0
    health = {name: float(figure) for name, figure in model.training_loss(batch).health.items()}
    assert health == {"character_error_rate": 1.0, "word_error_rate": 1.0, "blank_share": 1.0}
    assert "blank" in model.collapse(health)
    assert model.collapse({**health, "blank_share": 0.99}) == ""


def test_fine_tuned_checkpoint_can_be_the_encoder(mel_hubert: str, tmp_path: Path, batch: Batch) -> None:
    inner = fine_tuned(mel_hubert)
    outer = CTC(save(inner, tmp_path / "inner.ckpt"))
    with torch.no_grad():
        hidden = [m.eval().encode(batch.waveforms, batch.lengths).hidden[-1] for m in (outer, inner)]
    assert torch.equal(*hidden)


def test_characters_come_from_the_corpus_in_any_order(mel_hubert: str) -> None:
    model = CTC(mel_hubert, head_dropout=0.3)
    forwards = model.for_corpus(TEXTS, DURATIONS)
    backwards = model.for_corpus(dict(reversed(TEXTS.items())), dict(reversed(DURATIONS.items())))
    assert forwards.hparams["characters"] == backwards.hparams["characters"] == " egnorz"
    assert forwards.hparams["head_dropout"] == 0.3
    assert forwards.head.out_features == 8
    assert CTC(mel_hubert, fold_case=False).for_corpus(TEXTS, DURATIONS).hparams["characters"] == " Zegnor"


def test_given_characters_are_kept(mel_hubert: str) -> None:
    model = CTC(mel_hubert, characters="zyx onger")
    assert model.for_corpus(TEXTS, DURATIONS).hparams["characters"] == "zyx onger"
    with pytest.raises(InputError, match=r"characters that model\.characters lacks: 'q'; 'ü'"):
        model.for_corpus({"a": "qüe"}, {"a": 1.0})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "3 of 3 recordings have none: a; b; c"),
        ({"a": "no", "b": " \t", "c": ""}, "2 of 3 recordings have none: b; c"),
        ({**TEXTS, "a": "nooooo"}, r"1 transcripts need more frames .*: a \(10 needed, 9 available\)"),
        ({**TEXTS, "a": "noooon"}, ""),
    ],
)
def test_unusable_corpora_are_refused(mel_hubert: str, texts: dict[str, str], message: str) -> None:
    model = CTC(mel_hubert)
    if not message:
        model.for_corpus(texts, DURATIONS)
        return
    with pytest.raises(InputError, match=message) as error:
        model.for_corpus(texts, DURATIONS)
    assert "\n" not in str(error.value)


def test_longest_accepted_text_has_a_finite_loss(mel_hubert: str, make_batch: MakeBatch) -> None:
    """And one character more has not: the check is neither too strict nor too lax."""
    waveforms, lengths = make_batch(0.2)
    batch = Batch(["a"], waveforms, lengths, ("noooon",))
    model = CTC(mel_hubert).for_corpus({"a": "noooon"}, {"a": 0.2})
    assert model.training_loss(batch).loss.isfinite()
    assert not model.training_loss(batch._replace(texts=("nooooo",))).loss.isfinite()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_decay": 0.0}, "layer_decay is 0.0: give more than 0 and at most 1"),
        ({"layer_decay": 1.5}, "layer_decay is 1.5: give more than 0"),
        ({"time_mask_probability": 2.0}, "mask_probability is 2.0: give 0 to 1"),
        ({"characters": "aa"}, "repeats"),
    ],
)
def test_invalid_settings_are_refused(mel_hubert: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CTC(mel_hubert, **settings)


def test_time_masks_require_an_encoder_that_masks(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hides no frames"):
        CTC(save(CPC(dim=16, n_negatives=5), tmp_path / "cpc.ckpt"), time_mask_probability=0.1)


def test_missing_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing.ckpt does not exist"):
        CTC(str(tmp_path / "nothing.ckpt"))
