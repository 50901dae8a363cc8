"""From a name to a folder: a local one as it is, a repository of the Hugging Face hub by download or from its cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError

DESCRIPTIONS = ("config.json", "preprocessor_config.json", "processor_config.json")
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
TIMEOUT = 10.0  # seconds to wait for the hub's first answer; the library's own retries take half a minute
HOW_TO_GIVE_A_FOLDER = (
    "give a folder with config.json, as `save_pretrained` or `hf download NAME --local-dir` writes it"
)


def find_folder(name: str, revision: str | None = None, weights: bool = True) -> Path:
    """The folder of a checkpoint.

    Without a connection to the hub, what an earlier download left in the cache is taken.

    Args:
        name: a local folder, or the name of a repository of the hub such as `facebook/hubert-base-ls960`.
        revision: branch, tag or commit of a repository; None: its main branch.
        weights: download the weights too, as safetensors where the repository has them.

    Raises:
        InputError: there is no such folder or repository, or the hub cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"{name} is a local folder, which has no revisions; leave out model.revision={revision}")
        return folder
    if folder.is_file():
        raise InputError(f"{name} is a file; {HOW_TO_GIVE_A_FOLDER}")
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError(f"There is no folder {name or '(an empty name)'}; {HOW_TO_GIVE_A_FOLDER}")
    return _download(name, revision, weights)


def _download(name: str, revision: str | None, weights: bool) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub = HfApi()
    found = _ask(hub, name, revision)
    if isinstance(found, Exception):
        try:
            cached = hub.snapshot_download(
                name, revision=revision, local_files_only=True, allow_patterns=[*DESCRIPTIONS]
            )
            return Path(cached)
        except LocalEntryNotFoundError:
            raise InputError(
                f"{name} is no local folder, and the Hugging Face hub cannot be reached ({one_line(found)}); "
                f"connect to it, or {HOW_TO_GIVE_A_FOLDER}"
            ) from found
    patterns = [*DESCRIPTIONS, *(_weights_among([file.rfilename for file in found.siblings]) if weights else ())]
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:  # the network has many ways to break off
        raise InputError(f"The download of {name} broke off ({one_line(error)}); start again to go on") from error


def _ask(hub: Any, name: str, revision: str | None) -> Any:
    """What the hub says of a repository, or why it cannot be asked."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return hub.model_info(name, revision=revision, timeout=TIMEOUT)
    except HFValidationError as error:
        raise InputError(
            f"{name!r} is neither a local folder nor a possible hub name; {HOW_TO_GIVE_A_FOLDER}"
        ) from error
    except GatedRepoError as error:
        raise InputError(f"{name} is gated: accept its terms on the hub and log in by `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{name} is no local folder, and the hub has no such repository that you may read; check the name, log in "
            f"by `hf auth login` where it is private, or {HOW_TO_GIVE_A_FOLDER}"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name} has no revision {revision}; give a branch, a tag or a commit that it has") from error
    except Exception as error:  # no connection, a timeout, a proxy, an answer that makes no sense
        return error


def _weights_among(files: Sequence[str]) -> tuple[str, ...]:
    """Which weights to download from a repository with these files: pickled ones only where there are no others."""
    return SAFE_WEIGHTS if any(file in SAFE_WEIGHTS for file in files) else PICKLED_WEIGHTS


def one_line(error: BaseException) -> str:
    """The beginning of an error's message, without its line breaks.

    >>> one_line(ValueError("a\\n  b"))
    'a b'
    """
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]}…"
