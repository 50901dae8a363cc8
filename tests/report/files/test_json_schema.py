"""The schema matches the dataclasses, and accepts exactly what the package reads."""

import copy
import json
import random

import jsonschema
import pytest

from lightning_mia.audit.breakdown import add_breakdown
from lightning_mia.report import write_report
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.files.json_schema import SCHEMA_PATH, attributes_of, results_schema
from lightning_mia.report.files.results_json import read_results, to_results
from lightning_mia.report.files.scores_csv import write_scores
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json

SCHEMA = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
OPEN = ("settings", "seeds", "hashes", "versions", "hardware")  # anything goes in there


def test_the_schema_file_matches_the_dataclasses():
    assert results_schema() == SCHEMA, "run python -m lightning_mia.report.files.json_schema"
    VALIDATOR.check_schema(SCHEMA)


def test_every_key_is_described():
    for name, definition in {"report": SCHEMA, **SCHEMA["$defs"]}.items():
        missing = [key for key, value in definition["properties"].items() if "description" not in value]
        assert not missing or name in ("LevelVerdict", "Verdict", "PAtSize"), (name, missing)
    assert attributes_of(AuditReport)["timings"] == 'stage, such as "fit_s" → seconds.'


def test_a_written_report_is_valid(tmp_path, small_report):
    write_report(tmp_path, add_breakdown(small_report))
    data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    VALIDATOR.validate(data)
    assert data["speaker_risks"]["speakers"][0]["speaker"].startswith("speaker ")


@pytest.mark.parametrize("name", ["planted_report", "planted_blind_report", "planted_fleet_report"])
def test_every_kind_of_report_is_valid(name, request):
    VALIDATOR.validate(to_results(request.getfixturevalue(name)))


def places(value, path=()):
    """Yield the path of every value in a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def spoil(data, rng: random.Random):
    """Change one value of the document, or drop it."""
    changed = copy.deepcopy(data)
    path = rng.choice([path for path in places(data) if not set(path) & {*OPEN, "schema"}])
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    what = rng.choice(["drop", None, 3, 2.5, "x", True, [], {}, [1.0], ["x", "y"]])
    if what == "drop":
        del parent[path[-1]]
    else:
        parent[path[-1]] = what
    return changed, f"{path} became {what!r}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_the_package_reads_exactly_what_the_schema_accepts(seed, tmp_path, small_fleet_report):
    changed, what = spoil(to_results(small_fleet_report), random.Random(seed))
    write_scores(tmp_path / "scores.csv", small_fleet_report.scores)
    write_json(tmp_path / "results.json", changed)
    try:
        read_results(tmp_path / "results.json", tmp_path / "scores.csv")
        refused = ""
    except InputError as error:
        refused = str(error)
    assert "\n" not in refused
    if not VALIDATOR.is_valid(changed):
        assert refused, what
    elif refused:  # the schema knows nothing of the scores, and of what belongs together
        assert any(words in refused for words in ("scores", "once", "expected level", "members")), (what, refused)
