"""Targets of HuBERT's second iteration, from a teacher model."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import find_model_class, model_from_checkpoint
from lightning_mia.models.construction import build
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.objectives.kmeans_targets import Centroids
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file


class TeacherClusters(nn.Module):
    """K-means clusters of a frozen teacher's hidden layer.

    The teacher, cut above the layer, is read from its checkpoint if the file exists. It is saved in the student's
    checkpoint, which then needs no other file. It runs in float32 and without dropout, so that a frame has the same
    target in training and in the probe.

    The clusters depend on the teacher's training set, which must be the student's. A teacher of another split is
    refused; another model of the same split (the wrong-model control, a shadow model) cannot be detected. The controls
    of an audit use the same teacher, so that their targets, unlike those of a first iteration, depend on the target
    model's members. Shadow models use the teacher that the target's checkpoint holds.

    Args:
        checkpoint: Lightning checkpoint of a HuBERT or MelHuBERT.
        layer: hidden layer, 1 = output of the first transformer block.
        n_clusters: k, at least 2.

    Raises:
        InputError: the checkpoint cannot be read, is of another family, or has no such layer.
    """

    teacher: SpeechModel
    centroids: Centroids

    def __init__(self, checkpoint: str, layer: int, n_clusters: int) -> None:
        super().__init__()
        self.checkpoint, self.layer, self.n_clusters = checkpoint, layer, n_clusters
        self.description: dict[str, Any] = {}  # of the teacher, JSON-like; empty without a teacher
        if Path(checkpoint).exists():
            self._read()

    def _read(self) -> None:
        model = model_from_checkpoint(self.checkpoint)
        try:
            teacher = model.as_teacher(self.layer)
        except InputError as error:
            raise InputError(
                f"{self.checkpoint} cannot be a teacher: {error}; change --model.targets_from or --model.targets_layer"
            ) from error
        self._attach(teacher, model.origin.get("split"), hash_of_file(Path(self.checkpoint)))

    def _attach(self, teacher: SpeechModel, split: str | None, sha256: str) -> None:
        settings = dict(teacher.hparams)
        self.description = {
            "model_class": type(teacher).__name__,
            "settings": settings,
            "split": split,
            "sha256": sha256,
        }
        self.teacher = teacher
        self.centroids = Centroids(self.n_clusters, settings["dim"])

    def get_extra_state(self) -> Tensor:
        """Serialise the teacher's description: JSON as (bytes,) uint8."""
        text = json.dumps(self.description) if self.description else ""
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Build the teacher, before its weights are loaded."""
        if len(state):
            description = json.loads(bytes(state.tolist()))
            if description != self.description:
                model = build(partial(find_model_class(description["model_class"]), **description["settings"]))
                self._attach(model.as_teacher(self.layer), description["split"], description["sha256"])

    @property
    def fitted(self) -> bool:
        """Whether the centroids are fitted."""
        return bool(self.description) and bool(self.centroids.fitted)

    @property
    def sha256(self) -> str:
        """Hash of the teacher's checkpoint file.

        Raises:
            InputError: the checkpoint does not exist.
        """
        if not self.description:
            raise InputError(
                f"Checkpoint {self.checkpoint} does not exist; give --model.targets_from the .ckpt that `fit` of a "
                "HuBERT or MelHuBERT wrote"
            )
        return self.description["sha256"]

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], seed: int, split: str | None) -> None:
        """Fit the centroids on batches of waveforms.

        Args:
            batches: each training recording once.
            seed: seed of the k-means.
            split: hash of the split of the recordings, if known.

        Raises:
            InputError: no teacher, a teacher of another split, or too few frames.
        """
        self.sha256  # noqa: B018 (raises without a teacher)
        teacher_split = self.description["split"]
        if split and teacher_split and split != teacher_split:
            raise InputError(
                f"{self.checkpoint} was trained on another split (hash {teacher_split[:12]} there, {split[:12]} here), "
                "so its clusters would not come from the members; train the first iteration with the "
                "same corpus, design and data.split_seed"
            )
        self.centroids.fit_frames((self._real_frames(*batch) for batch in batches), seed)

    def _real_frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        hidden, frame_lengths = self._hidden(waveforms, lengths)
        return hidden[~padding_mask(frame_lengths, hidden.shape[1])].cpu()

    @torch.no_grad()
    def _hidden(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(waveforms.device.type, enabled=False):
            encoded = self.teacher.encode(waveforms, lengths)
        return encoded.hidden[self.layer].float(), encoded.lengths

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor, n_frames: int) -> Tensor:
        """(batch, samples), (batch,) real samples → (batch, n_frames) int64, nearest centroids.

        A teacher on log-mel frames can have one frame fewer than a student on waveforms; its last frame then counts
        twice.
        """
        hidden, frame_lengths = self._hidden(waveforms, lengths)
        with torch.autocast(waveforms.device.type, enabled=False):
            labels = self.centroids.nearest(hidden)  # (batch, frames of the teacher)
        time = torch.arange(n_frames, device=labels.device)
        return labels.gather(1, time.minimum(frame_lengths.unsqueeze(1) - 1))
