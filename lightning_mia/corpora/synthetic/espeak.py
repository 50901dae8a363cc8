"""Speech synthesis by espeak-ng's shared library, from the package `espeakng-loader`."""

import atexit
import ctypes
import functools
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lightning_mia.utilities.errors import InputError

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

ESPEAK_RATE = 22_050
"""Sampling rate of espeak-ng's formant voices (Hz)."""

# Constants of espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4

_BUFFER_MS = 5_000  # longer than a sentence, which then takes one or two callbacks
_VOLUME_WITH_HEADROOM = 20  # of 200; at the default of 100, loud voices reach full scale and are limited
_MAX_DATA_PATH = 150  # bytes; the library silently truncates longer paths, and then finds no voice

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Voice:
    """Voice parameters of espeak-ng.

    Attributes:
        name: accent and voice variant, such as "gmw/en-US+f2".
        pitch: 0 to 99; 50 keeps the variant's pitch, 100 doubles it.
        pitch_range: 0 (monotone) to 99; 50 is normal.
        rate: words per minute, at least 80.
    """

    name: str
    pitch: int
    pitch_range: int
    rate: int


def synthesise(text: str, voice: Voice) -> np.ndarray:
    """Synthesise a sentence, reproducibly.

    The library keeps state that no call resets (phase of the pitch flutter, gain, resonators), so that a sentence
    would depend on earlier ones. It is therefore loaded anew for each sentence (2 ms).

    Returns:
        Speech, int16, (n_samples,), at 22,050 Hz.

    Raises:
        InputError: the library or the voice cannot be loaded.
    """
    chunks: list[bytes] = []

    @_Callback
    def receive(samples: int | None, n_samples: int, _events: int | None) -> int:
        if samples and n_samples > 0:
            chunks.append(ctypes.string_at(samples, 2 * n_samples))
        return 0

    with _fresh_library() as library, _raise_callback_errors():
        library.espeak_SetSynthCallback(receive)
        library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # initialisation seeds it by the clock
        if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise _unavailable(f"it has no voice {voice.name}")
        settings = {
            _RATE: voice.rate,
            _VOLUME: _VOLUME_WITH_HEADROOM,
            _PITCH: voice.pitch,
            _RANGE: voice.pitch_range,
        }
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, _CHARS_UTF8, None, None)
    return np.frombuffer(b"".join(chunks), dtype=np.int16)


def version() -> str:
    """Return the version of `espeakng-loader`, on which the audio depends.

    Raises:
        InputError: the package is not installed.
    """
    try:
        return metadata.version("espeakng-loader")
    except metadata.PackageNotFoundError as error:
        raise _unavailable("the package is not installed") from error


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """Load the library with freshly initialised static variables."""
    path, data_path = _files()
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise _unavailable(str(error)) from error
    try:
        rate = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, os.fsencode(data_path), _INITIALIZE_DONT_EXIT
        )
        if rate != ESPEAK_RATE:
            raise _unavailable(f"it cannot start with the data in {data_path}")
        yield library
    finally:
        library.espeak_Terminate()
        _unload(library)


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes  # there is no public function for this

    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


@functools.cache
def _files() -> tuple[str, str]:
    """Return the paths of the library and of its data."""
    try:
        # not at the top: only synthetic voices need the package
        loader = importlib.import_module("espeakng_loader")
        library, data = loader.get_library_path(), loader.get_data_path()
    except ImportError as error:
        raise InputError(
            "The synthetic voices need espeak-ng, which is not installed: pip install espeakng-loader (GPL), or use "
            "another corpus, such as a manifest"
        ) from error
    except RuntimeError as error:
        raise _unavailable(str(error)) from error
    if len(os.fsencode(data)) <= _MAX_DATA_PATH:
        return library, data
    return library, _short_link(data)


def _short_link(folder: str) -> str:
    """Return a temporary link to `folder`, removed at exit."""
    try:
        link = Path(tempfile.mkdtemp(prefix="espeak-")) / "espeak-ng-data"
        atexit.register(shutil.rmtree, link.parent, ignore_errors=True)
        link.symlink_to(folder, target_is_directory=True)
    except OSError as error:
        raise _unavailable(f"the path of its data is too long for it: {folder}") from error
    return str(link)


@contextmanager
def _raise_callback_errors() -> Iterator[None]:
    """Re-raise exceptions of callbacks; ctypes would only print them."""
    caught: list[BaseException] = []

    def catch(report: "UnraisableHookArgs") -> None:
        if report.exc_value is not None:
            caught.append(report.exc_value)

    hook, sys.unraisablehook = sys.unraisablehook, catch
    try:
        yield
    finally:
        sys.unraisablehook = hook
    if caught:
        raise caught[0]


def _unavailable(cause: str) -> InputError:
    return InputError(
        f"The synthetic voices cannot use espeak-ng's library ({cause}): "
        "reinstall the package espeakng-loader, or use another corpus, such as a manifest"
    )
