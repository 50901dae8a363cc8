"""Pretext heads, from a checkpoint or new, and their targets."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.huggingface.contrastive_heads import ContrastiveHeads
from lightning_mia.models.huggingface.heads import ClusterHead, samples_per_frame
from lightning_mia.models.layers.features import LogMel
from lightning_mia.utilities.errors import InputError
from tests.models.huggingface.conftest import CONVOLUTIONS, SIZES
from tests.models.huggingface.pretext_heads.conftest import (
    CONTRASTIVE,
    OTHERS,
    MakeBatch,
    T,
    draw_inputs,
    pretrained,
    ready,
)


def test_untrained_model_has_the_same_shapes_and_random_weights(family: str, write: Callable[[str], Path]) -> None:
    """Random weights are drawn for the heads too."""
    model = pretrained(write(family))
    again, fresh = pretrained(write(family)), model.untrained()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for other in (again, fresh):
        assert {name: tensor.shape for name, tensor in other.state_dict().items()} == shapes
    drawn = [
        name for name, p in model.named_parameters() if p.dim() > 1 and not torch.equal(p, fresh.get_parameter(name))
    ]
    drawn += [name for name, _ in model.named_parameters() if "gru_rel_pos_const" in name]  # WavLM starts it at one
    assert {name for name, p in model.named_parameters() if p.dim() > 1 and p.requires_grad} <= set(drawn)
    assert fresh.noise_dim == model.noise_dim
    assert fresh.has_pretext == model.has_pretext == (family in CONTRASTIVE)


def test_encoder_without_heads_has_a_score_only_after_fitting(
    write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    model = pretrained(write("hubert"))
    assert model.needs_targets
    assert not model.has_pretext
    waveforms, lengths = make_batch(0.3)
    masks, noise = draw_inputs(model, waveforms, lengths)
    assert model.task_scores(Batch(["a"], waveforms, lengths), masks, noise) == {}
    with pytest.raises(InputError, match="no pretext heads"):
        model.pretext_score(waveforms, lengths, masks, noise)
    model.fit_targets([(waveforms, lengths)])
    assert model.has_pretext
    assert not model.needs_targets
    assert model.task_scores(Batch(["a"], waveforms, lengths), masks, noise)["pretext_score"].shape == (1, 1)


@pytest.mark.parametrize("name", OTHERS)
def test_targets_are_the_clusters_of_simultaneous_mfcc_frames(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch
) -> None:
    """Every family has frames of 20 ms; where one has more than MFCC has, the last target counts for these."""
    model = ready(write(name), make_batch)
    assert isinstance(model.head, ClusterHead)
    assert samples_per_frame(model.encoder) == 320
    for seconds in (0.1, 0.13, 1.0):
        waveforms, lengths = make_batch(seconds, 1.5)
        n_frames = int(model.frame_lengths(lengths).max())
        targets = model.head.targets(model.encoder, torch.empty(0), waveforms, lengths, n_frames)
        log_mel = LogMel(40)(waveforms[:1, : lengths[0]])
        own = model.head.clusters(log_mel, LogMel.frame_lengths(lengths[:1]))[0].tolist()
        frames = int(model.frame_lengths(lengths[:1]))
        assert -1 <= len(own) - frames <= 1 or name == "whisper"
        assert targets[0, :frames].tolist() == (own + [own[-1]] * 3)[:frames]


def test_targets_follow_the_frame_rate_of_the_encoder(tmp_path: Path, make_batch: MakeBatch) -> None:
    config = T.HubertConfig(**SIZES, **CONVOLUTIONS, conv_stride=(5, 2, 2, 2, 2, 2, 4))
    T.HubertModel(config).save_pretrained(tmp_path)
    T.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    model = ready(tmp_path, make_batch)
    assert isinstance(model.head, ClusterHead)
    assert samples_per_frame(model.encoder) == 640
    waveforms, lengths = make_batch(1.0)
    targets = model.head.targets(model.encoder, torch.empty(0), waveforms, lengths, 24)
    every = model.head.clusters(LogMel(40)(waveforms), LogMel.frame_lengths(lengths))
    assert targets[0].tolist() == every[0, ::2][:24].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("quantizer.codevectors"), "quantizer.codevectors is missing"),
        (
            lambda weights: weights.update({"project_q.weight": torch.zeros(3, 8)}),
            r"shape \(3, 8\) instead of \(10, 8\)",
        ),
    ],
)
def test_incomplete_heads_are_refused(
    change: Callable[[dict[str, Tensor]], None], message: str, write: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(write("wav2vec2"), tmp_path)
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=message) as refused:
        pretrained(folder)
    assert "\n" not in str(refused.value)
    assert pretrained(folder, fresh=True).has_pretext


def test_heads_load_from_shards_and_pickles(write: Callable[[str], Path], tmp_path: Path) -> None:
    expected = pretrained(write("wav2vec2")).head.state_dict()
    model = T.Wav2Vec2ForPreTraining.from_pretrained(write("wav2vec2"))
    T.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "shards")
    model.save_pretrained(tmp_path / "shards", max_shard_size="5KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    pickled = copied(write("wav2vec2"), tmp_path)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    for folder in (tmp_path / "shards", pickled):
        loaded = pretrained(folder).head.state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in expected.items())


def copied(folder: Path, into: Path) -> Path:
    copy_of = into / "copy"
    copy_of.mkdir()
    for path in folder.iterdir():
        (copy_of / path.name).write_bytes(path.read_bytes())
    return copy_of


def test_another_contrastive_temperature_is_refused(write: Callable[[str], Path], tmp_path: Path) -> None:
    folder = copied(write("wav2vec2"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "contrastive_logits_temperature": 0.2}))
    with pytest.raises(InputError, match=r"contrastive_logits_temperature 0.2"):
        pretrained(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_decay": 0.0}, "layer_decay is 0.0: give more than 0"),
        ({"gumbel_temperature": 0.0}, "gumbel_temperature is 0.0: give more than 0"),
        ({"n_clusters": 1}, "n_clusters of at least 2"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, float], message: str, write: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=message):
        pretrained(write("hubert"), **settings)


def test_unispeech_projects_the_targets(write: Callable[[str], Path]) -> None:
    heads = pretrained(write("unispeech")).head
    assert isinstance(heads, ContrastiveHeads)
    assert heads.project_hid.weight.shape == (16, 10)
