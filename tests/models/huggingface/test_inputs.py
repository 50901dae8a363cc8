from collections.abc import Callable

import pytest
import torch
import transformers
from torch import Tensor

from lightning_mia.models.huggingface.inputs import KaldiFilterBank, Waveform, WhisperLogMel

MakeBatch = Callable[..., tuple[Tensor, Tensor]]


def theirs(extractor: transformers.SequenceFeatureExtractor, waveform: Tensor) -> Tensor:
    answer = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
    return answer[extractor.model_input_names[0]][0]


def test_unit_variance_ignores_padding(make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.5, 0.1, 0.3)
    extractor = transformers.Wav2Vec2FeatureExtractor()
    ours = Waveform(extractor)(waveforms, lengths)
    for row, waveform, length in zip(ours, waveforms, lengths.tolist(), strict=True):
        torch.testing.assert_close(row[:length], theirs(extractor, waveform[:length]), rtol=1e-6, atol=1e-6)
        assert not row[length:].any()


def test_kaldi_frames_equal_transformers_to_the_last_bit(make_batch: MakeBatch) -> None:
    """Recordings with digital silence, odd and even numbers of log-mel frames."""
    waveforms, lengths = make_batch(0.5, 0.1, 0.31, 1.0)
    extractor = transformers.SeamlessM4TFeatureExtractor()
    bank = KaldiFilterBank(extractor)
    ours, n_frames = bank(waveforms, lengths), bank.frame_lengths(lengths)
    for row, count, waveform, length in zip(ours, n_frames.tolist(), waveforms, lengths.tolist(), strict=True):
        assert torch.equal(row[:count], theirs(extractor, waveform[:length])[:count])


@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.0, 2.7])
def test_whisper_frames_have_a_fixed_length(seconds: float, make_batch: MakeBatch) -> None:
    waveforms, _ = make_batch(seconds)
    extractor = transformers.WhisperFeatureExtractor(chunk_length=2)
    ours = WhisperLogMel(extractor)(waveforms)
    assert ours.shape == (1, 80, 200)
    torch.testing.assert_close(ours[0], theirs(extractor, waveforms[0]), rtol=0, atol=1e-6)


def test_whisper_maximum_is_per_recording(make_batch: MakeBatch) -> None:
    waveforms, _ = make_batch(0.5, 0.5)
    waveforms[1] *= 1e-3
    log_mel = WhisperLogMel(transformers.WhisperFeatureExtractor(chunk_length=1))
    torch.testing.assert_close(log_mel(waveforms)[1:], log_mel(waveforms[1:]))


@pytest.mark.parametrize("make", [KaldiFilterBank, WhisperLogMel])
def test_preprocessor_has_no_state(make: type[torch.nn.Module]) -> None:
    """Weights keep the names that they have in transformers, and no others are added."""
    extractor = {
        KaldiFilterBank: transformers.SeamlessM4TFeatureExtractor,
        WhisperLogMel: transformers.WhisperFeatureExtractor,
    }
    assert not make(extractor[make]()).state_dict()
