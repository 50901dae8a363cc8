import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_mia.audit.cli import main
from lightning_mia.audit.compare import compare_runs
from lightning_mia.report import AuditReport
from lightning_mia.report.comparison.comparison_page import render_comparison
from lightning_mia.report.comparison.comparison_text import MAX_ATTACKS, comparison_text
from lightning_mia.report.files.results_json import to_results
from lightning_mia.report.files.scores_csv import write_scores
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json
from tests.planted_report import make_planted_fleet_report, make_planted_report


def save(folder: Path, report) -> Path:
    write_scores(folder / "report" / "scores.csv", report.scores)
    write_json(folder / "report" / "results.json", to_results(report))
    return folder


def weakened(report, by: float):
    """The same audit with another model: members score lower, non-members as before."""
    all_scores = tuple(replace(scores, values=scores.values - by * scores.members) for scores in report.scores)
    by_key = {(scores.name, scores.level): scores for scores in all_scores}

    def evaluated(result):
        scores = by_key[result.name, result.level]
        members, nonmembers = scores.values[scores.members], scores.values[~scores.members]
        return replace(result, auroc=float((members[:, None] > nonmembers).mean()))

    return replace(
        report,
        scores=all_scores,
        attacks=tuple(map(evaluated, report.attacks)),
        controls=tuple(map(evaluated, report.controls)),
    )


@pytest.fixture(scope="module")
def planted_report() -> AuditReport:
    return make_planted_report()


@pytest.fixture(scope="module")
def runs(tmp_path_factory, planted_report):
    folder = tmp_path_factory.mktemp("runs")
    other = replace(planted_report, split=replace(planted_report.split, sha256="ef" * 32))
    return [
        save(folder / "a" / "run", planted_report),
        save(folder / "b" / "run", weakened(planted_report, 0.8)),
        save(
            folder / "other", replace(other, attacks=other.attacks[:3], scores=(*other.scores[:3], *other.scores[6:]))
        ),
    ]


@pytest.fixture(scope="module")
def comparison(runs):
    return compare_runs(runs)


def test_every_attack_of_any_run_is_compared_in_its_group(comparison, planted_report):
    rows = [(*group.family, attack.name) for group in comparison.groups for attack in group.attacks]
    expected = {(*one.family, one.name) for one in planted_report.attacks}
    assert set(rows) == expected | {("utterance", "", "none", "blind"), ("speaker", "", "none", "blind")}
    assert len(rows) == len(set(rows))


def test_runs_of_one_split_are_paired_and_others_are_marked(comparison):
    assert [run.paired for run in comparison.runs] == [True, True, False]
    assert [run.label for run in comparison.runs][:2] == ["a/run", "b/run"]
    assert comparison.runs[2].label.endswith("/other")
    attack = find(comparison, "pretext_loss")
    weaker, other = attack.differences
    assert weaker.value == attack.results[1].auroc - attack.results[0].auroc
    assert weaker.paired.value == pytest.approx(weaker.value)
    assert weaker.paired.ci95[0] < weaker.value < weaker.paired.ci95[1] < 0
    assert (other.value, other.paired) == (0.0, None)


def find(comparison, name: str):
    return next(attack for group in comparison.groups for attack in group.attacks if attack.name == name)


def test_an_attack_that_a_run_lacks_has_no_difference(comparison):
    attack = find(comparison, "speaker_similarity")
    assert attack.results[2] is None
    assert attack.differences[1] is None


def test_the_text_has_numbers_verdicts_and_unpaired_runs(comparison, planted_report):
    text = comparison_text(comparison)
    attack = planted_report.attacks[2]
    low, high = attack.auroc_ci95
    assert f"{attack.auroc:.3f} [{low:.3f}, {high:.3f}]" in text
    assert "+0.000 not paired" in text
    assert "a different split from a/run" in text
    assert text.count("TPR at FPR 1 %") == sum(len(group.attacks) for group in comparison.groups)
    assert "verdict" in text


def test_intervals_of_which_nothing_is_known_are_called_so(comparison):
    def unknown(attack):
        results = tuple(result and replace(result, auroc_ci95=(0.0, 1.0)) for result in attack.results)
        differences = tuple(
            one and replace(one, paired=one.paired and replace(one.paired, ci95=(-1.0, 1.0)))
            for one in attack.differences
        )
        return replace(attack, results=results, differences=differences)

    groups = tuple(replace(group, attacks=tuple(map(unknown, group.attacks))) for group in comparison.groups)
    changed = replace(comparison, groups=groups)
    for text in (comparison_text(changed), render_comparison(changed)):
        assert "no interval" in text
        for absent in ("1.000]", "0.00 to 1.00", "−1.000"):
            assert absent not in text


@pytest.mark.slow
def test_long_tables_are_cut_in_the_terminal_but_not_on_the_page(tmp_path, planted_report):
    planted_fleet_report = make_planted_fleet_report(planted_report)
    two = [save(tmp_path / name, planted_fleet_report) for name in ("one", "two")]
    comparison = compare_runs(two)
    assert f"… {17 - MAX_ATTACKS} more attacks in compare.html" in comparison_text(comparison)
    html = render_comparison(comparison)
    assert all(one.name.replace("_", "_<wbr>") in html for one in planted_fleet_report.attacks)


def test_the_page_is_self_contained_and_escapes_names(comparison):
    runs = (replace(comparison.runs[0], label="<b>&"), *comparison.runs[1:])
    html = render_comparison(replace(comparison, runs=runs))
    assert "http:" not in html
    assert "https:" not in html
    assert "src=" not in html
    assert "<b>&</b>" not in html
    assert "&lt;b&gt;&amp;" in html
    assert "not paired" in html


def test_the_command_prints_and_writes_the_page(runs, tmp_path, capsys):
    assert main(["compare", str(runs[0]), str(runs[1]), "--out", str(tmp_path / "out")]) == 0
    assert "a/run" in capsys.readouterr().out
    assert (tmp_path / "out" / "compare.html").is_file()


def test_runs_that_cannot_be_compared_are_rejected_in_one_line(runs, tmp_path, capsys):
    newer = tmp_path / "newer"
    shutil.copytree(runs[0], newer)
    path = newer / "report" / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "schema": 2}), encoding="utf-8")
    for given, message in (
        ([runs[0]], "needs two or more run directories"),
        ([runs[0], runs[0]], "was given more than once"),
        ([runs[0], tmp_path / "nothing"], "has no report/results.json"),
        ([runs[0], newer], "schema 2 is unknown"),
    ):
        with pytest.raises(InputError, match=message):
            compare_runs(given)
        assert main(["compare", *map(str, given)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
