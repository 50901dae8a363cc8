"""Blind check of a predefined split, before and after matching."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lightning_mia.audit.blind_baselines import blind_baselines, log_size
from lightning_mia.audit.blind_kinds import blind_kinds
from lightning_mia.audit.outcome import AuditOutcome, evaluate_split
from lightning_mia.audit.provenance import evaluated_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.corpora import Corpus
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.audio.preparation import OnLongAudio, prepare_audio
from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.report import AuditReport, write_report
from lightning_mia.splits import Split, predefined
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.matching.subset import matched_subset
from lightning_mia.splits.shared_content import shared_content_notes
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path
from lightning_mia.utilities.run_lock import locked
from lightning_mia.utilities.stage import Stage


def check_split(
    corpus: Corpus,
    run_dir: Path,
    *,
    level: Literal["utterance", "speaker"],
    matching: Matching,
    on_bad_audio: Literal["error", "skip"],
    max_seconds: float,
    on_long_audio: OnLongAudio,
    cache_dir: Path | None,
    settings: EvaluationSettings,
    command: str,
) -> Path:
    """Run the blind baseline on a predefined split, and report.

    With matching it runs twice: the control `blind` tests the matched split, `blind_unmatched` the original one.
    Discarded recordings are listed in `discarded.csv`.

    Args:
        corpus: corpus with a `member` column.
        run_dir: folder of the run.
        level: level at which the split is tested.
        matching: matching of members and non-members before the second run.
        on_bad_audio: `error` or `skip` unusable recordings.
        max_seconds: longest recording (seconds).
        on_long_audio: `error` treats longer recordings as unusable; `crop` keeps their start.
        cache_dir: folder of decoded audio; None: the default.
        settings: evaluation settings.
        command: command that repeats the check, for the report.

    Returns:
        The report's page.

    Raises:
        InputError: the corpus cannot be used, has no `member` column, or matching leaves too few recordings.
    """
    with locked(run_dir):
        table = _table_with_members(corpus)
        audio, notes = prepare_audio(
            table,
            cache_dir=cache_dir,
            on_bad_audio=on_bad_audio,
            max_seconds=max_seconds,
            on_long_audio=on_long_audio,
        )
        table = table[table["id"].isin(audio.index.index)]
        original = _AudioSplit(predefined(table, audio.contents, level), audio, table)
        if not matching.enabled:
            _start_stage(run_dir, original)
            return _report(
                run_dir, original, original.evaluate(original.statistics(), settings), settings, command, notes
            )
        matched = matched_subset(table, audio, matching, level)
        kept = _AudioSplit(predefined(matched.table, matched.audio.contents, level), matched.audio, matched.table)
        _start_stage(run_dir, kept, original)
        with atomic_path(run_dir / "discarded.csv") as path:
            matched.discarded.to_csv(path, index=False)
        statistics = original.statistics()
        before = original.evaluate(statistics, settings)
        # Matching without cropping keeps the audio, and so its statistics.
        after = kept.evaluate(kept.statistics() if matching.crop_seconds else statistics, settings)
        heading = f"Before matching: {HEADINGS[before.verdict.status]}. {before.verdict.reason}"
        return _report(
            run_dir, kept, _with_unmatched(after, before), settings, command, (heading, *notes, *matched.notes)
        )


@dataclass(frozen=True, eq=False)
class _AudioSplit:
    """A split, and audio and table of its recordings."""

    split: Split
    audio: AudioCache
    table: pd.DataFrame

    def fingerprint(self) -> dict[str, Any]:
        """Hash split and audio."""
        return {"split": self.split.sha256, "recordings": self.audio.data_hash(evaluated_ids(self.split))}

    def statistics(self) -> dict[str, pd.DataFrame]:
        """Compute model-free statistics of the evaluated recordings."""
        return blind_kinds(self.split, self.audio, self.table)

    def evaluate(self, statistics: Mapping[str, pd.DataFrame], settings: EvaluationSettings) -> AuditOutcome:
        """Run the blind baseline.

        Args:
            statistics: model-free statistics of at least these recordings, by kind.
            settings: evaluation settings.
        """
        blind = blind_baselines(statistics, self.split, settings)
        log_size(blind, self.split)
        return evaluate_split(blind, self.split)


def _table_with_members(corpus: Corpus) -> pd.DataFrame:
    table = corpus.table()
    if "member" not in table:
        source = getattr(corpus, "path", "The corpus")
        raise InputError(
            f"{source} has no column member; the blind check needs one (1, 0, held_back, sibling, or empty = auxiliary)"
        )
    return table


def _start_stage(run_dir: Path, evaluated: _AudioSplit, original: _AudioSplit | None = None) -> None:
    """Save the split; refuse a folder that contains another."""
    evaluated.split.save_once(run_dir / "split.csv")
    settings = evaluated.fingerprint() | ({"unmatched": original.fingerprint()} if original else {})
    Stage(run_dir / "blind", settings).begin()


def _report(
    run_dir: Path,
    evaluated: _AudioSplit,
    outcome: AuditOutcome,
    settings: EvaluationSettings,
    command: str,
    notes: tuple[str, ...] = (),
) -> Path:
    return write_report(
        run_dir / "report",
        AuditReport(
            target=None,
            split=summarise_split(evaluated.split),
            verdict=outcome.verdict,
            attacks=(),
            controls=outcome.controls,
            scores=outcome.scores,
            blind_upper95=dict(outcome.blind_upper95),
            provenance=provenance(evaluated.split, evaluated.audio, settings, command),
            skipped=skipped_recordings(evaluated.audio),
            notes=(*notes, *outcome.notes, *shared_content_notes(evaluated.split, evaluated.audio)),
        ),
    )


def _with_unmatched(outcome: AuditOutcome, original: AuditOutcome) -> AuditOutcome:
    """Add the controls of the original split."""
    controls = [replace(control, name=f"{control.name}_unmatched") for control in original.controls]
    scores = [replace(scores, name=f"{scores.name}_unmatched") for scores in original.scores]
    return replace(outcome, controls=(*outcome.controls, *controls), scores=(*outcome.scores, *scores))
