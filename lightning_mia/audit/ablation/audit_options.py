"""The options of an audit, as its own command line knows them: what a grid asks for is checked there before it runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lightning_mia.audit.commands import AuditCLI, make
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.splits.data_module import SpeechDataModule
from lightning_mia.training.trainer_factory import NOT_FINGERPRINTED
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.lightning import quieten

JUDGING = (
    *("attacks", "probe", "controls", "evaluation", "fleet", "published", "positive_control", "exposure", "utility"),
)
"""Options by which a finished audit may be asked more: what was trained stays as it is."""

OF_THE_MACHINE = {"trainer": NOT_FINGERPRINTED, "data": {"num_workers", "cache_dir"}}
"""Options that change no result."""


class _Reader(AuditCLI):
    """Reads options, and runs nothing."""

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
class Wanted:
    """What an audit would be made from.

    Attributes:
        settings: everything that changes what is trained, JSON-like.
        judging: hash of everything that is asked of what was trained.
        corpus: hash of the option data.corpus.
    """

    settings: dict[str, Any]
    judging: str
    corpus: str


class AuditOptions:
    """Reads and checks options of an audit with a base config.

    Args:
        base: the config.
        passed_on: arguments that come after it in every audit.

    Raises:
        InputError: the base, or what is passed on, is no audit.
    """

    def __init__(self, base: Path, passed_on: Sequence[str]) -> None:
        quieten()
        self.before = ["audit", "-c", str(base), *passed_on]
        self._recordings: dict[str, str] = {}
        try:
            self._cli = make(_Reader, self.before, allow_abbrev=False)
        except InputError as error:
            raise InputError(f"The base config {base}: {error}") from error

    def read(self, options: Mapping[str, Any], where: str = "The base config") -> Wanted:
        """Check options: whether they exist, have the right type, and make an audit.

        Args:
            options: dotted option → value, beside those of the base.
            where: what an error begins with.

        Raises:
            InputError: they do not.
        """
        try:
            parsed = self._cli.parser.parse_args([*self.before, *as_arguments(options)])
            config = json.loads(json.dumps(parsed["audit"].as_dict(), default=str))
            made = self._made(parsed)
            corpus = hash_of(config["data"]["corpus"])
            if corpus not in self._recordings:
                self._recordings[corpus] = _hash_of_recordings(made["data"])
        except InputError as error:
            raise InputError(f"{where}: {_short(str(error))}") from error
        return Wanted(_settings(config), hash_of({name: config.get(name) for name in JUDGING}), corpus)

    def recordings(self, corpus: str) -> str:
        """Hash of the recordings of a corpus that was read."""
        return self._recordings[corpus]

    def trainer_options(self) -> dict[str, Any]:
        """Those of the base, for the choice of devices."""
        options: dict[str, Any] = self._cli.config["audit"]["trainer"].as_dict()
        return options

    def _made(self, parsed: Namespace) -> Namespace:
        """Everything made from its options, as `AuditCLI` does; what a constructor refuses is an `InputError`."""
        self._cli.config = parsed
        AuditCLI.instantiate_classes(self._cli)
        made: Namespace = self._cli.config_init["audit"]
        self._cli.trainer.monitor_for(made["monitor"], made["probe"])
        return made


def is_judging(option: str) -> bool:
    """Whether an option leaves what is trained as it is.

    >>> is_judging("evaluation.seed"), is_judging("fleet.size"), is_judging("fleet.pool"), is_judging("model.dim")
    (True, True, False, False)
    """
    return option.split(".")[0] in JUDGING and option != "fleet.pool"


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as they are written on a command line.

    >>> as_arguments({"trainer.max_epochs": 5, "data.reverse": "training", "model": {"class_path": "TERA"}})
    ['--trainer.max_epochs=5', '--data.reverse=training', '--model={"class_path": "TERA"}']
    """
    return [
        f"--{option}={value if isinstance(value, str) else json.dumps(value, default=str)}"
        for option, value in options.items()
    ]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    trainer = {key: value for key, value in config["trainer"].items() if key not in OF_THE_MACHINE["trainer"] and value}
    data = {key: value for key, value in config["data"].items() if key not in OF_THE_MACHINE["data"] | {"corpus"}}
    return {
        "model": config["model"],
        "data": data,
        "trainer": trainer,
        "seed_everything": config["seed_everything"],
        "pool": config["fleet"]["pool"],
    }


def _hash_of_recordings(data: SpeechDataModule) -> str:
    """Decode a corpus into the cache that all cells share, and say what is in it."""
    table = data.corpus.table()
    audio = decode(table, cache_dir=Path(data.cache_dir) if data.cache_dir else None, on_bad_audio=data.on_bad_audio)
    speakers = dict(zip(table["id"].astype(str), table["speaker"].astype(str), strict=True))
    members = [str(value) for value in table["member"]] if "member" in table else None
    return hash_of([audio.contents, speakers, members])


def _short(message: str) -> str:
    """What jsonargparse says of a wrong value, without the list of everything that it tried."""
    return message.split(" Given value type:")[0]
