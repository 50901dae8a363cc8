"""The command line: `lightning-mia fit | shadow | attack | audit | ablate | blind | report | compare | configs`."""

import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from jsonargparse import ArgumentParser

from lightning_mia.audit import configs as shipped_configs
from lightning_mia.audit import placeholders
from lightning_mia.audit.configs import with_paths
from lightning_mia.corpora import Corpus
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.utilities.environment import wait_passively
from lightning_mia.utilities.errors import InputError, OneLineErrors


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 for every verdict, 2 for bad input, 130 for Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    wait_passively()
    _show_log()
    try:
        _run(arguments)
    except InputError as error:
        print(f"lightning-mia: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlightning-mia: interrupted; start the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _show_log() -> None:
    """Show what the package has to say in passing, on the first process only."""
    log = logging.getLogger("lightning_mia")
    log.setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.ERROR)
    if not log.handlers:
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("lightning-mia: %(message)s"))
        log.addHandler(handler)


class _StandardError(logging.Handler):
    """Writes to what standard error is at the moment, which progress bars and redirections may have changed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(self.format(record), file=sys.stderr)


def _run(arguments: list[str]) -> None:
    if arguments[0] in ("blind", "report", "compare", "configs"):
        run(arguments)
    elif arguments[0] == "ablate":
        from lightning_mia.audit.ablation.command import run as run_grid

        run_grid(arguments)
    else:
        if placeholders.only_parses(arguments):
            placeholders.install()
        from lightning_mia.audit.commands import run as run_audit

        run_audit(arguments)


def blind(
    manifest: str | None,
    out: str,
    corpus: Corpus | None = None,
    level: Literal["utterance", "speaker"] = "utterance",
    matching: Matching = Matching(),
    on_bad_audio: Literal["error", "skip"] = "error",
    cache_dir: str | None = None,
    evaluation: EvaluationSettings = EvaluationSettings(),
    command: Sequence[str] = ("lightning-mia", "blind"),
) -> None:
    """Check without any model whether members can be told from non-members, before and after matching.

    Args:
        manifest: CSV, JSON Lines or fairseq TSV with a `member` column (1, 0, held_back, or empty = auxiliary).
        out: folder of the run; the report goes to its subfolder `report`.
        corpus: another corpus that brings its members, instead of a manifest: lightning_mia.corpora.TwoSources.
        level: level at which the split is to be good.
        matching: how the sides are made alike beforehand; by default not at all.
        on_bad_audio: `error` refuses a corpus with a recording that cannot be used; `skip` leaves such
            recordings out and lists them in the report.
        cache_dir: where decoded audio is kept; by default LIGHTNING_MIA_CACHE, or .cache/lightning_mia in the
            home folder.
        evaluation: how the blind control is judged.
        command: the command that repeats the check, for the report.
    """
    from lightning_mia.audit.blind_check import check_split
    from lightning_mia.audit.summary import print_summary
    from lightning_mia.corpora import Manifest

    if (manifest is None) == (corpus is None):
        raise InputError("blind checks one split: give a manifest, or a corpus by --corpus, and not both")
    page = check_split(
        corpus or Manifest(str(manifest)),
        Path(out),
        level=level,
        matching=matching,
        on_bad_audio=on_bad_audio,
        cache_dir=Path(cache_dir) if cache_dir else None,
        settings=evaluation,
        command=shlex.join(command),
    )
    print_summary(page)


def report(run_dir: str, names: bool = False) -> None:
    """Rebuild the report of a run from its saved scores and results, or the page of a grid from its table.

    Args:
        run_dir: folder of the run.
        names: show the names of speakers and recordings, in a page of its own that is not for handing on.
    """
    if (Path(run_dir) / "grid.json").is_file():
        from lightning_mia.report.ablation.grid_page import write_page

        print(f"page: {write_page(Path(run_dir))}")
        return
    from lightning_mia.audit.breakdown import add_breakdown
    from lightning_mia.audit.summary import print_summary
    from lightning_mia.report.write import find_report, load_run, render_report

    complete = add_breakdown(load_run(run_dir))  # results of earlier versions lack it
    print_summary(render_report(find_report(run_dir), complete, names))


def compare(runs: Sequence[str], out: str = ".") -> None:
    """Put runs side by side: attacks by runs, with the differences to the first run.

    Args:
        runs: folders of finished runs, two or more.
        out: folder that compare.html is written to.
    """
    from lightning_mia.audit.compare import compare_runs
    from lightning_mia.report.comparison.comparison_page import write_comparison
    from lightning_mia.report.comparison.comparison_text import comparison_text

    comparison = compare_runs(runs)
    print(comparison_text(comparison))
    print(f"\ncomparison: {write_comparison(Path(out), comparison)}")


def configs(name: str | None = None, to: str | None = None) -> None:
    """List the configs that ship with the package, or copy one.

    Args:
        name: of a config, such as audit/demo.yaml; without --to, the beginning of those that are listed.
        to: file or folder to copy it to.
    """
    if to is None:
        print(shipped_configs.listing(name or ""))
    elif name is None:
        raise InputError("Say which config to copy, such as `lightning-mia configs audit/demo.yaml --to my.yaml`")
    else:
        print(f"config: {shipped_configs.copy(name, to)}")


class _Parser(OneLineErrors, ArgumentParser):
    pass


def run(arguments: list[str]) -> None:
    """Parse the arguments and run the command."""
    parser = PARSERS[arguments[0]]()
    options = parser.instantiate_classes(parser.parse_args(with_paths(arguments[1:]))).as_dict()
    options.pop("config", None)
    if arguments[0] == "blind":
        blind(**options, command=["lightning-mia", *arguments])
    elif arguments[0] == "report":
        report(**options)
    elif arguments[0] == "compare":
        compare(**options)
    else:
        configs(**options)


def _blind_parser() -> _Parser:
    parser = _Parser(prog="lightning-mia blind", description=_first_line(blind))
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of the options")
    parser.add_argument("manifest", type=str, nargs="?", help="CSV, JSON Lines or fairseq TSV with a `member` column")
    parser.add_argument("--out", "--run_dir", type=str, required=True, help="folder of the run")
    parser.add_function_arguments(blind, skip={"manifest", "out", "command"})
    return parser


def _report_parser() -> _Parser:
    parser = _Parser(prog="lightning-mia report", description=_first_line(report))
    parser.add_argument("run_dir", type=str, help="folder of the run")
    parser.add_argument(
        "--names", action="store_true", help="show names, in report_names.html, which is not for handing on"
    )
    return parser


def _compare_parser() -> _Parser:
    parser = _Parser(prog="lightning-mia compare", description=_first_line(compare))
    parser.add_argument("runs", type=str, nargs="+", help="folders of finished runs, two or more")
    parser.add_argument("--out", type=str, default=".", help="folder that compare.html is written to")
    return parser


def _configs_parser() -> _Parser:
    parser = _Parser(prog="lightning-mia configs", description=_first_line(configs))
    parser.add_argument("name", type=str, nargs="?", help="such as audit/demo.yaml, or the beginning of names to list")
    parser.add_argument("--to", type=str, help="file or folder to copy it to")
    return parser


def _first_line(function: Callable[..., None]) -> str:
    return (function.__doc__ or "").splitlines()[0]


PARSERS = {"blind": _blind_parser, "report": _report_parser, "compare": _compare_parser, "configs": _configs_parser}
