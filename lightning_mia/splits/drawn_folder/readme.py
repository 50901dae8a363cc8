"""README of the folder of a drawn split."""

from collections.abc import Sequence
from pathlib import Path

from lightning_mia.splits.drawn_folder.training_lists import models_of
from lightning_mia.splits.split import EXPOSURES, Split

FORMAT_NOTES = {
    ".csv": "`{}.csv`: id, path, speaker, duration (seconds) and transcript.",
    ".jsonl": "`{}.jsonl`: NeMo's manifest (`model.train_ds.manifest_filepath`).",
    ".tsv": (
        "`{}.tsv`: fairseq's manifest, and with transcripts `.wrd` and `.ltr`. fairseq looks for `train.tsv`, so link "
        "or copy it into a separate folder. It reads 16 kHz only."
    ),
    "wav.scp": "`{}.kaldi`: Kaldi's data folder (`validate_data_dir.sh --no-feats --no-spk-sort`).",
    "metadata.csv": (
        '`{}.huggingface/metadata.csv`: `load_dataset("csv", data_files=…, features=…)`, with strings for ids '
        'and speakers; then `.cast_column("file_name", Audio())`.'
    ),
}


def readme(split: Split, folder: Path, lists: Sequence[str]) -> str:
    """Say which list trains what, what must not happen, and how to audit the result.

    Args:
        split: drawn split.
        folder: its folder.
        lists: paths of the training lists.
    """
    return "\n".join(_lines(split, folder, lists)) + "\n"


def _lines(split: Split, folder: Path, lists: Sequence[str]) -> list[str]:
    roles = split.table["role"].value_counts()
    counts = {name: int(roles.get(name, 0)) for name in ("member", "nonmember", "held_back", "auxiliary", "background")}
    lines = [
        f"# A split drawn at {split.level} level",
        "",
        "`lightning-mia split` drew at random which recordings the models are trained on. Train on the lists below, "
        "and the audit can say whether the models reveal it.",
        "",
        f"- members: {counts['member']:,} recordings, in the list of the target",
        f"- non-members: {counts['nonmember']:,} recordings, not in the list of the target",
        f"- background: {counts['background']:,} recordings in every list, never evaluated",
        f"- auxiliary: {counts['auxiliary']:,} recordings in no list: the adversary's own",
        *([f"- held back: {counts['held_back']:,} recordings of members, in no list"] if counts["held_back"] else []),
        f"- SHA-256 of the split: `{split.sha256}`",
        "",
        "## Which list trains what",
        "",
        "| model | recordings | lines | lists |",
        "|---|--:|--:|---|",
    ]
    for model in models_of(split):
        ids = split.training_ids(model)
        lines.append(f"| {model} | {len(ids):,} | {split.times_per_epoch(ids).sum():,} | `train/{model}.*` |")
    lines += ["", "Formats:", ""]
    lines += [f"- {note.format('target')}" for end, note in FORMAT_NOTES.items() if _has(lists, end)]
    if EXPOSURES in split.table:
        lines += [
            "",
            "Members that are in an epoch several times have as many lines; further ids end in `#2`, `#3`, …. Do not "
            "remove repetitions.",
        ]
    if split.shadows:
        lines += [
            "",
            "Shadow models must be trained exactly like the target: architecture, start, steps, batch size, "
            "augmentation; only the list and the seed differ. Two of them, such as `shadow_000` and `shadow_001`, form "
            "a pair.",
        ]
    lines += [
        "",
        "## What must not happen",
        "",
        "- Training on other recordings of this corpus: non-members in the training set make every result wrong.",
        "- Choosing a checkpoint, a threshold or a setting by recordings of `split.csv`: take the last checkpoint, or "
        "validate on other data. Filters that drop recordings, such as a longest duration, must be off.",
        "- Editing a file of this folder: their hashes are in `split.json`, and the audit refuses edited ones.",
        "- Publishing this folder before the audit: it names the members.",
        "",
        "## Audit the result",
        "",
        "```",
        f"lightning-mia attack -c configs/attack/checkpoint.yaml --split {folder} "
        "--model.checkpoint CHECKPOINT --run_dir RUN",
        "```",
    ]
    if split.shadows:
        lines += [
            "",
            'With the shadow models, add `--fleet.checkpoints "CHECKPOINTS/shadow_{:03d}"`: their checkpoints, '
            "numbered like the lists.",
        ]
    return lines


def _has(lists: Sequence[str], end: str) -> bool:
    return any(name.startswith("train/target") and name.endswith(end) and not _is_metadata(name, end) for name in lists)


def _is_metadata(name: str, end: str) -> bool:
    """Whether a name is that of Hugging Face's CSV, and not of the plain one."""
    return end == ".csv" and name.endswith("metadata.csv")
