"""The targets of HuBERT's second iteration: k-means clusters of a middle layer of the model of the first."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import build, model_class_named, model_from_checkpoint
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.objectives.kmeans_targets import Centroids
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file


class TeacherClusters(nn.Module):
    """Nearest of k centroids to each frame that a frozen teacher gives at one of its layers, at 50 Hz.

    The teacher, as much of it as the layer needs, is read where its checkpoint exists, and from then on travels in
    the checkpoint of the model that it teaches, which needs no other file. It always answers in float32 and without
    dropout, so that a frame has the same target in training and in the probe.

    What the teacher was trained on is in its clusters too. It must have had the very members of the model that it
    teaches: a teacher of another split is refused, but that it was another model of the same split (the wrong model,
    a shadow) cannot be seen. The controls of an audit are taught by it as well, so that their targets, unlike those
    of a first iteration, are not free of the target's members.

    Args:
        checkpoint: Lightning checkpoint of a HuBERT or MelHuBERT.
        layer: hidden layer, 1 = the first transformer block's output.
        n_clusters: k, at least 2.

    Raises:
        InputError: the checkpoint cannot be read, is of another family, or has no such layer.
    """

    teacher: SpeechModel
    centroids: Centroids

    def __init__(self, checkpoint: str, layer: int, n_clusters: int) -> None:
        super().__init__()
        self.checkpoint, self.layer, self.n_clusters = checkpoint, layer, n_clusters
        self.description: dict[str, Any] = {}  # of the teacher, JSON-like; empty as long as there is none
        if Path(checkpoint).exists():
            self._read()

    def _read(self) -> None:
        whole = model_from_checkpoint(self.checkpoint)
        try:
            self._attach(whole.as_teacher(self.layer), whole.origin.get("split"), hash_of_file(Path(self.checkpoint)))
        except InputError as error:
            raise InputError(
                f"{self.checkpoint} cannot be a teacher: {error}; change --model.targets_from or --model.targets_layer"
            ) from error

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
        """The teacher's description, which its weights cannot be loaded without: JSON as (bytes,) uint8."""
        text = json.dumps(self.description) if self.description else ""
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Make room for the teacher of a checkpoint, before its weights are loaded."""
        if len(state):
            description = json.loads(bytes(state.tolist()))
            if description != self.description:
                model = build(partial(model_class_named(description["model_class"]), **description["settings"]))
                self._attach(model.as_teacher(self.layer), description["split"], description["sha256"])

    @property
    def fitted(self) -> bool:
        """Whether there are centroids."""
        return bool(self.description) and bool(self.centroids.fitted)

    @property
    def sha256(self) -> str:
        """Hash of the teacher's checkpoint.

        Raises:
            InputError: there is no teacher.
        """
        if not self.description:
            raise InputError(
                f"Checkpoint {self.checkpoint} does not exist; give --model.targets_from the .ckpt that `fit` of a "
                "HuBERT or MelHuBERT wrote"
            )
        return self.description["sha256"]

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]], seed: int, split: str | None) -> None:
        """Fit the centroids on batches of waveforms (batch, samples) with their lengths (batch,).

        Args:
            batches: each training recording once.
            seed: of the k-means.
            split: hash of the split that the recordings belong to, where it is known.

        Raises:
            InputError: there is no teacher, it was trained on another split, or there are too few frames.
        """
        self.sha256  # noqa: B018 (there has to be one)
        theirs = self.description["split"]
        if split and theirs and split != theirs:
            raise InputError(
                f"{self.checkpoint} was trained on another split (hash {theirs[:12]} there, {split[:12]} here): its "
                "clusters know of other recordings than the members; train the first iteration with the same corpus, "
                "design and data.split_seed"
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

        On log-mel frames a teacher can have one frame less than convolutions have: its last one then counts twice.
        """
        hidden, frame_lengths = self._hidden(waveforms, lengths)
        with torch.autocast(waveforms.device.type, enabled=False):
            labels = self.centroids.nearest(hidden)  # (batch, the teacher's frames)
        time = torch.arange(n_frames, device=labels.device)
        return labels.gather(1, time.minimum(frame_lengths.unsqueeze(1) - 1))
