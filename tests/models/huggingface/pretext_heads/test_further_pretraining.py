"""Further pretraining of encoders of transformers."""

import copy
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.checkpoint import load_model
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from tests.models.fitting import Figures, Recordings, bare_trainer
from tests.models.huggingface.pretext_heads.conftest import CONTRASTIVE, MakeBatch, draw_inputs, pretrained


def train_on(model: PretrainedEncoder, batches: list[Batch], epochs: int) -> tuple[L.Trainer, list[dict[str, float]]]:
    losses = Figures()
    trainer = bare_trainer(epochs, losses)
    trainer.fit(model, Recordings(batches))
    return trainer, losses.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hubert", "wav2vec2_layer_norm"])
def test_further_pretraining_learns_and_its_checkpoint_loads(
    name: str, write: Callable[[str], Path], make_batch: MakeBatch, tmp_path: Path
) -> None:
    model = pretrained(write(name), learning_rate=1e-2, diversity_weight=1.0)
    batches = [Batch(["a", "b"], *make_batch(0.4, 0.9, seed=s)) for s in (0, 2)]
    trainer, rows = train_on(model, batches, 20)
    losses = [row["train/loss"] for row in rows]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    figure = "contrastive_accuracy" if name in CONTRASTIVE else "masked_accuracy"
    assert {f"train/{figure}", "train/code_perplexity"} <= rows[0].keys()
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = load_model(tmp_path / "model.ckpt", pretrained(write(name), learning_rate=1e-2, diversity_weight=1.0))
    waveforms, lengths = make_batch(0.3)
    inputs = draw_inputs(model, waveforms, lengths)
    with torch.no_grad():
        assert loaded.has_pretext
        assert torch.equal(
            loaded.pretext_score(waveforms, lengths, *inputs),
            model.eval().pretext_score(waveforms, lengths, *inputs),
        )


def test_training_a_copy_leaves_the_original_unchanged(write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    """Hooks that listen to the original's layers would give the copy the original's states."""
    model = pretrained(write("wav2vec2"), learning_rate=1e-2).eval()
    waveforms, lengths = make_batch(0.5)
    with torch.no_grad():
        before = model.encode(waveforms, lengths).hidden
        other = copy.deepcopy(model)
        train_on(other.train(), [Batch(["a"], waveforms, lengths)], 3)
        changed = other.eval().encode(waveforms, lengths).hidden
        after = model.encode(waveforms, lengths).hidden
    for old, same in zip(before, after, strict=True):
        torch.testing.assert_close(old, same)
    assert len(changed) == len(before)
    assert not any(torch.allclose(old, new) for old, new in zip(before, changed, strict=True))


def test_frozen_front_end_gets_no_gradient(family: str, write: Callable[[str], Path], make_batch: MakeBatch) -> None:
    model = pretrained(write(family), freeze_front_end=True)
    fixed = ("embed_positions", "encoder.pos_conv_embed") if family in ("whisper", "conformer") else ("nothing",)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad and not any(f in name for f in fixed)]
    convolutional = [
        name for name in model.state_dict() if any(part in name for part in ("feature_extractor", ".conv1.", ".conv2."))
    ]
    convolutional = [name for name in convolutional if "conv_module" not in name]
    assert set(frozen) == set(convolutional)
    assert bool(frozen) == (family != "wav2vec2_bert")
    model.fit_targets([make_batch(0.9)])
    waveforms, lengths = make_batch(0.4)
    model.pretext(waveforms, lengths, model.draw_masks(waveforms, lengths)).loss.backward()
    in_groups = {id(p) for group in model.parameter_groups() for p in group["params"]}
    assert in_groups == {id(p) for p in model.parameters() if p.requires_grad}


def test_layer_decay_sets_the_learning_rates(write: Callable[[str], Path]) -> None:
    model = pretrained(write("hubert"), learning_rate=1e-3, layer_decay=0.5)
    rates = {id(p): group["lr"] for group in model.parameter_groups() for p in group["params"]}
    layers = model.encoder.layers
    assert rates[id(model.head.codes)] == 1e-3
    assert [rates[id(layer.layer_norm.weight)] for layer in layers] == pytest.approx([2.5e-4, 5e-4])
    assert rates[id(model.encoder.model.feature_projection.projection.weight)] == pytest.approx(1.25e-4)


def test_collapse_is_reported(write: Callable[[str], Path]) -> None:
    guessing = {"contrastive_accuracy": 0.125, "contrastive_chance": 0.125, "code_perplexity": 20.0}
    assert pretrained(write("wav2vec2")).collapse({**guessing, "contrastive_accuracy": 0.5}) == ""
    assert pretrained(write("wav2vec2")).collapse(guessing).startswith("wav2vec2: it does not discriminate")
    assert pretrained(write("hubert")).collapse({"code_perplexity": 20.0}) == ""
    assert pretrained(write("hubert")).collapse({"code_perplexity": 1.1}).startswith("hubert: one cluster is predicted")
