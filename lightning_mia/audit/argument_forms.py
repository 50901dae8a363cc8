"""Forms of a command line that jsonargparse does not take."""

import json
from collections.abc import Sequence

BARE_FLAGS = ("--positive_control", "--report.pdf", "--results_names")
SHORT_OPTIONS = {"--split": "--data.split"}
CONFIGS = ("-c", "--config")
LISTS = ("--fleet.references",)


def with_configs_first(arguments: Sequence[str]) -> list[str]:
    """Put configs before options, which override them wherever they stand.

    >>> with_configs_first(["audit", "--run_dir", "R", "-c", "A.yaml", "-c=B.yaml", "--config=C.yaml"])
    ['audit', '-c', 'A.yaml', '-c=B.yaml', '--config=C.yaml', '--run_dir', 'R']
    """
    command, *words = arguments
    configs: list[str] = []
    others: list[str] = []
    while words:
        name, equals, _ = words[0].partition("=")
        value_follows = not equals and len(words) > 1 and not words[1].startswith("-")
        is_config = name in CONFIGS and bool(equals or value_follows)
        n_words = 2 if is_config and value_follows else 1
        (configs if is_config else others).extend(words[:n_words])
        del words[:n_words]
    return [command, *configs, *others]


def in_full(arguments: Sequence[str]) -> list[str]:
    """Write a command line as jsonargparse takes it.

    >>> in_full(["attack", "--split", "S", "--positive_control"])
    ['attack', '--data.split', 'S', '--positive_control=true']
    """
    return with_lists(with_full_options(with_bare_flags(arguments)))


def with_bare_flags(arguments: Sequence[str]) -> list[str]:
    """Append `=true`, which jsonargparse requires, to flags without a value.

    >>> with_bare_flags(["attack", "--positive_control", "--run_dir", "R"])
    ['attack', '--positive_control=true', '--run_dir', 'R']
    """
    following = [*arguments[1:], "--"]
    return [
        f"{argument}=true" if argument in BARE_FLAGS and after.startswith("-") else argument
        for argument, after in zip(arguments, following, strict=True)
    ]


def with_full_options(arguments: Sequence[str]) -> list[str]:
    """Write short options in full.

    >>> with_full_options(["attack", "--split", "S", "--split=T"])
    ['attack', '--data.split', 'S', '--data.split=T']
    """
    parts = [argument.partition("=") for argument in arguments]
    return [f"{SHORT_OPTIONS.get(name, name)}{equals}{value}" for name, equals, value in parts]


def with_lists(arguments: Sequence[str]) -> list[str]:
    """Write the values of a list as one, which jsonargparse requires.

    >>> with_lists(["attack", "--fleet.references", "A", "B", "--run_dir", "R"])
    ['attack', '--fleet.references=["A", "B"]', '--run_dir', 'R']
    """
    joined: list[str] = []
    remaining = list(arguments)
    while remaining:
        name = remaining.pop(0)
        values: list[str] = []
        while name in LISTS and remaining and not remaining[0].startswith(("-", "[")):
            values.append(remaining.pop(0))
        joined.append(f"{name}={json.dumps(values, ensure_ascii=False)}" if values else name)
    return joined
