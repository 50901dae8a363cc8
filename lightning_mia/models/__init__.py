"""Self-supervised speech models, one family per file."""

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.ctc import CTC
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.models.published.published_cpc import PublishedCPC
from lightning_mia.models.published.published_tera import PublishedTERA
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2

__all__ = [
    "CPC",
    "CTC",
    "TERA",
    "HuBERT",
    "MelHuBERT",
    "PretrainedEncoder",
    "PublishedCPC",
    "PublishedTERA",
    "SpeechModel",
    "Wav2Vec2",
]
