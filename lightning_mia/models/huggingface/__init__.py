"""Speech encoders of Hugging Face's transformers: loading, batching, pretext heads."""

from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.encoders import load_encoder

__all__ = ["HuggingFaceEncoder", "load_encoder"]
