"""Checkpoint folders, local or downloaded from the hub."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError

DESCRIPTIONS = ("config.json", "preprocessor_config.json", "processor_config.json")
TOKENIZER = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")
TIMEOUT = 10.0  # seconds to wait for the hub's first response; the library's own retries take half a minute
FOLDER_HINT = "give a folder with config.json, as `save_pretrained` or `hf download NAME --local-dir` writes it"


def find_folder(name: str, revision: str | None = None, weights: bool = True) -> Path:
    """Find the folder of a checkpoint, downloading it if necessary.

    If the hub cannot be reached, the cache of an earlier download is used.

    Args:
        name: local folder, or repository on the hub such as `facebook/hubert-base-ls960`.
        revision: branch, tag or commit of a repository; None: its main branch.
        weights: download the weights too, as safetensors if the repository has them.

    Raises:
        InputError: the folder or repository does not exist, or the hub cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"{name} is a local folder, which has no revisions; leave out model.revision={revision}")
        return folder
    if folder.is_file():
        raise InputError(f"{name} is a file; {FOLDER_HINT}")
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError(f"There is no folder {name or '(an empty name)'}; {FOLDER_HINT}")
    return _download(name, revision, weights)


def one_line(error: BaseException) -> str:
    """Shorten an error's message to one line of 200 characters.

    Example:
        >>> one_line(ValueError("a\\n  b"))
        'a b'
    """
    message = " ".join(str(error).split()) or type(error).__name__
    return message if len(message) <= 200 else f"{message[:200]}…"


def read_json(path: Path, missing: str) -> dict[str, Any]:
    """Read an object from a file of a checkpoint.

    Raises:
        InputError: the file does not exist (the message is `missing`), or holds something else.
    """
    if not path.is_file():
        raise InputError(missing)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({one_line(error)}); download the checkpoint again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold an object; download the checkpoint again")
    return content


def _download(name: str, revision: str | None, weights: bool) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub = HfApi()
    info = _query(hub, name, revision)
    if isinstance(info, Exception):
        try:
            cached = hub.snapshot_download(
                name, revision=revision, local_files_only=True, allow_patterns=[*DESCRIPTIONS, *TOKENIZER]
            )
            return Path(cached)
        except LocalEntryNotFoundError:
            raise InputError(
                f"{name} is not a local folder, and the Hugging Face hub cannot be reached ({one_line(info)}); "
                f"connect to it, or {FOLDER_HINT}"
            ) from info
    weight_patterns = _weight_patterns([file.rfilename for file in info.siblings]) if weights else ()
    patterns = [*DESCRIPTIONS, *TOKENIZER, *weight_patterns]
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=patterns))
    except Exception as error:  # networks fail in many ways
        raise InputError(
            f"The download of {name} failed ({one_line(error)}); run the same command again to resume"
        ) from error


def _query(hub: Any, name: str, revision: str | None) -> Any:
    """Query a repository; return the exception if offline."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return hub.model_info(name, revision=revision, timeout=TIMEOUT)
    except HFValidationError as error:
        raise InputError(f"{name!r} is neither a local folder nor a possible hub name; {FOLDER_HINT}") from error
    except GatedRepoError as error:
        raise InputError(f"{name} is gated: accept its terms on the hub and log in with `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{name} is not a local folder, and the hub has no such repository that you may read; check the name, log "
            f"in with `hf auth login` if it is private, or {FOLDER_HINT}"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name} has no revision {revision}; give a branch, a tag or a commit that it has") from error
    except Exception as error:  # no connection, a timeout, a proxy, an invalid response
        return error


def _weight_patterns(files: Sequence[str]) -> tuple[str, ...]:
    """Choose the weights to download.

    Pickled ones are chosen only if a repository has no others.
    """
    return SAFE_WEIGHTS if any(file in SAFE_WEIGHTS for file in files) else PICKLED_WEIGHTS
