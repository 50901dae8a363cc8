"""Tables of the attacks from the code: names, access, levels, shadow models, queries, options."""

import inspect
import pkgutil
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any

from docstring_parser import parse

import lightning_mia.attacks as package
from lightning_mia.attacks import Attack, default_attacks
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.settings import ProbeSettings

FLEET = 16  # shadow models; enough for all default attacks
PAGES = {
    "PretextLoss": "loss", "CTCLoss": "loss",
    "UtteranceSimilarity": "similarity", "SpeakerSimilarity": "similarity",
    "LearnedUtteranceSimilarity": "learned-similarity", "LearnedSpeakerSimilarity": "learned-similarity",
    "LiRA": "lira", "SpeakerLiRA": "lira",
    "RMIA": "rmia", "SpeakerRMIA": "rmia",
    "BaVarIA": "bavaria",
    "AttackR": "attack-r",
    "CalibratedLoss": "calibrated-loss",
    "QuantileRegression": "quantile-regression",
    "SurrogateHeadAttack": "surrogate-head",
    "ShadowClassifier": "shadow-classifier", "ShadowClassifierTree": "shadow-classifier",
    "EncoderMIT": "encodermi", "EncoderMIV": "encodermi", "EncoderMIS": "encodermi",
    "PartCrop": "partcrop",
    "SLMIA": "slmia",
    "UserStatistics": "user-statistics",
}  # fmt: skip


def classes() -> dict[str, type[Attack]]:
    """All public attacks by name: those of the package, and the default ones."""
    exported = [getattr(package, name) for name in package.__all__]
    found = [
        one for one in exported if isinstance(one, type) and issubclass(one, Attack) and not inspect.isabstract(one)
    ]
    return {one.__name__: one for one in [*found, *(type(attack) for attack in default_attacks(FLEET))]}


def instances(names: list[str]) -> list[Attack]:
    """The default attacks of these classes; for a class without one, an instance with default options."""
    default = [attack for attack in default_attacks(FLEET) if type(attack).__name__ in names]
    there = {type(attack).__name__ for attack in default}
    return [*default, *(classes()[name]() for name in names if name not in there)]


def facts(names: list[str], root: str) -> str:
    """The table of some attacks, their source, and their options."""
    of_classes = [classes()[name] for name in names]
    parts = [_table(instances(names), root, linked=False)]
    for one in of_classes:
        parts += [f"**Class path** `{one.__name__}`. **Source:** {one.reference}.", options(one)]
    return "\n\n".join(filter(None, parts))


def table_of_all(root: str) -> str:
    """The table of all attacks."""
    return _table(instances(list(classes())), root, linked=True)


def queries(attack: Attack) -> str:
    """Waveforms sent to a model for each recording, as `results.json` counts them."""
    if attack.needs_frames:
        return "not counted"
    plain = ProbeSettings().n_masks if attack.needs_signal == PRETEXT_SCORE else 1
    return str(plain + sum(group.queries for group in attack.groups))


def _table(attacks: list[Attack], root: str, linked: bool) -> str:
    without, default = ({one.name for one in default_attacks(size)} for size in (0, FLEET))
    rows = ["| name | access | level | shadow models | queries | sign | runs |", "|---|---|---|---|---|---|---|"]
    for one in attacks:
        name = f"`{one.name}`"
        if linked:
            name = f"[{name}]({root}attacks/{PAGES[type(one).__name__]}.md)"
        runs = "always" if one.name in without else "with shadow models" if one.name in default else "only if named"
        shadows = f"{one.least_shadows} or more" if one.least_shadows else "none"
        sign = "unknown" if one.two_sided else "known"
        cells = (name, one.access, ", ".join(one.levels), shadows, queries(one), sign, runs)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def options(one: type) -> str:
    """Table of the constructor's options, from its signature and its docstring."""
    parameters = [item for name, item in inspect.signature(one).parameters.items() if name != "self"]
    if not parameters:
        return "It has no options."
    told = {param.arg_name: param.description or "" for param in _described(one)}
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for item in parameters:
        meaning = " ".join(told.get(item.name, "").split()).replace("|", "\\|")
        rows.append(f"| `{item.name}` | {_default(item.default)} | {meaning} |")
    return "\n".join(rows)


def _described(one: type) -> list[Any]:
    found = parse(inspect.getdoc(one) or "").params
    return found or parse(inspect.getdoc(vars(one).get("__init__")) or "").params


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, ScalarSignal) or (is_dataclass(value) and repr(value).startswith("<")):
        return f"`{type(value).__name__}`"
    return "null" if value is None else f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`"


def signal_classes() -> list[type[ScalarSignal]]:
    """All signals that a likelihood attack can read, in the order of the code."""
    found: dict[type[ScalarSignal], None] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for one in vars(import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(one, type) and issubclass(one, ScalarSignal) and not inspect.isabstract(one):
                found[one] = None
    return list(found)


def signals() -> str:
    """One section per signal: what it reads, its class path and options."""
    parts = []
    for one in signal_classes():
        told = parse(inspect.getdoc(one) or "")
        text = " ".join(filter(None, (told.short_description, told.long_description)))
        access = getattr(one, "access", None)
        line = f"**Class path** `{one.__name__}`" + (f", {access}." if access else ".")
        parts += [f"### {one.__name__}", text, line, options(one)]
    return "\n\n".join(filter(None, parts))
