import json
from dataclasses import replace

import pytest

from lightning_mia.report import SkippedRecording, load_report, rebuild, write_report
from lightning_mia.report.files.private_json import private_parts, shareable, without_paths
from lightning_mia.splits.shared_content import SharedContent
from lightning_mia.utilities.errors import InputError

HANDED_ON = ("report.html", "report.md", "results.json")


@pytest.fixture
def private_report(small_report):
    """The small report with paths and names in every text that a run may bring."""
    near_copies = SharedContent("non-member", (200, 0), (200, 0), (("anna (1)", "berta_02"), ("carla", "dora")))
    return replace(
        small_report,
        provenance=replace(
            small_report.provenance,
            command="lightning-mia audit -c audit/tera.yaml --data.corpus.path '/home/jane doe/M.csv' --run_dir ~/R",
        ),
        config_yaml="run_dir: /home/jane/runs/R\nstart: ../models/first.ckpt\nurl: s3://bucket/R\n",
        notes=(*near_copies.notes(), "The config /etc/secret/defaults.yaml was read."),
        skipped=(SkippedRecording("elsa_07", "/data/elsa/07.wav", "elsa_07 (/data/elsa/07.wav) has no samples"),),
        corpus="Manifest, M.csv",
    )


SECRETS = ("jane", "/home", "/data", "elsa", "07.wav", "anna", "berta", "carla", "dora", "/etc", "../", "~/")


def test_what_is_handed_on_has_no_path_and_no_name(tmp_path, private_report):
    write_report(tmp_path / "report", private_report)
    for name in HANDED_ON:
        text = (tmp_path / "report" / name).read_text(encoding="utf-8")
        text = text.split("<style>")[0] + text.split("</style>")[-1]
        assert [secret for secret in SECRETS if secret in text] == []
        for kept in ("M.csv", "tera.yaml", "has no samples", "nearly the same audio as a non-member"):
            assert kept in text
    for name in ("Zo", "sprecher"):
        assert name not in (tmp_path / "report" / "results.json").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_copy_with_names_has_them_all(tmp_path, private_report):
    write_report(tmp_path / "report", private_report)
    text = rebuild(tmp_path, with_names=True).read_text(encoding="utf-8")
    for secret in ("/home/jane doe/M.csv", "/data/elsa/07.wav", "anna (1) ~ berta_02", "/etc/secret/defaults.yaml"):
        assert secret in text
    assert private_parts(load_report(tmp_path / "report")) == private_parts(private_report)


@pytest.mark.slow
def test_the_page_of_a_report_whose_private_file_is_gone_is_the_same(tmp_path, private_report):
    page = write_report(tmp_path / "report", private_report)
    before = page.read_bytes()
    (tmp_path / "report" / "private.json").unlink()
    assert rebuild(tmp_path).read_bytes() == before


@pytest.mark.slow
def test_a_report_of_an_earlier_version_is_rendered_without_paths(tmp_path, private_report):
    """Its results.json has them."""
    write_report(tmp_path / "report", private_report)
    path = tmp_path / "report" / "results.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["provenance"]["command"] = private_report.provenance.command
    data["skipped"] = [vars(private_report.skipped[0])]
    path.write_text(json.dumps(data), encoding="utf-8")
    (tmp_path / "report" / "private.json").unlink()
    assert "jane" not in rebuild(tmp_path).read_text(encoding="utf-8")


def test_without_anything_to_hide_there_is_no_file(tmp_path, planted_blind_report):
    (tmp_path / "private.json").write_text("{}", encoding="utf-8")
    write_report(tmp_path, planted_blind_report)
    assert not (tmp_path / "private.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("content", ["{", "[]", '{"command": 3}'])
def test_a_damaged_file_is_reported_in_one_line(tmp_path, private_report, content):
    write_report(tmp_path / "report", private_report)
    (tmp_path / "report" / "private.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"private\.json") as raised:
        load_report(tmp_path / "report")
    assert "\n" not in str(raised.value)


def test_results_keep_their_figures(private_report):
    assert shareable(private_report).attacks == private_report.attacks
    assert shareable(shareable(private_report)) == shareable(private_report)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--run_dir=/tmp/r/demo", "--run_dir=…/demo"),
        ("'C:\\Users\\jane\\M.csv'", "'…/M.csv'"),
        ("file:///mnt/jane/R", "…/R"),
        ("paths: [/a/b, '/c d/e']", "paths: […/b, '…/e']"),
        ("s3://bucket/runs/R", "s3://bucket/runs/R"),
        ("TPR/FPR, 1/2, and / or, log((TPR − δ) / FPR)", "TPR/FPR, 1/2, and / or, log((TPR − δ) / FPR)"),
        ("configs/audit/demo.yaml", "configs/audit/demo.yaml"),
    ],
)
def test_only_local_paths_lose_their_folders(text, expected):
    assert without_paths(text) == expected
