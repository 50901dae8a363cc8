"""Gradients that are clipped for every example, and noised: how much one recording can move a model is bounded.

Abadi et al. (2016), "Deep Learning with Differential Privacy", algorithm 1. Examples go through the model one by one:
every family is served, whatever its layers, and an example's loss is its own, since nothing that normalises a batch
lets one example weigh on another's gradient. A step takes three to five times as long as a plain one.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.evaluation.privacy import gaussian_epsilon
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.outputs import Pretext
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class PerExampleGradients:
    """Bound what one recording can do to a model, as differentially private training (DP-SGD) does.

    Args:
        clip_norm: largest Euclidean norm of the gradient of one recording; None: gradients are those of whole batches.
        noise_multiplier: standard deviation of the Gaussian noise on a step's sum of gradients, over clip_norm; 0:
            none, which bounds influence but proves nothing.
        delta: at which ε is given, well below one over the number of recordings trained on.
    """

    clip_norm: float | None = None
    noise_multiplier: float = 0.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse what bounds nothing."""
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise InputError(f"trainer.per_example.clip_norm is {self.clip_norm}: give a positive norm, such as 1.0")
        if self.noise_multiplier < 0 or (self.noise_multiplier and self.clip_norm is None):
            raise InputError("trainer.per_example.noise_multiplier is at least 0, and needs a clip_norm, such as 1.0")
        if not 0 < self.delta < 1:
            raise InputError(f"trainer.per_example.delta is {self.delta}: give a probability, such as 1e-5")

    @property
    def enabled(self) -> bool:
        """Whether gradients are clipped at all."""
        return self.clip_norm is not None


class ClippedGradients(L.Callback):
    """Lets a model train on per-example gradients.

    Args:
        settings: with a `clip_norm`.

    Raises:
        InputError: the Trainer has several processes, several batches a step, or less than full precision.
    """

    def __init__(self, settings: PerExampleGradients) -> None:
        self.settings = settings
        self.fitted_targets = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse a training whose steps are not one sum over one batch."""
        if trainer.world_size > 1:
            raise InputError("Gradients are clipped per example on one process only: give --trainer.devices 1")
        if trainer.accumulate_grad_batches > 1:
            raise InputError("trainer.per_example takes one batch a step: leave trainer.accumulate_grad_batches at 1")
        if trainer.precision != "32-true":
            raise InputError(f"trainer.per_example wants full precision, but trainer.precision is {trainer.precision}")

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take over from the plain gradient; the model's own `on_fit_start`, which fits targets, comes after."""
        assert isinstance(pl_module, SpeechModel)
        recordings: Any = trainer.datamodule  # type: ignore[attr-defined]
        batch_size = len(recordings.recordings) / recordings.n_batches
        self.fitted_targets = type(pl_module).fit_targets is not SpeechModel.fit_targets
        pl_module.train_on = _Clipped(self.settings, batch_size)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the model as it was."""
        assert isinstance(pl_module, SpeechModel)
        pl_module.train_on = None

    def account(self, trainer: L.Trainer) -> dict[str, Any]:
        """What the training costs in privacy: `clip_norm`, `noise_multiplier`, `delta`, `epsilon` (None: no bound).

        Every recording is in one batch of an epoch. Where one recording's gradient is left out (zero-out adjacency),
        the batches stay as they are; an epoch is therefore one Gaussian mechanism of sensitivity `clip_norm`, and ε
        follows exactly, without a claim of amplification by sampling.

        Args:
            trainer: of the finished training.
        """
        noise = self.settings.noise_multiplier
        epochs = math.ceil(trainer.global_step / trainer.num_training_batches) if trainer.global_step else 0
        epsilon = gaussian_epsilon(noise, epochs, self.settings.delta) if noise else None
        return {
            "clip_norm": self.settings.clip_norm,
            "noise_multiplier": noise,
            "delta": self.settings.delta,
            "epsilon": epsilon,
            "targets_without_noise": self.fitted_targets,
        }


@dataclass
class _Clipped:
    """Answers for a batch with a loss whose gradient is the clipped, noised mean of the examples' gradients.

    Args:
        settings: with a `clip_norm`.
        batch_size: recordings in a batch on average: what the sum is divided by, whatever batch it is.
    """

    settings: PerExampleGradients
    batch_size: float

    def __call__(self, model: SpeechModel, batch: Batch) -> Pretext:
        assert self.settings.clip_norm is not None
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        total, answers = sum_of_clipped(model, batch, parameters, self.settings.clip_norm)
        deviation = self.settings.noise_multiplier * self.settings.clip_norm
        if deviation:
            total = [gradient + deviation * torch.randn_like(gradient) for gradient in total]
        pull = torch.stack([(p * g).sum() for p, g in zip(parameters, total, strict=True)]).sum() / self.batch_size
        loss = torch.stack([answer.loss.detach() for answer in answers]).mean()
        health = {name: torch.stack([one.health[name] for one in answers]).mean() for name in answers[0].health}
        return Pretext(loss + pull - pull.detach(), health)


def sum_of_clipped(
    model: SpeechModel, batch: Batch, parameters: Sequence[Tensor], clip_norm: float
) -> tuple[list[Tensor], list[Pretext]]:
    """Sum of the examples' gradients, each scaled down to `clip_norm` where it is longer, and the examples' answers.

    Args:
        model: in training mode.
        batch: recordings, each of which is an example.
        parameters: those that the gradients are of.
        clip_norm: largest norm, over all parameters together.
    """
    total = [torch.zeros_like(parameter) for parameter in parameters]
    answers = []
    for example in examples(batch):
        answer = model.training_loss(example)
        found = torch.autograd.grad(answer.loss, parameters, allow_unused=True)
        gradients = [gradient for gradient in found if gradient is not None]
        scale = (clip_norm / torch.nn.utils.get_total_norm(gradients).clamp(min=1e-12)).clamp(max=1.0)
        used = [one for one, gradient in zip(total, found, strict=True) if gradient is not None]
        torch._foreach_add_(used, [gradient * scale for gradient in gradients])
        answers.append(Pretext(answer.loss.detach(), answer.health))
    return total, answers


def examples(batch: Batch) -> Iterator[Batch]:
    """The recordings of a batch as batches of one, without padding."""
    texts = batch.texts or ("",) * len(batch.ids)
    for name, waveform, length, text in zip(batch.ids, batch.waveforms, batch.lengths, texts, strict=True):
        yield batch._replace(ids=[name], waveforms=waveform[None, : int(length)], lengths=length[None], texts=(text,))


def describe(privacy: dict[str, Any]) -> str:
    """What `ClippedGradients.account` says, in a sentence for the report."""
    told = f"Gradients were clipped to {privacy['clip_norm']:g} for every recording"
    if privacy["epsilon"] is None:
        return f"{told}, without noise: that bounds what one recording does in a step, and proves no privacy."
    epsilon = f"{privacy['epsilon']:.3g}" if math.isfinite(privacy["epsilon"]) else "infinite"
    told += f" and noised (multiplier {privacy['noise_multiplier']:g}): ε ≤ {epsilon} at δ = {privacy['delta']:g}"
    told += ", for one recording more or less, not for all of a speaker's"
    if privacy["targets_without_noise"]:
        told += "; the targets that were fitted on the recordings (k-means) are not covered"
    return f"{told}."
