"""Self-supervised speech models, one family a file, all with the interface of `base`."""

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.tera import TERA

__all__ = ["TERA", "HuBERT", "MelHuBERT", "SpeechModel"]
