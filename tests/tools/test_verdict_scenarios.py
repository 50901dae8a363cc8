"""Scenarios of docs/verdicts.md, through the command line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks.base import Evidence
from lightning_mia.corpora import Manifest
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.signals.table import Signals
from tools.verdict_scenarios.material import by_session, cut, draw
from tools.verdict_scenarios.page import block, replace_block
from tools.verdict_scenarios.planted import PlantedScores
from tools.verdict_scenarios.run import run
from tools.verdict_scenarios.scenarios import SCENARIOS
from tools.verdict_scenarios.workshop import Workshop

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


@pytest.mark.slow
def test_scenarios_run_through_the_command_line(speakers_manifest: Path, tmp_path: Path) -> None:
    shop = Workshop(Manifest(str(speakers_manifest)), tmp_path)
    expected = {
        "3-drawn": ("leak", "the wrong model is no control here: on it, planted_attack has AUROC 0.69"),
        "5": ("not_assessable", "in the unexpected direction: its AUROC is 0.31"),
        "9": ("no_evidence", "this design detects no AUROC below 1 with 80 % power"),
    }
    for scenario in SCENARIOS:
        if scenario.name in expected:
            command, printed = run(scenario, shop)
            status, phrase = expected[scenario.name]
            assert command[:2] == ["lightning-mia", "audit"]
            assert printed.startswith(f"verdict: {status} – Utterance level")
            assert phrase in printed.replace("\n", " ")


def test_the_page_has_every_scenario() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for scenario in SCENARIOS:
        text = block(scenario.name, ["lightning-mia", "audit"], "verdict: leak")
        assert text in replace_block(page, scenario.name, text)
    assert page.count('text title="scenario ') == len(SCENARIOS)
    assert page.count("\nverdict: ") == len(SCENARIOS)
    rows = {int(scenario.row) for scenario in SCENARIOS}
    assert rows == set(range(1, 17))
    assert all(f"\n## {row}. " in page for row in rows)
    with pytest.raises(ValueError, match="0 blocks of scenario 17"):
        replace_block(page, "17", "")


def planted(folder: Path, attack: PlantedScores, n_models: int) -> list[pd.Series]:
    """Scores on several models of a split of 40 members, 40 non-members and 40 siblings."""
    roles = ["member", "nonmember", "sibling"] * 40
    table = pd.DataFrame({"id": [f"s{n % 4}_{n:03d}" for n in range(120)], "speaker": "s", "role": roles})
    table.to_csv(folder / "split.csv", index=False)
    signals = [Signals(table.set_index("id"), np.full((120, 1, 1), 1.0 + model)) for model in range(n_models)]
    evidence = [Evidence(model, table.assign(unit_id=table["id"])) for model in signals]
    return [attack.score(one).set_axis(pd.Index(roles)) for one in evidence]


def test_planted_scores_have_the_requested_auroc_on_each_model(tmp_path: Path) -> None:
    attack = PlantedScores(str(tmp_path), target=0.8, wrong_model=0.3, siblings=1.0, by_session=0.5, common=0.5)
    for scores, expected in zip(planted(tmp_path, attack, 2), (0.8, 0.3), strict=True):
        evaluated = scores[scores.index != "sibling"]
        assert auroc(evaluated.to_numpy(), (evaluated.index == "member")) == pytest.approx(expected, abs=0.002)
        against_siblings = scores[scores.index != "nonmember"]
        assert 0.35 < auroc(against_siblings.to_numpy(), (against_siblings.index == "member")) < 0.65


def test_recordings_are_cut_and_labelled(tiny_manifest: Path, tmp_path: Path) -> None:
    pieces = cut(Manifest(str(tiny_manifest)), tmp_path)
    assert pieces["id"].is_unique and pieces["session"].nunique() == 72
    drawn = draw(pieces, {"1": 30, "0": 30, "": 6}, seed=0)
    assert drawn["member"].value_counts().to_dict() == {"1": 30, "0": 30, "": 6}
    assert drawn["speaker"].value_counts().to_dict() == dict.fromkeys(sorted(set(pieces["speaker"])), 11)
    sessions = by_session(pieces, 1, seed=0)
    assert sessions.groupby("session")["member"].nunique().max() == 1
    assert sessions["member"].value_counts().to_dict() == {"1": 30, "0": 36, "": 6}
