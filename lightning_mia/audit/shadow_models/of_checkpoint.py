"""Shadow models of a target that was trained elsewhere."""

from collections.abc import Mapping
from typing import Any

from lightning_mia.audit.external_models import ExternalModels
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.weights import encoder_sha256
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError


def shadow_model(external: ExternalModels, start: str | None, target: Trained | None) -> SpeechModel:
    """Return what shadow models unlike the target are trained from.

    Args:
        external: loads models of this run that were trained elsewhere.
        start: checkpoint that they continue to train; None: they are trained from scratch.
        target: the target; None: not loaded yet.

    Raises:
        InputError: the checkpoint cannot be continued like the target, or it is the target.
    """
    model = external.model
    if start is None:
        return model.untrained() if model.is_pretrained else model
    if not model.is_pretrained:
        raise InputError(
            f"fleet.start is {start}, but {type(model).__name__} is trained from scratch: leave fleet.start out, or "
            "give a model that continues a checkpoint, such as PretrainedEncoder"
        )
    started = external.pretrained(start).model
    if problem := _misfit(started, model):
        raise InputError(f"fleet.start: {start} {problem}; give a checkpoint of the target's architecture and task")
    if target and encoder_sha256(started) == encoder_sha256(target.model):
        raise InputError(
            f"fleet.start: {start} has the weights of the target, so the shadow models would know its members; give "
            "the checkpoint from which the target was trained, or leave fleet.start out"
        )
    return started


def training_notes(data: SplitCorpus, start: str | None, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say how shadow models unlike the target were trained.

    Empty for others.

    Args:
        data: the corpus and its split.
        start: checkpoint that they continued to train; None: they were trained from scratch.
        records: training records of the shadow models.
    """
    if data.like_target or not records:
        return []
    epochs = next(iter(records.values()))["epochs"]
    n_recordings = len(data.split.training_ids(data.split.shadows[0]))
    began = "from scratch"
    if start is not None:
        began = f"continuing {start}, which the user states was trained on no recording of the challenge set"
    return [
        f"The {len(records)} shadow models were trained for {epochs:g} epochs on {n_recordings} auxiliary recordings "
        f"each, {began}. The training of the target is not known: the less they resemble it, the less the attacks that "
        "use them find. Without another wrong model, the first of them is the wrong model."
    ]


def _misfit(started: SpeechModel, model: SpeechModel) -> str:
    """Say why a checkpoint cannot be continued like the target; empty: it can."""
    if started.family != model.family:
        return f"is {started.family}, but the target is {model.family}"
    if started.task_score != model.task_score:
        return f"has no {model.task_score.replace('_', ' ')}, which the target is compared by"
    sizes = [{name: tuple(value.shape) for name, value in m.named_parameters()} for m in (started, model)]
    shared = sizes[0].keys() & sizes[1].keys()
    other = [name for name in sorted(shared) if sizes[0][name] != sizes[1][name]]
    if other:
        return f"has another size than the target ({other[0]}: {sizes[0][other[0]]} instead of {sizes[1][other[0]]})"
    return ""
