"""Trainer of one training or probe, which explains what Lightning refuses."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from lightning_mia.training.trainer_options import DEFAULTS, SAME_AS_DEFAULT
from lightning_mia.utilities.environment import GPU_NAMES, no_gpu
from lightning_mia.utilities.errors import InputError, explain_lack, first_line

HARMLESS: dict[str, tuple[Any, ...]] = {
    "accelerator": ("auto", "cpu"),
    "devices": ("auto", 1, "1"),
    "logger": (True, False),
    "strategy": ("auto",),
}
"""Values of options that never prevent a start."""
NEVER_AT_FAULT = {
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "max_epochs",
    "use_distributed_sampler",
}


class JobTrainer(Trainer):
    """Trainer that reports errors of its options in one line.

    Any error before the end of the first batch, while options differ from their defaults, is taken for a fault of these
    options. Later errors keep their traceback.

    Args:
        given: options as the user gave them.
        options: arguments of `lightning.Trainer`.

    Raises:
        InputError: Lightning refuses an option.
    """

    def __init__(self, given: Mapping[str, Any], **options: Any) -> None:
        self.given = given
        self.first_batch = _FirstBatch()
        with refusals_named(options):
            super().__init__(**{**options, "callbacks": [*options.get("callbacks", ()), self.first_batch]})

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Train; see `lightning.Trainer.fit`."""
        with self._first_batch_explained():
            super().fit(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predict; see `lightning.Trainer.predict`."""
        with self._first_batch_explained():
            return super().predict(*args, **kwargs)

    @contextmanager
    def _first_batch_explained(self) -> Iterator[None]:
        self.first_batch.done = False
        try:
            yield
        except (InputError, OSError):
            raise
        except Exception as error:
            suspects = _suspects(self.given)
            refused = isinstance(error, MisconfigurationException) or _raised_by_callback(error, self.given)
            if explain_lack(error) or not suspects or (self.first_batch.done and not refused):
                raise
            raise InputError(f"The model cannot run with {_named(suspects, error)}: {first_line(error)}") from error


@contextmanager
def refusals_named(options: Mapping[str, Any]) -> Iterator[None]:
    """Name the option that the constructor of a Trainer refuses.

    Args:
        options: arguments of the constructor.

    Raises:
        InputError: the constructor raises anything.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        accelerator = options.get("accelerator")
        if accelerator in GPU_NAMES and not torch.cuda.is_available() and not torch.backends.mps.is_available():
            raise InputError(no_gpu(accelerator)) from error
        changed = {name: value for name, value in options.items() if name in DEFAULTS and value != DEFAULTS[name]}
        culprits = {name: value for name, value in changed.items() if _is_culprit(name, changed)} or changed
        raise InputError(f"{_named(culprits, error)} cannot be used: {first_line(error)}") from error


class _FirstBatch(Callback):
    """Notices the end of the first batch."""

    done = False

    def on_train_batch_end(self, *_: Any) -> None:
        self.done = True

    def on_predict_batch_end(self, *_: Any) -> None:
        self.done = True


def _is_culprit(name: str, changed: Mapping[str, Any]) -> bool:
    """Test whether a Trainer can be made without an option."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Trainer(**{**changed, "logger": False, name: DEFAULTS[name]})
    except Exception:
        return False
    return True


def _suspects(given: Mapping[str, Any]) -> dict[str, Any]:
    """Select the options that can prevent a start."""
    return {
        name: value
        for name, value in given.items()
        if name in DEFAULTS
        and name not in NEVER_AT_FAULT
        and value not in ([], SAME_AS_DEFAULT.get(name), DEFAULTS[name])
        and value not in HARMLESS.get(name, ())
    }


def _named(options: Mapping[str, Any], error: Exception) -> str:
    """Name options; only those in the message of the error, if any."""
    text = str(error).lower()
    mentioned = {
        name: value for name, value in options.items() if name in text or (isinstance(value, str) and value in text)
    }
    shown = [f"trainer.{name} {_shown(value)}" for name, value in (mentioned or options).items()]
    return ", ".join(shown)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value) if isinstance(value, str | int | float | None) else type(value).__name__


def _raised_by_callback(error: BaseException, given: Mapping[str, Any]) -> bool:
    """Test whether the error passed through a callback of Lightning that the user gave."""
    owners = [frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__)]
    modules = [type(owner).__module__ for owner in owners if isinstance(owner, L.Callback)]
    return bool(given.get("callbacks")) and any(module.startswith("lightning.") for module in modules)
