"""Command line: run commands, and report invalid input."""

import gc
import io
import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from lightning_mia.audit import configs as shipped
from lightning_mia.corpora import Corpus
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import paused_garbage_collection, sigterm_as_interrupt, wait_passively
from lightning_mia.utilities.errors import InputError, explain_lack
from lightning_mia.utilities.files import cache_root, hash_of, write_text
from lightning_mia.utilities.parser import Parser

NO_MATCHING = Matching()
DEFAULT_EVALUATION = EvaluationSettings()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: command and options; by default those of this process.

    Returns:
        Exit status: 0 when done, regardless of the verdict; 2 for invalid input; 130 after Ctrl-C or SIGTERM.
    """
    if arguments is None:
        try:
            return main(sys.argv[1:])
        finally:
            gc.freeze()  # the last garbage collection would look through all imported objects for seconds
    arguments = list(arguments) or ["--help"]
    _replace_what_cannot_be_printed()
    wait_passively()
    _log_to_stderr()
    try:
        with sigterm_as_interrupt():
            _run(arguments)
    except InputError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("\nlightning-mia: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has seen enough, such as `head`
        _close_stdout()
        return 0
    except (RuntimeError, OSError, MemoryError) as error:
        if lack := explain_lack(error):
            return _refuse(lack)
        if isinstance(error, OSError) and error.filename is not None:
            return _refuse(f"{_shortened(error.filename)}: {error.strerror}; choose another file or folder")
        raise
    return 0


def _shortened(path: str | bytes) -> str:
    name = os.fsdecode(path)
    return name if len(name) < 200 else f"{name[:100]}…{name[-50:]} ({len(name)} characters)"


def _close_stdout() -> None:
    """Drop unwritten text, about which Python would complain when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(reason: str) -> int:
    print(f"lightning-mia: error: {without_credentials(reason)}", file=sys.stderr)
    return 2


def _replace_what_cannot_be_printed() -> None:
    """Print `?` for characters that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _log_to_stderr() -> None:
    """Show the package's log, on the first process only."""
    log = logging.getLogger("lightning_mia")
    log.setLevel(logging.INFO if os.environ.get("LOCAL_RANK", "0") == "0" else logging.ERROR)
    if not log.handlers:
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("lightning-mia: %(message)s"))
        log.addHandler(handler)


class _StandardError(logging.Handler):
    """Writes to the current `sys.stderr`.

    Progress bars and redirections replace it during a run.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        print(self.format(record), file=sys.stderr)


def _run(arguments: list[str]) -> None:
    command = arguments[0]
    if command in ("-h", "--help"):
        print(USAGE)
    elif command in COMMANDS:
        COMMANDS[command].run(arguments)
    elif command.startswith("-"):  # options before the command, such as a config
        _audit_command(arguments)
    else:
        raise InputError(f"unknown command {command!r}; the commands are {', '.join(COMMANDS)}")


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        summary: what it does, for `--help`.
        run: runs it; takes the whole command line, beginning with the command.
    """

    summary: str
    run: Callable[[list[str]], None]


def _audit_command(arguments: list[str]) -> None:
    """Run fit, shadow, attack or audit."""
    if arguments[1:] in (["-h"], ["--help"]):
        print(_cached_help(arguments), end="")
        raise SystemExit(0)
    _run_audit_command(arguments)


def _run_audit_command(arguments: list[str]) -> None:
    with paused_garbage_collection():
        from lightning_mia.audit.commands import run

    run(arguments)


def _cached_help(arguments: list[str]) -> str:
    """Read the help of a command from the cache, or build it.

    Importing Lightning takes most of the time that this help takes.
    """
    package = Path(__file__).parents[1]
    sources = [(str(path), path.stat().st_mtime_ns) for path in sorted(package.rglob("*.py"))]
    installed = [(name, version(name)) for name in ("lightning", "torch", "jsonargparse")]
    key = hash_of([arguments[0], sys.version, installed, sources, shutil.get_terminal_size().columns])
    name = f"{arguments[0]}-{key[:16]}.txt"
    with suppress(OSError, ValueError, InputError):
        return (cache_root() / "help" / name).read_text(encoding="utf-8")
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        _run_audit_command(arguments)
    with suppress(OSError, InputError):
        write_text(cache_root() / "help" / name, output.getvalue())
    return output.getvalue()


def _ablate_command(arguments: list[str]) -> None:
    """Run a grid of audits."""
    with paused_garbage_collection():
        from lightning_mia.audit.ablation.command import run

    run(arguments)


def _blind_command(arguments: list[str]) -> None:
    """Test a split without a model."""
    parser = _parser("blind")
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of these options")
    parser.add_argument("manifest", type=str, nargs="?", help="CSV, JSON Lines or fairseq TSV with a `member` column")
    parser.add_argument("--out", "--run_dir", type=str, required=True, help="run directory")
    parser.add_function_arguments(blind, skip={"manifest", "out", "command"})
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    blind(**options, command=["lightning-mia", *arguments])


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
    from lightning_mia.audit.blind_check import check_split
    from lightning_mia.audit.summary import print_summary
    from lightning_mia.corpora import Manifest

    if (manifest is None) == (corpus is None):
        raise InputError("blind tests one split: give either a manifest or --corpus")
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


def _split_command(arguments: list[str]) -> None:
    """Draw a split and write training lists."""
    from lightning_mia.audit.split_command import EXAMPLE, draw_split

    parser = _parser("split", EXAMPLE)
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of these options")
    parser.add_argument("manifest", type=str, nargs="?", help="CSV, JSON Lines or fairseq TSV")
    parser.add_function_arguments(draw_split, skip={"manifest"})
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    print(f"split: {draw_split(**options)}")


def _evaluate_command(arguments: list[str]) -> None:
    """Evaluate a table of signals."""
    from lightning_mia.audit.evaluate_command import EXAMPLE, evaluate_table
    from lightning_mia.audit.summary import print_summary

    parser = _parser("evaluate", EXAMPLE)
    parser.add_argument("-c", "--config", action="config", help="YAML file with any of these options")
    parser.add_function_arguments(evaluate_table, skip={"command"}, as_positional=True)
    options = parser.instantiate(parser.parse_args(shipped.with_shipped_configs(arguments[1:]))).as_dict()
    options.pop("config")
    print_summary(evaluate_table(**options, command=shlex.join(["lightning-mia", *arguments])))


def _report_command(arguments: list[str]) -> None:
    """Rebuild a report."""
    parser = _parser("report")
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


def _compare_command(arguments: list[str]) -> None:
    """Compare runs."""
    parser = _parser("compare")
    parser.add_argument("runs", type=str, nargs="+", help="run directories of finished audits, two or more")
    parser.add_argument("--out", type=str, default=".", help="folder for compare.html")
    options = parser.parse_args(arguments[1:])
    from lightning_mia.audit.compare import compare_runs
    from lightning_mia.report.comparison.comparison_page import write_comparison
    from lightning_mia.report.comparison.comparison_text import comparison_text

    comparison = compare_runs(options.runs)
    print(comparison_text(comparison))
    print(f"\ncomparison: {write_comparison(Path(options.out), comparison)}")


def _configs_command(arguments: list[str]) -> None:
    """List or copy shipped configs."""
    parser = _parser("configs")
    parser.add_argument("name", type=str, nargs="?", help="config, such as audit/demo.yaml, or a prefix to list")
    parser.add_argument("--to", type=str, help="file or folder to copy the config to")
    options = parser.parse_args(arguments[1:])
    if options.to is None:
        print(shipped.listing(options.name or ""))
    elif options.name is None:
        raise InputError("name the config to copy, such as `lightning-mia configs audit/demo.yaml --to my.yaml`")
    else:
        print(f"config: {shipped.copy(options.name, options.to)}")


def _cache_command(arguments: list[str]) -> None:
    """List or clear decoded audio."""
    parser = _parser("cache")
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


def _parser(command: str, example: str = "") -> Parser:
    return Parser(prog=f"lightning-mia {command}", description=f"{COMMANDS[command].summary}.{example}")


COMMANDS = {
    "fit": Command("Train the target on its member set", _audit_command),
    "shadow": Command("Train the shadow models", _audit_command),
    "attack": Command("Probe a trained target, attack it, and report", _audit_command),
    "audit": Command("Train, probe, attack and report in one command", _audit_command),
    "ablate": Command("Run a grid of audits", _ablate_command),
    "split": Command("Draw members, and write training lists for any trainer", _split_command),
    "blind": Command("Test without a model whether members and non-members differ", _blind_command),
    "evaluate": Command("Evaluate scores or signals of any model from a table, and report", _evaluate_command),
    "report": Command("Rebuild the report of a run, or the page of a grid, from saved results", _report_command),
    "compare": Command("Compare the attacks of several runs with those of the first", _compare_command),
    "cache": Command("List or delete decoded audio", _cache_command),
    "configs": Command("List the configs that ship with the package, or copy one", _configs_command),
}

_LIST = "\n".join(f"  {name:<8} {command.summary}" for name, command in COMMANDS.items())
USAGE = f"""usage: lightning-mia COMMAND [options]

Membership inference against self-supervised speech models, with controls for confounds.

commands:
{_LIST}

`lightning-mia COMMAND --help` lists the options of a command; with a config file, `--print_config` prints their values.
Exit status: 0 when done, regardless of the verdict; 2 for invalid input; 130 after Ctrl-C or SIGTERM."""
