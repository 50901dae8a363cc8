"""Checkpoints of transformers models, read without unpickling code."""

import pickle
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.models.huggingface.hub import find_folder, one_line, read_json
from lightning_mia.models.weights import check_weights
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of, hash_of_file

# Supported families by model_type, and the preprocessor that is reimplemented for each.
FAMILIES = {
    "data2vec-audio": "Wav2Vec2FeatureExtractor",
    "hubert": "Wav2Vec2FeatureExtractor",
    "sew": "Wav2Vec2FeatureExtractor",
    "unispeech": "Wav2Vec2FeatureExtractor",
    "unispeech-sat": "Wav2Vec2FeatureExtractor",
    "wav2vec2": "Wav2Vec2FeatureExtractor",
    "wav2vec2-bert": "SeamlessM4TFeatureExtractor",
    "wav2vec2-conformer": "Wav2Vec2FeatureExtractor",
    "wavlm": "Wav2Vec2FeatureExtractor",
    "whisper": "WhisperFeatureExtractor",
}
PREPROCESSORS = ("processor_config.json", "preprocessor_config.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
MASK_EMBEDDING = "masked_spec_embed"  # missing in checkpoints that were fine-tuned without masks
# Weight names of the encoder's layers, and of the parts outside the encoder.
LAYER_WEIGHT = re.compile(r"(^|\.)(conv_layers|layers)\.\d+\.")
OUTSIDE_ENCODER = re.compile(r"(^|\.)(decoder|adapter)\.")


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint of a supported family."""

    name: str  # local folder or hub name
    revision: str | None
    folder: Path
    config: Any  # of transformers
    preprocessor: Any  # feature extractor of transformers, for 16 kHz

    def sha256(self) -> str:
        """Hash configuration, preprocessor and weights."""
        folder = find_folder(self.name, self.revision)
        descriptions = [folder / name for name in ("config.json", *PREPROCESSORS) if (folder / name).is_file()]
        return hash_of([hash_of_file(path) for path in (*descriptions, *weight_files(self.name, folder))])


def open_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Read configuration and preprocessor; weights are neither read nor downloaded.

    Args:
        name: local folder, or name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.

    Raises:
        InputError: the checkpoint cannot be found, its family is not supported, or its preprocessor is missing or has
            another sampling rate.
    """
    folder = find_folder(name, revision, weights=False)
    missing = f"{name} has no config.json; give the folder that `save_pretrained` of transformers wrote"
    config = _configuration(name, read_json(folder / "config.json", missing))
    return Checkpoint(name, revision, folder, config, _preprocessor(name, folder, config))


def load_weights(
    checkpoint: Checkpoint, model_class: Any, fresh: bool = False, renamed: dict[str, str] | None = None
) -> Any:
    """Load a model of transformers, float32, in training mode.

    Pickled weights are read with `weights_only`, which runs no code. All weights of `model_class` must be in the
    checkpoint, except the mask embedding, which is zero if missing. Further layers of the encoder are refused; other
    weights, such as those of heads, are ignored.

    Args:
        checkpoint: configuration and location of the weights.
        model_class: class of transformers.
        fresh: draw random weights instead, from torch's global generator.
        renamed: replacements for prefixes of weight names, by regular expression.

    Raises:
        InputError: the weights cannot be read, do not fit the configuration, or are damaged.
    """
    try:
        with quiet():
            if fresh:
                return model_class(checkpoint.config).float().train()
            folder = find_folder(checkpoint.name, checkpoint.revision)
            _check_types(checkpoint.name, weight_files(checkpoint.name, folder))
            model, report = model_class.from_pretrained(
                folder,
                config=checkpoint.config,
                key_mapping=renamed,
                dtype=torch.float32,
                local_files_only=True,
                weights_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except InputError:
        raise
    except Exception as error:  # damaged files and impossible settings fail in many ways
        raise InputError(_describe_failure(checkpoint.name, error)) from error
    _check_weights(checkpoint.name, report)
    check_weights(model.state_dict(), model, checkpoint.name)
    if MASK_EMBEDDING in report["missing_keys"]:
        torch.nn.init.zeros_(getattr(model, MASK_EMBEDDING))
    return model.train()


def weight_files(name: str, folder: Path) -> list[Path]:
    """List the files that transformers reads weights from.

    Raises:
        InputError: no weights, or an index that names missing files.
    """
    main = next((folder / file for file in WEIGHTS if (folder / file).is_file()), None)
    if main is None:
        raise InputError(f"{name} holds no weights; give a folder with model.safetensors or pytorch_model.bin")
    if not main.name.endswith(".index.json"):
        return [main]
    shards = read_json(main, "").get("weight_map")
    if not isinstance(shards, dict):
        raise InputError(f"{main} names no weights; download the checkpoint again")
    files = sorted({folder / str(shard) for shard in shards.values()})
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(f"{name} lacks some of its weights: {list_first(missing)}; download the checkpoint again")
    return files


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers while it loads: our errors replace its warnings."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _configuration(name: str, settings: dict[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING

    family = settings.get("model_type")
    if family not in FAMILIES:
        description = f"of the architecture {family}" if family else "of an architecture that config.json does not name"
        classes = settings.get("architectures") or []
        description += f" ({', '.join(map(str, classes))})" if classes else ""
        raise InputError(
            f"{name} is {description}, which is not a supported speech encoder; supported are {', '.join(FAMILIES)}"
        )
    if kernels := named_kernels(settings):
        problem = f"names code on the hub that would run instead of PyTorch's ({', '.join(kernels)})"
        raise InputError(f"config.json of {name} {problem}; remove these settings")
    try:
        config = CONFIG_MAPPING[family].from_dict(settings)
    except Exception as error:  # transformers validates settings in many ways
        raise InputError(f"config.json of {name} cannot be used: {one_line(error)}") from error
    return _bare_encoder_config(config)


def named_kernels(settings: Any) -> list[str]:
    """List repositories of kernels that a config names, at any depth.

    >>> named_kernels({"attn_implementation": "ann/fast@main:attend", "text": {"attn_implementation": "sdpa"}})
    ['attn_implementation: ann/fast@main:attend']
    """
    if isinstance(settings, list):
        return [kernel for value in settings for kernel in named_kernels(value)]
    if not isinstance(settings, dict):
        return []
    kernels = []
    for key, value in settings.items():
        values = value.values() if isinstance(value, dict) else [value]
        if "_implementation" in str(key):
            kernels += [f"{key}: {text}" for text in values if isinstance(text, str) and "/" in text]
        kernels += named_kernels(value)
    return kernels


def _bare_encoder_config(config: Any) -> Any:
    """Disable LayerDrop and adapters; keep the mask embedding."""
    # A layer that is dropped in training has no hidden state, and no gradient, which other processes would wait for.
    config.layerdrop = config.encoder_layerdrop = config.decoder_layerdrop = 0.0
    # Adapters shorten the sequence for a decoder or classifier.
    config.add_adapter = config.use_intermediate_ffn_before_adapter = False
    # transformers keeps the mask embedding only with a mask probability; its own random masks are not used.
    if not getattr(config, "mask_time_prob", 1.0):
        config.mask_time_prob = 0.05
    return config


def _preprocessor(name: str, folder: Path, config: Any) -> Any:
    from transformers import AutoFeatureExtractor

    if not any((folder / file).is_file() for file in PREPROCESSORS):
        raise InputError(
            f"{name} does not describe its input: preprocessor_config.json is missing; save the feature extractor "
            "of its pretraining into the folder (`AutoFeatureExtractor.from_pretrained(…).save_pretrained`)"
        )
    try:
        with quiet():
            preprocessor = AutoFeatureExtractor.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # invalid JSON, an unknown class, unusable settings
        raise InputError(f"The preprocessor of {name} cannot be used: {one_line(error)}") from error
    expected, actual = FAMILIES[config.model_type], type(preprocessor).__name__
    if actual != expected:
        raise InputError(
            f"{name} is {config.model_type}, whose preprocessor is a {expected}, but the folder has a {actual}; take "
            "both files from the same model"
        )
    if preprocessor.sampling_rate != SAMPLE_RATE:
        raise InputError(
            f"The preprocessor of {name} takes audio at {preprocessor.sampling_rate} Hz, but recordings are resampled "
            f"to {SAMPLE_RATE} Hz; give a checkpoint that was trained at that rate"
        )
    return preprocessor


def _describe_failure(name: str, error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return (
            f"The weights of {name} are damaged, or a pickle of more than weights, which could run code: refused; give "
            "a checkpoint with model.safetensors"
        )
    return f"The weights of {name} cannot be read, or do not fit its config.json: {one_line(error)}"


def _check_types(name: str, files: Sequence[Path]) -> None:
    """Refuse integer weights, which transformers would convert."""
    integers = [
        weight
        for path in files
        for weight, is_floating in _stored_types(path)
        if weight.endswith((".weight", ".bias")) and not is_floating
    ]
    if integers:
        raise InputError(
            f"The weights of {name} are not floating point: {list_first(sorted(integers), 3)}; give a checkpoint that "
            "is not quantised"
        )


def _stored_types(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the names of stored tensors, and whether they are floating point."""
    if path.suffix != ".safetensors":
        weights = torch.load(path, map_location="meta", weights_only=True)
        yield from ((name, value.is_floating_point()) for name, value in weights.items() if torch.is_tensor(value))
        return
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        yield from ((name, "F" in file.get_slice(name).get_dtype()) for name in file.keys())  # noqa: SIM118


def _check_weights(name: str, report: dict[str, Any]) -> None:
    """Refuse missing, mismatched or unexpected weights.

    transformers would draw missing weights at random, with a warning.
    """
    mismatched = sorted(report["mismatched_keys"])
    problems = [
        f"{key} has the shape {tuple(stored)} instead of {tuple(expected)}" for key, stored, expected in mismatched
    ]
    problems += [f"{key} is missing" for key in sorted(report["missing_keys"]) if key != MASK_EMBEDDING]
    problems += [
        f"{key} is unexpected"
        for key in sorted(report["unexpected_keys"])
        if LAYER_WEIGHT.search(key) and not OUTSIDE_ENCODER.search(key)
    ]
    if problems:
        raise InputError(f"The weights of {name} do not fit its config.json: {list_first(problems, 3)}")
