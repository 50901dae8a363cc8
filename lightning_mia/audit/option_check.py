"""Find mistakes in options, configs and values before anything heavy is imported."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lightning_mia.audit import configs as shipped
from lightning_mia.audit.option_index import CLASS_OPTIONS, Arguments, OptionIndex
from lightning_mia.audit.option_types import check_content, check_words, is_open
from lightning_mia.utilities.environment import GPU_NAMES, lacks_gpu_driver, no_gpu
from lightning_mia.utilities.errors import InputError, did_you_mean

OWN = "lightning_mia."
DOTTED = re.compile(r"(?<![\w./-])(?!lightning_mia\b|lightning\b|torch\b)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
OPTION = re.compile(r"-[^\d.]")
MANIFEST_SUFFIXES = (".csv", ".jsonl", ".tsv")
CONFIG_SUFFIXES = (".json", ".yaml", ".yml")
ALWAYS = {"help", "help-all", "help_all", "print_config", "config"}


class GivenOption(NamedTuple):
    """An option on the command line.

    Attributes:
        name: without dashes.
        value: None if there is none.
        words: as they were given.
    """

    name: str
    value: str | None
    words: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """What a command line and its configs say.

    Attributes:
        command: the command.
        options: those of the command line, in order.
        configs: (name, content) of the config files, in order.
        others: words that are neither options nor values.
    """

    command: str
    options: list[GivenOption]
    configs: list[tuple[str, Mapping[str, Any]]]
    others: list[str] = field(default_factory=list)

    def value_of(self, option: str) -> Any:
        """Return the value of an option; None if it has none."""
        values = [value for value in self._values(option) if value is not None]
        return values[-1] if values else None

    def class_of(self, option: str) -> str | None:
        """Return the class chosen for an option; None if unknown."""
        names = [path for value in self._values(option) if (path := _class_path(value))]
        return names[-1].removeprefix(OWN).rpartition(".")[2] if names else None

    def _values(self, option: str) -> Iterator[Any]:
        """Yield the values of an option; later ones override earlier ones."""
        for _, content in self.configs:
            yield _value_at(content, option)
        for given in self.options:
            if given.name == option:
                yield given.value
            elif given.name == f"{option}.class_path":
                yield {"class_path": given.value}

    def names_other_classes(self) -> bool:
        """Test whether a class of another package is named.

        It may bring names that the index lacks.
        """
        contents = [content for _, content in self.configs]
        for given in self.options:
            key = given.name if given.name in CLASS_OPTIONS else given.name.rpartition(".")[2]
            if key in ("class_path", *CLASS_OPTIONS) and given.value is not None:
                contents.append({key.rpartition(".")[2]: _loaded(given.value)})
        return any(DOTTED.search(path) for content in contents for path in _class_paths(content))


def parse(arguments: Sequence[str]) -> Given:
    """Split a command line, and read its configs.

    Raises:
        InputError: a config does not exist or is no YAML.
    """
    options: list[GivenOption] = []
    configs = []
    others = []
    words = shipped.with_shipped_configs(arguments[1:])
    is_value = False
    for word, following in zip(words, [*words, "--"][1:], strict=True):
        name, equals, after = word.partition("=")
        value = after if equals else None if OPTION.match(following) else following
        if is_value:
            is_value = False
            continue
        if name in ("-c", "--config"):
            if value is None:
                raise InputError(f"{name}: give a value after it: a YAML file, or a name from `lightning-mia configs`")
            configs.append((value, read_config(value)))
        elif name.startswith("--") and len(name) > 2:
            given = (word,) if equals or value is None else (word, value)
            options.append(GivenOption(name[2:].removesuffix("+"), value, given))
        elif not word.startswith("-"):
            others.append(word)
        is_value = not equals and value is not None and name.startswith("-")
    return Given(arguments[0], options, configs, others)


def read_config(path: str) -> Mapping[str, Any]:
    """Read a config file.

    Raises:
        InputError: the file does not exist or is no YAML.
    """
    from jsonargparse import get_loader

    from lightning_mia.utilities.yaml_check import check_config

    if not Path(path).expanduser().is_file():
        raise InputError(shipped.no_such_config(path))
    check_config(path)
    content: Mapping[str, Any] = get_loader("yaml")(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    return content


def check(given: Given, index: OptionIndex) -> None:
    """Refuse what the index does not know.

    Raises:
        InputError: an option, a key of a config, a class or a value is invalid.
    """
    refuse_words(given)
    is_ours = not given.names_other_classes()
    for option in given.options:
        _check_option(option, given, index, is_ours)
    for path, content in given.configs:
        for name, value in _walk(content, "", index):
            _check_key(path, name, value, given, index, is_ours)
    if all(option.name != "print_config" for option in given.options):
        _check_gpu(given)
        if is_ours and given.class_of("data.corpus") == "Manifest":
            _check_manifest(given)


def refuse_words(given: Given) -> None:
    """Refuse words that are neither options nor values.

    Raises:
        InputError: there is such a word.
    """
    from lightning_mia.utilities.parser_messages import unexpected_word

    if given.others:
        word = given.others[0]
        remedy = _corpus_option(word)
        raise InputError(f"{word}: {remedy}" if remedy else unexpected_word(word, f"lightning-mia {given.command}"))


def _check_option(option: GivenOption, given: Given, index: OptionIndex, is_ours: bool) -> None:
    name, value, words = option
    if name in ALWAYS or name.endswith(".help"):
        return
    if value and name in REMEDIES and value not in index.classes.get(name, {}) and (remedy := REMEDIES[name](value)):
        raise InputError(f"--{name} {value}: {remedy}")
    owner = next((owner for owner in index.classes if name.startswith(f"{owner}.")), None)
    if owner is not None:
        argument = name.removeprefix(f"{owner}.").removeprefix("init_args.")
        chosen = given.class_of(owner)
        if is_ours and argument != "class_path":
            _check_argument(f"--{owner}", argument, chosen, index.classes[owner])
            if kind := index.classes[owner].get(chosen or "", {}).get(argument):
                check_words(name, words, kind[0])
    elif not index.knows(name):
        known = _all_names(index)
        raise InputError(
            f"there is no option --{name}{did_you_mean(f'--{name}', [f'--{option}' for option in known])}; "
            f"`lightning-mia {given.command} --help-all` lists the options"
        )
    elif name in index.classes and is_ours and value is not None:
        _check_classes("", name, _loaded(value), given, index)
    if (kind_of_option := index.options.get(name)) is not None:
        check_words(name, words, kind_of_option)


def _corpus_option(word: str) -> str:
    """Say how a corpus is given, where a word is or looks like its path; else return nothing."""
    path = os.path.expanduser(word)
    suffix = os.path.splitext(path)[1]
    if os.path.isdir(path):
        return f"a folder of recordings is given as --data.corpus Folder --data.corpus.path {word}"
    if suffix in MANIFEST_SUFFIXES or (os.path.isfile(path) and suffix not in CONFIG_SUFFIXES):
        return f"a manifest is given as --data.corpus.path {word}"
    return ""


def _checkpoint_option(word: str) -> str:
    """Say how a checkpoint is given, where a word is its path; else return nothing."""
    path = os.path.expanduser(word)
    if not os.path.exists(path) or os.path.splitext(path)[1] in CONFIG_SUFFIXES:
        return ""
    return f"a checkpoint is given as --model.checkpoint {word}, or to `attack` as --target_checkpoint {word}"


REMEDIES = {"data": _corpus_option, "data.corpus": _corpus_option, "model": _checkpoint_option}
"""Option that takes a class or a config → what else to give, for a value that is a path."""


def _check_key(path: str, key: str, value: Any, given: Given, index: OptionIndex, is_ours: bool) -> None:
    name = key.removesuffix("+")
    if name in index.classes:
        if is_ours:
            _check_classes(path, name, value, given, index)
    elif not index.knows(name):
        known = _all_names(index)
        raise InputError(f"{path}: there is no option {name}{did_you_mean(name, known)}; check the spelling")
    if (kind := index.options.get(key)) is not None:
        _check_value(path, name, value, kind)


def _check_classes(path: str, option: str, value: Any, given: Given, index: OptionIndex) -> None:
    """Check the classes, and their arguments, in the value of an option or of a config's key."""
    classes = index.classes[option]
    where = f"{path}: {option}" if path else f"--{option}"
    for name, arguments in _classes_in(value):
        if name:
            _check_class(option, name, classes)
        chosen = name.rpartition(".")[2] if name else given.class_of(option)
        for argument, content in arguments.items():
            _check_argument(where, argument, chosen, classes)
            if kind := classes.get(chosen or "", {}).get(argument):
                of_class = f"{option}.{chosen}" if option == "attacks" else option
                _check_value(path, f"{of_class}.{argument}", content, kind[0])


def _check_value(path: str, name: str, value: Any, kind: Any) -> None:
    """Check a value in a config, and name the config in the message."""
    try:
        check_content(name, value, kind)
    except InputError as error:
        raise InputError(f"{path}: {error}" if path else str(error)) from error


def _check_argument(where: str, name: str, chosen: str | None, classes: Mapping[str, Arguments]) -> None:
    """Check an argument of the chosen class, or of any if it is unknown."""
    if chosen is not None and chosen not in classes:
        return
    known = {
        argument: kind
        for arguments in ([classes[chosen]] if chosen else classes.values())
        for argument, (kind, _) in arguments.items()
    }
    is_below = any(name.startswith(f"{argument}.") for argument, kind in known.items() if is_open(kind))
    if name in known or is_below or any(argument.startswith(f"{name}.") for argument in known):
        return
    names = sorted(known)
    owner = chosen or "no class"
    verb = "has no argument" if chosen else "has an argument"
    taken = f"; it takes {', '.join(names)}" if chosen else "; check the spelling"
    raise InputError(f"{where}: {owner} {verb} {name}{did_you_mean(name, names)}{taken}")


def _check_class(option: str, name: str, classes: Mapping[str, Arguments]) -> None:
    from lightning_mia.utilities.parser import no_such_class

    if "." not in name and name.isidentifier() and name not in classes:
        raise InputError(no_such_class(option, name, list(classes)))


def _check_gpu(given: Given) -> None:
    accelerator = given.value_of("trainer.accelerator")
    if accelerator in GPU_NAMES and lacks_gpu_driver():
        raise InputError(no_gpu(accelerator))


def _check_manifest(given: Given) -> None:
    """Check that the manifest exists."""
    paths = [option.value for option in given.options if option.name == "data.corpus.path"]
    if paths and (path := paths[-1]) and not os.path.exists(os.path.expanduser(path)):
        from lightning_mia.corpora.formats.json_manifests import refuse_missing

        refuse_missing(path)


def _all_names(index: OptionIndex) -> list[str]:
    below = [
        f"{option}.{argument}"
        for option, classes in index.classes.items()
        for arguments in classes.values()
        for argument in arguments
        if option != "attacks"
    ]
    return [*index.options, *dict.fromkeys(below)]


def _walk(content: Mapping[str, Any], prefix: str, index: OptionIndex) -> Iterator[tuple[str, Any]]:
    """Yield (option, value) of a config, down to options that take classes."""
    for key, value in content.items():
        name = f"{prefix}{key}"
        is_leaf = name in index.classes or index.is_open(name) or not index.is_group(name)
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
            elif key == "attacks":
                yield from (item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str))
            yield from _class_paths(value)
    elif isinstance(content, list):
        for item in content:
            yield from _class_paths(item)


def _loaded(value: str) -> Any:
    """Load the value of an option, as the parser does; a text that is no YAML stays as it is."""
    import yaml
    from jsonargparse import get_loader

    try:
        return get_loader("yaml")(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        return value


def _classes_in(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (class, arguments) in the value of an option."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item, {}
        elif isinstance(item, Mapping):
            given = item.get("init_args") or {} if "class_path" in item or "init_args" in item else item
            yield str(item.get("class_path", "")), given
