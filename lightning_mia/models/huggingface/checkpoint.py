"""A checkpoint in transformers' layout: its configuration, its preprocessor and its weights, safely read."""

import json
import pickle
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_mia.models.huggingface.hub import find_folder, one_line
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of, hash_of_file

# Families by their model_type, and the preprocessor whose work we do for them.
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
MASK_EMBEDDING = "masked_spec_embed"  # checkpoints that were fine-tuned without masks lack it
# Weights of the encoder's layers, however deep; decoders and adapters are left out, and so are heads.
LAYER_WEIGHT = re.compile(r"(^|\.)(conv_layers|layers)\.\d+\.")
OUTSIDE_ENCODER = re.compile(r"(^|\.)(decoder|adapter)\.")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a family that is understood."""

    name: str  # as it was asked for
    revision: str | None
    folder: Path
    config: Any  # of transformers
    preprocessor: Any  # transformers' feature extractor, for 16 kHz

    def sha256(self) -> str:
        """Hash of the files that decide what the encoder answers: configuration, preprocessor and weights."""
        folder = find_folder(self.name, self.revision)
        described = [folder / name for name in ("config.json", *PREPROCESSORS) if (folder / name).is_file()]
        return hash_of([hash_of_file(path) for path in (*described, *weight_files(self.name, folder))])


def open_checkpoint(name: str, revision: str | None = None) -> Checkpoint:
    """Read what a checkpoint says of itself; its weights are neither read nor downloaded.

    Args:
        name: a local folder, or a name on the Hugging Face hub.
        revision: of a hub name.

    Raises:
        InputError: it cannot be found, is of no speech family that is understood, or its preprocessor is missing or
            wants another sampling rate.
    """
    folder = find_folder(name, revision, weights=False)
    missing = f"{name} has no config.json; give the folder that `save_pretrained` of transformers wrote"
    config = _configuration(name, _read_json(folder / "config.json", missing))
    return Checkpoint(name, revision, folder, config, _preprocessor(name, folder, config))


def _read_json(path: Path, missing: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(missing)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({one_line(error)}); fetch the checkpoint anew") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no settings; fetch the checkpoint anew")
    return content


def _configuration(name: str, described: dict[str, Any]) -> Any:
    from transformers import CONFIG_MAPPING

    family = described.get("model_type")
    if family not in FAMILIES:
        what = f"of the architecture {family}" if family else "of an architecture that its config.json does not name"
        classes = described.get("architectures") or []
        what += f" ({', '.join(map(str, classes))})" if classes else ""
        raise InputError(
            f"{name} is {what}, which is no speech encoder that is understood; understood are {', '.join(FAMILIES)}"
        )
    try:
        config = CONFIG_MAPPING[family].from_dict(described)
    except Exception as error:  # transformers checks settings by many means
        raise InputError(f"config.json of {name} cannot be used: {one_line(error)}") from error
    return _as_a_bare_encoder(config)


def _as_a_bare_encoder(config: Any) -> Any:
    """Leave out what is no part of the encoder or would make its answers random."""
    # No layer is dropped in training: it would have no hidden state, and no gradient for other processes to wait for.
    config.layerdrop = config.encoder_layerdrop = 0.0
    # Adapters shorten the sequence for a decoder or a classifier that came later.
    config.add_adapter = config.use_intermediate_ffn_before_adapter = False
    # Only this makes transformers keep the mask embedding; its own random masks are not used.
    if not getattr(config, "mask_time_prob", 1.0):
        config.mask_time_prob = 0.05
    return config


def _preprocessor(name: str, folder: Path, config: Any) -> Any:
    from transformers import AutoFeatureExtractor

    if not any((folder / file).is_file() for file in PREPROCESSORS):
        raise InputError(
            f"{name} does not say how it wants its audio: preprocessor_config.json is missing; save the feature "
            "extractor of its pretraining into the folder (`AutoFeatureExtractor.from_pretrained(…).save_pretrained`)"
        )
    try:
        with quiet():
            preprocessor = AutoFeatureExtractor.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # JSON that is none, an unknown class, settings that cannot be used
        raise InputError(f"The preprocessor of {name} cannot be used: {one_line(error)}") from error
    expected, found = FAMILIES[config.model_type], type(preprocessor).__name__
    if found != expected:
        raise InputError(f"{name} is {config.model_type}, whose preprocessor is a {expected}, but it brings a {found}")
    if preprocessor.sampling_rate != SAMPLE_RATE:
        raise InputError(
            f"The preprocessor of {name} wants audio at {preprocessor.sampling_rate} Hz; recordings are brought to "
            f"{SAMPLE_RATE} Hz here, the rate of speech encoders: give a checkpoint that was trained at that rate"
        )
    return preprocessor


def weight_files(name: str, folder: Path) -> list[Path]:
    """The files that transformers reads weights from, in its order of preference.

    Raises:
        InputError: there are none, or an index names files that are missing.
    """
    for first in (folder / file for file in WEIGHTS):
        if first.is_file():
            break
    else:
        raise InputError(f"{name} holds no weights; give a folder with model.safetensors or pytorch_model.bin")
    if not first.name.endswith(".index.json"):
        return [first]
    shards = _read_json(first, "").get("weight_map")
    if not isinstance(shards, dict):
        raise InputError(f"{first} names no weights; fetch the checkpoint anew")
    files = sorted({folder / str(shard) for shard in shards.values()})
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(f"{name} lacks a part of its weights: {list_first(missing)}; fetch the checkpoint anew")
    return files


def load_weights(
    checkpoint: Checkpoint, model_class: Any, fresh: bool = False, renamed: dict[str, str] | None = None
) -> Any:
    """A model of transformers in float32 and in training mode, with the weights of the checkpoint.

    Pickled weights are read with `weights_only`, which runs no code. Heads that the checkpoint does not have are not
    missed where `model_class` has none; weights of the encoder are.

    Args:
        checkpoint: where the weights are.
        model_class: class of transformers to make.
        fresh: draw the weights at random instead, from torch's global generator.
        renamed: regular expressions for the beginnings of weights' names, and what to call them.

    Raises:
        InputError: the weights cannot be read, or do not fit the configuration.
    """
    try:
        with quiet():
            if fresh:
                return model_class(checkpoint.config).float().train()
            folder = find_folder(checkpoint.name, checkpoint.revision)
            weight_files(checkpoint.name, folder)
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
    except Exception as error:  # damaged files and settings that no model can have fail in many ways
        raise InputError(_why_unreadable(checkpoint.name, error)) from error
    _check_fit(checkpoint.name, report)
    if MASK_EMBEDDING in report["missing_keys"]:
        torch.nn.init.zeros_(getattr(model, MASK_EMBEDDING))
    return model.train()


def _why_unreadable(name: str, error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return (
            f"The weights of {name} are pickled and hold more than weights, or are damaged; unpickling them could run "
            "code: refused; give a checkpoint with model.safetensors"
        )
    return f"The weights of {name} cannot be read, or do not fit its config.json: {one_line(error)}"


def _check_fit(name: str, report: dict[str, Any]) -> None:
    """Refuse what transformers would mend at random: it only warns of weights that are missing or do not fit."""
    mismatched = sorted(report["mismatched_keys"])
    wrong = [f"{key} has the shape {tuple(there)} instead of {tuple(here)}" for key, there, here in mismatched]
    wrong += [f"{key} is missing" for key in sorted(report["missing_keys"]) if key != MASK_EMBEDDING]
    wrong += [
        f"{key} has no place"
        for key in sorted(report["unexpected_keys"])
        if LAYER_WEIGHT.search(key) and not OUTSIDE_ENCODER.search(key)
    ]
    if wrong:
        raise InputError(f"The weights of {name} do not fit its config.json: {list_first(wrong, 3)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what transformers says while it loads: we refuse what it warns of."""
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
