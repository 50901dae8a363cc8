"""The command line: `lightning-mia fit | shadow | attack | audit | ablate | blind | report | compare | configs`."""

import logging
import os
import sys
from collections.abc import Sequence

from lightning_mia import placeholders
from lightning_mia.errors import InputError
from lightning_mia.threads import wait_passively


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
        from lightning_mia.model_free_commands import run

        run(arguments)
    elif arguments[0] == "ablate":
        from lightning_mia.ablation.command import run as run_grid

        run_grid(arguments)
    else:
        if placeholders.only_parses(arguments):
            placeholders.install()
        from lightning_mia.audit_cli import run as run_audit

        run_audit(arguments)
