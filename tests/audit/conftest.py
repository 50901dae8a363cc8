"""Checkpoints of transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def save_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`save_checkpoint("Wav2Vec2ForPreTraining", seed=7)`: a folder as transformers writes it."""
    import transformers

    def write(name: str, seed: int, **sizes: int) -> Path:
        folder = tmp_path_factory.mktemp(f"{name}_{seed}")
        torch.manual_seed(seed)
        model_class = getattr(transformers, name)
        heads = {"num_codevectors_per_group": 8, "codevector_dim": 8, "proj_codevector_dim": 8, "num_negatives": 8}
        config = model_class.config_class(
            hidden_size=sizes.get("hidden_size", 16),
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=[8] * 7,
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            **(heads if "PreTraining" in name else {}),
        )
        model_class(config).save_pretrained(folder)
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
        return folder

    return write
