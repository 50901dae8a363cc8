"""Is an encoder of transformers pretrained further by its own task, or by HuBERT's, and asked as transformers would?"""

import copy
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_mia.data.batch import Batch
from lightning_mia.errors import InputError
from lightning_mia.models.contrastive import draw_negatives
from lightning_mia.models.features import LogMel
from lightning_mia.models.huggingface.cluster_head import ClusterHead, samples_per_frame
from lightning_mia.models.huggingface.contrastive_heads import ContrastiveHeads
from lightning_mia.models.pretrained import PretrainedEncoder
from lightning_mia.training.checkpoint import load_model

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
QUANTISER = {"num_codevectors_per_group": 12, "codevector_dim": 8, "proj_codevector_dim": 10, "num_negatives": 7}
WHISPER = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
           "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 60,
           "max_source_positions": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
           "decoder_start_token_id": 3}  # fmt: skip
T = transformers
CONTRASTIVE = {
    "wav2vec2": (T.Wav2Vec2ForPreTraining, lambda: T.Wav2Vec2Config(**SIZE, **CONVOLUTIONS, **QUANTISER)),
    "wav2vec2_layer_norm": (
        T.Wav2Vec2ForPreTraining,
        lambda: T.Wav2Vec2Config(**SIZE, **CONVOLUTIONS, **QUANTISER, **LAYER_NORM),
    ),
    "conformer": (
        T.Wav2Vec2ConformerForPreTraining,
        lambda: T.Wav2Vec2ConformerConfig(**SIZE, **CONVOLUTIONS, **QUANTISER, conv_depthwise_kernel_size=5),
    ),
    "unispeech": (T.UniSpeechForPreTraining, lambda: T.UniSpeechConfig(**SIZE, **CONVOLUTIONS, **QUANTISER)),
}
OTHERS = {
    "wav2vec2_bare": (T.Wav2Vec2Model, lambda: T.Wav2Vec2Config(**SIZE, **CONVOLUTIONS)),
    "hubert": (T.HubertModel, lambda: T.HubertConfig(**SIZE, **CONVOLUTIONS)),
    "wavlm": (T.WavLMModel, lambda: T.WavLMConfig(**SIZE, **CONVOLUTIONS)),
    "data2vec": (
        T.Data2VecAudioModel,
        lambda: T.Data2VecAudioConfig(**SIZE, **{**CONVOLUTIONS, "num_conv_pos_embeddings": 3}, conv_pos_kernel_size=5),
    ),
    "unispeech_sat": (T.UniSpeechSatForPreTraining, lambda: T.UniSpeechSatConfig(**SIZE, **CONVOLUTIONS)),
    "wav2vec2_bert": (T.Wav2Vec2BertModel, lambda: T.Wav2Vec2BertConfig(**SIZE, conv_depthwise_kernel_size=5)),
    "sew": (T.SEWModel, lambda: T.SEWConfig(**SIZE, **{**CONVOLUTIONS, "conv_dim": (8,) * 13})),
    "whisper": (T.WhisperModel, lambda: T.WhisperConfig(**WHISPER)),
}
PREPROCESSORS: dict[str, Callable[[], Any]] = {
    "wav2vec2_bert": T.SeamlessM4TFeatureExtractor,
    "whisper": lambda: T.WhisperFeatureExtractor(chunk_length=2),
}
FAMILIES = {**CONTRASTIVE, **OTHERS}


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`write(family)`: the folder of a tiny random checkpoint, written once."""
    root = tmp_path_factory.mktemp("checkpoints")

    def checkpoint(name: str) -> Path:
        if not (root / name).exists():
            model_class, config = FAMILIES[name]
            torch.manual_seed(0)
            model_class(config()).save_pretrained(root / name)
            PREPROCESSORS.get(name, T.Wav2Vec2FeatureExtractor)().save_pretrained(root / name)
        return root / name

    return checkpoint


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pretrained(folder: Path, **settings: Any) -> PretrainedEncoder:
    torch.manual_seed(1)
    return PretrainedEncoder(str(folder), **{"n_clusters": 8, "code_dim": 6, **settings})


def ready(folder: Path, make_batch: MakeBatch, **settings: Any) -> PretrainedEncoder:
    """A model in evaluation mode that can be asked for its score."""
    model = pretrained(folder, **settings)
    model.fit_targets([make_batch(0.4, 0.9)])
    return model.eval()


def question(model: PretrainedEncoder, waveforms: Tensor, lengths: Tensor, draws: int = 1) -> tuple[Tensor, Tensor]:
    """Masks and noise of several draws."""
    masks = torch.stack([model.draw_masks(waveforms, lengths) for _ in range(draws)])
    return masks, torch.rand(*masks.shape, model.noise_dim)


@pytest.mark.parametrize("name", CONTRASTIVE)
def test_contrastive_score_is_what_transformers_own_states_give(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = pretrained(write(name)).eval()
    theirs = CONTRASTIVE[name][0].from_pretrained(write(name)).eval()
    preprocessor = T.AutoFeatureExtractor.from_pretrained(write(name))
    assert model.has_pretext
    assert not model.needs_targets
    waveforms, lengths = make_batch(0.7, 0.2)
    (masks,), (noise,) = question(model, waveforms, lengths)
    negatives = draw_negatives(masks, model.frame_lengths(lengths), noise)
    with torch.no_grad():
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        for i, n in enumerate(lengths.tolist()):
            heard = preprocessor(waveforms[i, :n].numpy(), sampling_rate=16_000, return_tensors="pt").input_values
            frames = model.frame_lengths(lengths[i]).item()
            mask = masks[i, :frames]
            states = theirs(heard, mask_time_indices=mask[None])
            predictions, targets = states.projected_states[0], states.projected_quantized_states[0]
            log_p = []
            for t in mask.nonzero().flatten().tolist():
                rivals = torch.cat([targets[t : t + 1], targets[negatives[i, t]]])
                cosines = torch.cosine_similarity(predictions[t], rivals, dim=1)
                log_p.append((cosines / 0.1).log_softmax(dim=0)[0].item())
            mean = math.exp(sum(log_p) / len(log_p))
            assert scores[i].item() == pytest.approx(math.log(mean / (1 - mean)), rel=1e-4)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_layer_norm", "conformer"])
def test_contrastive_loss_is_that_of_transformers(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    """Without noise of the Gumbel softmax, that is in evaluation mode; transformers sums where we take the mean."""
    model = pretrained(write(name)).eval()
    theirs = CONTRASTIVE[name][0].from_pretrained(write(name)).eval()
    preprocessor = T.AutoFeatureExtractor.from_pretrained(write(name))
    waveforms, lengths = make_batch(0.8)
    masks = model.draw_masks(waveforms, lengths)
    torch.manual_seed(3)
    ours = model.pretext(waveforms, lengths, masks)
    torch.manual_seed(3)
    noise = torch.rand(masks.shape[1], 1, 7).transpose(0, 1)
    heard = preprocessor(waveforms[0].numpy(), sampling_rate=16_000, return_tensors="pt").input_values
    with torch.no_grad():
        answer = theirs(
            heard, mask_time_indices=masks, sampled_negative_indices=draw_negatives(masks, lengths // 320 - 1, noise)
        )
    expected = answer.contrastive_loss / masks.sum()
    torch.testing.assert_close(ours.health["contrastive_loss"], expected, rtol=1e-4, atol=0)
    assert {"contrastive_accuracy", "contrastive_chance", "code_perplexity", "masked_share"} <= ours.health.keys()


def test_score_knows_nothing_of_the_batch(family: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    model = ready(write(family), make_batch)
    waveforms, lengths = make_batch(0.1, 1.9, 0.7)
    masks, noise = question(model, waveforms, lengths, draws=2)
    with torch.inference_mode():
        scores = model.pretext_score(waveforms, lengths, masks, noise)
        assert scores.shape == (2, 3)
        assert scores.dtype == torch.float64
        for i, n in enumerate(lengths.tolist()):
            frames = model.frame_lengths(lengths[i]).item()
            own = masks[:, i : i + 1, :frames], noise[:, i : i + 1, :frames]
            alone = model.pretext_score(waveforms[i : i + 1, :n], lengths[i : i + 1], *own)
            torch.testing.assert_close(scores[:, i : i + 1], alone, rtol=1e-5, atol=1e-6)
            single = model.pretext_score(waveforms[i : i + 1, :n], lengths[i : i + 1], own[0][0], own[1][0])
            torch.testing.assert_close(single, alone[0])


def test_in_bf16_the_loss_is_finite_and_all_that_learns_gets_a_gradient(
    family: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = ready(write(family), make_batch).train()
    waveforms, lengths = make_batch(0.4, 0.9, 0.1)
    masks = model.draw_masks(waveforms, lengths)
    model.eval()  # the same codes and no dropout
    torch.manual_seed(0)
    full = model.pretext(waveforms, lengths, masks).loss
    model.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model.pretext(waveforms, lengths, masks).loss
    half.backward()
    assert half.dtype == full.dtype == torch.float32
    assert half.isfinite()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in learning.items() if p.grad is None or not p.grad.isfinite().all()] == []
    assert sum(p.grad.abs().sum() for name, p in learning.items() if "encoder.model" in name) > 0


def test_without_dropout_the_loss_does_not_depend_on_padding(
    family: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = ready(write(family), make_batch)
    waveforms, lengths = make_batch(0.2, 0.5)
    longer = torch.nn.functional.pad(waveforms, (0, 8_000))
    masks = model.draw_masks(waveforms, lengths)
    extra = int(model.frame_lengths(torch.tensor(longer.shape[1]))) - masks.shape[1]
    losses = []
    for padded, hidden in ((waveforms, masks), (longer, torch.nn.functional.pad(masks, (0, extra)))):
        torch.manual_seed(5)
        losses.append(model.pretext(padded, lengths, hidden).loss)
    torch.testing.assert_close(*losses)


def test_settings_and_folder_make_the_same_model_again(family: str, write: Callable[[str], Path]) -> None:
    """And fresh weights are drawn for the heads too."""
    model = pretrained(write(family))
    again, fresh = pretrained(write(family)), model.without_training()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for other in (again, fresh):
        assert {name: tensor.shape for name, tensor in other.state_dict().items()} == shapes
    drawn = [
        name for name, p in model.named_parameters() if p.dim() > 1 and not torch.equal(p, fresh.get_parameter(name))
    ]
    drawn += [name for name, _ in model.named_parameters() if "gru_rel_pos_const" in name]  # WavLM starts it at one
    assert {name for name, p in model.named_parameters() if p.dim() > 1 and p.requires_grad} <= set(drawn)
    assert fresh.noise_dim == model.noise_dim
    assert fresh.has_pretext == model.has_pretext == (family in CONTRASTIVE)


def test_an_encoder_without_heads_has_no_score_before_it_is_trained_on(
    write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = pretrained(write("hubert"))
    assert model.needs_targets
    assert not model.has_pretext
    waveforms, lengths = make_batch(0.3)
    masks, noise = question(model, waveforms, lengths)
    assert model.task_scores(Batch(["a"], waveforms, lengths), masks, noise) == {}
    with pytest.raises(InputError, match="no pretraining heads"):
        model.pretext_score(waveforms, lengths, masks, noise)
    model.fit_targets([(waveforms, lengths)])
    assert model.has_pretext
    assert not model.needs_targets
    assert model.task_scores(Batch(["a"], waveforms, lengths), masks, noise)["pretext_score"].shape == (1, 1)


@pytest.mark.parametrize("name", OTHERS)
def test_a_frame_is_asked_for_the_mfcc_that_begins_with_it(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    """Every family has frames of 20 ms; where one has more than MFCC has, the last target counts for these."""
    model = ready(write(name), make_batch)
    assert isinstance(model.head, ClusterHead)
    assert samples_per_frame(model.encoder) == 320
    for seconds in (0.1, 0.13, 1.0):
        waveforms, lengths = make_batch(seconds, 1.5)
        n_frames = int(model.frame_lengths(lengths).max())
        targets = model.head.targets(model.encoder, torch.empty(0), waveforms, lengths, n_frames)
        log_mel = LogMel(40)(waveforms[:1, : lengths[0]])
        own = model.head.clusters(log_mel, LogMel.frame_lengths(lengths[:1]))[0].tolist()
        frames = int(model.frame_lengths(lengths[:1]))
        assert -1 <= len(own) - frames <= 1 or name == "whisper"
        assert targets[0, :frames].tolist() == (own + [own[-1]] * 3)[:frames]


def test_an_encoder_at_another_rate_is_asked_for_frames_of_the_same_time(tmp_path: Path, make_batch: MakeBatch) -> None:
    config = T.HubertConfig(**SIZE, **CONVOLUTIONS, conv_stride=(5, 2, 2, 2, 2, 2, 4))
    T.HubertModel(config).save_pretrained(tmp_path)
    T.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    model = ready(tmp_path, make_batch)
    assert isinstance(model.head, ClusterHead)
    assert samples_per_frame(model.encoder) == 640
    waveforms, lengths = make_batch(1.0)
    targets = model.head.targets(model.encoder, torch.empty(0), waveforms, lengths, 24)
    every = model.head.clusters(LogMel(40)(waveforms), LogMel.frame_lengths(lengths))
    assert targets[0].tolist() == every[0, ::2][:24].tolist()


class Recordings(L.LightningDataModule):
    """Fixed batches."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.batches, batch_size=None)

    def training_waveforms(self) -> Iterable[Batch]:
        return self.batches


class Losses(L.Callback):
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: L.Trainer, *args: object) -> None:
        self.rows.append({name: float(value) for name, value in trainer.callback_metrics.items()})


def train_on(model: PretrainedEncoder, batches: list[Batch], epochs: int) -> tuple[L.Trainer, list[dict[str, float]]]:
    losses = Losses()
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
        callbacks=[losses],
        gradient_clip_val=1.0,
    )
    trainer.fit(model, Recordings(batches))
    return trainer, losses.rows


@pytest.mark.parametrize("name", ["hubert", "wav2vec2_layer_norm"])
def test_training_on_learns_and_its_checkpoint_can_be_asked(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch, tmp_path: Path
) -> None:
    model = pretrained(write(name), learning_rate=1e-2, diversity_weight=1.0)
    batches = [Batch(["a", "b"], *make_batch(0.4, 0.9, seed=s)) for s in (0, 2)]
    trainer, rows = train_on(model, batches, 20)
    losses = [row["train/loss"] for row in rows]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    figure = "contrastive_accuracy" if name in CONTRASTIVE else "masked_accuracy"
    assert {f"train/{figure}", "train/code_perplexity"} <= rows[0].keys()
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = load_model(tmp_path / "model.ckpt", pretrained(write(name), learning_rate=1e-2, diversity_weight=1.0))
    waveforms, lengths = make_batch(0.3)
    question_asked = question(model, waveforms, lengths)
    with torch.no_grad():
        assert loaded.has_pretext
        assert torch.equal(
            loaded.pretext_score(waveforms, lengths, *question_asked),
            model.eval().pretext_score(waveforms, lengths, *question_asked),
        )


def test_a_copy_is_trained_on_alone(write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    """Hooks that listen to the original's layers would give the copy the original's states."""
    model = pretrained(write("wav2vec2"), learning_rate=1e-2).eval()
    waveforms, lengths = make_batch(0.5)
    with torch.no_grad():
        before = model.encode(waveforms, lengths).hidden
        other = copy.deepcopy(model)
        train_on(other.train(), [Batch(["a"], waveforms, lengths)], 3)
        changed = other.eval().encode(waveforms, lengths).hidden
        after = model.encode(waveforms, lengths).hidden
    for old, same in zip(before, after, strict=True):
        torch.testing.assert_close(old, same)
    assert len(changed) == len(before)
    assert not any(torch.allclose(old, new) for old, new in zip(before, changed, strict=True))


def test_a_frozen_front_end_stays_as_it_is(family: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    model = pretrained(write(family), freeze_front_end=True)
    fixed = ("embed_positions", "encoder.pos_conv_embed") if family in ("whisper", "conformer") else ("nothing",)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad and not any(f in name for f in fixed)]
    convolutional = [
        name for name in model.state_dict() if any(part in name for part in ("feature_extractor", ".conv1.", ".conv2."))
    ]
    convolutional = [name for name in convolutional if "conv_module" not in name]
    assert set(frozen) == set(convolutional)
    assert bool(frozen) == (family != "wav2vec2_bert")
    model.fit_targets([make_batch(0.9)])
    waveforms, lengths = make_batch(0.4)
    model.pretext(waveforms, lengths, model.draw_masks(waveforms, lengths)).loss.backward()
    in_groups = {id(p) for group in model.parameter_groups() for p in group["params"]}
    assert in_groups == {id(p) for p in model.parameters() if p.requires_grad}


def test_deeper_layers_learn_more_slowly(write: Callable[[str], Path]) -> None:
    model = pretrained(write("hubert"), learning_rate=1e-3, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in model.parameter_groups() for p in group["params"]}
    layers = model.encoder.layers
    assert rates[id(model.head.codes)] == 1e-3
    assert [rates[id(layer.layer_norm.weight)] for layer in layers] == pytest.approx([2.5e-4, 5e-4])
    assert rates[id(model.encoder.model.feature_projection.projection.weight)] == pytest.approx(1.25e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("quantizer.codevectors"), "quantizer.codevectors is missing"),
        (
            lambda weights: weights.update({"project_q.weight": torch.zeros(3, 8)}),
            r"shape \(3, 8\) instead of \(10, 8\)",
        ),
    ],
)
def test_heads_that_are_not_whole_are_refused(
    change: Callable[[dict[str, Tensor]], None], message: str, write: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(write("wav2vec2"), tmp_path)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=message) as refused:
        pretrained(folder)
    assert "\n" not in str(refused.value)
    assert pretrained(folder, fresh=True).has_pretext


def test_heads_are_read_from_shards_and_from_pickled_weights(write: Callable[[str], Path], tmp_path: Path) -> None:
    expected = pretrained(write("wav2vec2")).head.state_dict()
    model = T.Wav2Vec2ForPreTraining.from_pretrained(write("wav2vec2"))
    T.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "shards")
    model.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    pickled = copied(write("wav2vec2"), tmp_path)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    for folder in (tmp_path / "shards", pickled):
        found = pretrained(folder).head.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def copied(folder: Path, into: Path) -> Path:
    copy_of = into / "copy"
    copy_of.mkdir()
    for path in folder.iterdir():
        (copy_of / path.name).write_bytes(path.read_bytes())
    return copy_of


def test_another_contrastive_temperature_is_refused(write: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(write("wav2vec2"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "contrastive_logits_temperature": 0.2}))
    with pytest.raises(InputError, match=r"contrastive_logits_temperature 0.2"):
        pretrained(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_decay": 0.0}, "layer_decay in"),
        ({"gumbel_temperature": 0.0}, "gumbel_temperature above 0"),
        ({"n_clusters": 1}, "n_clusters of at least 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, float], message: str, write: Callable[[str], Path]
) -> None:
    with pytest.raises(InputError, match=message):
        pretrained(write("hubert"), **settings)


def test_a_collapse_is_said(write: Callable[[str], Path]) -> None:
    guessing = {"contrastive_accuracy": 0.125, "contrastive_chance": 0.125, "code_perplexity": 20.0}
    assert pretrained(write("wav2vec2")).collapse({**guessing, "contrastive_accuracy": 0.5}) == ""
    assert pretrained(write("wav2vec2")).collapse(guessing).startswith("wav2vec2: it does not tell masked frames apart")
    assert pretrained(write("hubert")).collapse({"code_perplexity": 20.0}) == ""
    assert pretrained(write("hubert")).collapse({"code_perplexity": 1.1}).startswith("hubert: one cluster is guessed")


def test_unispeech_brings_the_targets_to_the_width_of_the_hidden_states(write: Callable[[str], Path]) -> None:
    heads = pretrained(write("unispeech")).head
    assert isinstance(heads, ContrastiveHeads)
    assert heads.project_hid.weight.shape == (16, 10)
