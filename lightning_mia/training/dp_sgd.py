"""DP-SGD: per-example gradient clipping and noise.

Abadi et al. (2016), "Deep Learning with Differential Privacy", algorithm 1. Examples pass through the model one by one.
This works for every family and every kind of layer. An example's loss and gradient do not depend on the rest of the
batch, even in a model that normalises over batches. A step takes three to five times as long as a plain one.
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
from lightning_mia.utilities.ranges import InnerShare, Positive, Weight, check_fields


@dataclass(frozen=True)
class PerExampleGradients:
    """Differentially private training (DP-SGD): bound the influence of each recording.

    Args:
        clip_norm: maximum Euclidean norm of one recording's gradient; null: gradients of whole batches, not clipped.
        noise_multiplier: standard deviation of the Gaussian noise on a step's sum of gradients, divided by clip_norm;
            0: no noise, which bounds influence but guarantees no privacy.
        delta: δ at which ε is reported, well below one over the number of training recordings.

    Example:
        >>> PerExampleGradients(clip_norm=1.0, noise_multiplier=0.5).enabled, PerExampleGradients().enabled
        (True, False)
    """

    clip_norm: Positive | None = None
    noise_multiplier: Weight = 0.0
    delta: InnerShare = 1e-5

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "trainer.per_example.")
        if self.noise_multiplier and self.clip_norm is None:
            raise InputError("trainer.per_example.noise_multiplier needs a clip_norm, such as 1.0")

    @property
    def enabled(self) -> bool:
        """Whether gradients are clipped."""
        return self.clip_norm is not None


class ClippedGradients(L.Callback):
    """Wraps the training step with DP-SGD.

    Args:
        settings: settings with a `clip_norm`.

    Raises:
        InputError: the Trainer uses several processes, several batches per step, or reduced precision.

    Example:
        >>> callback = ClippedGradients(PerExampleGradients(clip_norm=1.0))
        >>> callback.settings.clip_norm
        1.0
    """

    def __init__(self, settings: PerExampleGradients) -> None:
        self.settings = settings

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse several processes, several batches per step, and reduced precision."""
        if trainer.world_size > 1:
            raise InputError("Gradients are clipped per example on one process only: give --trainer.devices 1")
        if trainer.accumulate_grad_batches > 1:
            raise InputError("trainer.per_example takes one batch per step: leave trainer.accumulate_grad_batches at 1")
        if trainer.precision != "32-true":
            raise InputError(f"trainer.per_example needs full precision, but trainer.precision is {trainer.precision}")

    def wrap_loss(self, model: SpeechModel, batch: Batch) -> Pretext:
        """Compute a loss with the clipped, noised gradient; see `lightning_mia.models.base.WrapsTrainingStep`."""
        recordings: Any = model.trainer.datamodule  # type: ignore[attr-defined]
        return clipped_loss(model, batch, self.settings, len(recordings.recordings) / recordings.n_batches)

    def account(self, trainer: L.Trainer) -> dict[str, Any]:
        """Compute the privacy guarantee of a finished training.

        Every recording is in one batch of an epoch. Removing one recording's gradient (zero-out adjacency) leaves the
        batches as they are. An epoch is therefore one Gaussian mechanism of sensitivity `clip_norm`, and ε follows
        exactly, without amplification by sampling.

        Args:
            trainer: Trainer of the finished training.

        Returns:
            `clip_norm`, `noise_multiplier`, `delta`, `epsilon` (None: no bound) and `targets_without_noise`.
        """
        noise = self.settings.noise_multiplier
        epochs = math.ceil(trainer.global_step / trainer.num_training_batches) if trainer.global_step else 0
        epsilon = gaussian_epsilon(noise, epochs, self.settings.delta) if noise else None
        model = trainer.lightning_module
        assert isinstance(model, SpeechModel)
        return {
            "clip_norm": self.settings.clip_norm,
            "noise_multiplier": noise,
            "delta": self.settings.delta,
            "epsilon": epsilon,
            "targets_without_noise": type(model).fit_targets is not SpeechModel.fit_targets,
        }


def clipped_loss(model: SpeechModel, batch: Batch, settings: PerExampleGradients, batch_size: float) -> Pretext:
    """Compute a loss with the DP-SGD gradient.

    Its value is the mean loss; its gradient is the clipped and noised mean.

    Args:
        model: in training mode.
        batch: recordings, each of which is an example.
        settings: settings with a `clip_norm`.
        batch_size: mean number of recordings per batch, by which the sum of gradients is divided; a batch's own size
            would depend on the recordings.
    """
    assert settings.clip_norm is not None
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total, outputs = clipped_gradient_sum(model, batch, parameters, settings.clip_norm)
    deviation = settings.noise_multiplier * settings.clip_norm
    if deviation:
        total = [gradient + deviation * torch.randn_like(gradient) for gradient in total]
    # A linear function of the parameters with the wanted gradient; its value is subtracted again.
    products = torch.stack([(p * g).sum() for p, g in zip(parameters, total, strict=True)]).sum() / batch_size
    loss = torch.stack([output.loss.detach() for output in outputs]).mean()
    health = {name: torch.stack([output.health[name] for output in outputs]).mean() for name in outputs[0].health}
    return Pretext(loss + products - products.detach(), health)


def clipped_gradient_sum(
    model: SpeechModel, batch: Batch, parameters: Sequence[Tensor], clip_norm: float
) -> tuple[list[Tensor], list[Pretext]]:
    """Sum the examples' gradients, each clipped to `clip_norm`.

    Args:
        model: in training mode.
        batch: recordings, each of which is an example.
        parameters: parameters to differentiate by.
        clip_norm: maximum norm, over all parameters together.

    Returns:
        One sum for each parameter, and the detached outputs for each example.
    """
    total = [torch.zeros_like(parameter) for parameter in parameters]
    outputs = []
    for example in examples(batch):
        output = model.training_loss(example)
        derivatives = torch.autograd.grad(output.loss, parameters, allow_unused=True)
        gradients = [gradient for gradient in derivatives if gradient is not None]
        scale = (clip_norm / torch.nn.utils.get_total_norm(gradients).clamp(min=1e-12)).clamp(max=1.0)
        used = [sums for sums, gradient in zip(total, derivatives, strict=True) if gradient is not None]
        torch._foreach_add_(used, [gradient * scale for gradient in gradients])
        outputs.append(Pretext(output.loss.detach(), output.health))
    return total, outputs


def examples(batch: Batch) -> Iterator[Batch]:
    """Split a batch into batches of one recording without padding."""
    texts = batch.texts or ("",) * len(batch.ids)
    for name, waveform, length, text in zip(batch.ids, batch.waveforms, batch.lengths, texts, strict=True):
        yield batch._replace(ids=[name], waveforms=waveform[None, : int(length)], lengths=length[None], texts=(text,))


def describe(privacy: dict[str, Any]) -> str:
    """Describe a privacy account for the report.

    Takes the result of `ClippedGradients.account`.
    """
    text = f"Gradients were clipped to {privacy['clip_norm']:g} for every recording"
    if privacy["epsilon"] is None:
        return f"{text}, without noise: this bounds the influence of a recording in a step, but guarantees no privacy."
    epsilon = f"{privacy['epsilon']:.3g}" if math.isfinite(privacy["epsilon"]) else "infinite"
    text += f" and noised (multiplier {privacy['noise_multiplier']:g}): ε ≤ {epsilon} at δ = {privacy['delta']:g}"
    text += ", for adding or removing one recording, not all recordings of a speaker"
    if privacy["targets_without_noise"]:
        text += "; the targets fitted on the recordings (k-means) are not covered"
    return f"{text}."
