"""The model-free check of a ready-made split, without an audit; before and after matching where that is asked for."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from lightning_mia.audit.outcome import AuditOutcome, evaluate_attacks
from lightning_mia.audit.provenance import judged_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.corpora import Corpus
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.report import AuditReport, write_report
from lightning_mia.splits import Split, predefined
from lightning_mia.splits.blind_baseline.statistics import blind_statistics
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.matching.subset import matched_subset
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, check_folder
from lightning_mia.utilities.stage import Stage


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
    table = _with_member_column(corpus)
    whole = decode(table, cache_dir=cache_dir, on_bad_audio=on_bad_audio)
    table = table[table["id"].isin(whole.index.index)]
    unmatched = _Judged(predefined(table, whole.contents, level), whole)
    if not matching.enabled:
        _begin(run_dir, unmatched)
        return _report(run_dir, unmatched, unmatched.evaluate(unmatched.statistics(), settings), settings, command)
    matched = matched_subset(table, whole, matching, level)
    judged = _Judged(predefined(matched.table, matched.audio.contents, level), matched.audio)
    _begin(run_dir, judged, unmatched)
    with atomic_path(run_dir / "discarded.csv") as path:
        matched.discarded.to_csv(path, index=False)
    statistics = unmatched.statistics()
    before = unmatched.evaluate(statistics, settings)
    of_matched = judged.statistics() if matching.crop_seconds else statistics  # of the same audio, where nothing is cut
    found = _beside_unmatched(judged.evaluate(of_matched, settings), before)
    heading = f"Before matching: {HEADINGS[before.verdict.status]}. {before.verdict.reason}"
    return _report(run_dir, judged, found, settings, command, (heading, *matched.notes))


@dataclass(frozen=True, eq=False)
class _Judged:
    """A split, and the audio of its recordings."""

    split: Split
    audio: AudioCache

    @property
    def made_from(self) -> dict[str, Any]:
        """What the check depends on."""
        return {"split": self.split.sha256, "recordings": self.audio.data_hash(judged_ids(self.split))}

    def statistics(self) -> pd.DataFrame:
        """Model-free statistics of every recording that is judged."""
        return blind_statistics(self.audio, judged_ids(self.split))

    def evaluate(self, statistics: pd.DataFrame, settings: EvaluationSettings) -> AuditOutcome:
        """Run the blind control on statistics of these recordings, and perhaps of others."""
        return evaluate_attacks([], {}, statistics, self.split, settings)


def _with_member_column(corpus: Corpus) -> pd.DataFrame:
    table = corpus.table()
    if "member" not in table:
        where = getattr(corpus, "path", "The corpus")
        raise InputError(
            f"{where} has no column member; the blind check needs one (1, 0, held_back, or empty = auxiliary)"
        )
    return table


def _begin(run_dir: Path, judged: _Judged, unmatched: _Judged | None = None) -> None:
    """Write the split down, and refuse a folder that holds another one."""
    judged.split.save_once(run_dir / "split.csv")
    made_from = judged.made_from | ({"unmatched": unmatched.made_from} if unmatched else {})
    Stage(run_dir / "blind", made_from).begin()


def _report(
    run_dir: Path,
    judged: _Judged,
    found: AuditOutcome,
    settings: EvaluationSettings,
    command: str,
    notes: tuple[str, ...] = (),
) -> Path:
    return write_report(
        run_dir / "report",
        AuditReport(
            target=None,
            split=summarise_split(judged.split),
            verdict=found.verdict,
            attacks=(),
            controls=found.controls,
            scores=found.scores,
            blind_upper95=dict(found.blind_upper95),
            provenance=provenance(judged.split, judged.audio, settings, command),
            skipped=skipped_recordings(judged.audio),
            notes=notes,
        ),
    )


def _beside_unmatched(found: AuditOutcome, unmatched: AuditOutcome) -> AuditOutcome:
    """Add the controls of the unmatched split to those of the matched one."""
    controls = [replace(one, name=f"{one.name}_unmatched") for one in unmatched.controls]
    scores = [replace(one, name=f"{one.name}_unmatched") for one in unmatched.scores]
    return replace(found, controls=(*found.controls, *controls), scores=(*found.scores, *scores))
