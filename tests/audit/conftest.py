"""Checkpoints of transformers, and audits without the drawing of curves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from lightning_mia.report.figures import drawing


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


@pytest.fixture(scope="module", autouse=True)
def blank_figures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave figures empty but for `test_audit.py`: drawing takes half the time of an audit as small as these."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem != "test_audit":
            for name in ("roc_figure", "log_roc_figure", "histogram_figure"):
                patch.setattr(drawing, name, lambda *_: Figure(figsize=(1, 1)))
        yield
