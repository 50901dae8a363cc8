"""Corpora: manifests, folders, published data sets, synthetic voices."""

from lightning_mia.corpora.base import Corpus
from lightning_mia.corpora.cmu_arctic import CMUArctic
from lightning_mia.corpora.common_voice import CommonVoice
from lightning_mia.corpora.fluent_speech_commands import FluentSpeechCommands
from lightning_mia.corpora.folder import Folder
from lightning_mia.corpora.huggingface import HuggingFaceDataset
from lightning_mia.corpora.kaldi import Kaldi
from lightning_mia.corpora.librilight import LibriLightLimited
from lightning_mia.corpora.librispeech import LibriSpeech
from lightning_mia.corpora.ljspeech import LJSpeech
from lightning_mia.corpora.manifest import Manifest
from lightning_mia.corpora.speech_commands import SpeechCommands
from lightning_mia.corpora.synthetic.voices import SyntheticVoices
from lightning_mia.corpora.tedlium import TEDLIUM
from lightning_mia.corpora.two_sources import TwoSources
from lightning_mia.corpora.vctk import VCTK
from lightning_mia.corpora.voxceleb import VoxCeleb1

__all__ = [
    "TEDLIUM",
    "VCTK",
    "CMUArctic",
    "CommonVoice",
    "Corpus",
    "FluentSpeechCommands",
    "Folder",
    "HuggingFaceDataset",
    "Kaldi",
    "LJSpeech",
    "LibriLightLimited",
    "LibriSpeech",
    "Manifest",
    "SpeechCommands",
    "SyntheticVoices",
    "TwoSources",
    "VoxCeleb1",
]
