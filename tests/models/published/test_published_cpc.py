import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.published.base import read_published
from lightning_mia.models.published.published_cpc import PublishedCPC
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

MakeBatch = Callable[..., tuple[Tensor, Tensor]]
CONFIG = {
    "hiddenEncoder": 12,
    "hiddenGar": 8,
    "arMode": "LSTM",
    "nLevelsGRU": 2,
    "normMode": "layerNorm",
    "nPredicts": 12,
}
KERNELS, STRIDES, PADDINGS = (10, 8, 4, 4, 4), (5, 4, 2, 2, 2), (3, 2, 1, 1, 1)


def weights(mode: str = "LSTM") -> dict[str, Tensor]:
    """What the published file holds: names and shapes as there, small."""
    torch.manual_seed(1)
    state = {}
    for i, kernel in enumerate(KERNELS):
        state[f"gEncoder.conv{i}.weight"] = torch.randn(12, 12 if i else 1, kernel) / 3
        state[f"gEncoder.conv{i}.bias"] = torch.randn(12)
        state[f"gEncoder.batchNorm{i}.weight"] = 1 + torch.randn(1, 12, 1) / 4
        state[f"gEncoder.batchNorm{i}.bias"] = torch.randn(1, 12, 1) / 4
    net = getattr(nn, mode)(12, 8, num_layers=2)
    state |= {f"gAR.baseNet.{name}": value.detach() for name, value in net.state_dict().items()}
    return state | {"wPrediction.predictors.0.weight": torch.randn(12, 8)}  # of the head: left out


def write(path: Path, config: Any = CONFIG, **entries: Any) -> str:
    torch.save({"config": config, "weights": weights(), **entries}, path)
    return str(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    return write(tmp_path / "cpc.pt")


def by_hand(clip: Tensor, given: dict[str, Tensor], mode: str = "LSTM") -> tuple[Tensor, Tensor]:
    """Latents and contexts (frames, dim) of one clip (samples,), step by step."""
    x = clip[None]  # (channels, samples)
    for i, (stride, padding) in enumerate(zip(STRIDES, PADDINGS, strict=True)):
        part = {name.split(".")[-1]: v for name, v in given.items() if f"conv{i}" in name}
        norm = {name.split(".")[-1]: v for name, v in given.items() if f"batchNorm{i}" in name}
        x = F.conv1d(F.pad(x, (padding, padding)), part["weight"], part["bias"], stride)
        centred = x - x.sum(dim=0) / 12
        x = centred / torch.sqrt((centred**2).sum(dim=0) / 11 + 1e-5)
        x = torch.relu(x * norm["weight"][0] + norm["bias"][0])
    net = getattr(nn, mode)(12, 8, num_layers=2)
    net.load_state_dict({name.removeprefix("gAR.baseNet."): v for name, v in given.items() if "gAR" in name})
    with torch.no_grad():
        return x.T, net(x.T)[0]


@pytest.mark.parametrize("mode", ["LSTM", "GRU", "RNN"])
def test_batch_equals_single_clips(tmp_path: Path, make_batch: MakeBatch, mode: str) -> None:
    given = weights(mode)
    model = PublishedCPC(write(tmp_path / "cpc.pt", {**CONFIG, "arMode": mode}, weights=given)).eval()
    waveforms, lengths = make_batch(0.1, 1.00375, 0.7001)
    with torch.no_grad():
        encoded = model.encode(waveforms, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = by_hand(waveforms[i, :n], given, mode)
        assert encoded.lengths[i] == len(alone[0])
        for layer, expected in zip(encoded.hidden, alone, strict=True):
            actual = layer[i, : len(expected)]
            assert (actual - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("n", [1600, 1601, 1759, 1760, 4003, 16000])
def test_frame_lengths_match_the_encoder(checkpoint: str, n: int) -> None:
    model = PublishedCPC(checkpoint)
    assert model.frame_lengths(torch.tensor(n)) == len(by_hand(torch.randn(n), weights())[0])


def test_batching_test_detects_a_planted_error(
    checkpoint: str, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without silencing between the convolutions, the last frames of a padded clip hear their padding."""
    model = PublishedCPC(checkpoint).eval()
    waveforms, lengths = make_batch(0.1, 1.0)
    monkeypatch.setattr(
        "lightning_mia.models.published.published_cpc.padding_mask", lambda lengths, n: torch.zeros(2, n).bool()
    )
    with torch.no_grad():
        latents = model.encode(waveforms, lengths).hidden[0][0, :10]
    expected = by_hand(waveforms[0, :1600], weights())[0]
    assert (latents - expected).norm() > 1e-2 * expected.norm()


def test_masked_frames_do_not_affect_the_output(checkpoint: str, make_batch: MakeBatch) -> None:
    model = PublishedCPC(checkpoint).eval()
    waveforms, lengths = make_batch(0.3)
    masks = torch.zeros(1, 30, dtype=torch.bool)
    masks[0, 10:15] = True
    with torch.no_grad():
        free, masked = model.encode(waveforms, lengths).hidden, model.encode(waveforms, lengths, masks).hidden
    assert (masked[0][0, 10:15] == 0).all()
    torch.testing.assert_close(masked[1][:, :10], free[1][:, :10])
    assert not torch.allclose(masked[1][:, 10:], free[1][:, 10:])
    assert not model.draw_masks(waveforms, lengths).any()


def test_pretrained_encoder_has_no_pretext(checkpoint: str, make_batch: MakeBatch) -> None:
    model = PublishedCPC(checkpoint)
    waveforms, lengths = make_batch(0.1)
    assert model.is_pretrained and not model.has_pretext
    assert model.weights_sha256() == hash_of_file(checkpoint)
    for method in (model.pretext, model.pretext_score):
        with pytest.raises(InputError, match="encoder alone"):
            method(waveforms, lengths, torch.zeros(1, 10, dtype=torch.bool))
    fresh = model.untrained()
    assert not fresh.is_pretrained and fresh.weights_sha256() == ""
    assert fresh.state_dict().keys() == model.state_dict().keys()
    assert not torch.equal(fresh.network.gEncoder.conv1.weight, model.network.gEncoder.conv1.weight)


def test_namespaces_and_the_legacy_format_load(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    content = {"config": argparse.Namespace(**CONFIG), "weights": weights()}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert PublishedCPC(str(path)).network.gAR["baseNet"].num_layers == 2


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({**CONFIG, "arMode": "transformer"}, "arMode transformer"),
        ({**CONFIG, "arMode": ["LSTM"]}, "arMode"),
        ({**CONFIG, "normMode": "batchNorm"}, "normMode batchNorm"),
        ({**CONFIG, "encoder_type": "mfcc"}, "encoder_type mfcc"),
        ({**CONFIG, "cpc_mode": "reverse"}, "cpc_mode reverse"),
        ({**CONFIG, "hiddenGar": "wide"}, "hiddenGar = 'wide'"),
        ({**CONFIG, "hiddenEncoder": 16}, "do not fit its configuration"),
        ({**CONFIG, "nLevelsGRU": 3}, "lacks weights: gAR.baseNet.weight_ih_l2"),
        ([1, 2], "not a table"),
    ],
)
def test_unsupported_configurations_are_refused(tmp_path: Path, config: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as caught:
        PublishedCPC(write(tmp_path / "cpc.pt", config))
    assert "\n" not in str(caught.value) and "cpc.pt" in str(caught.value)


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "is not a file"),
        (b"not a pickle at all", "not a PyTorch checkpoint"),
        (b"", "not a PyTorch checkpoint"),
        ({"config": CONFIG}, "lacks weights"),
        ([1], "lacks config, weights"),
        ({"config": CONFIG, "weights": [1]}, "not a table"),
        ({"config": CONFIG, "weights": {**weights(), "gEncoder.conv0.bias": "text"}}, "do not fit"),
        ({"config": CONFIG, "weights": weights(), "evil": Evil()}, r"unsafe unpickling of \w+\.system"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: Any, complaint: str) -> None:
    path = tmp_path / "bad.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(InputError, match=complaint) as caught:
        PublishedCPC(str(path))
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_unsafe_legacy_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"evil": Evil()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="unsafe unpickling"):
        read_published(str(path), "CPC", ("weights",))
