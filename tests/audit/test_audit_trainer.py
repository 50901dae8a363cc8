"""An audit from Python: what it returns, and what it prints."""

import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from lightning_mia import AuditOptions, AuditTrainer, Manifest, MelHuBERT, SpeechDataModule, UtteranceDesign
from lightning_mia.report.notebook_report import NotebookReport
from lightning_mia.utilities.lightning import LOGGERS, quiet
from lightning_mia.utilities.progress_bar import progress_bars, tqdm

Run = tuple[Path, "subprocess.CompletedProcess[str]"]
AUDIT = """
from lightning_mia import *
trainer = AuditTrainer(max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar={bars})
model = MelHuBERT(n_layers=1, dim=16, n_heads=2, feedforward_dim=32, n_clusters=8, code_dim=8)
data = SpeechDataModule(Manifest({manifest!r}), UtteranceDesign(n_units=48, n_auxiliary=24), batch_seconds=8)
report = trainer.audit(model, data, AuditOptions(run_dir={run_dir!r}))
print(report.verdict.status, len(report.attack_table), report.page)
"""


@pytest.fixture(scope="module")
def run(tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run_dir = tmp_path_factory.mktemp("python") / "run"
    code = AUDIT.format(bars=False, manifest=str(tiny_manifest), run_dir=str(run_dir))
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return run_dir, answer


@pytest.mark.slow
def test_an_audit_returns_its_report(run: Run) -> None:
    run_dir, answer = run
    results = json.loads((run_dir / "report/results.json").read_text())
    page = run_dir / "report/report.html"
    assert answer.stdout.split() == [results["verdict"]["status"], str(len(results["attacks"])), str(page)]


@pytest.mark.slow
def test_an_audit_without_bars_prints_nothing_else(run: Run) -> None:
    _, answer = run
    assert answer.stdout.count("\n") == 1
    for text in ("it/s", "%|", "Tip", "litlogger", "GPU available", "Seed set", "does not have many workers"):
        assert text not in answer.stderr


@pytest.mark.slow
def test_a_finished_run_is_audited_again_at_once(run: Run, tiny_manifest: Path) -> None:
    trainer = AuditTrainer(max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False)
    model = MelHuBERT(n_layers=1, dim=16, n_heads=2, feedforward_dim=32, n_clusters=8, code_dim=8)
    design = UtteranceDesign(n_units=48, n_auxiliary=24)
    data = SpeechDataModule(Manifest(str(tiny_manifest)), design, batch_seconds=8)
    before = [logging.getLogger(name).level for name in LOGGERS]
    report = trainer.attack(model, data, AuditOptions(run_dir=str(run[0])))
    assert isinstance(report, NotebookReport)
    assert [logging.getLogger(name).level for name in LOGGERS] == before
    assert "data:image/png" in report._repr_html_()


def test_lightning_is_quiet_inside_only(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger(LOGGERS[0])
    logger.setLevel(logging.INFO)
    n_filters = len(warnings.filters)
    with quiet():
        assert logger.level == logging.WARNING
    assert (logger.level, len(warnings.filters)) == (logging.INFO, n_filters)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_hidden_where_they_are_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(shown=False):
        with progress_bars(shown=True):  # does not switch them on again
            assert list(tqdm(range(3), desc="Hidden")) == [0, 1, 2]
        assert tqdm(range(3), disable=False).disable
    terminal = Terminal()
    assert list(tqdm(range(3), desc="Shown", file=terminal)) == [0, 1, 2]
    assert list(tqdm(range(3), desc="Off", disable=True, file=terminal)) == [0, 1, 2]
    err = capsys.readouterr().err + terminal.getvalue()
    assert "Shown: 100%" in err
    assert "Hidden" not in err
    assert "Off" not in err


def test_a_notebook_without_ipywidgets_has_no_warning() -> None:
    answer = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, types\n"
            "sys.modules['ipywidgets'] = None\n"
            "shell = type('ZMQInteractiveShell', (), {'config': {'IPKernelApp': {}}})()\n"
            "sys.modules['IPython'] = types.SimpleNamespace(get_ipython=lambda: shell)\n"
            "from lightning_mia.utilities.progress_bar import tqdm\n"
            "print(list(tqdm(range(2), desc='Text')))\n",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, "[0, 1]"), answer.stderr
    assert "IProgress" not in answer.stderr
