"""Recordings that the target has never seen, and what a probe has to tell of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lightning_mia.audit.utility.settings import UtilitySettings
from lightning_mia.splits import Split
from lightning_mia.splits.data_module import SplitCorpus
from lightning_mia.utilities.errors import InputError

MIN_EACH = 5
"""Recordings of each speaker or keyword, and speakers of each keyword: one for every fold of the probe."""


def unseen_recordings(split: Split, contents: Mapping[str, str], speakers: Mapping[str, str]) -> pd.DataFrame:
    """Non-members, auxiliary recordings, and recordings of the corpus outside the split; the same audio once.

    Nothing of a member unit is among them, whether it was trained on or held back, under whatever id; where speakers
    are members, no other recording of a member speaker either.

    Args:
        split: who is a member.
        contents: SHA-256 of the decoded audio of every recording.
        speakers: id → speaker, of the recordings that may be used: what matching discarded may well be a member's.

    Returns:
        `id`, `speaker`, in the order of the ids.
    """
    members = split.table[split.table["target"]]
    heard = {contents[name] for name in members["id"]}
    own = set(members["speaker"]) if split.level == "speaker" else set()
    first = {contents[name]: name for name in sorted(speakers, reverse=True)}
    ids = sorted(name for content, name in first.items() if content not in heard and speakers[name] not in own)
    return pd.DataFrame({"id": ids, "speaker": [speakers[name] for name in ids]}, dtype=object)


def recordings_for(data: SplitCorpus, settings: UtilitySettings) -> pd.DataFrame:
    """The recordings by which a target's utility is measured.

    Args:
        data: the corpus and the split, loaded.
        settings: what is asked, and how many recordings are drawn.

    Returns:
        `id`, `speaker`, `label` (what the probe has to tell; "" without one), in the order of the ids.

    Raises:
        InputError: there are too few recordings, or too few kinds of them.
    """
    unseen = unseen_recordings(data.split, data.audio.contents, data.speakers)
    if settings.probe == "keyword":
        unseen["label"] = [data.audio.texts.get(name, "").strip() for name in unseen["id"]]
    else:
        unseen["label"] = unseen["speaker"] if settings.probe == "speaker" else ""
    drawn = draw(unseen, settings)
    if not len(drawn):
        raise InputError(_too_few(settings))
    return drawn


def draw(unseen: pd.DataFrame, settings: UtilitySettings) -> pd.DataFrame:
    """Draw recordings, as many of each label as can be; labels that are too rare are left out.

    Args:
        unseen: `id`, `speaker`, `label`.
        settings: of the draw.

    Returns:
        Rows of `unseen`, in their order; none where there are not two labels to tell apart.
    """
    generator = np.random.default_rng(settings.seed)
    shuffled = unseen.iloc[generator.permutation(len(unseen))]
    if settings.probe == "none":
        return shuffled[: settings.n_recordings].sort_values("id", ignore_index=True)
    by_label = shuffled[shuffled["label"] != ""].groupby("label", sort=True)
    common = by_label.size() >= MIN_EACH
    if settings.probe == "keyword":
        common &= by_label["speaker"].nunique() >= MIN_EACH
    labels = generator.permutation(common.index[common].to_numpy(dtype=object))
    labels = labels[: settings.n_recordings // MIN_EACH]
    if len(labels) < 2:
        return unseen[:0]
    kept = shuffled[shuffled["label"].isin(labels)]
    in_turn = kept.iloc[np.argsort(kept.groupby("label").cumcount().to_numpy(), kind="stable")]
    return in_turn[: settings.n_recordings].sort_values("id", ignore_index=True)


def _too_few(settings: UtilitySettings) -> str:
    if settings.probe == "none":
        return "There is no recording that the target has not seen: give more recordings, or leave utility.… out"
    what = f"at least {MIN_EACH} recordings"
    if settings.probe == "keyword":
        what += f" by {MIN_EACH} speakers"
    return (
        f"utility.probe {settings.probe} needs two {settings.probe}s with {what} each that are no member's, and the "
        f"corpus has none left{' (keywords stand in its column text)' if settings.probe == 'keyword' else ''}: give "
        "more recordings, or another --utility.probe"
    )
