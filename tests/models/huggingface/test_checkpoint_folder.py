"""Unusable checkpoints are refused in one line."""

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from lightning_mia.models.huggingface import load_encoder
from lightning_mia.models.huggingface.checkpoint_folder import FAMILIES, open_checkpoint
from lightning_mia.utilities.errors import InputError

Get = Callable[[str], Path]
Save = Callable[..., Path]
Weights = dict[str, Tensor]


@pytest.fixture
def folder(checkpoint: Get, tmp_path: Path) -> Path:
    """A checkpoint that a test may damage."""
    return Path(shutil.copytree(checkpoint("wav2vec2"), tmp_path / "checkpoint"))


def set_in(path: Path, **settings: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def pickle_weights(folder: Path, **more: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, **more}, folder / "pytorch_model.bin")


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        load_encoder(str(folder))
    message = str(error.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def same_as(folder: Path, expected: Path) -> bool:
    theirs = transformers.AutoModel.from_pretrained(expected).state_dict()
    ours = load_encoder(str(folder)).model.state_dict()
    return all(torch.equal(ours[name], weight) for name, weight in theirs.items())


def test_all_families_exist_in_transformers() -> None:
    assert set(FAMILIES) <= set(transformers.CONFIG_MAPPING.keys())


@pytest.mark.parametrize("config", [transformers.BertConfig, transformers.ViTConfig, transformers.EncodecConfig])
def test_unsupported_architecture_is_named(config: type, tmp_path: Path) -> None:
    config(architectures=["SomeModel"]).save_pretrained(tmp_path)
    message = refusal(tmp_path)
    assert f"of the architecture {config.model_type} (SomeModel)" in message
    assert "supported are data2vec-audio, hubert" in message


def test_missing_config_is_refused(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "is not JSON"), ("[]", "does not hold an object"), ("{}", "does not name")]
)
def test_invalid_config_is_refused(text: str, message: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    assert message in refusal(folder)


@pytest.mark.parametrize(
    "settings", [{"hidden_size": "many"}, {"conv_dim": [8, 8]}, {"num_attention_heads": 3}, {"hidden_act": "none"}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any], folder: Path) -> None:
    set_in(folder / "config.json", **settings)
    assert "config.json" in refusal(folder)


def test_missing_preprocessor_is_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json is missing" in refusal(folder)


def test_preprocessor_inside_a_processor_loads(folder: Path) -> None:
    """As transformers saves a processor with its tokenizer."""
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    nested = {"processor_class": "Wav2Vec2Processor", "feature_extractor": {**settings, "do_normalize": False}}
    (folder / "processor_config.json").write_text(json.dumps(nested))
    assert not open_checkpoint(str(folder)).preprocessor.do_normalize


def test_other_sampling_rate_is_refused(folder: Path) -> None:
    set_in(folder / "preprocessor_config.json", sampling_rate=8000)
    assert "takes audio at 8000 Hz, but recordings are resampled to 16000 Hz" in refusal(folder)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_invalid_preprocessor_is_refused(content: str, folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text(content)
    assert "preprocessor of" in refusal(folder)


def test_preprocessor_of_another_family_is_refused(folder: Path) -> None:
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    assert "is a Wav2Vec2FeatureExtractor, but the folder has a WhisperFeatureExtractor" in refusal(folder)


@pytest.mark.parametrize(
    ("family", "extractor"),
    [
        ("whisper", transformers.WhisperFeatureExtractor(chunk_length=30)),
        ("whisper", transformers.WhisperFeatureExtractor(chunk_length=3, feature_size=128)),
        ("wav2vec2_bert", transformers.SeamlessM4TFeatureExtractor(num_mel_bins=40)),
    ],
)
def test_preprocessor_of_another_size_is_refused(family: str, extractor: Any, save_checkpoint: Save) -> None:
    folder = save_checkpoint(family)
    extractor.save_pretrained(folder)
    with pytest.raises(InputError, match="take both files from the same model"):
        load_encoder(str(folder))


def test_remote_code_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    for name, key in (("config.json", "AutoConfig"), ("preprocessor_config.json", "AutoFeatureExtractor")):
        set_in(folder / name, auto_map={key: "evil.Anything", "AutoModel": "evil.Anything"})
    load_encoder(str(folder))
    assert "evil" not in sys.modules


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
@pytest.mark.parametrize("value", ["ann/kernel", "kernels-community/flash-attn2@main:attend", {"": "ann/kernel"}])
def test_kernels_of_the_hub_are_refused(folder: Path, key: str, value: Any) -> None:
    set_in(folder / "config.json", **{key: value})
    with pytest.raises(InputError, match=f"names code on the hub that would run .*{key}: .*; remove these settings"):
        load_encoder(str(folder))
    set_in(folder / "config.json", **{key: "eager"})
    load_encoder(str(folder))


def without(part: str) -> Callable[[Weights], Weights]:
    return lambda weights: {name: weight for name, weight in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (without("layers.1.attention.k_proj"), {}, "encoder.layers.1.attention.k_proj.bias is missing"),
        (without("feature_extractor"), {}, "conv.weight is missing"),
        (None, {"num_hidden_layers": 3}, "encoder.layers.2.attention.k_proj.bias is missing"),
        (None, {"num_hidden_layers": 1}, "encoder.layers.1.attention.k_proj.bias is unexpected"),
        (None, {"hidden_size": 32}, r"has the shape \(16,\) instead of \(32,\)"),
    ],
)
def test_unfitting_weights_are_refused(
    change: Callable[[Weights], Weights] | None, settings: dict[str, Any], message: str, folder: Path
) -> None:
    if change:
        change_weights(folder, change)
    set_in(folder / "config.json", **settings)
    with pytest.raises(InputError, match=f"do not fit its config.json: .*{message}"):
        load_encoder(str(folder))


def test_unexpected_layers_are_refused_below_a_head_too(save_checkpoint: Save) -> None:
    for name, head in (("hubert", "ForCTC"), ("whisper", "ForConditionalGeneration")):
        folder = save_checkpoint(name, head)
        set_in(folder / "config.json", num_hidden_layers=1, encoder_layers=1)
        assert "is unexpected" in refusal(folder)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_weights_are_refused(damage: str, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes({"truncated": path.read_bytes()[:9_000], "text": b"hello", "empty": b""}[damage])
    assert "cannot be read" in refusal(folder)


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "holds no weights" in refusal(folder)
    load_encoder(str(folder), fresh=True)


def test_shards_load_and_a_missing_one_is_named(folder: Path, tmp_path: Path) -> None:
    sharded = tmp_path / "sharded"
    transformers.AutoModel.from_pretrained(folder).save_pretrained(sharded, max_shard_size="6KB")
    shutil.copy(folder / "preprocessor_config.json", sharded)
    assert same_as(sharded, folder)
    shard = sorted(sharded.glob("model-*.safetensors"))[1]
    shard.unlink()
    assert f"lacks some of its weights: {shard.name}" in refusal(sharded)


def test_pickled_weights_load(folder: Path, checkpoint: Get) -> None:
    pickle_weights(folder)
    assert same_as(folder, checkpoint("wav2vec2"))


class Harm:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("layout", ["zip", "plain"])
def test_unsafe_pickles_are_refused(layout: str, folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "harm"
    if layout == "zip":
        pickle_weights(folder, more=Harm(mark))
    else:
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Harm(mark)}))
    assert "which could run code: refused" in refusal(folder)
    assert not mark.exists()


def test_safetensors_are_preferred(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": Harm(tmp_path / "harm")}, folder / "pytorch_model.bin")
    load_encoder(str(folder))
    assert not (tmp_path / "harm").exists()


def test_weights_in_half_precision_become_float32(folder: Path) -> None:
    half = transformers.AutoModel.from_pretrained(folder).half()
    half.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float16"
    for fresh in (False, True):
        weights = load_encoder(str(folder), fresh=fresh).state_dict().values()
        assert {weight.dtype for weight in weights if weight.is_floating_point()} == {torch.float32}


def test_old_weight_norm_names_load(folder: Path, checkpoint: Get) -> None:
    """As in checkpoints that were saved before torch had parametrisations."""
    new = "parametrizations.weight.original"
    change_weights(
        folder,
        lambda weights: {
            name.replace(f"{new}0", "weight_g").replace(f"{new}1", "weight_v"): weight
            for name, weight in weights.items()
        },
    )
    assert any(name.endswith("weight_g") for name in load_file(folder / "model.safetensors"))
    assert same_as(folder, checkpoint("wav2vec2"))


def test_fresh_weights_come_from_the_global_generator(family: str, checkpoint: Get) -> None:
    folder = str(checkpoint(family))
    trained = load_encoder(folder).state_dict()
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(load_encoder(folder, fresh=True).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in trained)
    learned = [name for name in trained if name.endswith("fc1.weight") or "intermediate_dense.weight" in name]
    assert learned
    for name in learned:
        assert not torch.equal(drawn[0][name], drawn[2][name])
        assert not torch.equal(drawn[0][name], trained[name])


def test_hash_follows_the_outputs(folder: Path, checkpoint: Get) -> None:
    first = open_checkpoint(str(folder)).sha256()
    assert first == open_checkpoint(str(checkpoint("wav2vec2"))).sha256()
    (folder / "README.md").write_text("no matter")
    assert open_checkpoint(str(folder)).sha256() == first
    change_weights(folder, lambda weights: {**weights, "masked_spec_embed": weights["masked_spec_embed"] + 1})
    second = open_checkpoint(str(folder)).sha256()
    set_in(folder / "preprocessor_config.json", do_normalize=False)
    assert len({first, second, open_checkpoint(str(folder)).sha256()}) == 3


def test_loading_is_silent(save_checkpoint: Save, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save_checkpoint("wav2vec2", "ForCTC")
    capfd.readouterr()
    load_encoder(str(folder))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (torch.zeros_like, "is 0 throughout"),
        (lambda weight: (weight * 100).to(torch.int32), "are not floating point: "),
        (lambda weight: weight * torch.inf, "is not finite"),
    ],
)
@pytest.mark.parametrize("pickled", [False, True])
def test_weights_that_no_training_leaves_behind_are_refused(
    change: Callable[[Tensor], Tensor], message: str, pickled: bool, folder: Path
) -> None:
    change_weights(folder, lambda weights: {name: change(weight) for name, weight in weights.items()})
    if pickled:
        pickle_weights(folder)
    assert message in refusal(folder)
