"""Scenarios of verdicts, one or more for each kind of fault that a verdict may have."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lightning_mia.splits import SpeakerDesign
from tools.verdict_scenarios.material import by_session, draw, louder
from tools.verdict_scenarios.workshop import Workshop

LONG = ["--trainer.max_epochs", "60"]
SPEAKERS = ["--data.design", "SpeakerDesign", "--data.design.n_auxiliary"]


@dataclass(frozen=True)
class Scenario:
    """A situation, and the command that is run in it.

    Attributes:
        name: row and variant in `docs/verdicts.md`.
        prepare: writes the files into a folder, and returns the arguments of `lightning-mia`.
    """

    name: str
    prepare: Callable[[Workshop, Path], list[str]]

    @property
    def row(self) -> str:
        """Number before the variant."""
        return self.name.partition("-")[0]


def shared_confound_drawn(shop: Workshop, folder: Path) -> list[str]:
    aurocs = [(0.60, 0.56), *[(0.55, 0.54)] * 19]
    attacks = [
        {"name": f"attack_{n:02d}", "target": target, "wrong_model": wrong_model, "common": 0.5}
        for n, (target, wrong_model) in enumerate(aurocs)
    ]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *shop.planted(folder, *attacks)])


def shared_confound_user(shop: Workshop, folder: Path) -> list[str]:
    attacks = [{"name": f"attack_{n:02d}", "target": 0.57, "wrong_model": 0.56, "common": 0.5} for n in range(20)]
    return shop.audit(folder, [*user_supplied(shop, folder), *shop.planted(folder, *attacks)])


def planted(**attack: object) -> Callable[[Workshop, Path], list[str]]:
    """Plant one attack on a drawn split."""
    return lambda shop, folder: shop.audit(
        folder, [*shop.manifest(folder, shop.pieces), *shop.planted(folder, {"name": "planted_attack", **attack})]
    )


def planted_user(n_siblings: int = 0, **attack: object) -> Callable[[Workshop, Path], list[str]]:
    """Plant one attack on a user-supplied split."""
    return lambda shop, folder: shop.audit(
        folder,
        [*user_supplied(shop, folder, n_siblings, n=600), *shop.planted(folder, {"name": "planted_attack", **attack})],
    )


def user_supplied(shop: Workshop, folder: Path, n_siblings: int = 0, n: int = 400, seed: int = 0) -> list[str]:
    sizes = {"1": n, "0": n, "": 100, "sibling": n_siblings}
    return shop.manifest(folder, draw(shop.pieces.drop(columns="session"), sizes, seed))


def contaminated_wrong_model(shop: Workshop, folder: Path) -> list[str]:
    """The auxiliary recordings are copies of the members, a little louder."""
    table = draw(shop.pieces.drop(columns="session"), {"1": 300, "0": 300}, seed=1)
    copies = louder(table[table["member"] == "1"], folder / "copies", factor=1.1)
    copies = copies.assign(id=copies["id"].str.replace("voice", "copy"), member="")
    options = shop.manifest(folder, pd.concat([table, copies]))
    return shop.audit(folder, [*options, *LONG, "--attacks", "[PretextLoss, UtteranceSimilarity]"])


def one_of_three_families(shop: Workshop, folder: Path) -> list[str]:
    attacks = [
        {"name": name, "access": access, "target": target, "common": 0.95}
        for name, access, target in (
            ("embedding_attack", "black-box", 0.51),
            ("mask_attack", "open-weights", 0.50),
            ("loss_attack", "grey-box", 0.557),
        )
    ]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *shop.planted(folder, *attacks)])


def trained_recordings_only(shop: Workshop, folder: Path) -> list[str]:
    options = [*SPEAKERS, "12", "--data.design.n_units", "52"]
    options += ["--data.design.trained_per_speaker", "8", "--data.design.held_back_per_speaker", "8"]
    attacks = ["--attacks", "[PretextLoss]"]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *options, *LONG, *attacks])


def sessions(column: bool) -> Callable[[Workshop, Path], list[str]]:
    """Labels were given by session."""

    def prepare(shop: Workshop, folder: Path) -> list[str]:
        table = by_session(shop.pieces, n_per_session=2, seed=0)
        attack = {"name": "planted_attack", "target": 0.533, "common": 0.97, "by_session": 0.8}
        options = shop.manifest(folder, table if column else table.drop(columns="session"))
        return shop.audit(folder, [*options, *shop.planted(folder, attack)])

    return prepare


def perfect_confound_of_twelve_speakers(shop: Workshop, folder: Path) -> list[str]:
    """The members' recordings were made louder after the draw."""
    speakers = sorted(set(shop.pieces["speaker"]))[:15]
    table = shop.pieces[shop.pieces["speaker"].isin(speakers)].drop(columns="session")
    design = SpeakerDesign(n_units=12, n_auxiliary=3, trained_per_speaker=8, held_back_per_speaker=8)
    split = design.draw(table, dict(zip(table["id"], table["id"], strict=True)), seed=0)
    members = set(split.table["id"][split.table["role"].isin(["member", "held_back"])])
    trained = table["id"].isin(members)
    table = pd.concat([table[~trained], louder(table[trained], folder / "louder", factor=8.0)])
    options = [*SPEAKERS, "3", "--data.design.n_units", "12"]
    options += ["--data.design.trained_per_speaker", "8", "--data.design.held_back_per_speaker", "8"]
    return shop.audit(folder, [*shop.manifest(folder, table.sort_values("id")), *options, "--attacks", "[PretextLoss]"])


def two_speakers(shop: Workshop, folder: Path) -> list[str]:
    table = shop.pieces[shop.pieces["speaker"].isin(sorted(set(shop.pieces["speaker"]))[:2])]
    table = table.groupby("speaker").head(6)
    options = ["--data.design.n_units", "8", "--data.design.n_auxiliary", "4"]
    attack = {"name": "planted_attack", "target": 0.93}
    return shop.audit(folder, [*shop.manifest(folder, table), *options, *shop.planted(folder, attack)])


def unequal_speakers(shop: Workshop, folder: Path) -> list[str]:
    table = shop.pieces[shop.pieces["speaker"].isin(sorted(set(shop.pieces["speaker"]))[:8])]
    attack = {"name": "planted_attack", "target": 0.95, "unequal": True}
    options = ["--data.design.n_units", "200", "--data.design.n_auxiliary", "100"]
    return shop.audit(folder, [*shop.manifest(folder, table), *options, *shop.planted(folder, attack)])


def trained_leak(shop: Workshop, folder: Path) -> list[str]:
    options = [*LONG, "--attacks", "[PretextLoss, UtteranceSimilarity]"]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *options])


def clean_split(n: int, seed: int) -> Callable[[Workshop, Path], list[str]]:
    """Check a clean user-supplied split without a model."""

    def prepare(shop: Workshop, folder: Path) -> list[str]:
        draw(shop.pieces.drop(columns="session"), {"1": n, "0": n}, seed).to_csv(folder / "M.csv", index=False)
        return ["blind", "M.csv", "--out", "R"]

    return prepare


def blind_positive_control(shop: Workshop, folder: Path) -> list[str]:
    options = ["--positive_control", "--exposure.exposures", "[30]", "--model.learning_rate", "1e-6"]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *options, "--attacks", "[PretextLoss]"])


def one_weak_attack(shop: Workshop, folder: Path) -> list[str]:
    options = ["--data.split_seed", "3", "--controls.wrong_model", "false", "--attacks", "[UtteranceSimilarity]"]
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *options])


def no_wrong_model(shop: Workshop, folder: Path) -> list[str]:
    options = [*LONG, "--controls.wrong_model", "false", "--attacks", "[PretextLoss]"]
    return shop.audit(folder, [*user_supplied(shop, folder), *options])


def many_units(shop: Workshop, folder: Path) -> list[str]:
    options = ["--data.design.n_units", "5000", "--data.design.n_auxiliary", "200"]
    attack = {"name": "planted_attack", "target": 0.525, "common": 0.9}
    return shop.audit(folder, [*shop.manifest(folder, shop.pieces), *options, *shop.planted(folder, attack)])


SCENARIOS = [
    Scenario("1-drawn", shared_confound_drawn),
    Scenario("1-user", shared_confound_user),
    Scenario("2-drawn", planted(target=0.589, wrong_model=0.29)),
    Scenario("2-user", planted_user(target=0.589, wrong_model=0.29)),
    Scenario("3-drawn", planted(target=0.72, wrong_model=0.69)),
    Scenario("3-user", contaminated_wrong_model),
    Scenario("4", one_of_three_families),
    Scenario("5", planted(target=0.31)),
    Scenario("6", trained_recordings_only),
    Scenario("7-unknown", sessions(column=False)),
    Scenario("7-known", sessions(column=True)),
    Scenario("8", perfect_confound_of_twelve_speakers),
    Scenario("9", two_speakers),
    Scenario("10", unequal_speakers),
    Scenario("11", trained_leak),
    Scenario("12-small", clean_split(100, seed=5)),
    Scenario("12-large", clean_split(600, seed=0)),
    Scenario("13-unknown", planted_user(target=0.62, wrong_model=0.505)),
    Scenario("13-domain", planted_user(n_siblings=300, siblings=1.0, target=0.62, wrong_model=0.505)),
    Scenario("13-members", planted_user(n_siblings=300, siblings=0.0, target=0.62, wrong_model=0.505)),
    Scenario("14", blind_positive_control),
    Scenario("15-drawn", one_weak_attack),
    Scenario("15-user", no_wrong_model),
    Scenario("16", many_units),
]
