"""Manifests in JSON: Lines (also NeMo's and Lhotse's), and SpeechBrain's single object."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_mia.corpora.formats.columns import Row
from lightning_mia.utilities.errors import InputError, list_first

Values = dict[str, Any]


def read_json(text: str, where: str) -> list[Row]:
    """Read a manifest in JSON.

    Args:
        text: content of the file.
        where: path of the file, with which errors begin.

    Returns:
        Rows in which `offset`, `duration` (seconds), `start`, `stop` (samples) and `channel` mark parts of recordings.

    Raises:
        InputError: a line is not a JSON object, or an object of Lhotse's cannot be used.
    """
    if objects := _single_object(text):
        return [(number, _speechbrain(name, values)) for number, (name, values) in enumerate(objects.items(), start=1)]
    rows, malformed = [], []
    for number, line in lines_of(text):
        values = _parse(line)
        if isinstance(values, dict):
            rows.append((number, values))
        else:
            malformed.append(f"line {number}")
    if malformed:
        raise InputError(f"{where}: not a JSON object: {list_first(malformed)}; write one object per line")
    if rows and "sources" in rows[0][1]:
        return list(_lhotse_supervisions(_lhotse_partner(where, "recordings", "supervisions"), rows, where))
    if rows and "recording_id" in rows[0][1] and "recording" not in rows[0][1]:
        recordings = _lhotse_partner(where, "supervisions", "recordings")
        return list(_lhotse_supervisions(rows, recordings, where))
    return [(number, _lhotse_cut(values, f"{where}: line {number}") or values) for number, values in rows]


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the non-blank lines with their numbers from 1."""
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def read_text(path: str) -> str:
    """Read a UTF-8 text file without byte-order mark, also if compressed by gzip.

    Raises:
        InputError: the file cannot be read, is not text in UTF-8, or is the pointer of a version control system.
    """
    import gzip
    import zlib

    try:
        content = Path(path).expanduser().read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot read the manifest ({cause}); check the path") from error
    if text.startswith("version https://git-lfs"):
        raise InputError(f"{path}: a Git LFS pointer, not the manifest; run git lfs pull")
    return text


def refuse_missing(path: str) -> None:
    """Refuse a manifest that does not exist; a pipe is not read.

    Raises:
        InputError: there is no such file.
    """
    if not Path(path).expanduser().exists():
        read_text(path)


def _parse(text: str) -> Any:
    """Parse JSON; None if it is malformed or nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _single_object(text: str) -> Values:
    """Return the objects of a file that is one object of objects."""
    values = _parse(text)
    is_nested = isinstance(values, dict) and all(isinstance(value, dict) for value in values.values())
    return values if is_nested else {}


def _speechbrain(name: str, values: Values) -> Values:
    """Return a row of SpeechBrain's: `wav` may be an object with samples."""
    row = {"id": name, **values}
    if "length" in row:
        row.setdefault("duration", row["length"])
    if isinstance(row.get("wav"), dict):
        wav = row["wav"]
        row |= {"wav": wav.get("file"), **{key: wav[key] for key in ("start", "stop") if key in wav}}
    return row


def _lhotse_partner(where: str, given: str, wanted: str) -> list[Row]:
    """Read the manifest of supervisions or recordings beside the other one."""
    path = Path(where)
    partner = path.with_name(path.name.replace(given, wanted))
    if partner == path or not partner.expanduser().is_file():
        problem = f"Lhotse's {given} need their {wanted}, expected in {partner.name}"
        raise InputError(f"{where}: {problem}: put it there, or give a manifest of cuts")
    rows = [(number, _parse(line)) for number, line in lines_of(read_text(str(partner)))]
    malformed = [f"line {number}" for number, values in rows if not isinstance(values, dict)]
    if malformed:
        raise InputError(f"{partner}: not a JSON object: {list_first(malformed)}; write one object per line")
    return rows


def _lhotse_supervisions(supervisions: list[Row], recordings: list[Row], where: str) -> Iterator[Row]:
    """Yield a row for every supervision, with the file of its recording."""
    by_id = {values.get("id"): values for _, values in recordings}
    for number, values in supervisions:
        recording = by_id.get(values.get("recording_id"))
        if recording is None:
            problem = f"no recording {values.get('recording_id')!r} of the supervision in line {number}"
            raise InputError(f"{where}: {problem}; add it to the manifest of recordings")
        segment = {"offset": values.get("start"), "duration": values.get("duration"), "id": values.get("id")}
        path = _lhotse_source(recording, f"{where}: line {number}")
        channel = _lhotse_channel(values, recording, f"{where}: line {number}")
        yield number, {**_lhotse_facts([values]), **segment, **channel, "path": path}


def _lhotse_cut(values: Values, where: str) -> Values | None:
    """Return the row of a cut; None for other objects."""
    if "recording" not in values or "supervisions" not in values:
        if str(values.get("type", "")).endswith("Cut"):
            raise InputError(f"{where}: a {values['type']} of Lhotse holds no single recording; give simple cuts")
        return None
    recording = values["recording"]
    speakers = {supervision.get("speaker") for supervision in values["supervisions"]}
    if len(speakers) != 1:
        problem = f"the cut has {len(speakers)} speakers"
        raise InputError(f"{where}: {problem}; give one to each cut (cuts.trim_to_supervisions)")
    segment = {"offset": values.get("start"), "duration": values.get("duration"), "id": values.get("id")}
    channel = _lhotse_channel(values, recording, where)
    facts = _lhotse_facts(values["supervisions"])
    return {**facts, **segment, **channel, "path": _lhotse_source(recording, where)}


def _lhotse_source(recording: Mapping[str, Any], where: str) -> str:
    """Return a recording's file."""
    sources = recording.get("sources") or []
    if len(sources) != 1 or sources[0].get("type") != "file" or recording.get("transforms"):
        problem = "a recording of Lhotse's that is not one unchanged file (commands, addresses, several sources, speed)"
        raise InputError(f"{where}: {problem}; save it as a file (cuts.save_audios)")
    return str(sources[0].get("source"))


def _lhotse_channel(values: Values, recording: Mapping[str, Any], where: str) -> Values:
    """Return the channel, unless the recording has no other."""
    channel = values.get("channel", 0)
    if isinstance(channel, list):
        if len(channel) > 1:
            raise InputError(f"{where}: {len(channel)} channels in one cut; give a single channel")
        channel = channel[0]
    available = (recording.get("sources") or [{}])[0].get("channels") or [0]
    return {} if available == [channel] else {"channel": channel}


def _lhotse_facts(supervisions: list[Values]) -> Values:
    """Return speaker, transcript and gender."""
    texts = [supervision["text"] for supervision in supervisions if supervision.get("text")]
    facts = {"speaker": supervisions[0].get("speaker"), "gender": supervisions[0].get("gender")}
    return {name: value for name, value in {**facts, "text": " ".join(map(str, texts))}.items() if value}
