"""Where recordings come from: manifests, folders, published corpora, Hugging Face data sets, synthetic voices."""

from lightning_mia.corpus.cmu_arctic import CMUArctic
from lightning_mia.corpus.common_voice import CommonVoice
from lightning_mia.corpus.fluent_speech_commands import FluentSpeechCommands
from lightning_mia.corpus.folder import Folder
from lightning_mia.corpus.huggingface_dataset import HuggingFaceDataset
from lightning_mia.corpus.librilight import LibriLightLimited
from lightning_mia.corpus.librispeech import LibriSpeech
from lightning_mia.corpus.ljspeech import LJSpeech
from lightning_mia.corpus.manifest import Manifest
from lightning_mia.corpus.speech_commands import SpeechCommands
from lightning_mia.corpus.synthetic import SyntheticVoices
from lightning_mia.corpus.table import Corpus
from lightning_mia.corpus.tedlium import TEDLIUM
from lightning_mia.corpus.two_sources import TwoSources
from lightning_mia.corpus.vctk import VCTK
from lightning_mia.corpus.voxceleb1 import VoxCeleb1

__all__ = [
    "TEDLIUM",
    "VCTK",
    "CMUArctic",
    "CommonVoice",
    "Corpus",
    "FluentSpeechCommands",
    "Folder",
    "HuggingFaceDataset",
    "LJSpeech",
    "LibriLightLimited",
    "LibriSpeech",
    "Manifest",
    "SpeechCommands",
    "SyntheticVoices",
    "TwoSources",
    "VoxCeleb1",
]
