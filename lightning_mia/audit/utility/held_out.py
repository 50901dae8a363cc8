"""Held-out recordings and the labels to predict."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.splits import Split
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.utilities.errors import InputError

MIN_PER_LABEL = 5  # recordings per speaker or keyword, and speakers per keyword: one for every fold of the probe


def held_out_recordings(split: Split, contents: Mapping[str, str], speakers: Mapping[str, str]) -> pd.DataFrame:
    """List recordings that the target was not trained on.

    These are non-members, siblings, auxiliary recordings and recordings outside the split, without duplicate audio.
    Recordings of member units are excluded, whether trained on or held back, and under any id; at speaker level, so are
    all other recordings of member speakers.

    Args:
        split: members and non-members.
        contents: SHA-256 of the decoded audio of every recording.
        speakers: id → speaker, of the usable recordings, without those discarded by matching, which may be a member's.

    Returns:
        `id`, `speaker`, in the order of the ids.
    """
    members = split.table[split.table["target"]]
    member_contents = {contents[name] for name in members["id"] if name in contents}  # a background may lack
    member_speakers = set(members["speaker"]) if split.level == "speaker" else set()
    first = {contents[name]: name for name in sorted(speakers, reverse=True)}  # first id of each content
    ids = sorted(
        name
        for content, name in first.items()
        if content not in member_contents and speakers[name] not in member_speakers
    )
    return pd.DataFrame({"id": ids, "speaker": [speakers[name] for name in ids]}, dtype=object)


def recordings_for(data: SplitCorpus, settings: UtilitySettings) -> pd.DataFrame:
    """Draw the recordings on which utility is measured.

    Args:
        data: corpus and split.
        settings: label of the probe, and number of recordings.

    Returns:
        `id`, `speaker`, `label` ("" without a probe), in the order of the ids.

    Raises:
        InputError: there are too few recordings, or too few labels.
    """
    held_out = held_out_recordings(data.split, data.audio.contents, data.speakers)
    if settings.probe == "keyword":
        held_out["label"] = [data.audio.texts.get(name, "").strip() for name in held_out["id"]]
    else:
        held_out["label"] = held_out["speaker"] if settings.probe == "speaker" else ""
    drawn = draw(held_out, settings)
    if not len(drawn):
        raise InputError(_too_few(settings))
    return drawn


def draw(held_out: pd.DataFrame, settings: UtilitySettings) -> pd.DataFrame:
    """Draw recordings balanced over labels, without rare labels.

    Args:
        held_out: `id`, `speaker`, `label`.
        settings: label, number of recordings and seed.

    Returns:
        Rows of `held_out`, in their order; none with fewer than two labels.
    """
    generator = np.random.default_rng(settings.seed)
    shuffled = held_out.iloc[generator.permutation(len(held_out))]
    if settings.probe == "none":
        return shuffled[: settings.n_recordings].sort_values("id", ignore_index=True)
    by_label = shuffled[shuffled["label"] != ""].groupby("label", sort=True)
    common = by_label.size() >= MIN_PER_LABEL
    if settings.probe == "keyword":
        common &= by_label["speaker"].nunique() >= MIN_PER_LABEL
    labels = generator.permutation(common.index[common].to_numpy(dtype=object))
    labels = labels[: settings.n_recordings // MIN_PER_LABEL]
    if len(labels) < 2:
        return held_out[:0]
    kept = shuffled[shuffled["label"].isin(labels)]
    interleaved = kept.iloc[np.argsort(kept.groupby("label").cumcount().to_numpy(), kind="stable")]
    return interleaved[: settings.n_recordings].sort_values("id", ignore_index=True)


def _too_few(settings: UtilitySettings) -> str:
    if settings.probe == "none":
        return "There is no recording that the target was not trained on: give more recordings, or leave utility.… out"
    what = f"at least {MIN_PER_LABEL} recordings"
    if settings.probe == "keyword":
        what += f" by {MIN_PER_LABEL} speakers"
    return (
        f"utility.probe {settings.probe} needs two {settings.probe}s with {what} each outside the members, and the "
        f"corpus does not have them{' (keywords are in its column text)' if settings.probe == 'keyword' else ''}: give "
        "more recordings, or another --utility.probe"
    )
