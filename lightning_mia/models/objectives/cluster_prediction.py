"""Masked prediction of clusters (Hsu et al. 2021, §II)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.models.outputs import Pretext

TEMPERATURE = 0.1  # of the cosine similarities, §II-C of the paper
MIN_PERPLEXITY = 1.5  # effective number of predicted clusters below which the model has collapsed


def cluster_logits(outputs: Tensor, codes: Tensor) -> Tensor:
    """Compute cosine similarities to the cluster codes, divided by temperature.

    Args:
        outputs: (batch, frames, code dim), projected hidden states.
        codes: (clusters, code dim).

    Returns:
        (batch, frames, clusters) float32, under autocast too.
    """
    outputs = F.normalize(outputs.float(), dim=-1)
    with torch.autocast(outputs.device.type, enabled=False):
        return outputs @ F.normalize(codes.float(), dim=-1).T / TEMPERATURE


def cluster_pretext(logits: Tensor, targets: Tensor, masks: Tensor) -> Pretext:
    """Compute the loss over masked frames, with health figures.

    Args:
        logits: (batch, frames, clusters).
        targets: (batch, frames) int64.
        masks: (batch, frames) bool.
    """
    loss = masked_cross_entropy(logits, targets, masks)
    with torch.no_grad():
        weights = masks / masks.sum()  # (batch, frames), of each frame in a mean over the masked ones
        accuracy = ((logits.argmax(dim=2) == targets) * weights).sum()
        usage = (logits.softmax(dim=2) * weights.unsqueeze(2)).sum(dim=(0, 1))  # (clusters,)
        perplexity = torch.special.entr(usage).sum().exp()
    return Pretext(loss, {"masked_accuracy": accuracy, "code_perplexity": perplexity})


def masked_cross_entropy(logits: Tensor, targets: Tensor, masks: Tensor) -> Tensor:
    """Compute the cross-entropy, mean over the batch's masked frames.

    Frames that are not masked get weight zero: selecting the masked ones would make a GPU wait for their number.

    Args:
        logits: (batch, frames, clusters).
        targets: (batch, frames) int64.
        masks: (batch, frames) bool.
    """
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")  # (batch × frames,)
    return (losses * masks.flatten()).sum() / masks.sum()


def cluster_collapse(health: dict[str, float]) -> str:
    """Describe a collapse to a single cluster, if any.

    Args:
        health: health figures of `cluster_pretext`.
    """
    perplexity = health["code_perplexity"]
    if perplexity >= MIN_PERPLEXITY:
        return ""
    return f"one cluster is predicted for almost all frames (code perplexity {perplexity:.2f})"
