import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from lightning_mia.audit import configs as shipped
from lightning_mia.audit.cli import main
from lightning_mia.utilities.errors import InputError

ROOT = Path(__file__).parents[2]


def test_configs_are_listed_with_their_first_comment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len([path for path in (ROOT / "configs").rglob("*") if path.is_file()])
    assert main(["configs", "audit/demo"]) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("audit/demo.yaml  Audit of a tiny HuBERT on the built-in synthetic voices")
    assert main(["configs", "cluster/slurm_4"]) == 0
    assert capsys.readouterr().out.startswith("cluster/slurm_4_nodes.sh  SLURM: one model on 4 nodes")


def test_a_config_is_copied_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "my.yaml"
    assert main(["configs", "configs/audit/demo.yaml", "--to", str(copy)]) == 0
    assert copy.read_text() == (ROOT / "configs" / "audit" / "demo.yaml").read_text()
    assert main(["configs", "audit/demo.yaml", "--to", str(copy)]) == 2
    assert "exists; give another name" in capsys.readouterr().err
    assert main(["configs", "audit/demo.yaml", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "demo.yaml").exists()


@pytest.mark.parametrize("arguments", [["no/such"], ["no/such.yaml", "--to", "x.yaml"], ["--to", "x.yaml"]])
def test_unknown_configs_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs", *arguments]) == 2
    assert "lightning-mia: error:" in capsys.readouterr().err


def test_shipped_configs_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(shipped.folder() / "audit" / "demo.yaml")
    (tmp_path / "mine.yaml").touch()
    arguments = ["audit", "-c", "configs/audit/demo.yaml", "--config=configs/audit/demo.yaml", "-c", "mine.yaml"]
    assert shipped.with_shipped_configs(arguments) == ["audit", "-c", path, f"--config={path}", "-c", "mine.yaml"]
    (tmp_path / "configs" / "audit").mkdir(parents=True)
    (tmp_path / "configs" / "audit" / "demo.yaml").touch()
    assert shipped.with_shipped_configs(arguments) == arguments  # files of the user take precedence


@pytest.mark.parametrize("arguments", [["-c", "audit/dmo"], ["--config=audit/dmo"]])
def test_a_config_that_does_not_exist_is_refused_with_a_suggestion(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"^there is no config audit/dmo \(did you mean audit/demo.yaml\?\)"):
        shipped.with_shipped_configs(arguments)


@pytest.mark.slow
def test_a_wheel_has_the_configs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("configs", "lightning_mia"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options], check=True, capture_output=True, timeout=300)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    packed = {name.removeprefix("lightning_mia/configs/") for name in names if "/configs/" in name}
    files = [path for path in (ROOT / "configs").rglob("*") if path.is_file()]
    assert packed == {path.relative_to(ROOT / "configs").as_posix() for path in files}
    assert "lightning_mia/report/templates/ablation.html" in names


def test_options_override_configs_wherever_they_stand(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.max_epochs", "7", "--data.split_seed=5"]
    for arguments in ([*options, "-c", str(config)], ["-c", str(config), *options], [*options, f"--config={config}"]):
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["audit", *arguments, "--print_config"])
        printed = yaml.safe_load(capsys.readouterr().out)
        assert (printed["trainer"]["max_epochs"], printed["data"]["split_seed"]) == (7, 5)
