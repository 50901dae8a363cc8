"""Command lines of the commands that train no model."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from lightning_mia.audit import configs as shipped
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root
from lightning_mia.utilities.parser import Parser

CONFIG_HELP = "YAML file with any of these options"


def run(arguments: list[str], summary: str) -> None:
    """Run one of `COMMANDS`.

    Args:
        arguments: command and options.
        summary: what the command does, for its help.
    """
    COMMANDS[arguments[0]](Parser(prog=f"lightning-mia {arguments[0]}", description=f"{summary}."), arguments)


def _blind(parser: Parser, arguments: list[str]) -> None:
    """Test a split without a model."""
    from lightning_mia.audit.blind_command import blind

    parser.add_argument("-c", "--config", action="config", help=CONFIG_HELP)
    parser.add_argument("manifest", type=str, nargs="?", help="CSV, JSON Lines or fairseq TSV with a `member` column")
    parser.add_argument("--out", "--run_dir", type=str, required=True, help="run directory")
    parser.add_function_arguments(blind, skip={"manifest", "out", "command"})
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    blind(**options, command=["lightning-mia", *arguments])


def _split(parser: Parser, arguments: list[str]) -> None:
    """Draw a split and write training lists."""
    from lightning_mia.audit.split_command import EXAMPLE, draw_split

    parser.description = f"{parser.description}{EXAMPLE}"
    parser.add_argument("-c", "--config", action="config", help=CONFIG_HELP)
    parser.add_argument("manifest", type=str, nargs="?", help="CSV, JSON Lines or fairseq TSV")
    parser.add_function_arguments(draw_split, skip={"manifest"})
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    print(f"split: {draw_split(**options)}")


def _evaluate(parser: Parser, arguments: list[str]) -> None:
    """Evaluate a table of signals."""
    from lightning_mia.audit.evaluate_command import EXAMPLE, evaluate_table
    from lightning_mia.audit.summary import print_summary

    parser.description = f"{parser.description}{EXAMPLE}"
    parser.add_argument("-c", "--config", action="config", help=CONFIG_HELP)
    parser.add_function_arguments(evaluate_table, skip={"command"}, as_positional=True)
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    print_summary(evaluate_table(**options, command=shlex.join(["lightning-mia", *arguments])))


def _report(parser: Parser, arguments: list[str]) -> None:
    """Rebuild a report."""
    parser.add_argument("run_dir", type=str, help="run directory of an audit or a grid")
    parser.add_argument(
        "--names",
        action="store_true",
        help="also write report_names.html with the names of speakers and recordings; do not distribute it",
    )
    parser.add_argument("--pdf", action="store_true", help="also print the page to a PDF, with Chromium from PATH")
    options = parser.parse_args(arguments[1:])
    run_dir = Path(options.run_dir)
    if (run_dir / "grid.json").is_file():
        from lightning_mia.report.ablation.grid_page import write_page

        print(f"page: {write_page(run_dir)}")
    else:
        from lightning_mia.audit.breakdown import add_breakdown
        from lightning_mia.audit.summary import print_summary
        from lightning_mia.report.write import find_report, load_run, render_report

        complete = add_breakdown(load_run(run_dir))  # results of earlier versions lack it
        print_summary(render_report(find_report(run_dir), complete, options.names, options.pdf))


def _compare(parser: Parser, arguments: list[str]) -> None:
    """Compare runs."""
    parser.add_argument("runs", type=str, nargs="+", help="run directories of finished audits, two or more")
    parser.add_argument("--out", type=str, default=".", help="folder for compare.html")
    options = parser.parse_args(arguments[1:])
    from lightning_mia.audit.compare import compare_runs
    from lightning_mia.report.comparison.comparison_page import write_comparison
    from lightning_mia.report.comparison.comparison_text import comparison_text

    comparison = compare_runs(options.runs)
    print(comparison_text(comparison))
    print(f"\ncomparison: {write_comparison(Path(options.out), comparison)}")


def _configs(parser: Parser, arguments: list[str]) -> None:
    """List or copy shipped configs."""
    parser.add_argument("name", type=str, nargs="?", help="config, such as audit/demo.yaml, or a prefix to list")
    parser.add_argument("--to", type=str, help="file or folder to copy the config to")
    options = parser.parse_args(arguments[1:])
    if options.to is None:
        print(shipped.listing(options.name or ""))
    elif options.name is None:
        raise InputError("name the config to copy, such as `lightning-mia configs audit/demo.yaml --to my.yaml`")
    else:
        print(f"config: {shipped.copy(options.name, options.to)}")


def _cache(parser: Parser, arguments: list[str]) -> None:
    """List or clear decoded audio."""
    parser.add_argument("action", type=Literal["list", "clear"], help="`list` or `clear` (delete)")
    parser.add_argument("folder", type=str, nargs="?", help="`clear` only the recordings of this folder")
    parser.add_argument("--cache_dir", type=str, help="cache that --data.cache_dir set; by default LIGHTNING_MIA_CACHE")
    options = parser.parse_args(arguments[1:])
    from lightning_mia.corpora.audio.cached_folders import cached_folders, clear, listing

    cache_dir = Path(options.cache_dir).expanduser() if options.cache_dir else cache_root() / "audio"
    if options.action == "clear":
        deleted = clear(cache_dir, options.folder)
        n_recordings = sum(cached.n_recordings for cached in deleted)
        print(f"deleted: {n_recordings} recordings, {sum(cached.n_bytes for cached in deleted) / 1e9:.3f} GB")
    elif options.folder is not None:
        raise InputError("cache list takes no folder: it lists all")
    else:
        print(listing(cached_folders(cache_dir), cache_dir))


COMMANDS: dict[str, Callable[[Parser, list[str]], None]] = {
    "split": _split,
    "blind": _blind,
    "evaluate": _evaluate,
    "report": _report,
    "compare": _compare,
    "cache": _cache,
    "configs": _configs,
}
