"""Copies of a trained model, trained further by its own task."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models import TERA, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.models.weights import hash_content
from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.training.further_training import FurtherTraining, count_parts, with_same_weights
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.progress_bar import Progress

TINY = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32}
OPTIONS = {"max_epochs": 50, "gradient_clip_val": 1.0, "accelerator": "cpu", "enable_progress_bar": False}


@pytest.fixture(scope="module")
def audio(tiny_manifest: Path) -> AudioCache:
    return decode(Manifest(str(tiny_manifest)).table(), progress=False)


@pytest.fixture
def training(audio: AudioCache, tmp_path: Path) -> FurtherTraining:
    recordings = TrainingRecordings(audio, list(audio.index.index)[:12], n_batches=2, batch_seconds=4)
    return FurtherTraining(recordings, TrainerFactory(OPTIONS), tmp_path / "copies")


@pytest.fixture
def model() -> SpeechModel:
    torch.manual_seed(3)
    return TERA(**TINY, dropout=0.1).eval()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An encoder without pretext heads, as transformers saves it."""
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    torch.manual_seed(3)
    HubertModel(HubertConfig(**sizes, **positions, conv_dim=[8] * 7)).save_pretrained(tmp_path / "hubert")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "hubert")
    return tmp_path / "hubert"


def weights(model: SpeechModel) -> str:
    return hash_content({name: value.clone() for name, value in model.state_dict().items()})


def ids(audio: AudioCache) -> list[str]:
    return list(audio.index.index)[20:40]


def further(training: FurtherTraining, model: SpeechModel, audio: AudioCache, **changes) -> SpeechModel | None:
    settings = {"name": "copy", "epochs": 2, "learning_rate": 1e-3, "seed": 1, **changes}
    return training(model, ids(audio), **settings)


def test_the_model_itself_is_not_changed(training: FurtherTraining, model: SpeechModel, audio: AudioCache) -> None:
    before, hyperparameters = weights(model), dict(model.hparams)
    copy = further(training, model, audio)
    assert copy is not None and weights(copy) != before
    assert weights(model) == before and dict(model.hparams) == hyperparameters
    assert not model.training and not copy.training


def test_a_copy_depends_on_recordings_seed_and_rate_alone(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache, tmp_path: Path
) -> None:
    first = further(training, model, audio)
    elsewhere = training.within(tmp_path / "elsewhere", Progress())
    torch.manual_seed(99)
    again = further(elsewhere, model, audio)
    assert first is not None and again is not None and weights(first) == weights(again)
    for change in ({"seed": 2}, {"learning_rate": 2e-3}, {"epochs": 3}):
        other = further(elsewhere.within(tmp_path / str(change), Progress()), model, audio, **change)
        assert other is not None and weights(other) != weights(first)


def test_every_candidate_is_trained_on_once_an_epoch(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache
) -> None:
    further(training, model, audio, epochs=3)
    times = pd.read_csv(training.folder / "copy" / "trained_utterances.csv", dtype={"id": str}).set_index("id")["times"]
    assert times.to_dict() == dict.fromkeys(ids(audio), 3)


def test_batches_last_as_long_as_in_the_targets_training(training: FurtherTraining, audio: AudioCache) -> None:
    recordings = training.recordings.of(ids(audio), seed=5)
    seconds = recordings.recordings.durations.sum()
    assert recordings.n_batches == -(-seconds // training.recordings.batch_seconds)
    assert training.recordings.recordings.ids == list(audio.index.index)[:12]


def test_the_rate_rises_in_a_tenth_of_the_steps_and_falls_to_zero(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    step = torch.optim.AdamW.step

    def record(optimizer: torch.optim.AdamW, **arguments) -> None:
        seen.append(optimizer.param_groups[0]["lr"])
        step(optimizer, **arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    further(training, model, audio, epochs=10, learning_rate=4e-3)
    n_steps = 10 * training.recordings.of(ids(audio), 1).n_batches
    assert len(seen) == n_steps
    assert max(seen) == pytest.approx(4e-3) and seen.index(max(seen)) <= n_steps // 10
    assert seen[-1] < 4e-3 * 2 / n_steps


def test_the_victims_callbacks_and_clipping_per_example_are_left_out(audio: AudioCache, tmp_path: Path) -> None:
    class NeverCalled(Callback):
        def on_train_start(self, *_) -> None:
            raise AssertionError("a callback of the victim's training ran")

    options = {
        **OPTIONS,
        "callbacks": [NeverCalled(), LearningRateMonitor()],
        "per_example": PerExampleGradients(clip_norm=1.0, noise_multiplier=1.0),
        "max_steps": 1,
    }
    trainers = FurtherTraining(None, TrainerFactory(options)).trainers_for(4)
    assert trainers.fingerprint() == {"gradient_clip_val": 1.0, "max_epochs": 4, "max_steps": -1, "callbacks": []}


def test_an_interrupted_training_continues_to_the_same_weights(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = further(training, model, audio, epochs=4)
    interrupted = training.within(tmp_path / "interrupted", Progress())
    epochs = []

    def interrupt(trainer, module) -> None:
        epochs.append(trainer.current_epoch)
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TERA, "on_train_epoch_start", lambda self: interrupt(self.trainer, self), raising=False)
        with pytest.raises(KeyboardInterrupt):
            further(interrupted, model, audio, epochs=4)
    assert epochs == [0, 1, 2]
    resumed = further(interrupted, model, audio, epochs=4)
    assert whole is not None and resumed is not None and weights(resumed) == weights(whole)


def test_a_diverging_training_gives_no_copy(training: FurtherTraining, model: SpeechModel, audio: AudioCache) -> None:
    broken = {name: value * 1e30 for name, value in model.state_dict().items()}
    model.load_state_dict(broken)
    assert further(training, model, audio) is None
    assert not (training.folder / "copy" / "stage.json").exists()  # so that a lower rate can follow


def test_targets_of_the_model_are_kept(training: FurtherTraining, audio: AudioCache) -> None:
    model = MelHuBERT(**TINY, n_clusters=8, code_dim=8, position_kernel=8, position_groups=4)
    model.fit_targets((batch.waveforms, batch.lengths) for batch in training.recordings.training_waveforms())
    copy = further(training, model.eval(), audio)
    assert copy is not None
    assert all(torch.equal(mine, its) for mine, its in zip(model.buffers(), copy.buffers(), strict=True))


def test_wav2vec2_continues_at_its_last_temperature() -> None:
    model = Wav2Vec2(**TINY, conv_channels=8, position_kernel=8, position_groups=4, gumbel_start=2.0, gumbel_end=0.5)
    assert model.settings_further(1e-3) == {"learning_rate": 1e-3, "warmup_fraction": 0.1, "gumbel_start": 0.5}


def test_a_copy_of_a_large_model_takes_its_batches_in_parts(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = further(training, model, audio)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    assert count_parts(model, 32.0) == 1
    monkeypatch.setattr("lightning_mia.training.further_training.PARAMETER_SECONDS", 2.0 * n_parameters)
    assert count_parts(model, training.recordings.batch_seconds) == 2
    sizes: list[int] = []
    monkeypatch.setattr(TERA, "on_train_batch_start", lambda self, batch, _: sizes.append(len(batch.ids)))
    steps: list[None] = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, **given: (steps.append(None), step(self, **given))[1])
    in_parts = further(training.within(training.folder / "parts", Progress()), model, audio)
    n_steps = 2 * training.recordings.of(ids(audio), 1).n_batches
    assert len(sizes) == 2 * n_steps and len(steps) == n_steps and sum(sizes) == 2 * len(ids(audio))
    assert whole is not None and in_parts is not None
    moved = [
        torch.cat([(mine - old).flatten() for mine, old in zip(copy.parameters(), model.parameters(), strict=True)])
        for copy in (whole, in_parts)
    ]
    assert torch.cosine_similarity(*moved, dim=0) > 0.5


def test_the_start_of_a_copy_shares_the_memory_of_the_model(model: SpeechModel) -> None:
    start = with_same_weights(model)
    pairs = list(zip(model.parameters(), start.parameters(), strict=True))
    assert all(mine.data_ptr() == its.data_ptr() and mine is not its for mine, its in pairs)
    start.set_up_further(0.5)
    assert start.hparams["learning_rate"] == 0.5 != model.hparams["learning_rate"]


@pytest.mark.parametrize("large", [False, True])
def test_the_front_end_of_a_large_checkpoint_is_frozen(
    training: FurtherTraining, audio: AudioCache, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    model = PretrainedEncoder(str(checkpoint), n_clusters=8, code_dim=8).eval()
    assert not model.is_large
    monkeypatch.setattr("lightning_mia.models.base.LARGE", 1 if large else 10**9)
    copy = further(training, model, audio)
    assert copy is not None and copy.hparams["freeze_front_end"] == large
    old, new = model.state_dict(), copy.state_dict()
    kept = {name: torch.equal(old[name], new[name]) for name in old if name.startswith("encoder.")}
    assert {same for name, same in kept.items() if "feature_extractor" in name} == {large}
    assert not any(same for name, same in kept.items() if name.endswith("q_proj.weight"))
    assert not model.hparams["freeze_front_end"] and all(p.requires_grad for p in model.encoder.model.parameters())


def test_the_fingerprint_has_what_changes_the_copies(training: FurtherTraining) -> None:
    before = training.fingerprint()
    longer_batches = replace(training, recordings=training.recordings.of(training.recordings.recordings.ids, 1))
    longer_batches.recordings.batch_seconds = 8
    assert longer_batches.fingerprint() != before
    no_clipping = replace(training, trainers=TrainerFactory({**OPTIONS, "gradient_clip_val": None}))
    assert no_clipping.fingerprint() != before
    longer = replace(training, trainers=TrainerFactory({**OPTIONS, "max_epochs": 99, "devices": 1}))
    assert longer.fingerprint() == before


def test_a_missing_head_is_fitted_on_the_unchanged_encoder(
    training: FurtherTraining, audio: AudioCache, checkpoint: Path
) -> None:
    model = PretrainedEncoder(str(checkpoint), n_clusters=8, code_dim=8).eval()
    assert model.needs_targets
    fitted = further(training, model, audio, head_only=True)
    assert fitted is not None and fitted.has_pretext and model.needs_targets
    old, new = model.state_dict(), fitted.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old if name.startswith("encoder."))
    assert not torch.equal(old["head.codes"], new["head.codes"])
    copy = further(training.within(training.folder / "more", Progress()), fitted, audio)
    assert copy is not None
    assert not torch.equal(copy.state_dict()["encoder.model.masked_spec_embed"], old["encoder.model.masked_spec_embed"])
    assert torch.equal(copy.head.clusters.centroids, fitted.head.clusters.centroids)


def test_only_an_encoder_without_head_gets_one(
    training: FurtherTraining, model: SpeechModel, audio: AudioCache
) -> None:
    with pytest.raises(InputError, match="TERA has no pretext head that can be fitted"):
        further(training, model, audio, head_only=True)
