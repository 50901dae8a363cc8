"""The model-free check of a ready-made split, without an audit; before and after matching where that is asked for."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lightning_mia.account import judged_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.controls.blind_statistics import blind_statistics
from lightning_mia.corpus import Corpus
from lightning_mia.data.audio_cache import AudioCache, decode
from lightning_mia.data.matched_audio import apply_matching
from lightning_mia.errors import InputError
from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.files import atomic_path, check_folder
from lightning_mia.judgement import Judgement, judge
from lightning_mia.report import AuditReport, write_report
from lightning_mia.split import Split, ready_made
from lightning_mia.split.matching import Matching
from lightning_mia.stage import Stage


def check_split(
    corpus: Corpus,
    run_dir: Path,
    *,
    level: Literal["utterance", "speaker"],
    matching: Matching,
    on_bad_audio: Literal["error", "skip"],
    cache_dir: Path | None,
    settings: EvaluationSettings,
    command: str,
) -> Path:
    """Run the blind control on a corpus with a `member` column, and report.

    With a matching it runs twice. What is judged is the matched split, by the control `blind`; `blind_unmatched`
    stands beside it. What was discarded is listed in `discarded.csv`.

    Args:
        corpus: the corpus.
        run_dir: folder of the run.
        level: level at which the split is to be good.
        matching: how the sides are made alike beforehand.
        on_bad_audio: what to do with recordings that cannot be used.
        cache_dir: where decoded audio is kept; None = the default.
        settings: of the evaluation.
        command: the command that repeats the check, for the reader.

    Returns:
        The report's page.

    Raises:
        InputError: the corpus cannot be used, or has no `member` column; matching leaves too little of it.
    """
    check_folder(run_dir)
    table = corpus.table()
    if "member" not in table:
        where = getattr(corpus, "path", "The corpus")
        raise InputError(
            f"{where} has no column member; the blind check needs one (1, 0, held_back, or empty = auxiliary)"
        )
    whole = decode(table, cache_dir=cache_dir, on_bad_audio=on_bad_audio)
    table = table[table["id"].isin(whole.index.index)]
    unmatched = ready_made(table, whole.contents, level)
    matched = apply_matching(table, whole, matching, level) if matching.wanted else None
    audio = matched.audio if matched else whole
    split = ready_made(matched.table, audio.contents, level) if matched else unmatched
    _begin(run_dir, (split, audio), (unmatched, whole))
    statistics = blind_statistics(audio, judged_ids(split if matching.crop_seconds else unmatched))
    found, notes = judge([], {}, statistics, split, settings), list[str]()
    if matched:
        with atomic_path(run_dir / "discarded.csv") as path:
            matched.discarded.to_csv(path, index=False)
        if matching.crop_seconds:
            statistics = blind_statistics(whole, judged_ids(unmatched))
        before = judge([], {}, statistics, unmatched, settings)
        found = _beside_unmatched(found, before)
        notes = [f"Before matching: {HEADINGS[before.verdict.status]}. {before.verdict.reason}", *matched.notes]
    return write_report(
        run_dir / "report",
        AuditReport(
            target=None,
            split=summarise_split(split),
            verdict=found.verdict,
            attacks=(),
            controls=found.controls,
            scores=found.scores,
            blind_upper95=dict(found.blind_upper95),
            provenance=provenance(split, audio, settings, command),
            skipped=skipped_recordings(audio),
            notes=tuple(notes),
        ),
    )


def _begin(run_dir: Path, judged: tuple[Split, AudioCache], unmatched: tuple[Split, AudioCache]) -> None:
    """Write the split down, and refuse a folder that holds another one."""
    judged[0].save_once(run_dir / "split.csv")
    made_from = _made_from(*judged)
    if unmatched != judged:
        made_from["unmatched"] = _made_from(*unmatched)
    Stage(run_dir / "blind", made_from).begin()


def _made_from(split: Split, audio: AudioCache) -> dict[str, Any]:
    return {"split": split.sha256, "recordings": audio.sha256_of(judged_ids(split))}


def _beside_unmatched(found: Judgement, unmatched: Judgement) -> Judgement:
    """Add the controls of the unmatched split to those of the matched one."""
    controls = [replace(one, name=f"{one.name}_unmatched") for one in unmatched.controls]
    scores = [replace(one, name=f"{one.name}_unmatched") for one in unmatched.scores]
    return replace(found, controls=(*found.controls, *controls), scores=(*found.scores, *scores))
