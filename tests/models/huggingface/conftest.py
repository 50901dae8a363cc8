"""Tiny checkpoints with random weights, saved by transformers alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

Save = Callable[..., Path]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 32}
CONVOLUTIONS = {"conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 4, "num_conv_pos_embeddings": 16}
LAYER_NORM = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
WHISPER = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "vocab_size": 60,
    "max_source_positions": 150,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 3,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2Config", {**SIZES, **CONVOLUTIONS}),
    "wav2vec2_layer_norm": ("Wav2Vec2Config", {**SIZES, **CONVOLUTIONS, **LAYER_NORM}),
    "hubert": ("HubertConfig", {**SIZES, **CONVOLUTIONS}),
    "hubert_batch_norm": ("HubertConfig", {**SIZES, **CONVOLUTIONS, "conv_pos_batch_norm": True}),
    "wavlm": ("WavLMConfig", {**SIZES, **CONVOLUTIONS}),
    "wavlm_layer_norm": ("WavLMConfig", {**SIZES, **CONVOLUTIONS, **LAYER_NORM}),
    "data2vec": (
        "Data2VecAudioConfig",
        {**SIZES, **CONVOLUTIONS, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5},
    ),
    "unispeech": ("UniSpeechConfig", {**SIZES, **CONVOLUTIONS}),
    "unispeech_sat": ("UniSpeechSatConfig", {**SIZES, **CONVOLUTIONS}),
    "conformer_relative": ("Wav2Vec2ConformerConfig", {**SIZES, **CONVOLUTIONS, "conv_depthwise_kernel_size": 5}),
    "conformer_rotary": (
        "Wav2Vec2ConformerConfig",
        {**SIZES, **CONVOLUTIONS, "conv_depthwise_kernel_size": 5, "position_embeddings_type": "rotary"},
    ),
    "wav2vec2_bert": ("Wav2Vec2BertConfig", {**SIZES, "conv_depthwise_kernel_size": 5}),
    "sew": ("SEWConfig", {**SIZES, **CONVOLUTIONS, "conv_dim": (8,) * 13}),
    "whisper": ("WhisperConfig", WHISPER),
}


def extractor_of(name: str) -> Any:
    if name == "wav2vec2_bert":
        return transformers.SeamlessM4TFeatureExtractor()
    if name == "whisper":
        return transformers.WhisperFeatureExtractor(chunk_length=3)  # so that longer recordings are cut
    return transformers.Wav2Vec2FeatureExtractor()


def unsettle(model: torch.nn.Module) -> torch.nn.Module:
    """Move all weights: norms and biases start at 1 and 0, and the statistics of batch norm too."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand_like(buffer))
    return model


@pytest.fixture(scope="session")
def save_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """`save_checkpoint(name, head="ForCTC", **settings)`: the folder of a checkpoint in its true layout.

    `settled`: with the weights that transformers draws.
    """

    def save(name: str, head: str = "Model", settled: bool = False, **settings: Any) -> Path:
        config_class, sizes = CONFIGS[name]
        config = getattr(transformers, config_class)(**{**sizes, **settings})
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        model = getattr(transformers, config_class.removesuffix("Config") + head)(config)
        (model if settled else unsettle(model)).save_pretrained(folder)
        extractor_of(name).save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def checkpoint(save_checkpoint: Save) -> Callable[[str], Path]:
    """`checkpoint(name)`: the folder of a checkpoint that no test changes."""
    saved: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in saved:
            saved[name] = save_checkpoint(name)
        return saved[name]

    return get


@pytest.fixture(params=CONFIGS)
def family(request: pytest.FixtureRequest) -> str:
    """Every architecture, with the variants that behave differently."""
    return request.param
