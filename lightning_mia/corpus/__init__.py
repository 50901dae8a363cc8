"""Where recordings come from: manifests, folders, torchaudio data sets, synthetic voices."""

from lightning_mia.corpus.folder import Folder
from lightning_mia.corpus.librispeech import LibriSpeech
from lightning_mia.corpus.manifest import Manifest
from lightning_mia.corpus.synthetic import SyntheticVoices
from lightning_mia.corpus.table import Corpus

__all__ = ["Corpus", "Folder", "LibriSpeech", "Manifest", "SyntheticVoices"]
