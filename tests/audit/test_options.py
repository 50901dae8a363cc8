"""Options of an audit, from Python and from the command line."""

from pathlib import Path

import pytest
import yaml

from lightning_mia.attacks import PretextLoss
from lightning_mia.audit.audit_trainer import AuditTrainer
from lightning_mia.audit.cli import main
from lightning_mia.audit.commands import COMMANDS
from lightning_mia.audit.monitor import LeakageMonitor, MonitorSettings
from lightning_mia.audit.options import AuditOptions
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.utilities.errors import InputError

SHARED = [
    *("run_dir", "attacks", "probe", "controls", "evaluation", "fleet", "published", "positive_control", "exposure"),
    *("monitor", "utility", "report"),
]


def test_attacks_of_the_same_name_are_refused() -> None:
    with pytest.raises(InputError, match="Several attacks have the same name: pretext_loss"):
        AuditOptions(attacks=[PretextLoss(), PretextLoss()])


@pytest.mark.slow
def test_every_command_has_the_same_options(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {}
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "-c", str(config), "--print_config"])
        options[command] = yaml.safe_load(capsys.readouterr().out)
    for command in COMMANDS:
        assert [name for name in options[command] if name in SHARED] == SHARED
        assert ("target_checkpoint" in options[command]) == (command == "attack")
        assert options[command]["fleet"]["size"] == (16 if command == "shadow" else 0)


def trainer(**options: object) -> AuditTrainer:
    return AuditTrainer(max_epochs=4, accelerator="cpu", logger=False, enable_progress_bar=False, **options)


def test_a_monitor_among_the_callbacks_monitors_the_target_only() -> None:
    monitored = trainer(callbacks=[LeakageMonitor()])
    assert monitored.factory.options["callbacks"] == []
    assert isinstance(monitored.monitor_for(MonitorSettings(), ProbeSettings()), LeakageMonitor)
    assert trainer().monitor_for(MonitorSettings(), ProbeSettings()) is None


def test_two_monitors_and_two_ends_of_a_training_are_refused() -> None:
    settings = MonitorSettings(every_n_epochs=1, stop_above=0.6)
    with pytest.raises(InputError, match=r"by monitor\.… and by trainer\.callbacks"):
        trainer(callbacks=LeakageMonitor()).monitor_for(settings, ProbeSettings())
    with pytest.raises(InputError, match="both end the target's training"):
        trainer(stop_after_epochs=2).monitor_for(settings, ProbeSettings())
