import json
from dataclasses import replace

import pytest

from lightning_mia.report.files.results_json import read_results, to_results, with_hashes
from lightning_mia.report.files.scores_csv import write_scores
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json

RESULT_KEYS = {
    "name",
    "level",
    "access",
    "n_members",
    "n_nonmembers",
    "auroc",
    "auroc_ci95",
    "p_value",
    "advantage",
    "tpr_at_fpr",
    "p_value_corrected",
    "advantage_null_mean",
    "versus_wrong_model",
    "auroc_blind_adjusted",
}
CONTRACT = {
    "target": {"family", "checkpoint_sha256", "parameters"},
    "split": {"level", "sha256", "n_members", "n_nonmembers", "n_speakers"},
    "verdict": {"status", "reason", "by_level_and_access"},
    "provenance": {"command", "settings", "seeds", "hashes", "versions", "hardware", "models"},
}


@pytest.fixture
def saved(tmp_path, planted_report):
    write_scores(tmp_path / "scores.csv", planted_report.scores)
    write_json(tmp_path / "results.json", to_results(planted_report))
    return tmp_path


def load(folder):
    return read_results(folder / "results.json", folder / "scores.csv")


def test_the_keys_of_the_contract_exist(saved):
    data = json.loads((saved / "results.json").read_text(encoding="utf-8"))
    assert data["schema"] == 1
    assert {"target", "split", "verdict", "attacks", "controls", "timings"} <= set(data)
    for part, keys in CONTRACT.items():
        assert keys <= set(data[part])
    for verdict in data["verdict"]["by_level_and_access"]:
        assert {"level", "access", "status", "reason", "attack", "part", "p_value"} <= set(verdict)
    for result in (*data["attacks"], *data["controls"]):
        assert set(result) >= RESULT_KEYS
        assert len(result["auroc_ci95"]) == 2
        for rate in result["tpr_at_fpr"]:
            assert {"fpr", "achieved_fpr", "achieved_fpr_ci95", "tpr", "tpr_ci95", "resolvable"} <= set(rate)
    assert "scores" not in data


def test_a_file_without_the_attack_of_a_verdict_is_read(saved):
    data = json.loads((saved / "results.json").read_text(encoding="utf-8"))
    for verdict in data["verdict"]["by_level_and_access"]:
        del verdict["attack"]
    write_json(saved / "results.json", data)
    verdicts = load(saved).verdict.by_level_and_access
    assert verdicts
    assert all(verdict.attack is None for verdict in verdicts)


def test_attacks_and_controls_keep_their_order_and_figures(saved, planted_report):
    data = json.loads((saved / "results.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in data["attacks"]] == [result.name for result in planted_report.attacks]
    assert [row["auroc"] for row in data["controls"]] == [result.auroc for result in planted_report.controls]
    assert {row["access"] for row in data["controls"]} == {"none"}


def test_a_report_survives_a_round_trip(saved, planted_report):
    back = load(saved)
    assert replace(back, scores=(), attacks=(), controls=()) == replace(
        planted_report, scores=(), attacks=(), controls=()
    )
    assert (back.attacks, back.controls) == (planted_report.attacks, planted_report.controls)
    for ours, theirs in zip(back.scores, planted_report.scores, strict=True):
        assert (ours.name, ours.level, ours.access, ours.two_sided) == (
            theirs.name,
            theirs.level,
            theirs.access,
            theirs.two_sided,
        )
        assert ours.values.tobytes() == theirs.values.tobytes()
        assert ours.speakers.tolist() == theirs.speakers.tolist()


def test_shadow_models_and_dataset_inference_survive_a_round_trip(tmp_path, planted_fleet_report):
    write_scores(tmp_path / "scores.csv", planted_fleet_report.scores)
    write_json(tmp_path / "results.json", to_results(planted_fleet_report))
    back = load(tmp_path)
    assert back.fleet == planted_fleet_report.fleet
    assert back.dataset_inference == planted_fleet_report.dataset_inference
    assert back.attacks == planted_fleet_report.attacks
    attack = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["attacks"][3]
    assert (attack["n_shadows"], attack["queries"]) == (16, 24)
    assert [one["n_shadows"] for one in attack["with_fewer"]] == [2, 4, 8, 16]
    assert attack["in_turn"]["n_targets"] == 16


def test_a_file_without_shadow_models_is_read(saved, planted_report):
    data = json.loads((saved / "results.json").read_text(encoding="utf-8"))
    for key in ("fleet", "dataset_inference"):
        del data[key]
    for result in data["attacks"] + data["controls"]:
        for key in ("n_shadows", "queries", "in_turn", "with_fewer"):
            del result[key]
    (saved / "results.json").write_text(json.dumps(data), encoding="utf-8")
    assert load(saved).attacks == planted_report.attacks


def test_a_blind_check_has_no_target(tmp_path, planted_blind_report):
    write_scores(tmp_path / "scores.csv", planted_blind_report.scores)
    write_json(tmp_path / "results.json", to_results(planted_blind_report))
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert data["target"] is None
    assert data["attacks"] == []
    assert load(tmp_path).target is None


def test_figures_that_are_not_finite_become_null(planted_report):
    attack = replace(planted_report.attacks[0], auroc_ci95=(float("nan"), float("inf")))
    report = replace(planted_report, attacks=(attack, *planted_report.attacks[1:]))
    text = json.dumps(to_results(report), allow_nan=False)
    assert json.loads(text)["attacks"][0]["auroc_ci95"] == [None, None]


def change(folder, **changes):
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2 is unknown"),
        ({"split": {}}, "split: the key 'level' is missing"),
        ({"attacks": 3}, "attacks: expected list"),
        ({"attacks": [{"name": "x"}]}, r"attacks\[0\]: the key 'level' is missing"),
    ],
)
def test_invalid_content_is_rejected_in_one_line(saved, changes, message):
    change(saved, **changes)
    with pytest.raises(InputError, match=message) as raised:
        load(saved)
    assert "\n" not in str(raised.value)


def test_repeated_results_in_a_file_are_rejected(saved):
    attacks = json.loads((saved / "results.json").read_text(encoding="utf-8"))["attacks"]
    change(saved, attacks=[*attacks, attacks[0]])
    with pytest.raises(InputError, match="more than once"):
        load(saved)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"schema": 1'])
def test_a_file_without_an_object_is_rejected(saved, content):
    path = saved / "results.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json"):
        load(saved)


@pytest.fixture
def hashed(saved):
    """As the audit writes it."""
    path = saved / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, with_hashes(results, [saved / "scores.csv"]))
    return saved


def edit_scores(folder, edit):
    path = folder / "scores.csv"
    header, first, *rest = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([header, edit(first), *rest]), encoding="utf-8")


def other_member(row):
    *names, member, score = row.split(",")
    return ",".join([*names, str(1 - int(member)), score])


def test_a_report_with_hashes_is_read(hashed, planted_report):
    assert load(hashed).attacks == planted_report.attacks
    change(hashed, config_yaml="removed", added_by_another_program=3)
    assert load(hashed).config_yaml == "removed"


@pytest.mark.parametrize("figure", ["auroc", "p_value", "advantage", "n_speakers"])
def test_an_edited_result_is_refused(hashed, figure):
    attacks = json.loads((hashed / "results.json").read_text(encoding="utf-8"))["attacks"]
    attacks[2][figure] = 1
    change(hashed, attacks=attacks)
    with pytest.raises(InputError, match=r"results\.json: attacks was changed after the audit; run the audit again"):
        load(hashed)


def test_an_edited_verdict_is_refused(hashed):
    verdict = json.loads((hashed / "results.json").read_text(encoding="utf-8"))["verdict"]
    change(hashed, verdict={**verdict, "status": "no_evidence"})
    with pytest.raises(InputError, match="verdict was changed after the audit"):
        load(hashed)


@pytest.mark.parametrize("edit", [other_member, lambda row: row + "1"])
def test_an_edited_score_is_refused(hashed, edit):
    edit_scores(hashed, edit)
    with pytest.raises(InputError, match=r"scores\.csv was changed after the audit"):
        load(hashed)


@pytest.mark.parametrize("value", [0.99, None])
def test_an_auroc_other_than_that_of_the_scores_is_refused_without_hashes(saved, value):
    attacks = json.loads((saved / "results.json").read_text(encoding="utf-8"))["attacks"]
    attacks[2]["auroc"] = value
    change(saved, attacks=attacks)
    with pytest.raises(InputError, match=rf"AUROC of 'pretext_loss' at utterance level is {value}, but its scores"):
        load(saved)


def test_exchanged_members_are_refused_without_hashes(saved):
    path = saved / "scores.csv"
    rows = path.read_text(encoding="utf-8").split("\n")
    rows[1], rows[2] = other_member(rows[1]), other_member(rows[2])  # a member and a non-member
    path.write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(InputError, match="AUROC of 'utterance_similarity' at utterance level"):
        load(saved)


def test_numbers_that_json_does_not_know_are_refused(saved):
    path = saved / "results.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"p_value": 0', '"p_value": NaN, "was": 0', 1))
    with pytest.raises(InputError, match="NaN is not a number"):
        load(saved)
