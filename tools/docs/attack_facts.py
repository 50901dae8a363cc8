"""Facts about attacks: access, levels, shadow models, queries, options."""

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
from lightning_mia.signals.settings import MAX_MASKS

N_SHADOWS = 16  # enough for every default attack
PAGES = {
    "PretextLoss": "loss", "CTCLoss": "loss", "TokenLoss": "loss",
    "UtteranceSimilarity": "similarity", "SpeakerSimilarity": "similarity",
    "LearnedUtteranceSimilarity": "learned-similarity", "LearnedSpeakerSimilarity": "learned-similarity",
    "LiRA": "lira", "SpeakerLiRA": "lira",
    "RMIA": "rmia", "SpeakerRMIA": "rmia",
    "BaVarIA": "bavaria",
    "MidPoint": "midpoint",
    "AttackR": "attack-r",
    "CalibratedLoss": "calibrated-loss",
    "QuantileRegression": "quantile-regression",
    "Relearn": "relearn",
    "ScoreFusion": "score-fusion",
    "SurrogateHeadAttack": "surrogate-head",
    "ShadowClassifier": "shadow-classifier", "ShadowClassifierTree": "shadow-classifier",
    "EncoderMIT": "encodermi", "EncoderMIV": "encodermi", "EncoderMIS": "encodermi",
    "PartCrop": "partcrop",
    "SLMIA": "slmia",
    "UserStatistics": "user-statistics",
}  # fmt: skip


def classes() -> dict[str, type[Attack]]:
    """List all public and default attacks by class name."""
    exported = [getattr(package, name) for name in package.__all__]
    public = [
        cls for cls in exported if isinstance(cls, type) and issubclass(cls, Attack) and not inspect.isabstract(cls)
    ]
    return {cls.__name__: cls for cls in [*public, *(type(attack) for attack in default_attacks(N_SHADOWS, "all"))]}


def instances(names: list[str]) -> list[Attack]:
    """Create the default attacks of some classes.

    A class without a default attack contributes one instance with default options.
    """
    defaults = [attack for attack in default_attacks(N_SHADOWS, "all") if type(attack).__name__ in names]
    covered = {type(attack).__name__ for attack in defaults}
    return [*defaults, *(classes()[name]() for name in names if name not in covered)]


def facts(names: list[str], root: str) -> str:
    """Describe some attacks: table, source and options."""
    parts = [_table(instances(names), root, linked=False)]
    for cls in (classes()[name] for name in names):
        parts += [f"**Class** `{cls.__name__}`. **Source:** {cls.reference}.", options(cls)]
    return "\n\n".join(filter(None, parts))


def overview(root: str) -> str:
    """Make the overview table of all attacks."""
    return _table(instances(list(classes())), root, linked=True)


def queries(attack: Attack) -> str:
    """Count the waveforms queried per recording, as in `results.json`."""
    if attack.needs_frames:
        return "not counted"
    plain = MAX_MASKS if attack.needs_signal == PRETEXT_SCORE else 1
    return str(plain + sum(group.queries for group in attack.groups))


def _table(attacks: list[Attack], root: str, linked: bool) -> str:
    sets = default_attacks(), default_attacks(N_SHADOWS), default_attacks(N_SHADOWS, "all")
    always, with_shadows, among_all = ({attack.name for attack in attacks} for attacks in sets)
    rows = ["| name | access | level | shadow models | queries | sign | runs |", "|---|---|---|---|---|---|---|"]
    for attack in attacks:
        name = f"`{attack.name}`"
        if linked:
            name = f"[{name}]({root}attacks/{PAGES[type(attack).__name__]}.md)"
        if attack.name in always:
            runs = "always"
        elif attack.name in with_shadows:
            runs = "with shadow models"
        else:
            runs = "with `all`" if attack.name in among_all else "if named"
        shadows = f"{attack.min_shadows} or more" if attack.min_shadows else "none"
        sign = "unknown" if attack.two_sided else "known"
        cells = (name, attack.access, ", ".join(attack.levels), shadows, queries(attack), sign, runs)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def options(cls: type) -> str:
    """Make the table of a constructor's options."""
    parameters = [parameter for name, parameter in inspect.signature(cls).parameters.items() if name != "self"]
    if not parameters:
        return "It has no options."
    descriptions = {param.arg_name: param.description or "" for param in _documented_options(cls)}
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for parameter in parameters:
        meaning = " ".join(descriptions.get(parameter.name, "").split()).replace("|", "\\|")
        rows.append(f"| `{parameter.name}` | {_default(parameter.default)} | {meaning} |")
    return "\n".join(rows)


def _documented_options(cls: type) -> list[Any]:
    options = parse(inspect.getdoc(cls) or "").params
    return options or parse(inspect.getdoc(vars(cls).get("__init__")) or "").params


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, ScalarSignal) or (is_dataclass(value) and repr(value).startswith("<")):
        return f"`{type(value).__name__}`"
    return "null" if value is None else f"`{str(value).lower() if isinstance(value, bool) else repr(value)}`"


def signal_classes() -> list[type[ScalarSignal]]:
    """List the signals of likelihood attacks, in order of definition."""
    signals: dict[type[ScalarSignal], None] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for value in vars(import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, ScalarSignal) and not inspect.isabstract(value):
                signals[value] = None
    return list(signals)


def signals() -> str:
    """Describe every signal: meaning, class name, access and options."""
    parts = []
    for cls in signal_classes():
        docstring = parse(inspect.getdoc(cls) or "")
        text = " ".join(filter(None, (docstring.short_description, docstring.long_description)))
        access = getattr(cls, "access", None)
        line = f"**Class** `{cls.__name__}`" + (f", {access}." if access else ".")
        parts += [f"### {cls.__name__}", text, line, options(cls)]
    return "\n\n".join(filter(None, parts))
