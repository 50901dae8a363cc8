"""The model-free check of a ready-made split, without an audit."""

from pathlib import Path
from typing import Literal

from lightning_mia.account import judged_ids, provenance, skipped_recordings, summarise_split
from lightning_mia.controls.blind_statistics import blind_statistics
from lightning_mia.corpus import Manifest
from lightning_mia.data.audio_cache import decode
from lightning_mia.errors import InputError
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.files import check_folder
from lightning_mia.judgement import judge
from lightning_mia.report import AuditReport, write_report
from lightning_mia.split import ready_made
from lightning_mia.stage import Stage


def check_split(
    manifest: Path,
    run_dir: Path,
    *,
    level: Literal["utterance", "speaker"],
    on_bad_audio: Literal["error", "skip"],
    cache_dir: Path | None,
    settings: EvaluationSettings,
    command: str,
) -> Path:
    """Run the blind control on a manifest with a `member` column, and report.

    Args:
        manifest: the manifest.
        run_dir: folder of the run.
        level: level at which the split is to be good.
        on_bad_audio: what to do with recordings that cannot be used.
        cache_dir: where decoded audio is kept; None = the default.
        settings: of the evaluation.
        command: the command that repeats the check, for the reader.

    Returns:
        The report's page.

    Raises:
        InputError: the manifest cannot be used, or has no `member` column.
    """
    check_folder(run_dir)
    table = Manifest(str(manifest)).table()
    if "member" not in table:
        raise InputError(
            f"{manifest} has no column member; the blind check needs one (1, 0, held_back, or empty = auxiliary)"
        )
    audio = decode(table, cache_dir=cache_dir, on_bad_audio=on_bad_audio)
    split = ready_made(table[table["id"].isin(audio.index.index)], audio.contents, level)
    split.save_once(run_dir / "split.csv")
    Stage(run_dir / "blind", {"split": split.sha256, "recordings": audio.sha256_of(judged_ids(split))}).begin()
    found = judge([], None, {}, blind_statistics(audio, judged_ids(split)), split, settings)
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
        ),
    )
