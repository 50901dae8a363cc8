import argparse
import json
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
    return state


def write(path: Path, config: Any = CONFIG, **entries: Any) -> str:
    torch.save({"config": config, "weights": weights(), **entries}, path)
    return str(path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    return write(tmp_path / "cpc.pt")


def criterion(mode: str = "transformer", n_steps: int = 3) -> dict[str, Tensor]:
    """Entry `cpcCriterion` of a checkpoint of the authors' training: names and shapes as there, small."""
    torch.manual_seed(2)
    state = {}
    for step in range(n_steps):
        predictor = f"wPrediction.predictors.{step}"
        if mode == "linear":
            state[f"{predictor}.weight"] = torch.randn(12, 8) / 3
            continue
        layer = f"{predictor}.0"
        for name in ("Wo", "Wk", "Wq", "Wv"):
            state[f"{layer}.multihead.{name}.weight"] = torch.randn(12, 12) / 3
        state[f"{layer}.multihead.Att.Krelpos"] = torch.randn(3, REACH) / 2
        state[f"{layer}.multihead.Att.z"] = torch.zeros(1, REACH, 1)
        state[f"{layer}.multihead.Att.mask"] = torch.full((1, REACH, REACH), -torch.inf).triu(1)
        for name, outputs, inputs in (("lin1", 20, 12), ("lin2", 12, 20)):
            state[f"{layer}.ffnetwork.{name}.weight"] = torch.randn(outputs, inputs) / 3
            state[f"{layer}.ffnetwork.{name}.bias"] = torch.randn(outputs) / 3
        for name in ("ln_multihead", "ln_ffnetwork"):
            state[f"{layer}.{name}.weight"], state[f"{layer}.{name}.bias"] = torch.rand(12) + 0.5, torch.randn(12) / 3
    return state


REACH = 25  # frames: sizeWindow / 160 − nPredicts
WIDE = {**CONFIG, "hiddenGar": 12, "nLevelsGRU": 1, "sizeWindow": 4480, "negativeSamplingExt": 6, "nPredicts": 3}


def wide_weights() -> dict[str, Tensor]:
    """Weights whose context is as wide as the latents, as transformer layers need it."""
    torch.manual_seed(1)
    net = nn.LSTM(12, 12)
    state = {name: value for name, value in weights().items() if "gEncoder" in name}
    return state | {f"gAR.baseNet.{name}": value.detach() for name, value in net.state_dict().items()}


def write_training(folder: Path, settings: Any = WIDE, **entries: Any) -> str:
    """What the authors' training writes."""
    content = {"gEncoder": wide_weights(), "cpcCriterion": criterion(), "optimizer": {"state": {}}, "best": None}
    if settings is not None:
        (folder / "checkpoint_args.json").write_text(json.dumps(settings))
    torch.save({**content, **entries}, folder / "checkpoint_30.pt")
    return str(folder / "checkpoint_30.pt")


def predicted_by_hand(contexts: Tensor, step: int, given: dict[str, Tensor]) -> Tensor:
    """Predictions (frames, dim) of a transformer layer, one frame and head at a time."""
    part = {name.removeprefix(f"wPrediction.predictors.{step}.0."): value for name, value in given.items()}
    q, k, v = (contexts @ part[f"multihead.W{name}.weight"].T for name in "qkv")
    rows = []
    for t in range(len(contexts)):
        mixed = []
        for head in range(4):
            at = slice(3 * head, 3 * head + 3)
            seen = range(max(0, t - REACH + 1), t + 1)
            logits = [
                (q[t, at] @ k[s, at] + q[t, at] @ part["multihead.Att.Krelpos"][:, REACH - 1 - (t - s)]) / 3**0.5
                for s in seen
            ]
            mixed.append(torch.stack(logits).softmax(dim=0) @ torch.stack([v[s, at] for s in seen]))
        rows.append(torch.cat(mixed) @ part["multihead.Wo.weight"].T)

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (12,), part[f"{name}.weight"], part[f"{name}.bias"])

    x = norm("ln_multihead", contexts + torch.stack(rows))
    inner = F.relu(x @ part["ffnetwork.lin1.weight"].T + part["ffnetwork.lin1.bias"])
    return norm("ln_ffnetwork", x + inner @ part["ffnetwork.lin2.weight"].T + part["ffnetwork.lin2.bias"])


def test_predictors_equal_the_authors_layers(tmp_path: Path) -> None:
    model = PublishedCPC(write_training(tmp_path)).eval()
    contexts = torch.randn(1, REACH + 5, 12, generator=torch.Generator().manual_seed(4))  # longer than in training
    for step in range(3):
        with torch.no_grad():
            actual = model.head[step](contexts)[0]
        torch.testing.assert_close(actual, predicted_by_hand(contexts[0], step, criterion()), atol=1e-5, rtol=1e-5)


def test_relative_positions_are_those_of_the_authors_code() -> None:
    """Their shift of q · Krelpos, for sequences as long as in training."""
    product = torch.randn(REACH, REACH)
    theirs = torch.cat([torch.zeros(REACH, 1), product], dim=1).view(REACH + 1, REACH)[1:]
    for i in range(REACH):
        for j in range(i + 1):
            assert theirs[i, j] == product[i, REACH - 1 - (i - j)]


@pytest.mark.parametrize("mode", ["linear", "transformer"])
def test_score_is_the_probability_of_the_true_frames(tmp_path: Path, make_batch: MakeBatch, mode: str) -> None:
    if mode == "linear":
        given, path = criterion("linear"), write(tmp_path / "cpc.pt", cpcCriterion=criterion("linear"))
    else:
        given, path = criterion(), write_training(tmp_path)
    model = PublishedCPC(path).eval()
    waveforms, lengths = make_batch(0.15, 0.2)
    noise = torch.rand(2, 2, 20, model.noise_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        scores = model.pretext_score(waveforms, lengths, torch.zeros(2, 2, 20, dtype=torch.bool), noise)
        for i, n in enumerate(lengths.tolist()):
            encoded = model.encode(waveforms[i : i + 1, :n], lengths[i : i + 1])
            latents, contexts = encoded.hidden[0][0], encoded.hidden[-1][0]
            log_p = []
            for step in range(1, 4):
                matrix = given.get(f"wPrediction.predictors.{step - 1}.weight")
                linear = matrix is not None
                predictions = contexts @ matrix.T if linear else predicted_by_hand(contexts, step - 1, given)
                for t in range(len(latents) - step):
                    others = noise[0, i, t + step].mul(len(latents) - 1).long() + t + step + 1
                    candidates = torch.stack([latents[t + step], *latents[others % len(latents)]])
                    log_p.append((predictions[t] * candidates).mean(dim=1).double().log_softmax(dim=0)[0])
            mean = torch.stack(log_p).mean()
            expected = mean - torch.log1p(-mean.exp())
            assert scores[0, i].item() == pytest.approx(expected.item(), abs=1e-5)


def test_checkpoint_with_its_predictors_can_be_trained_further(tmp_path: Path, make_batch: MakeBatch) -> None:
    model = PublishedCPC(write_training(tmp_path))
    assert model.has_pretext and model.can_pretrain
    assert (model.noise_dim, model.window, len(model.head)) == (6, 4480, 3)
    loss = model.train().pretext(*make_batch(0.1, 0.5), torch.zeros(2, 50, dtype=torch.bool)).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    fresh = model.untrained()
    assert fresh.has_pretext and not torch.equal(fresh.head[0][0].ln_multihead.bias, model.head[0][0].ln_multihead.bias)


@pytest.mark.parametrize("settings", [None, [1]], ids=["missing", "a list"])
def test_training_without_its_settings_is_refused(tmp_path: Path, settings: Any) -> None:
    with pytest.raises(InputError, match=r"checkpoint_args.json|is not a table"):
        PublishedCPC(write_training(tmp_path, settings))


def test_other_predictors_are_left_out(tmp_path: Path) -> None:
    lstm = {f"wPrediction.predictors.0.{name}": value for name, value in nn.LSTM(12, 12).state_dict().items()}
    assert not PublishedCPC(write_training(tmp_path, cpcCriterion=lstm)).has_pretext


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
