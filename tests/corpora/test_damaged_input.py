"""Properties of reading: whatever the input, the right samples and names, or one line."""

import csv
import io
import json
import tempfile
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_mia.corpora.audio import BadAudioError
from lightning_mia.corpora.audio.decoding import Decoded, decode_file
from lightning_mia.corpora.manifest import Manifest
from lightning_mia.utilities.errors import InputError

AUDIO_EXAMPLES, MANIFEST_EXAMPLES = 1_500, 500

WITHOUT_LENGTH = {"IRCAM", "PAF", "PVF", "XI"}
"""Formats that store no length: all bytes up to the end of the file are audio."""

UNREADABLE = {"DWVW_16", "DWVW_24"}
"""Subtypes that the Python package soundfile cannot read."""

SPEECH = 0.3 * np.convolve(np.random.default_rng(0).normal(size=6_000), np.ones(20) / 20, "same")


@cache
def encoded(audio_format: str, subtype: str, channels: int, n_samples: int) -> bytes | None:
    """Encode noise; None if libsndfile does not write this combination."""
    samples = np.stack([SPEECH[:n_samples], -0.5 * SPEECH[:n_samples]][:channels], axis=1)
    for rate in (16_000, 8_000):
        content = io.BytesIO()
        try:
            sf.write(content, samples, rate, format=audio_format, subtype=subtype)
        except sf.LibsndfileError:
            continue
        return content.getvalue()
    return None


def writable() -> list[tuple[str, str, int, int]]:
    """List format, subtype, channels and length of every file that can be written."""
    return [
        (audio_format, subtype, channels, n_samples)
        for audio_format in sf.available_formats()
        if audio_format not in ("RAW", "SD2")  # without a header, and with one in another file
        for subtype in sf.available_subtypes(audio_format)
        if subtype not in UNREADABLE
        for channels in (1, 2)
        for n_samples in (4_500, 6_000)
        if encoded(audio_format, subtype, channels, n_samples)
    ]


@cache
def undamaged(file: tuple[str, str, int, int]) -> np.ndarray:
    """Return the samples of a file as it was written."""
    outcome = read(encoded(*file) or b"")
    assert isinstance(outcome, Decoded), f"{file}: {outcome}"
    return outcome.samples


def one_line(error: Exception) -> str:
    message = str(error)
    assert message
    assert "\n" not in message
    return message


def read(content: bytes) -> Decoded | str:
    """Decode a file; return the reason if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        path.write_bytes(content)
        try:
            return decode_file(str(path))
        except BadAudioError as error:
            return one_line(error)


@pytest.mark.slow
def test_every_written_format_is_read_whole():
    for file in writable():
        _, subtype, _, n_samples = file
        n_decoded = len(undamaged(file))
        with sf.SoundFile(io.BytesIO(encoded(*file))) as sound:
            rate = sound.samplerate  # XI and VOC store others
        assert -1 <= n_decoded * rate / 16_000 - n_samples <= 1_152, file  # codecs fill their last block
        expected, _ = sf.read(io.BytesIO(encoded(*file)), dtype="float64", always_2d=True, frames=n_samples)
        if (subtype, rate) == ("PCM_16", 16_000):
            np.testing.assert_allclose(undamaged(file), expected.mean(axis=1) * 32768, atol=0.51, err_msg=str(file))


@pytest.mark.slow
@settings(max_examples=AUDIO_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_files_give_the_right_samples_or_one_line(data):
    file = data.draw(st.sampled_from(writable()))
    content = encoded(*file)
    assert content is not None
    kind = data.draw(st.sampled_from(["cut", "continued", "joined", "header", "body"]))
    position = data.draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        damaged = content[:position]
    elif kind == "continued":
        damaged = content + data.draw(st.binary(min_size=8, max_size=400))
    elif kind == "joined":
        damaged = content + (encoded(*data.draw(st.sampled_from(writable()))) or b"")
    else:
        at = position % 64 if kind == "header" else position
        changed = data.draw(st.binary(min_size=1, max_size=4))
        damaged = content[:at] + changed + content[at + len(changed) :]
    outcome = read(damaged)
    if isinstance(outcome, str):
        return
    expected, common = undamaged(file), min(len(outcome.samples), len(undamaged(file)))
    if kind in ("cut", "continued", "joined"):
        if file[0] in WITHOUT_LENGTH:
            np.testing.assert_array_equal(outcome.samples[: common - 64], expected[: common - 64])
        else:
            np.testing.assert_array_equal(outcome.samples, expected)
    elif file[0] in ("FLAC", "OGG") and kind == "body" and position > 8_000:
        np.testing.assert_array_equal(outcome.samples, expected)  # checksums


NAMES = st.text(st.characters(codec=None), max_size=8)
VALUES = NAMES | st.none() | st.floats() | st.integers() | st.booleans() | st.lists(st.integers(), max_size=2)


def read_manifest(name: str, content: bytes) -> list[dict] | str:
    """Read a manifest; return the message if it is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            return Manifest(str(path), cache_dir=folder).table().to_dict("records")
        except InputError as error:
            return one_line(error)


def expected_name(value: object) -> str:
    """Return a name as a table holds it."""
    text = unicodedata.normalize("NFC", str(value)).translate(dict.fromkeys(map(ord, "\u200b\u2060\ufeff")))
    return text.strip()


@pytest.mark.slow
@settings(max_examples=MANIFEST_EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.fixed_dictionaries({"id": VALUES, "speaker": VALUES, "text": VALUES}), min_size=1, max_size=3))
def test_json_lines_give_the_right_names_or_one_line(rows):
    lines = "".join(json.dumps({"path": "a.wav", **row}) + "\n" for row in rows)
    table = read_manifest("m.jsonl", lines.encode())
    if isinstance(table, str):
        return
    assert len(table) == len(rows)
    for row, read_row in zip(rows, table, strict=True):
        for column in ("id", "speaker"):
            value = row[column]
            written = str(value).lower() if isinstance(value, bool) else value
            assert read_row[column] == expected_name(written) != ""


@settings(max_examples=MANIFEST_EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=3))
def test_csv_gives_the_right_names_or_one_line(rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "speaker", "path"])
    writer.writerows([(*row, "a.wav") for row in rows])
    table = read_manifest("m.csv", text.getvalue().encode("utf-8", "surrogatepass"))
    if isinstance(table, str):
        return
    assert [(row["id"], row["speaker"]) for row in table] == [tuple(map(expected_name, row)) for row in rows]


@settings(max_examples=MANIFEST_EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["m.csv", "m.jsonl", "m.tsv", "m.json", "m"]),
    st.sampled_from(
        [
            b"id,path,speaker,member\na,a.wav,s,1\nb,b.wav,t,0\n",
            b'{"audio_filepath": "a.wav", "speaker": "s", "offset": 0.5, "duration": 1}\n',
            b"/data\ns/a.wav\t16000\nt/b.wav:0:10\t16000\n",
            b'{"a": {"wav": {"file": "a.wav", "start": 1, "stop": 2}, "spk_id": "s"}}',
            b'{"id": "c", "start": 0, "duration": 1, "supervisions": [{"speaker": "s"}], "recording": {}}',
        ]
    ),
    st.integers(0, 120),
    st.binary(max_size=6),
)
def test_damaged_manifests_are_read_or_refused_in_one_line(name, content, position, inserted):
    read_manifest(name, content[:position] + inserted + content[position + len(inserted) // 2 :])
