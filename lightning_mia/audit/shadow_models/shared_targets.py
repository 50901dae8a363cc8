"""Give shadow models the learned targets of the target model."""

from collections.abc import Sequence
from dataclasses import replace

from lightning_mia.models.learned_targets import LearnedTargets
from lightning_mia.training.job import TrainingJob
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.stage import Stage


def with_targets(trainings: Sequence[TrainingJob], targets: LearnedTargets) -> list[TrainingJob]:
    """Return the same trainings on copies of these targets."""
    return [
        replace(training, targets=targets, settings=training.settings | {"targets": targets.sha256})
        for training in trainings
    ]


def check_shadow_model(training: TrainingJob, shared: bool) -> None:
    """Compare the folder of a shadow model with its settings.

    Args:
        training: training of the shadow model; without `targets` if the target is not trained yet.
        shared: whether its targets are to be copies of the target's.

    Raises:
        InputError: the folder has other settings, or a model with other targets.
    """
    stored = Stage(training.folder, {}).stored_settings()
    if stored is None:
        return
    copied = stored.get("targets")
    others = {name: value for name, value in training.settings.items() if name != "targets"}
    replace(training, settings=others | ({"targets": copied} if copied else {})).check()
    if copied and not shared:
        raise InputError(
            f"{training.folder} was trained on the target's clusters, but --fleet.targets own is requested: give "
            "another --run_dir, or --fleet.targets victim"
        )
    if shared and not copied:
        raise InputError(
            f"{training.folder} was trained on its own clusters, but shadow models are to share those of the target: "
            "give another --run_dir, or --fleet.targets own"
        )
    if training.targets and copied != training.targets.sha256:
        raise InputError(
            f"{training.folder} was trained on the clusters of another target than {training.targets.checkpoint}: "
            f"give another --run_dir, or delete {training.folder.parent}"
        )
