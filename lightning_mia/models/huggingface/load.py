"""From the name of a checkpoint to its encoder."""

from lightning_mia.models.huggingface.checkpoint import open_checkpoint
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder, Wav2Vec2Like
from lightning_mia.models.huggingface.sew import SEW
from lightning_mia.models.huggingface.wav2vec2_bert import Wav2Vec2Bert
from lightning_mia.models.huggingface.wavlm import WavLM
from lightning_mia.models.huggingface.whisper import Whisper

UNLIKE_WAV2VEC2: dict[str, type[HuggingFaceEncoder]] = {
    "sew": SEW,
    "wav2vec2-bert": Wav2Vec2Bert,
    "wavlm": WavLM,
    "whisper": Whisper,
}


def load_encoder(name: str, revision: str | None = None, fresh: bool = False) -> HuggingFaceEncoder:
    """The encoder of a checkpoint, in training mode.

    Args:
        name: a local folder, or a name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.
        fresh: the same configuration with weights drawn at random, from torch's global generator.

    Raises:
        InputError: it cannot be found or read, or is of no family that is understood.
    """
    checkpoint = open_checkpoint(name, revision)
    encoder = UNLIKE_WAV2VEC2.get(checkpoint.config.model_type, Wav2Vec2Like)
    return encoder.load(checkpoint, fresh)
