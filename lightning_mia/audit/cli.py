"""Command line: dispatch commands, and report invalid input."""

import gc
import io
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightning_mia.audit.argument_forms import in_full, with_configs_first
from lightning_mia.audit.completion import answer_shell
from lightning_mia.audit.help_pages import help_page, is_help
from lightning_mia.audit.option_check import check, parse
from lightning_mia.audit.option_index import load_index
from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.environment import paused_garbage_collection, sigterm_as_interrupt, wait_passively
from lightning_mia.utilities.errors import InputError, did_you_mean, explain_lack
from lightning_mia.utilities.terminal import styled


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
    answer_shell({name: command.summary for name, command in COMMANDS.items()}, (*FIRST, *STEPS))
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
    error = styled("error:", "red", sys.stderr)
    print(f"lightning-mia: {error} {without_credentials(reason)}", file=sys.stderr)
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
    if command in ("-h", "--help", "help"):
        print(USAGE)
    elif command == "--version":
        from importlib.metadata import version

        print(f"lightning-mia {version('lightning-mia')}")
    elif command in COMMANDS:
        COMMANDS[command].run(with_configs_first(arguments))
    elif command.startswith(("-c", "--config")):  # options before the command
        _run_audit_command(arguments)
    else:
        kind = "option" if command.startswith("-") else "command"
        known = ["--help", "--version"] if kind == "option" else COMMANDS
        raise InputError(f"unknown {kind} {command!r}{did_you_mean(command, known)}; the commands are {_listed()}")


def _listed() -> str:
    return ", ".join(COMMANDS)


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
    if is_help(arguments):
        print(help_page(arguments, _run_audit_command), end="")
        return
    arguments = in_full(arguments)
    command = arguments[0]
    given = parse(arguments)
    if index := load_index(command):
        check(given, index)
    needed = {"config", "model", "print_config"}
    names = [option.name for option in given.options]
    if not given.configs and not any(name.partition(".")[0] in needed or ".help" in name for name in names):
        raise InputError(
            f"{command} needs a config: give -c CONFIG, such as -c audit/manifest --data.corpus.path M.csv; "
            "`lightning-mia configs` lists them"
        )
    _run_audit_command(arguments)


def _run_audit_command(arguments: list[str]) -> None:
    with paused_garbage_collection():
        from lightning_mia.audit.commands import run

    run(arguments)


def _ablate_command(arguments: list[str]) -> None:
    """Run a grid of audits."""
    with paused_garbage_collection():
        from lightning_mia.audit.ablation.command import run

    run(arguments)


def _model_free_command(arguments: list[str]) -> None:
    """Run a command that trains no model."""
    from lightning_mia.audit.model_free_commands import run

    run(arguments, COMMANDS[arguments[0]].summary)


COMMANDS = {
    "fit": Command("Train the target on its member set", _audit_command),
    "shadow": Command("Train the shadow models", _audit_command),
    "attack": Command("Probe a trained target, attack it, and report", _audit_command),
    "audit": Command("Train, probe, attack and report in one command", _audit_command),
    "ablate": Command("Run a grid of audits", _ablate_command),
    "split": Command("Draw members, and write training lists for any trainer", _model_free_command),
    "blind": Command("Test without a model whether members and non-members differ", _model_free_command),
    "evaluate": Command("Evaluate scores or signals of any model, and report", _model_free_command),
    "report": Command("Rebuild the report of a run, or the page of a grid", _model_free_command),
    "compare": Command("Compare the attacks of several runs with those of the first", _model_free_command),
    "cache": Command("List or delete decoded audio", _model_free_command),
    "configs": Command("List the shipped configs, or copy one", _model_free_command),
}
STEPS = ("fit", "shadow", "attack")
"""Commands that run a part of `audit`; the help lists them below the others."""

FIRST = ("audit",)


def _rows(names: Sequence[str]) -> str:
    return "\n".join(f"  {name:<8} {COMMANDS[name].summary}" for name in names)


USAGE = f"""usage: lightning-mia COMMAND [options]

Was this recording, or this voice, in the training data of a speech model?
Membership inference against self-supervised speech models, with controls.

commands:
{_rows([*FIRST, *(name for name in COMMANDS if name not in (*FIRST, *STEPS))])}

steps of `audit`, one at a time:
{_rows(STEPS)}

first steps:
  lightning-mia audit -c audit/demo        four minutes, no data needed
  lightning-mia audit -c audit/manifest --data.corpus.path M.csv --run_dir R

`lightning-mia COMMAND --help` explains a command; --version prints the version.
Exit status: 0 when done, for any verdict; 2 for invalid input; 130 after Ctrl-C
or SIGTERM."""
