import ctypes
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from lightning_mia.corpora.synthetic import espeak
from lightning_mia.corpora.synthetic.espeak import ESPEAK_RATE, Voice, synthesise
from lightning_mia.utilities.errors import InputError

MAN = Voice("gmw/en-US+m1", pitch=50, pitch_range=50, rate=175)
BREATHY_WOMAN = Voice("gmw/en+f2", pitch=50, pitch_range=50, rate=175)  # her noise comes from random numbers
TEXT = "The young baker carried three green apples."


@pytest.fixture
def _forget_files() -> Iterator[None]:
    espeak._files.cache_clear()
    yield
    espeak._files.cache_clear()


def test_a_sentence_has_a_plausible_length_and_level() -> None:
    samples = synthesise(TEXT, MAN)
    assert samples.dtype == np.int16
    assert 1.0 < len(samples) / ESPEAK_RATE < 4.0
    assert 1000 < np.abs(samples.astype(int)).max() < 32000


@pytest.mark.parametrize("voice", [MAN, BREATHY_WOMAN])
def test_a_sentence_does_not_depend_on_those_before_it(voice: Voice) -> None:
    first = synthesise(TEXT, voice)
    synthesise("Two dogs.", MAN)
    synthesise("My sister sings in the old kitchen.", BREATHY_WOMAN)
    time.sleep(1.1)  # espeak-ng seeds itself by the clock, in seconds
    np.testing.assert_array_equal(synthesise(TEXT, voice), first)


def test_pitch_and_rate_change_the_speech() -> None:
    slow, fast = (len(synthesise(TEXT, Voice(MAN.name, 50, 50, rate))) for rate in (140, 200))
    assert 1.2 < slow / fast < 1.7
    low, high = (_pitch(synthesise("Aaaaaah.", Voice(MAN.name, pitch, 0, 175))) for pitch in (30, 70))
    assert 1.4 < high / low < 2.2


def _pitch(samples: np.ndarray) -> float:
    """Estimate the fundamental frequency (Hz) of the middle 100 ms."""
    middle = samples[len(samples) // 2 - 1100 :][:2205].astype(float)
    autocorrelation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    return ESPEAK_RATE / (55 + np.argmax(autocorrelation[55:440]))  # 50 to 400 Hz


@pytest.mark.usefixtures("_forget_files")
def test_data_in_a_deep_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = synthesise(TEXT, MAN)
    deep = tmp_path / ("d" * 120) / ("e" * 120) / "espeak-ng-data"
    deep.parent.mkdir(parents=True)
    deep.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
    espeak._files.cache_clear()
    np.testing.assert_array_equal(synthesise(TEXT, MAN), expected)
    assert len(espeak._files()[1]) < 150


def test_unknown_voice() -> None:
    with pytest.raises(InputError, match=r"no voice klingon/tlh.*reinstall the package espeakng-loader"):
        synthesise(TEXT, Voice("klingon/tlh", 50, 50, 175))


@pytest.mark.usefixtures("_forget_files")
def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(InputError, match=r"not installed: pip install espeakng-loader") as error:
        synthesise(TEXT, MAN)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("_forget_files")
def test_damaged_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libespeak-ng.so").write_text("not a library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "libespeak-ng.so"))
    with pytest.raises(InputError, match=r"cannot use espeak-ng's library"):
        synthesise(TEXT, MAN)


def test_interrupt_while_speaking_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = synthesise(TEXT, MAN)
    hook = sys.unraisablehook
    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "string_at", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            synthesise(TEXT, MAN)
    assert sys.unraisablehook is hook
    np.testing.assert_array_equal(synthesise(TEXT, MAN), expected)


def _interrupt(*_: object) -> bytes:
    raise KeyboardInterrupt
