"""Find misspelt options, configs and classes before anything heavy is imported."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_mia.audit import configs as shipped
from lightning_mia.audit.option_index import CLASS_OPTIONS, OptionIndex
from lightning_mia.utilities.errors import InputError, did_you_mean

OWN = "lightning_mia."
DOTTED = re.compile(r"(?<![\w./-])(?!lightning_mia\b|lightning\b|torch\b)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
ALWAYS = {"help", "help-all", "help_all", "print_config", "config"}


@dataclass(frozen=True)
class Given:
    """What a command line and its configs say.

    Attributes:
        command: the command.
        options: (option without dashes, value or None) of the command line, in order.
        configs: (name, content) of the config files, in order.
    """

    command: str
    options: list[tuple[str, Any]]
    configs: list[tuple[str, Mapping[str, Any]]]

    def class_of(self, option: str) -> str | None:
        """Return the class chosen for an option; None if unknown."""
        values = [_value_at(content, option) for _, content in self.configs]
        for name, value in self.options:
            if name == option:
                values.append(value)
            elif name == f"{option}.class_path":
                values.append({"class_path": value})
        names = [path for value in values if (path := _class_path(value))]
        return names[-1].removeprefix(OWN).rpartition(".")[2] if names else None

    def names_other_classes(self) -> bool:
        """Test whether a class of another package is named.

        It may bring names that the index lacks.
        """
        texts = [str(value) for name, value in self.options if name.removesuffix(".class_path") in CLASS_OPTIONS]
        texts += [path for _, content in self.configs for path in _class_paths(content)]
        return any(map(DOTTED.search, texts))


def parse(arguments: Sequence[str]) -> Given:
    """Split a command line, and read its configs.

    Raises:
        InputError: a config does not exist or is no YAML.
    """
    options: list[tuple[str, Any]] = []
    configs = []
    words = shipped.with_shipped_configs(arguments[1:])
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, equals, after = word.partition("=")
        value = after if equals else None if following.startswith("--") else following
        if name in ("-c", "--config"):
            if value is None:
                raise InputError(f"{name}: give a value after it: a YAML file, or a name from `lightning-mia configs`")
            configs.append((value, read_config(value)))
        elif name.startswith("--") and len(name) > 2:
            options.append((name[2:].removesuffix("+"), value))
    return Given(arguments[0], options, configs)


def read_config(path: str) -> Mapping[str, Any]:
    """Read a config file.

    Raises:
        InputError: the file does not exist or is no YAML.
    """
    import yaml

    from lightning_mia.utilities.yaml_check import check_config

    if not Path(path).expanduser().is_file():
        raise InputError(shipped.no_such_config(path))
    check_config(path)
    text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    content: Mapping[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return content


def check(given: Given, index: OptionIndex) -> None:
    """Refuse what the index does not know.

    Raises:
        InputError: an option, a key of a config, or a class is misspelt.
    """
    others = given.names_other_classes()
    for name, value in given.options:
        _check_option(name, value, given, index, others)
    for path, content in given.configs:
        for name, value in _walk(content, "", index):
            _check_key(path, name, value, given, index, others)


def _check_option(name: str, value: Any, given: Given, index: OptionIndex, others: bool) -> None:
    option = next((option for option in index.classes if name.startswith(f"{option}.")), None)
    if option is not None:
        rest = name.removeprefix(f"{option}.").removeprefix("init_args.")
        if not others and rest not in ("help", "class_path") and not rest.endswith(".help"):
            _check_argument(f"--{option}", rest, given.class_of(option), index.classes[option])
    elif name not in ALWAYS and not index.knows(name):
        known = _all_names(index)
        raise InputError(
            f"there is no option --{name}{did_you_mean(f'--{name}', [f'--{option}' for option in known])}; "
            f"`lightning-mia {given.command} --help-all` lists the options"
        )
    if name in index.classes and not others and isinstance(value, str):
        for class_name in _names_in(value):
            _check_class(name, class_name, index)
    if (choices := index.options.get(name)) and isinstance(value, str) and value not in choices:
        listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise InputError(f"--{name} {value}: give {listed}{did_you_mean(value, choices)}")


def _check_key(path: str, name: str, value: Any, given: Given, index: OptionIndex, others: bool) -> None:
    if name in index.classes:
        for class_name, arguments in [] if others else _classes_in(value):
            if class_name:
                _check_class(name, class_name, index)
            chosen = class_name.rpartition(".")[2] if class_name else given.class_of(name)
            for argument in arguments:
                _check_argument(f"{path}: {name}", argument, chosen, index.classes[name])
    elif not index.knows(name):
        known = _all_names(index)
        raise InputError(f"{path}: there is no option {name}{did_you_mean(name, known)}; check the spelling")


def _check_argument(where: str, name: str, chosen: str | None, classes: Mapping[str, Mapping[str, str]]) -> None:
    """Check an argument of the chosen class, or of any if it is unknown."""
    if chosen is not None and chosen not in classes:
        return
    known = {argument for arguments in ([classes[chosen]] if chosen else classes.values()) for argument in arguments}
    is_below = any(name.startswith(argument) for argument in known if argument.endswith("."))
    if name in known or is_below or any(argument.startswith(f"{name}.") for argument in known):
        return
    names = sorted(argument for argument in known if not argument.endswith("."))
    owner = chosen or "no class"
    verb = "has no argument" if chosen else "has an argument"
    taken = f"; it takes {', '.join(names)}" if chosen else "; check the spelling"
    raise InputError(f"{where}: {owner} {verb} {name}{did_you_mean(name, names)}{taken}")


def _check_class(option: str, name: str, index: OptionIndex) -> None:
    from lightning_mia.utilities.parser import no_such_class

    known = list(index.classes[option])
    if "." not in name and name.isidentifier() and name not in known:
        raise InputError(no_such_class(option, name, known))


def _all_names(index: OptionIndex) -> list[str]:
    below = [
        f"{option}.{argument}"
        for option, classes in index.classes.items()
        for arguments in classes.values()
        for argument in arguments
        if option != "attacks" and not argument.endswith(".")
    ]
    return [*index.options, *dict.fromkeys(below)]


def _walk(content: Mapping[str, Any], prefix: str, index: OptionIndex) -> Iterator[tuple[str, Any]]:
    """Yield (option, value) of a config, down to options that take classes."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        is_leaf = name in index.classes or name in index.open_options or not index.is_group(name)
        if isinstance(value, Mapping) and not is_leaf:
            yield from _walk(value, f"{name}.", index)
        else:
            yield name, value


def _value_at(content: Any, option: str) -> Any:
    for key in option.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _class_path(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("class_path")
    elif isinstance(value, str) and (found := re.search(r"class_path\W+([\w.]+)", value)):
        value = found[1]
    return value if isinstance(value, str) and re.fullmatch(r"[\w.]+", value) else None


def _class_paths(content: Any) -> Iterator[str]:
    """Yield every class path in a config, and every name in a list of attacks."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key in ("class_path", "model", "corpus", "design") and isinstance(value, str):
                yield value
            elif key == "attacks" and isinstance(value, list):
                yield from (item for item in value if isinstance(item, str))
            yield from _class_paths(value)
    elif isinstance(content, list):
        for item in content:
            yield from _class_paths(item)


def _names_in(value: str) -> list[str]:
    """Find class names in the value of an option: one, a list, or a mapping."""
    text = value.strip()
    if text.startswith("{") or "class_path" in text:
        return re.findall(r"class_path\W+([\w.]+)", text)[:1]
    names = [name.strip(" '\"") for name in text.strip("[]").split(",")]
    return [name for name in names if name != "null" and name.isidentifier()]


def _classes_in(value: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield (class, arguments) in the value of a config's key."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item, []
        elif isinstance(item, Mapping):
            given = item.get("init_args", {}) if "class_path" in item or "init_args" in item else item
            yield str(item.get("class_path", "")), [str(key) for key in given or {}]
