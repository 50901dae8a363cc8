"""Command `blind`: test a split without a model."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning_mia.corpora import Corpus, Manifest
from lightning_mia.corpora.formats.json_manifests import refuse_missing
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.utilities.errors import InputError

NO_MATCHING = Matching()
DEFAULT_EVALUATION = EvaluationSettings()


def blind(
    manifest: str | None,
    out: str,
    corpus: Corpus | None = None,
    level: Literal["utterance", "speaker"] = "utterance",
    matching: Matching = NO_MATCHING,
    on_bad_audio: Literal["error", "skip"] = "error",
    cache_dir: str | None = None,
    max_seconds: float = 120.0,
    on_long_audio: Literal["error", "crop"] = "error",
    evaluation: EvaluationSettings = DEFAULT_EVALUATION,
    command: Sequence[str] = ("lightning-mia", "blind"),
) -> None:
    """Test without a model whether members and non-members differ.

    With matching, the test runs before and after it.

    Args:
        manifest: CSV, JSON Lines or fairseq TSV with a `member` column (1, 0, held_back, sibling, or empty =
            auxiliary).
        out: run directory; the report goes to its subfolder `report`.
        corpus: a corpus with membership labels, such as TwoSources; instead of a manifest.
        level: level at which the split is tested.
        matching: matching of members and non-members before the test; by default none.
        on_bad_audio: `error` refuses a corpus with an unusable recording; `skip` omits such recordings and lists
            them in the report.
        cache_dir: folder of decoded audio; by default LIGHTNING_MIA_CACHE, or .cache/lightning_mia in the home folder.
        max_seconds: longest recording (seconds).
        on_long_audio: `error` treats longer recordings as unusable; `crop` keeps their start.
        evaluation: evaluation of the blind baseline.
        command: words of the command line, for the report.

    Raises:
        InputError: `manifest` and `corpus` are both given, or neither; or the corpus cannot be read or has no labels.
    """
    if (manifest is None) == (corpus is None):
        raise InputError("blind tests one split: give either a manifest or --corpus")
    if manifest is not None:
        refuse_missing(manifest)
    from lightning_mia.audit.blind_check import check_split
    from lightning_mia.audit.summary import print_summary

    page = check_split(
        corpus or Manifest(str(manifest)),
        Path(out),
        level=level,
        matching=matching,
        on_bad_audio=on_bad_audio,
        max_seconds=max_seconds,
        on_long_audio=on_long_audio,
        cache_dir=Path(cache_dir) if cache_dir else None,
        settings=evaluation,
        command=shlex.join(command),
    )
    print_summary(page)
