"""Tiny random checkpoints of every family of transformers, as models that can be pretrained further."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from tests.models.huggingface.conftest import CONVOLUTIONS, LAYER_NORM, SIZES, WHISPER

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
QUANTISER = {"num_codevectors_per_group": 12, "codevector_dim": 8, "proj_codevector_dim": 10, "num_negatives": 7}
T = transformers
CONTRASTIVE = {
    "wav2vec2": (T.Wav2Vec2ForPreTraining, lambda: T.Wav2Vec2Config(**SIZES, **CONVOLUTIONS, **QUANTISER)),
    "wav2vec2_layer_norm": (
        T.Wav2Vec2ForPreTraining,
        lambda: T.Wav2Vec2Config(**SIZES, **CONVOLUTIONS, **QUANTISER, **LAYER_NORM),
    ),
    "conformer": (
        T.Wav2Vec2ConformerForPreTraining,
        lambda: T.Wav2Vec2ConformerConfig(**SIZES, **CONVOLUTIONS, **QUANTISER, conv_depthwise_kernel_size=5),
    ),
    "unispeech": (T.UniSpeechForPreTraining, lambda: T.UniSpeechConfig(**SIZES, **CONVOLUTIONS, **QUANTISER)),
}
OTHERS = {
    "wav2vec2_bare": (T.Wav2Vec2Model, lambda: T.Wav2Vec2Config(**SIZES, **CONVOLUTIONS)),
    "hubert": (T.HubertModel, lambda: T.HubertConfig(**SIZES, **CONVOLUTIONS)),
    "wavlm": (T.WavLMModel, lambda: T.WavLMConfig(**SIZES, **CONVOLUTIONS)),
    "data2vec": (
        T.Data2VecAudioModel,
        lambda: T.Data2VecAudioConfig(
            **SIZES, **{**CONVOLUTIONS, "num_conv_pos_embeddings": 3}, conv_pos_kernel_size=5
        ),
    ),
    "unispeech_sat": (T.UniSpeechSatForPreTraining, lambda: T.UniSpeechSatConfig(**SIZES, **CONVOLUTIONS)),
    "wav2vec2_bert": (T.Wav2Vec2BertModel, lambda: T.Wav2Vec2BertConfig(**SIZES, conv_depthwise_kernel_size=5)),
    "sew": (T.SEWModel, lambda: T.SEWConfig(**SIZES, **{**CONVOLUTIONS, "conv_dim": (8,) * 13})),
    "whisper": (T.WhisperModel, lambda: T.WhisperConfig(**{**WHISPER, "max_source_positions": 100})),
}
PREPROCESSORS: dict[str, Callable[[], Any]] = {
    "wav2vec2_bert": T.SeamlessM4TFeatureExtractor,
    "whisper": lambda: T.WhisperFeatureExtractor(chunk_length=2),
}
FAMILIES = {**CONTRASTIVE, **OTHERS}


@pytest.fixture(scope="session")
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
    """A model in evaluation mode with fitted targets."""
    model = pretrained(folder, **settings)
    model.fit_targets([make_batch(0.4, 0.9)])
    return model.eval()


def draw_inputs(model: PretrainedEncoder, waveforms: Tensor, lengths: Tensor, draws: int = 1) -> tuple[Tensor, Tensor]:
    """Masks and noise of several draws."""
    masks = torch.stack([model.draw_masks(waveforms, lengths) for _ in range(draws)])
    return masks, torch.rand(*masks.shape, model.noise_dim)
