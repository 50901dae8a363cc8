"""Wrong values of options: one line or a run, never a traceback."""

import random
from pathlib import Path

import pytest

from tools.fuzz_options import VALUES, Outcome, options_of, try_option


def test_every_group_of_options_is_found(config: Path) -> None:
    options = options_of("audit", config)
    assert {"seed_everything", "trainer.max_epochs", "model.init_args.dim"} <= set(options)
    assert "run_dir" not in options


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (Outcome(0, ""), ""),
        (Outcome(2, "warning\nlightning-mia: error: model.dim is -1: give 1 to 65,536\n"), ""),
        (Outcome(2, ""), "no error in one line, "),
        (Outcome(1, "Traceback (most recent call last):\nValueError: -1"), "a traceback, ValueError: -1"),
        (Outcome(-9, "x"), "status -9, x"),
        (Outcome(None, "x"), "not finished in time"),
    ],
)
def test_faults_are_recognised(outcome: Outcome, fault: str) -> None:
    assert outcome.fault == fault


@pytest.mark.slow
@pytest.mark.parametrize(("command", "n_runs"), [("fit", 15), ("audit", 5)])
def test_a_sample_of_wrong_values_has_no_fault(command: str, n_runs: int, config: Path) -> None:
    runs = [(option, value) for option in options_of(command, config) for value in VALUES]
    faults = {run: try_option(command, config, *run).fault for run in random.Random(1).sample(runs, n_runs)}
    assert not {run: fault for run, fault in faults.items() if fault}
