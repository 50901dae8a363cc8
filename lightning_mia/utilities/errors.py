"""Invalid input, reported without a traceback.

Any other exception is a bug and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from traceback import walk_tb


class InputError(Exception):
    """Invalid option, config, file or recording.

    The message is one line: what is wrong, where (file and row), and how to fix it. The command line prints it without
    a traceback and exits with status 2.

    Example:
        >>> str(InputError("M.csv, line 3: no speaker; fill in the column `speaker`"))
        'M.csv, line 3: no speaker; fill in the column `speaker`'
    """


_MEMORY = "There is too little memory; lower data.batch_seconds, or take a smaller model"
_SHARED_MEMORY = (
    "There is too little shared memory (/dev/shm) for workers; set data.num_workers and probe.num_workers to 0, or "
    "start the container with a larger --shm-size"
)
LACKS = {
    "CUDA out of memory": "The GPU has too little memory; lower data.batch_seconds or probe.batch_seconds",
    "can't allocate memory": _MEMORY,
    "Cannot allocate memory": _MEMORY,
    "Unable to allocate": _MEMORY,
    "shared memory": _SHARED_MEMORY,
    "/dev/shm": _SHARED_MEMORY,
    "</torch_": _SHARED_MEMORY,
    "DataLoader worker": "A process that reads audio was killed, perhaps for lack of memory; set data.num_workers and "
    "probe.num_workers to 0",
    "can't start new thread": "The system refuses another thread; set data.num_workers to 0, or lower OMP_NUM_THREADS",
    "Resource temporarily unavailable": "The system refuses another process; lower data.num_workers or fleet.workers",
}
"""Text in an error of PyTorch or the system → what is missing, and the remedy."""


def explain_lack(error: BaseException) -> str:
    """Explain an error that stands for a lack of memory or processes.

    Args:
        error: any exception.

    Returns:
        One line with the remedy; empty for other errors.

    >>> explain_lack(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    'There is too little memory; lower data.batch_seconds, or take a smaller model'
    >>> explain_lack(RuntimeError("shapes differ"))
    ''
    """
    if isinstance(error, RuntimeError | OSError):
        if remedy := next((remedy for sign, remedy in LACKS.items() if sign in str(error)), ""):
            return remedy
        if isinstance(error, OSError) and _raised_by_semaphore(error):
            return _SHARED_MEMORY
    return _MEMORY if isinstance(error, MemoryError) else ""


def _raised_by_semaphore(error: BaseException) -> bool:
    """Test whether a semaphore between processes could not be made."""
    files = (frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__))
    return any(file.endswith("multiprocessing/synchronize.py") for file in files)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type.

    >>> first_line(ValueError("no GPU\\nsee the manual")), first_line(ZeroDivisionError())
    ('no GPU', 'ZeroDivisionError')
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def list_first(items: list[str], limit: int = 5) -> str:
    """List the first items and count the rest.

    >>> list_first(["a", "b"])
    'a; b'
    >>> list_first(["a", "b", "c"], limit=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown}; and {len(items) - limit} more"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is most similar, or nothing.

    Names with dots are also compared by their last part.

    >>> did_you_mean("aduit", ["audit", "split"]), did_you_mean("max_epoch", ["trainer.max_epochs"])
    (' (did you mean audit?)', ' (did you mean trainer.max_epochs?)')
    >>> did_you_mean("x", ["audit"])
    ''
    """
    names = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if not close:
        parts = {key.rpartition(".")[2].lstrip("-"): key for key in reversed(list(names))}
        last = name.lower().rpartition(".")[2].lstrip("-")
        close = [parts[part] for part in get_close_matches(last, parts, n=1, cutoff=0.6)]
    return f" (did you mean {names[close[0]]}?)" if close else ""
