"""`lightning-mia evaluate`: a table of signals in, the report of an audit out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia import InputError, attacks
from lightning_mia.audit.cli import main
from lightning_mia.audit.evaluate_command import evaluate_table
from lightning_mia.audit.signals_csv import read_signals
from lightning_mia.report import load_report

ONLINE = ["lira", "rmia", "bavaria", "midpoint", "calibrated_loss", "attack_r"]


def write_table(path: Path, n: int = 120, n_shadows: int = 4, effect: float = 2.0, online: bool = True) -> pd.DataFrame:
    """Write signals of a planted leak, with 30 auxiliary units."""
    rng = np.random.default_rng(0)
    n_all = n + 30
    evaluated = np.arange(n_all) < n
    difficulty = 2 * rng.normal(size=n_all)
    member = rng.permutation(np.arange(n) % 2 == 0)
    rows = pd.DataFrame({"id": [f"u{number:04d}" for number in range(n_all)]})
    rows["member"] = [*member.astype(int).astype(str), *[""] * 30]
    rows["group"] = [f"s{number // 5}" for number in range(n_all)]
    rows["target"] = difficulty + rng.normal(size=n_all) + effect * np.append(member, np.zeros(30))
    for number in range(n_shadows):
        if number % 2 == 0:
            half = rng.permutation(np.arange(n_all) % 2 == 0)
        inside = (half if number % 2 == 0 else ~half) & evaluated & online
        rows[f"shadow_{number:03d}"] = difficulty + rng.normal(size=n_all) + effect * inside
        rows[f"in_{number:03d}"] = inside
    rows.to_csv(path, index=False)
    return rows


@pytest.mark.slow
def test_the_report_has_every_attack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "signals.csv")
    arguments = ["evaluate", str(tmp_path / "signals.csv"), "--run_dir", str(tmp_path / "run"), "--drawn", "true"]
    assert main(arguments) == 0
    assert "utterance level, grey-box: leak" in capsys.readouterr().out
    results = json.loads((tmp_path / "run/report/results.json").read_text())
    assert [attack["name"] for attack in results["attacks"]] == ["signal", *ONLINE]
    assert results["verdict"]["status"] == "leak"
    assert results["split"]["drawn_by_user"] is True
    page = (tmp_path / "run/report/report.html").read_text()
    assert "drawn at random, as the user states" in page
    assert "by this tool" not in page
    assert "An audit on this split" not in page  # as after a blind check, which has no attacks
    scores = pd.read_csv(tmp_path / "run/report/scores.csv")
    assert len(scores) == 120 * 7
    assert main(arguments) == 0  # again: the same table, the same report
    assert json.loads((tmp_path / "run/report/results.json").read_text())["attacks"] == results["attacks"]


@pytest.mark.slow
def test_scores_are_those_of_the_functions(tmp_path: Path) -> None:
    write_table(tmp_path / "signals.csv")
    page = evaluate_table(str(tmp_path / "signals.csv"), str(tmp_path / "run"))
    report = load_report(page.parent)
    matrix = read_signals(tmp_path / "signals.csv").matrix()
    signals = matrix.target[:, 0], matrix.shadows[..., 0], matrix.members
    for name in ("lira", "bavaria", "midpoint", "attack_r", "calibrated_loss"):
        (scores,) = (scores for scores in report.scores if scores.name == name)
        assert np.allclose(scores.values, getattr(attacks, name)(*signals), atol=1e-12)


@pytest.mark.slow
def test_without_random_assignment_there_is_no_verdict(tmp_path: Path) -> None:
    write_table(tmp_path / "signals.csv", n_shadows=0)
    report = load_report(evaluate_table(str(tmp_path / "signals.csv"), str(tmp_path / "run")).parent)
    assert report.verdict.status == "not_assessable"
    assert [attack.name for attack in report.attacks] == ["signal"]
    assert report.attacks[0].p_value < 0.01
    assert not report.split.drawn
    assert "An audit on this split" not in (tmp_path / "run/report/report.md").read_text()


@pytest.mark.slow
def test_shadow_models_that_are_out_for_all_are_compared_offline(tmp_path: Path) -> None:
    write_table(tmp_path / "signals.csv", online=False)
    report = load_report(evaluate_table(str(tmp_path / "signals.csv"), str(tmp_path / "run")).parent)
    assert [attack.name for attack in report.attacks] == ["signal", "lira_offline", "calibrated_loss", "attack_r"]
    assert sum("rmia_offline was left out" in note for note in report.notes) == 1


@pytest.mark.slow
def test_another_table_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "signals.csv", n_shadows=0)
    evaluate_table(str(tmp_path / "signals.csv"), str(tmp_path / "run"))
    write_table(tmp_path / "signals.csv", n_shadows=0, effect=1.0)
    with pytest.raises(InputError, match="signals"):
        evaluate_table(str(tmp_path / "signals.csv"), str(tmp_path / "run"))


def test_bad_input_ends_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "signals.csv").write_text("id;member;target\na;1;0,5\n")
    assert main(["evaluate", str(tmp_path / "signals.csv"), "--run_dir", str(tmp_path / "run")]) == 2
    assert "line 2: target is '0,5'" in capsys.readouterr().err
    (tmp_path / "signals.csv").write_text("id,member,target\n" + "".join(f"u{i},1,{i}\n" for i in range(9)))
    assert main(["evaluate", str(tmp_path / "signals.csv"), "--run_dir", str(tmp_path / "run")]) == 2
    assert "9 of 9 units are members" in capsys.readouterr().err
