import argparse
import copy
import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.objectives.reconstruction import Alteration
from lightning_mia.models.published.published_tera import PublishedTERA
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
FRAME = {"feat_type": "mel", "channel": 0, "log": True, "delta": 0, "cmvn": True}
AUDIO = {"target_level": -25, "win_ms": 25, "hop_ms": 10, "n_freq": 201, "n_mels": 20, "n_mfcc": 13, "input": FRAME}
SHAPE = {
    "input_dim": -1,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_act": "gelu",
    "intermediate_size": 24,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": "1.e-12",  # as YAML reads it
    "share_layer": False,
    "pre_layer_norm": False,
}
TASK = {
    "loss": "L1",
    "sequence_length": 50,
    "position_encoding_size": 16,
    "mask_proportion": 0.15,
    "mask_consecutive_min": 7,
    "mask_consecutive_max": 7,
    "mask_allow_overlap": True,
    "mask_bucket_ratio": 1.5,
    "mask_frequency": 0.2,
    "noise_proportion": 0.15,
}
CONFIG = {"transformer": SHAPE, "task": TASK, "audio": AUDIO}


def changed(**changes: Any) -> dict[str, Any]:
    """The configuration with some values changed, by name, wherever they are."""
    config = copy.deepcopy(CONFIG)
    for name, value in changes.items():
        places = (config["transformer"], config["task"], config["audio"]["input"], config["audio"])
        next(place for place in places if name in place)[name] = value
    return config


def weights(config: dict[str, Any]) -> OrderedDict[str, Tensor]:
    """What the published file holds: names and shapes as there, small."""
    torch.manual_seed(2)
    shape, state = config["transformer"], OrderedDict()
    dim, inner = shape["hidden_size"], shape["intermediate_size"]

    def linear(name: str, inputs: int, outputs: int) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.randn(outputs, inputs) / 4, torch.randn(outputs) / 4

    def norm(name: str) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + torch.randn(dim) / 4, torch.randn(dim) / 4

    linear("input_representations.spec_transform", 20 * (1 + config["audio"]["input"]["delta"]), dim)
    norm("input_representations.LayerNorm")
    for i in range(shape["num_hidden_layers"]):
        layer = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{name}", dim, dim)
        linear(f"{layer}.attention.output.dense", dim, dim)
        linear(f"{layer}.intermediate.dense", dim, inner)
        linear(f"{layer}.output.dense", inner, dim)
        norm(f"{layer}.attention.output.LayerNorm")
        norm(f"{layer}.output.LayerNorm")
        if shape["pre_layer_norm"]:  # the same norms once more, by another name
            for name in (f"{layer}.attention", layer):
                for kind in ("weight", "bias"):
                    state[f"{name}.LayerNorm.{kind}"] = state[f"{name}.output.LayerNorm.{kind}"]
    if shape["pre_layer_norm"]:
        for i in range(shape["num_hidden_layers"] + 1):
            norm(f"encoder.LayerNorm.{i}")
    if shape["share_layer"]:  # every layer stands there, all alike
        first = {name: value for name, value in state.items() if "layer.0." in name}
        state |= {name.replace("layer.0.", "layer.1."): value for name, value in first.items()}
    return state


def head_weights(config: Any) -> OrderedDict[str, Tensor]:
    """The prediction head: names and shapes as in the published file, small."""
    torch.manual_seed(3)
    dim, n_out = 16, 20 * (1 + config["audio"]["input"]["delta"])
    return OrderedDict(
        {
            "dense.weight": torch.randn(dim, dim) / 4,
            "dense.bias": torch.randn(dim) / 4,
            "LayerNorm.weight": 1 + torch.randn(dim) / 4,
            "LayerNorm.bias": torch.randn(dim) / 4,
            "output.weight": torch.randn(n_out, dim) / 4,
            "output.bias": torch.randn(n_out) / 4,
        }
    )


def write(path: Path, config: Any = CONFIG, **entries: Any) -> str:
    content = {
        "Optimizer": {
            "state": {0: {"step": 5, "exp_avg": torch.zeros(2)}},
            "param_groups": [{"lr": 1e-4, "params": [0]}],
        },
        "Step": 5,
        "Args": argparse.Namespace(upstream="tera", expdir="result", multi_gpu=False),
        "Runner": {"runner": {"n_epochs": 100}},
        "SpecHead": {} if "SpecHead" in entries else head_weights(config),
        "Transformer": weights(config) if "Transformer" not in entries else {},
        "Config": config,
    }
    torch.save({**content, **entries}, path)
    return str(path)


def frames_by_hand(clip: Tensor, audio: dict[str, Any]) -> Tensor:
    """(samples,) → (frames, dim) with torchaudio's own transforms."""
    clip = clip * (10 ** (audio["target_level"] / 20) / (clip.pow(2).mean().sqrt() + 1e-10))
    frame = audio["input"]
    mel = torchaudio.transforms.MelSpectrogram(16_000, 400, 400, 160, n_mels=20)(clip)  # (20, frames)
    x = [(mel + 1e-10).log() if frame["log"] else mel]
    for _ in range(frame["delta"]):
        x.append(torchaudio.functional.compute_deltas(x[-1][None])[0])
    together = torch.cat(x).T
    if frame["cmvn"]:
        together = (together - together.mean(dim=0)) / (together.std(dim=0) + 1e-10)
    return together


def by_hand(clip: Tensor, config: dict[str, Any], given: dict[str, Tensor]) -> list[Tensor]:
    """Hidden states (frames, dim) of one clip (samples,), step by step and head by head."""
    frames = frames_by_hand(clip, config["audio"])
    longest = config["task"]["sequence_length"] or len(frames)
    size = math.ceil(len(frames) / math.ceil(len(frames) / longest))
    pieces = [piece_by_hand(frames[at : at + size], config["transformer"], given) for at in range(0, len(frames), size)]
    return [torch.cat(layer) for layer in zip(*pieces, strict=True)]


def piece_by_hand(x: Tensor, shape: dict[str, Any], given: dict[str, Tensor]) -> list[Tensor]:
    def linear(name: str, x: Tensor) -> Tensor:
        return x @ given[f"{name}.weight"].T + given[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(dim=1, keepdim=True) + 1e-12)
        return scaled * given[f"{name}.weight"] + given[f"{name}.bias"]

    activation = {"gelu": F.gelu, "relu": F.relu, "swish": lambda y: y * torch.sigmoid(y)}[shape["hidden_act"]]
    positions = torch.tensor(
        [
            [(math.cos if j % 2 else math.sin)(t / 10000 ** (2 * (j // 2) / 16)) for j in range(16)]
            for t in range(len(x))
        ]
    )
    x = norm("input_representations.LayerNorm", linear("input_representations.spec_transform", x) + positions)
    hidden, pre = [x], shape["pre_layer_norm"]
    for i in range(shape["num_hidden_layers"]):
        layer = f"encoder.layer.{0 if shape['share_layer'] else i}"
        first, second = f"{layer}.attention.output", f"{layer}.output"
        y = norm(f"{first}.LayerNorm", x) if pre else x
        q, k, v = (linear(f"{layer}.attention.self.{name}", y) for name in ("query", "key", "value"))
        heads = [slice(4 * h, 4 * h + 4) for h in range(4)]
        mixed = torch.cat([((q[:, h] @ k[:, h].T) / 2).softmax(dim=1) @ v[:, h] for h in heads], dim=1)
        x = x + linear(f"{first}.dense", mixed)
        x = x if pre else norm(f"{first}.LayerNorm", x)
        y = norm(f"{second}.LayerNorm", x) if pre else x
        x = x + linear(f"{second}.dense", activation(linear(f"{layer}.intermediate.dense", y)))
        x = x if pre else norm(f"{second}.LayerNorm", x)
        hidden.append(x)
    return [norm(f"encoder.LayerNorm.{i}", x) for i, x in enumerate(hidden)] if pre else hidden


CONFIGS = {
    "published": CONFIG,
    "any_length": changed(sequence_length=0),
    "pre_norm": changed(pre_layer_norm=True, hidden_act="swish"),
    "shared": changed(share_layer=True, hidden_act="relu"),
    "deltas": changed(delta=2),
    "without_cmvn": changed(cmvn=False, target_level=-10.0),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_batch_equals_single_clips(tmp_path: Path, make_batch: MakeBatch, config: dict[str, Any]) -> None:
    """The clips are cut into one, three and two pieces of at most 50 frames, but for `any_length`."""
    model = PublishedTERA(write(tmp_path / "states-5.ckpt", config)).eval()
    waveforms, lengths = make_batch(0.1, 1.00375, 0.7001)
    waveforms += 1e-3 * torch.randn(waveforms.shape) * (waveforms != 0)
    with torch.no_grad():
        encoded = model.encode(waveforms, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = by_hand(waveforms[i, :n], config, weights(config))
        assert encoded.lengths[i] == len(alone[0])
        for layer, expected in zip(encoded.hidden, alone, strict=True):
            assert layer.shape[1] == encoded.lengths.max()
            assert (layer[i, : len(expected)] - expected).norm() <= 1e-5 * expected.norm()


def test_outputs_do_not_depend_on_the_batch(tmp_path: Path, make_batch: MakeBatch) -> None:
    model = PublishedTERA(write(tmp_path / "states-5.ckpt", changed(sequence_length=1500))).eval()
    waveforms, lengths = make_batch(0.1, 15.5, 0.7)  # the second is cut in two
    masks = model.draw_masks(waveforms, lengths)
    with torch.no_grad():
        together = model.encode(waveforms, lengths, masks)
        for i, n in enumerate(lengths.tolist()):
            frames = n // 160 + 1
            alone = model.encode(waveforms[i : i + 1, :n], lengths[i : i + 1], masks[i : i + 1, :frames])
            for layer, expected in zip(together.hidden, alone.hidden, strict=True):
                assert (layer[i, :frames] - expected[0]).norm() <= 1e-5 * expected.norm()


def test_digital_silence_gives_finite_outputs(tmp_path: Path) -> None:
    model = PublishedTERA(write(tmp_path / "states-5.ckpt")).eval()
    assert model.encode(torch.zeros(1, 3200), torch.tensor([3200])).hidden[-1].isfinite().all()


def by_hand_score(clip: Tensor, mask: Tensor, config: dict[str, Any]) -> float:
    """−log of the mean error over the masked frames of one clip (samples,)."""
    frames = frames_by_hand(clip, config["audio"])
    hidden = piece_by_hand(frames.masked_fill(mask[:, None], 0.0), config["transformer"], weights(config))[-1]
    given = head_weights(config)
    x = F.gelu(hidden @ given["dense.weight"].T + given["dense.bias"])
    x = F.layer_norm(x, (16,), given["LayerNorm.weight"], given["LayerNorm.bias"], 1e-12)
    errors = x @ given["output.weight"].T + given["output.bias"] - frames
    errors = errors.abs() if config["task"]["loss"] == "L1" else errors.square()
    return -math.log(float(errors[mask].double().mean()))


@pytest.mark.parametrize("changes", [{}, {"loss": "MSE"}, {"delta": 1}], ids=str)
def test_score_is_the_error_of_the_published_head(
    tmp_path: Path, make_batch: MakeBatch, changes: dict[str, Any]
) -> None:
    config = changed(sequence_length=1500, **changes)
    model = PublishedTERA(write(tmp_path / "states-5.ckpt", config)).eval()
    waveforms, lengths = make_batch(0.3, 0.7001)
    masks = torch.stack([model.draw_masks(waveforms, lengths) for _ in range(2)])
    with torch.no_grad():
        scores = model.pretext_score(waveforms, lengths, masks)
    for draw, mask in enumerate(masks):
        for i, n in enumerate(lengths.tolist()):
            expected = by_hand_score(waveforms[i, :n], mask[i, : n // 160 + 1], config)
            assert scores[draw, i].item() == pytest.approx(expected, abs=1e-5)


def test_task_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    config = changed(mask_proportion=0.3, mask_consecutive_min=3, mask_consecutive_max=9, noise_proportion=0.4)
    model = PublishedTERA(write(tmp_path / "states-5.ckpt", config))
    assert model.mask_span == SpanMask(0.3, 6)
    assert model.task.alteration == Alteration(max_masked_bands=4, noise_probability=0.4)
    older = PublishedTERA(write(tmp_path / "older.ckpt", changed(mask_frequency=8)), mask_length=5)
    assert older.mask_span == SpanMask(0.15, 5) and older.task.alteration.max_masked_bands == 8


@pytest.mark.slow
def test_training_raises_the_score(tmp_path: Path, make_batch: MakeBatch) -> None:
    model = PublishedTERA(write(tmp_path / "states-5.ckpt", changed(sequence_length=1500)))
    waveforms, lengths = make_batch(0.6, 1.1)
    waveforms += 1e-3 * torch.randn(waveforms.shape) * (waveforms != 0)
    masks = model.draw_masks(waveforms, lengths)
    with torch.no_grad():
        before = model.eval().pretext_score(waveforms, lengths, masks)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        model.pretext(waveforms, lengths, model.draw_masks(waveforms, lengths)).loss.backward()
        optimizer.step()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        assert (model.eval().pretext_score(waveforms, lengths, masks) > before + 0.1).all()


def test_dropout_acts_in_training_alone(tmp_path: Path, make_batch: MakeBatch) -> None:
    model = PublishedTERA(write(tmp_path / "states-5.ckpt"))
    batch = make_batch(0.3)
    with torch.no_grad():
        noisy = [model.train().encode(*batch).hidden[-1] for _ in range(2)]
        clean = [model.eval().encode(*batch).hidden[-1] for _ in range(2)]
    assert not torch.equal(*noisy) and torch.equal(*clean)


def test_checkpoint_with_its_head_can_be_trained_further(tmp_path: Path) -> None:
    path = write(tmp_path / "states-5.ckpt")
    model = PublishedTERA(path)
    assert model.is_pretrained and model.has_pretext and model.can_pretrain
    assert model.weights_sha256() == hash_of_file(path)
    fresh = model.untrained()
    assert not fresh.is_pretrained and fresh.weights_sha256() == "" and fresh.has_pretext
    assert fresh.state_dict().keys() == model.state_dict().keys()
    assert 0.015 < fresh.network.encoder["layer"][0].output["dense"].weight.std() < 0.025
    assert not torch.equal(fresh.head.output.weight, model.head.output.weight)


LINEAR = {**FRAME, "feat_type": "linear"}


@pytest.mark.parametrize("target", [None, LINEAR], ids=["no head", "head for other frames"])
def test_bare_encoder_has_no_pretext(tmp_path: Path, make_batch: MakeBatch, target: Any) -> None:
    config = {**CONFIG, "audio": {**AUDIO, "target": target}} if target else CONFIG
    path = write(tmp_path / "states-5.ckpt", config)
    if not target:
        content = torch.load(path, weights_only=False)
        del content["SpecHead"]
        torch.save(content, path)
    model = PublishedTERA(path)
    assert model.is_pretrained and not model.has_pretext and not model.can_pretrain
    waveforms, lengths = make_batch(0.1)
    for method in (model.pretext, model.pretext_score):
        with pytest.raises(InputError, match="encoder alone"):
            method(waveforms, lengths, torch.zeros(1, 11, dtype=torch.bool))


def test_newer_files_and_old_weight_names_load(tmp_path: Path, make_batch: MakeBatch) -> None:
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights(CONFIG).items()
    }
    runner = {"Config": {"runner": {}}, "Upstream_Config": CONFIG}
    newer = PublishedTERA(write(tmp_path / "newer.ckpt", Transformer=old, **runner))
    model = PublishedTERA(write(tmp_path / "states-5.ckpt"))
    for name, value in model.state_dict().items():
        assert torch.equal(value, newer.state_dict()[name])


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({**CONFIG, "audio": {"kaldi": {"feat_type": "fbank"}}}, "Kaldi"),
        (
            {"transformer": SHAPE, "task": CONFIG["task"], "audio": {**AUDIO, "input": {}}},
            "lacks a value or has an invalid one.*feat_type",
        ),
        (
            {"transformer": SHAPE, "task": {}, "audio": AUDIO},
            "lacks a value or has an invalid one.*sequence_length",
        ),
        (changed(loss="L3"), "lacks a value or has an invalid one.*L3"),
        (changed(mask_proportion=1.5), "lacks a value or has an invalid one.*mask_proportion 1.5"),
        (changed(feat_type="linear"), "frames of linear"),
        (changed(n_freq=257), "257 frequencies"),
        (changed(hidden_act="tanh"), "activation tanh"),
        (changed(num_attention_heads=3), "impossible sizes"),
        (changed(n_mels=0), "lacks a value or has an invalid one.*n_mels 0"),
        (changed(layer_norm_eps="small"), "lacks a value or has an invalid one.*small"),
        ({"runner": 1}, "Upstream_Config of .* is not a table"),
        ({"transformer": SHAPE, "task": CONFIG["task"]}, "audio in Config of .* is not a table"),
    ],
)
def test_unsupported_configurations_are_refused(tmp_path: Path, config: Any, complaint: str) -> None:
    path = write(tmp_path / "states-5.ckpt", config, Transformer=weights(CONFIG), SpecHead=head_weights(CONFIG))
    with pytest.raises(InputError, match=complaint) as caught:
        PublishedTERA(path)
    assert "\n" not in str(caught.value) and path in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"Transformer": {}}, "lacks weights"),
        ({"Transformer": [1]}, "not a table"),
        ({"SpecHead": {"dense.weight": torch.zeros(16, 16)}}, "lacks weights: dense.bias"),
        ({"Config": changed(intermediate_size=20)}, "do not fit its configuration"),
        ({"Scheduler": Path("a")}, "unsafe unpickling of pathlib"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, entries: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "states-5.ckpt", **entries)
    with pytest.raises(InputError, match=complaint) as caught:
        PublishedTERA(path)
    assert "\n" not in str(caught.value) and path in str(caught.value)
