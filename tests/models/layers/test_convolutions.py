import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models import cpc
from lightning_mia.models.layers.convolutions import KERNELS, STRIDES, WaveformFrontEnd, convolve
from lightning_mia.models.layers.features import normalise


def plain(front_end: WaveformFrontEnd, waveforms: Tensor, lengths: Tensor) -> Tensor:
    """The front end with PyTorch's own layers, samples last, one recording at a time."""
    rows = []
    for waveform, n in zip(waveforms, lengths.tolist(), strict=True):
        x = normalise(waveform[None, :n, None], torch.tensor([n])).transpose(1, 2)  # (1, 1, samples)
        for i, convolution in enumerate(front_end.convolutions):
            assert isinstance(convolution, nn.Conv1d)
            x = F.conv1d(x, convolution.weight, convolution.bias, convolution.stride)
            if not front_end.group_norm:
                x = front_end.norms[i](x.transpose(1, 2)).transpose(1, 2)
            elif i == 0:
                x = F.group_norm(x, x.shape[1], front_end.norms[0].weight, front_end.norms[0].bias)
            x = front_end.activation(x)
        rows.append(x[0].T)
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


@pytest.mark.parametrize(
    ("kernels", "strides", "activation", "group_norm"),
    [
        (KERNELS, STRIDES, F.gelu, False),
        (KERNELS, STRIDES, F.gelu, True),
        (cpc.KERNELS, cpc.STRIDES, F.relu, False),
    ],
)
def test_front_end_equals_plain_layers(
    kernels: tuple[int, ...], strides: tuple[int, ...], activation: object, group_norm: bool
) -> None:
    torch.manual_seed(0)
    front_end = WaveformFrontEnd(6, group_norm, kernels, strides, activation)
    waveforms, lengths = torch.randn(3, 3456), torch.tensor([1600, 3456, 2345])
    waveforms = waveforms.masked_fill(torch.arange(3456) >= lengths.unsqueeze(1), 0.0)
    with torch.no_grad():
        frames, expected = front_end(waveforms, lengths), plain(front_end, waveforms, lengths)
    assert frames.shape == expected.shape
    for row, wanted, n in zip(frames, expected, front_end.frame_lengths(lengths).tolist(), strict=True):
        torch.testing.assert_close(row[:n], wanted[:n], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernels", "strides", "field", "hop"), [(KERNELS, STRIDES, 400, 320), (cpc.KERNELS, cpc.STRIDES, 465, 160)]
)
def test_receptive_field(kernels: tuple[int, ...], strides: tuple[int, ...], field: int, hop: int) -> None:
    front_end = WaveformFrontEnd(2, False, kernels, strides)
    lengths = torch.tensor([field - 1, field, field + hop - 1, field + hop, 16_000])
    assert front_end.frame_lengths(lengths).tolist() == [0, 1, 1, 2, (16_000 - field) // hop + 1]


def test_many_lengths_are_padded_to_few(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = set()

    def spied(convolution: nn.Conv1d, x: Tensor) -> Tensor:
        shapes.add(x.shape[1])
        return convolve(convolution, x)

    monkeypatch.setattr("lightning_mia.models.layers.convolutions.convolve", spied)
    front_end = WaveformFrontEnd(2, False)
    for samples in range(8_100, 9_100, 100):
        assert front_end(torch.randn(1, samples), torch.tensor([samples])).shape[1] == (samples - 80) // 320
    assert len([length for length in shapes if length > 8_000]) == 2  # 8,500 and 9,000


def test_kernels_and_strides_have_equal_number() -> None:
    with pytest.raises(ValueError, match="zip"):
        WaveformFrontEnd(2, False, (10, 8), (5,))
