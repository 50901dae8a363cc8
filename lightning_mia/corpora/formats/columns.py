"""Names that toolkits give to the columns of a manifest."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = tuple[int, dict[str, Any]]
"""Line number in the file, and values by column."""

USUAL_NAMES = {
    "id": ("id", "ID", "utt_id", "utterance_id"),
    "path": ("path", "audio_filepath", "wav", "file_name", "audio"),
    "speaker": ("speaker", "speaker_id", "spk_id"),
    "text": ("text", "transcript", "transcription", "sentence", "tgt_text", "wrd", "words"),
}
"""Names by column, the first that is present is read: ours, NeMo's, Hugging Face's, fairseq's and SpeechBrain's."""

TIMES = ("start", "end", "start_time", "end_time", "start_s", "end_s", "begin", "onset")
"""Columns that usually mark a segment, of an unknown unit."""


def rename(names: Iterable[str]) -> dict[str, str]:
    """Return our name of every column that is read under a usual one.

    >>> rename(["audio_filepath", "spk_id", "duration", "path"])
    {'path': 'path', 'spk_id': 'speaker'}
    """
    present = set(names)
    chosen = {column: next((name for name in usual if name in present), None) for column, usual in USUAL_NAMES.items()}
    return {name: column for column, name in chosen.items() if name is not None}


def our_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename a row's columns; the second of two usual names is left out."""
    renamed = rename(values)
    return {
        renamed.get(name, name): value for name, value in values.items() if name in renamed or name not in USUAL_NAMES
    }


def ambiguous_times(row: Mapping[str, Any]) -> list[str]:
    """Return columns that seem to mark a segment, but are not read."""
    is_speechbrain = "start" in row and "stop" in row
    return [] if is_speechbrain or "offset" in row else [name for name in TIMES if row.get(name) not in (None, "")]
