"""Folder of a scenario: recordings, configs and commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lightning_mia.corpora import Corpus
from tools.verdict_scenarios.material import cut
from tools.verdict_scenarios.planted import PlantedScores

TINY = Path(__file__).with_name("tiny.yaml")
RUN_DIR = "R"  # within the scenario's folder, in which the command runs


@dataclass(frozen=True)
class Workshop:
    """Prepares the files of scenarios.

    Attributes:
        corpus: recordings, which are cut into pieces.
        root: folder of all scenarios.
    """

    corpus: Corpus
    root: Path

    @cached_property
    def pieces(self) -> pd.DataFrame:
        """Short recordings: `id`, `path`, `speaker`, `session`."""
        return cut(self.corpus, self.root / "pieces")

    def folder(self, name: str) -> Path:
        """Return the folder of a scenario."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def manifest(self, folder: Path, table: pd.DataFrame) -> list[str]:
        """Write a manifest, and return the options that name it."""
        table.to_csv(folder / "M.csv", index=False)
        return ["--data.corpus.path", "M.csv"]

    def planted(self, folder: Path, *attacks: dict[str, Any]) -> list[str]:
        """Write a config of planted attacks, and return the option that names it."""
        name = f"{PlantedScores.__module__}.{PlantedScores.__qualname__}"
        settings = [{"class_path": name, "init_args": {"run_dir": RUN_DIR, **attack}} for attack in attacks]
        (folder / "attacks.yaml").write_text(yaml.safe_dump({"attacks": settings}))
        return ["-c", "attacks.yaml"]

    def audit(self, folder: Path, options: Sequence[str]) -> list[str]:
        """Return the command of an audit of a tiny model."""
        (folder / TINY.name).write_text(TINY.read_text())
        return ["audit", "-c", TINY.name, *options, "--run_dir", RUN_DIR]
