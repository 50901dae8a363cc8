"""Parse and check the audit options of a grid."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lightning_mia.attacks import Attack
from lightning_mia.audit.commands import AuditCLI, make
from lightning_mia.corpora.base import Corpus
from lightning_mia.models.base import SpeechModel
from lightning_mia.splits.base import Design
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.trainer_options import DEFAULTS, NOT_FINGERPRINTED
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.lightning import quieten

EVALUATION_OPTIONS = (
    *("attacks", "probe", "controls", "evaluation", "fleet", "published", "positive_control", "exposure", "utility"),
)
"""Options that change the evaluation of an audit but not its models."""

MACHINE_OPTIONS = {"trainer": NOT_FINGERPRINTED, "data": {"num_workers", "cache_dir", "max_seconds", "on_long_audio"}}
"""Options that do not change the results, or change them only through the recordings, which are hashed."""

HASHED_PACKAGES: dict[type, str] = {SpeechModel: "models", Design: "split", Corpus: "corpus", Attack: "attacks"}
"""Base class → package in hashed class paths; fixed, so that grids can be resumed after modules have moved."""


class _Reader(AuditCLI):
    """Command line that parses options and runs nothing."""

    commands = ("audit",)

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def after_instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@dataclass(frozen=True)
class ParsedOptions:
    """Parsed options of an audit.

    Attributes:
        settings: options that change what is trained, as JSON values.
        evaluation: hash of `EVALUATION_OPTIONS`.
        corpus: hash of the option data.corpus.
    """

    settings: dict[str, Any]
    evaluation: str
    corpus: str


class OptionsReader:
    """Parses audit options on top of a base config.

    Args:
        base: the base config.
        passed_on: arguments of every audit, after the config.

    Raises:
        InputError: the config or the arguments are invalid.
    """

    def __init__(self, base: Path, passed_on: Sequence[str]) -> None:
        quieten()
        self.before = ["audit", "-c", str(base), *passed_on]
        self._recordings: dict[str, str] = {}
        try:
            self._cli = make(_Reader, self.before, allow_abbrev=False)
        except InputError as error:
            raise InputError(f"The base config {base}: {error}") from error

    def read(self, options: Mapping[str, Any], where: str = "The base config") -> ParsedOptions:
        """Parse options and create the audit's objects from them.

        Args:
            options: dotted option → value, in addition to the base.
            where: prefix of error messages.

        Raises:
            InputError: an option does not exist, or its value is invalid.
        """
        try:
            parsed = self._cli.parser.parse_args([*self.before, *as_arguments(options)])
            config = json.loads(json.dumps(parsed["audit"].as_dict(), default=str))
            objects = self._instantiate(parsed)
            corpus = hash_of(config["data"]["corpus"])
            if corpus not in self._recordings:
                self._recordings[corpus] = _hash_recordings(objects["data"])
        except InputError as error:
            raise InputError(f"{where}: {_shortened(str(error))}") from error
        config = with_stable_paths(config)
        evaluation = hash_of({name: config.get(name) for name in EVALUATION_OPTIONS})
        return ParsedOptions(_settings(config), evaluation, corpus)

    def recordings(self, corpus: str) -> str:
        """Return the hash of a corpus's recordings."""
        return self._recordings[corpus]

    def trainer_options(self) -> dict[str, Any]:
        """Return the Trainer options of the base config."""
        options: dict[str, Any] = self._cli.config["audit"]["trainer"].as_dict()
        return options

    def _instantiate(self, parsed: Namespace) -> Namespace:
        """Create all objects, so that constructors check their arguments."""
        self._cli.config = parsed
        AuditCLI.instantiate_classes(self._cli)
        objects: Namespace = self._cli.config_init["audit"]
        self._cli.trainer.monitor_for(objects["monitor"], objects["probe"])
        return objects


def is_evaluation_option(option: str) -> bool:
    """Whether an option leaves the trained models unchanged.

    >>> options = ("evaluation.seed", "fleet.size", "fleet.pool", "fleet.targets", "model.dim")
    >>> [option for option in options if is_evaluation_option(option)]
    ['evaluation.seed', 'fleet.size']
    """
    return option.split(".")[0] in EVALUATION_OPTIONS and option not in ("fleet.pool", "fleet.targets")


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Format options as command-line arguments.

    >>> as_arguments({"trainer.max_epochs": 5, "data.reverse": "training", "model": {"class_path": "TERA"}})
    ['--trainer.max_epochs=5', '--data.reverse=training', '--model={"class_path": "TERA"}']
    """
    return [
        f"--{option}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for option, value in options.items()
    ]


def with_stable_paths(value: Any) -> Any:
    """Replace class paths by paths independent of modules.

    >>> with_stable_paths({"model": {"class_path": "TERA", "init_args": {"dim": 16}}})
    {'model': {'class_path': 'lightning_mia.models.TERA', 'init_args': {'dim': 16}}}
    """
    if isinstance(value, list):
        return [with_stable_paths(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: with_stable_paths(item) for key, item in value.items()}
    if isinstance(value.get("class_path"), str):
        value["class_path"] = _stable_path(value["class_path"])
    return value


def _stable_path(class_path: str) -> str:
    module, _, name = class_path.rpartition(".")
    if module.split(".")[0] not in ("", "lightning_mia"):
        return class_path
    cls = getattr(import_module(module or "lightning_mia"), name, None)
    if not isinstance(cls, type):
        return class_path
    package = next((package for base, package in HASHED_PACKAGES.items() if issubclass(cls, base)), None)
    return f"lightning_mia.{package}.{name}" if package else class_path


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    trainer = {
        key: value
        for key, value in config["trainer"].items()
        if key not in MACHINE_OPTIONS["trainer"] and (value or value != DEFAULTS.get(key))
    }
    data = {key: value for key, value in config["data"].items() if key not in MACHINE_OPTIONS["data"] | {"corpus"}}
    return {
        "model": config["model"],
        "data": data,
        "trainer": trainer,
        "seed_everything": config["seed_everything"],
        "pool": config["fleet"]["pool"],
    }


def _hash_recordings(data: SpeechDataModule) -> str:
    """Decode a corpus into the shared cache and hash it."""
    table = data.corpus.table()
    audio, _ = data.prepare(table)
    speakers = dict(zip(table["id"].astype(str), table["speaker"].astype(str), strict=True))
    members = [str(value) for value in table["member"]] if "member" in table else None
    return hash_of([audio.contents, speakers, members])


def _shortened(message: str) -> str:
    """Drop the list of types from an error of jsonargparse."""
    return message.split(" Given value type:")[0]
