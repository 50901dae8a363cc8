"""Messages of the argument parser, in the words of this package.

jsonargparse names Python types and repeats keys; here, its messages become one line: option, value, remedy.
"""

import re
from collections.abc import Iterable

from lightning_mia.utilities.errors import did_you_mean

UNION = "Does not validate against any of the Union subtypes"
KEY = re.compile(r"Parser key \"?([\w.+-]+)\"?:\s+")
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "dict": "options with values, such as {a: 1}",
}
NO_OPTION = "the class has no option"
MAX_VALUE = 80
"""Maximum number of characters of a value that a message repeats."""


def in_own_words(message: str, options: Iterable[str] = (), prog: str = "lightning-mia") -> str:
    """Rewrite an error of jsonargparse or argparse.

    Args:
        message: error of the parser.
        options: options of the parser, for suggestions.
        prog: command whose help lists the options.

    >>> in_own_words('Parser key "fleet.size": Expected a <class \\'int\\'>. Got value: x')
    '--fleet.size x: give a whole number'
    >>> in_own_words('Parser key "attacks": Expected a <class \\'list\\'>. Got value: RMIA')
    '--attacks RMIA: give a list, such as "[RMIA]"'
    >>> reasons = "- --dim x: give a whole number\\n - Expected a <class 'NoneType'>"
    >>> in_own_words(f'Parser key "model":\\n {UNION}\\n Errors:\\n {reasons}\\n Given value: NestedArg(…)')
    '--model.dim x: give a whole number'
    >>> in_own_words("unrecognized arguments: --ou R", ["--out"], "lightning-mia split")
    'there is no option --ou (did you mean --out?); `lightning-mia split --help` lists the options'
    """
    message = shorten_union(message)
    options = list(options)
    return (
        _unknown_option(message, options, prog)
        or _missing(message, options, prog)
        or _invalid_value(message)
        or " ".join(message.split())
    )


def shorten_union(message: str) -> str:
    """Shorten the error of an option that accepts several types.

    >>> shorten_union(f"Parser key dim: {UNION}\\n - Too wide\\n - Expected a <class 'NoneType'>\\nGiven value: 9")
    'Parser key dim: Too wide. Given value: 9'
    """
    key, union, rest = message.partition(UNION)
    reasons = [line.strip()[2:] for line in rest.splitlines() if line.lstrip().startswith("- ")]
    reasons = [reason for reason in reasons if "NoneType" not in reason]
    if not union or not reasons:
        return message
    value = rest.rpartition("Given value:")[2].strip()
    return f"{' '.join(key.split())} {'; or '.join(reasons)}. Given value: {value}"


def reason_of_union(message: str) -> str:
    """Find the reason why an object could not be made.

    jsonargparse gives one reason for each type of a union; those about the type alone do not help.

    >>> reasons = "  - Problem with given class_path 'a.B':\\n      no package b\\n  - Expected a <class 'x'>"
    >>> reason_of_union(f"{UNION}\\nErrors:\\n{reasons}")
    'a.B cannot be made: no package b'
    """
    if UNION not in message:
        return ""
    listed = message.partition("Errors:\n")[2].partition("\nGiven value")[0] or message
    reasons = [" ".join(reason.split()) for reason in re.split(r"(?m)^ *- (?=\S)", listed)[1:]]
    of_types = ("Expected a", "Not a valid subclass", "a class path", "a dict")
    own = [reason for reason in reasons if not reason.startswith(of_types)]
    reason = (own or reasons or [""])[0]
    return re.sub(r"^Problem with given class_path '([\w.]+)':", r"\1 cannot be made:", reason)


def _unknown_option(message: str, options: list[str], prog: str) -> str:
    listed = f"`{prog} --help` lists the options"
    if found := re.search(r"unrecognized arguments: (\S+)", message):
        name = found[1].partition("=")[0]
        if not name.startswith("-"):
            return unexpected_word(name, prog)
        return f"there is no option {name}{did_you_mean(name, options)}; {listed}"
    if found := re.search(r"does not accept option '([\w.+-]+)'", message):
        names = [option.lstrip("-") for option in options]
        return f"there is no option {found[1]}{did_you_mean(found[1], names)}; check the config, or {listed}"
    if found := re.search(r"^Option '([\w.+-]+)' is not accepted", message):
        return f"{NO_OPTION} {found[1]}; check the spelling and the class"
    return ""


def unexpected_word(word: str, prog: str) -> str:
    """Explain a word that is neither an option nor a value.

    >>> unexpected_word("R", "lightning-mia audit")
    'R: unexpected word; options begin with --, and `lightning-mia audit --help` lists the options'
    """
    return f"{word}: unexpected word; options begin with --, and `{prog} --help` lists the options"


def _missing(message: str, options: list[str], prog: str) -> str:
    if found := re.search(r"argument (\S+): expected (?:one|at least one) argument", message):
        return f"{found[1]}: give a value after it"
    if found := re.search(r"the following arguments are required: (.*)", message):
        names = [f"--{name}" if f"--{name}" in options else name for name in found[1].split(", ")]
        return f"{prog} needs {' and '.join(names)}; `{prog} --help` has examples"
    return ""


def _invalid_value(message: str) -> str:
    keys = KEY.findall(message)
    if not keys:
        return ""
    reason, _, value = re.sub(r".*" + KEY.pattern, "", message, flags=re.DOTALL).partition("Given value:")
    reason, _, got = reason.partition("Got value:")
    of_argument = " ".join(reason.split()).rstrip(". ")
    if of_argument.startswith("--"):  # already in our words, by the parser of a class
        return f"--{'.'.join(keys)}.{of_argument.removeprefix('--')}"
    if of_argument.startswith(NO_OPTION):
        return f"--{'.'.join(keys)}: {of_argument}"
    value = " ".join((got or value).split()).removesuffix(".")
    value = re.sub(r"^(\S+)\. Given value.*", r"\1", value)
    shown = f" {value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + '…'}" if value else ""
    return f"--{'.'.join(keys)}{shown}: {_remedy(' '.join(reason.split()).rstrip('. '), value)}"


def _remedy(reason: str, value: str) -> str:
    """Say what to give instead."""
    if unknown := re.search(r"Option '([\w.+-]+)' is not accepted", reason):
        return f"{NO_OPTION} {unknown[1]}; check the spelling and the class"
    types = re.findall(r"Expected a <class '(\w+)'>", reason)
    if types == ["list"]:
        return f'give a list, such as "[{value or "a, b"}]"'
    literals = [literal.split(",") for literal in re.findall(r"Expected a typing\.Literal\[(.*?)\]", reason)]
    names = [name.strip(" '\"") for literal in literals for name in literal]
    known = [*(TYPES[name] for name in types if name in TYPES), *names]
    if known and not re.sub(r"Expected a (<class '\w+'>|typing\.Literal\[.*?\])|; or|\s|\.", "", reason):
        listed = " or ".join(filter(None, [", ".join(dict.fromkeys(known[:-1])), known[-1]]))
        return f"give {listed}{did_you_mean(value, names)}"
    return reason
