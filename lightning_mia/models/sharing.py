"""Save, load and publish models by huggingface_hub.

A folder of `save_pretrained` holds `model.safetensors`, `config.json` (class, constructor arguments, origin of the
weights) and copies of the local files that the constructor reads, such as the encoder of a CTC model. No local path
is written.
"""

import inspect
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from huggingface_hub import PyTorchModelHubMixin, snapshot_download

from lightning_mia.models.construction import build, find_class
from lightning_mia.models.huggingface.hub import one_line
from lightning_mia.models.weights import check_weights
from lightning_mia.utilities.errors import InputError, list_first

Model = TypeVar("Model", bound="ShareableModel")

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class ShareableModel(PyTorchModelHubMixin, library_name="lightning_mia", tags=["speech", "membership-inference"]):
    """Base class of models that can be saved, loaded and published.

    Attributes:
        files: constructor arguments that may name a local file or folder, which is copied.
        companions: names of files that are copied too, if they lie beside one of these.

    Example:
        >>> import tempfile
        >>> from lightning_mia.models import TERA, SpeechModel
        >>> folder = tempfile.TemporaryDirectory()
        >>> TERA(dim=16, n_heads=2, feedforward_dim=32).save_pretrained(folder.name)
        >>> model = SpeechModel.from_pretrained(folder.name)
        >>> type(model).__name__, model.hparams["dim"], model.training
        ('TERA', 16, False)
    """

    files: ClassVar[tuple[str, ...]] = ()
    companions: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_pretrained(cls: type[Model], pretrained_model_name_or_path: str | Path, **options: Any) -> Model:
        """Load a model from a folder of `save_pretrained`, or from the hub.

        Args:
            pretrained_model_name_or_path: folder, or repository on the Hugging Face hub.
            options: `revision`, `token`, `cache_dir`, `force_download`, `local_files_only` of huggingface_hub; and
                constructor arguments to replace, such as `learning_rate`.

        Returns:
            The model in evaluation mode, on the CPU. Its class is the stored one: `SpeechModel.from_pretrained` loads
            every family.

        Raises:
            InputError: the folder or repository does not exist, is damaged, or holds another class.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except (OSError, ValueError) as error:  # the hub's errors are of these types
            raise InputError(
                f"{pretrained_model_name_or_path} cannot be loaded ({one_line(error)}); give a folder that "
                "`save_pretrained` wrote, or the name of a repository on the Hugging Face hub"
            ) from error

    def _save_pretrained(self, save_directory: Path) -> None:
        from safetensors.torch import save_file

        settings, copies = self._shared_settings(), {}
        for name in self.files:
            source = Path(str(settings.get(name, ""))).expanduser()
            if settings.get(name) and source.exists():
                copy = save_directory / f"{name}{source.suffix if source.is_file() else ''}"
                _copy(source, copy)
                for companion in self.companions:
                    if source.is_file() and source.with_name(companion).is_file():
                        _copy(source.with_name(companion), save_directory / companion)
                copies[name] = copy.name
                del settings[name]
        model: Any = self
        content = {
            "library": "lightning_mia",
            "model_class": type(self).__name__,
            "settings": settings,
            "files": copies,
            "origin": model.origin,
        }
        (save_directory / CONFIG).write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
        weights = {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
        save_file(weights, save_directory / WEIGHTS, metadata={"format": "pt"})

    def _shared_settings(self) -> dict[str, Any]:
        """Return the constructor arguments as they are published."""
        model: Any = self
        names = inspect.signature(type(self).__init__).parameters
        return {name: value for name, value in model.hparams.items() if name in names}

    @classmethod
    def _from_pretrained(
        cls: type[Model],
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        config: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Model:
        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
            )
        return _load(cls, model_id, folder, config or {}, changes)


def _copy(source: Path, copy: Path) -> None:
    if source.resolve() == copy.resolve():
        return
    if source.is_dir():
        shutil.copytree(source, copy, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, copy)


def _load(root: Any, name: str, folder: Path, config: dict[str, Any], changes: dict[str, Any]) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not {"model_class", "settings", "files", "origin"} <= config.keys():
        raise InputError(
            f"{name} was not written by `save_pretrained` of lightning_mia: its {CONFIG} names no model_class; load a "
            "checkpoint of transformers by PretrainedEncoder(checkpoint=…)"
        )
    model_class = find_class(config["model_class"], ShareableModel)
    if not issubclass(model_class, root):
        raise InputError(f"{name} holds a {model_class.__name__}, not a {root.__name__}; load it by that class")
    files = {argument: str(folder / copy) for argument, copy in config["files"].items()}
    settings = {**config["settings"], **files, **changes}
    if unknown := sorted(settings.keys() - inspect.signature(model_class).parameters.keys()):
        raise InputError(f"{name}: {model_class.__name__} has no argument {list_first(unknown)}; leave it out")
    model: Any = build(partial(model_class, **settings))
    try:
        weights = load_file(folder / WEIGHTS)
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        last = str(error).splitlines()[-1].strip()
        raise InputError(f"The weights of {name} do not fit its {CONFIG}, or are damaged: {last}") from error
    check_weights(weights, model, name)
    model.origin = config["origin"]
    return model.eval()
