from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest

from lightning_mia.attacks import Attack, Evidence, PretextLoss, UtteranceSimilarity, default_attacks
from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.runner.scoring import as_control, score_attacks
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, SpeakerDesign, Split, UtteranceDesign, predefined


def table() -> pd.DataFrame:
    rows = [(f"s{s:02d}/u{u}", f"s{s:02d}") for s in range(20) for u in range(12)]
    return pd.DataFrame(rows, columns=["id", "speaker"]).assign(path="")


def planted(split: Split) -> Signals:
    """Draw signals whose pretext score is higher on trained recordings."""
    rng = np.random.default_rng(0)
    ids = split.table["id"]
    scalars = pd.DataFrame(
        {
            "pairwise_cosine_layer0": rng.uniform(-1, 1, len(ids)),
            "pretext_score_mask0": rng.standard_normal(len(ids)) + 3 * split.table["trained"].to_numpy(),
        },
        index=list(ids),
    )
    return Signals(scalars, rng.standard_normal((len(ids), 1, 8)).astype(np.float32))


def auroc(scores: np.ndarray, members: np.ndarray) -> float:
    return float((scores[members][:, None] > scores[~members][None]).mean())


def test_utterance_level_finds_a_planted_leak() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = UtteranceDesign(n_units=120, n_auxiliary=40).draw(table(), contents)
    by_name = {
        scores.name: scores
        for scores in score_attacks(default_attacks(), planted(split), split, "utterance", "trained").scores
    }
    assert set(by_name) >= {"utterance_similarity", "pretext_loss"}
    assert auroc(by_name["pretext_loss"].values, by_name["pretext_loss"].members) > 0.95
    assert 0.35 < auroc(by_name["utterance_similarity"].values, by_name["utterance_similarity"].members) < 0.65


def test_attacks_see_neither_siblings_nor_in_their_split_the_nonmembers() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    number = table().groupby("speaker").cumcount()
    split = predefined(table().assign(member=(number % 4).map({0: "1", 1: "0", 2: "sibling", 3: ""})), contents)
    seen = []

    class Neighbours(PretextLoss):
        def score(self, evidence: Evidence) -> pd.Series:
            seen.append(set(evidence.target.scalars.index))
            return super().score(evidence)

    for evaluated in (split, split.sibling_split()):
        (scores,) = score_attacks([Neighbours()], planted(split), evaluated, "utterance", "trained").scores
        assert auroc(scores.values, scores.members) > 0.95
    by_role = split.table.groupby("role")["id"].agg(set)
    assert seen == [set(contents) - by_role["sibling"], set(contents) - by_role["nonmember"]]


def test_speaker_level_scores_held_back_and_trained_recordings_separately() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = SpeakerDesign(n_units=16, n_auxiliary=4).draw(table(), contents)
    by_name = {
        scores.name: scores
        for part in ("held_back", "trained")
        for scores in score_attacks(default_attacks(), planted(split), split, "speaker", part).scores
    }
    assert set(by_name) >= {
        "speaker_similarity",
        "speaker_similarity_trained",
        "pretext_loss",
        "pretext_loss_trained",
    }
    assert len(by_name["pretext_loss"].unit_ids) == 16
    assert auroc(by_name["pretext_loss_trained"].values, by_name["pretext_loss_trained"].members) == 1.0
    assert auroc(by_name["pretext_loss"].values, by_name["pretext_loss"].members) == pytest.approx(0.5, abs=0.35)


def test_control_is_named_after_its_model_and_has_no_access() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = UtteranceDesign(n_units=120, n_auxiliary=40).draw(table(), contents)
    scores = score_attacks([PretextLoss()], planted(split), split, "utterance", "trained").scores[0]
    control = as_control(scores, "untrained")
    assert (control.name, control.access) == ("untrained_pretext_loss", "none")


class Recorder(Attack):
    """Records its evidence and scores at random."""

    access = "black-box"
    levels = ("utterance", "speaker")
    reference = "none"
    needs_frames = True
    as_published = False

    @property
    def name(self) -> str:
        return "recorder"

    @property
    def paper_protocol(self) -> bool:
        return self.as_published

    def score(self, evidence: Evidence) -> pd.Series:
        self.evidence = evidence
        units = evidence.challenge["unit_id"].unique()
        return pd.Series(np.random.default_rng(evidence.seed).standard_normal(len(units)), index=units)


class Published(Recorder):
    as_published = True


class Unable(Recorder):
    def score(self, evidence: Evidence) -> pd.Series:
        raise CannotRun("it needs more data")


def no_frames(ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
    yield from ()


def with_copies() -> tuple[pd.DataFrame, pd.Series]:
    """Give every second recording the audio of the one before."""
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    contents[contents.index[1::2]] = contents.index[::2]
    return table(), contents


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_auxiliary_recordings_are_unique_and_never_scored(level: Level) -> None:
    design = UtteranceDesign(40, 40) if level == "utterance" else SpeakerDesign(12, 6)
    split = design.draw(*with_copies())
    for part in split.parts(level):
        recorder = Recorder()
        scored = score_attacks([recorder], planted(split), split, level, part, no_frames, seed=5)
        auxiliary = recorder.evidence.auxiliary
        assert list(auxiliary) == ["id", "speaker"] and len(auxiliary) > 20
        assert set(auxiliary["id"]) <= set(split.auxiliary_ids())
        assert set(auxiliary["id"].map(with_copies()[1])) == set(
            split.table["audio"][split.table["role"] == "auxiliary"]
        )
        assert auxiliary["id"].map(with_copies()[1]).is_unique
        assert not set(recorder.evidence.challenge["id"]) & set(auxiliary["id"])
        assert not set(scored.scores[0].unit_ids) & set(auxiliary["id" if level == "utterance" else "speaker"])
        assert "member" not in recorder.evidence.challenge
        assert recorder.evidence.frames is no_frames and recorder.evidence.seed == 5


@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_paper_protocol_is_fitted_on_challenge_nonmembers_and_is_a_control(level: Level) -> None:
    design = UtteranceDesign(40, 40) if level == "utterance" else SpeakerDesign(12, 6)
    split = design.draw(*with_copies())
    published = Published()
    scores = score_attacks([published], planted(split), split, level, split.parts(level)[0], no_frames).scores[0]
    challenge = split.challenge(level, split.parts(level)[0])
    assert set(published.evidence.auxiliary["id"]) == set(challenge["id"][~challenge["member"]])
    assert list(published.evidence.auxiliary) == ["id", "speaker"]
    assert scores.access == "none"


def test_attack_that_cannot_run_is_skipped_with_a_reason() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = SpeakerDesign(n_units=16, n_auxiliary=4).draw(table(), contents)
    signals = planted(split)
    bare = Signals(signals.scalars[["pairwise_cosine_layer0"]], signals.pooled)
    attacks: list[Attack] = [UtteranceSimilarity(), PretextLoss(), Unable(), Recorder()]
    scored = score_attacks(attacks, bare, split, "speaker", "trained", no_frames)
    assert [scores.name for scores in scored.scores] == ["recorder_trained"] and scored.ran == attacks[3:]
    assert scored.skipped == [
        "The attack pretext_loss_trained was left out: it needs the pretext score of the model, which has none.",
        "The attack recorder_trained was left out: it needs more data.",
    ]
    without = score_attacks(attacks, signals, split, "speaker", "trained")
    assert [scores.name for scores in without.scores] == ["pretext_loss_trained"]
    assert [line.split(": ")[1] for line in without.skipped] == [
        "it needs the model's frames, and only its signals are available."
    ] * 2


def test_caller_may_provide_the_scores() -> None:
    contents = pd.Series(table()["id"].to_numpy(), index=table()["id"])
    split = UtteranceDesign(n_units=40, n_auxiliary=40).draw(table(), contents)

    def cached(attack: Attack, evidence: Evidence) -> pd.Series:
        assert isinstance(attack, PretextLoss)
        return pd.Series(np.arange(40.0), index=sorted(evidence.challenge["unit_id"]))

    scores = score_attacks([PretextLoss()], planted(split), split, "utterance", "trained", score=cached).scores[0]
    assert dict(zip(scores.unit_ids, scores.values, strict=True)) == dict(
        zip(sorted(scores.unit_ids), np.arange(40.0), strict=True)
    )
