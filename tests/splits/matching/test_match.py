"""Tests of matching: recordings kept, reasons, blind baseline."""

import numpy as np
import pandas as pd
import pytest

from lightning_mia.splits import predefined
from lightning_mia.splits.blind_baseline.classifier import fit_blind_baseline
from lightning_mia.splits.matching.match import MatchedRecordings, match_recordings
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.utilities.errors import InputError

DURATIONS = [Matching(duration="nearest"), Matching(duration="histogram")]


def corpus(*rows: tuple[str, str, list[float]]) -> pd.DataFrame:
    """Make one recording per duration.

    Rows are (speaker, member, durations); ids are s/member/0, s/member/1, …
    """
    return pd.DataFrame(
        [
            {"id": f"{speaker}/{member}/{index}", "speaker": speaker, "member": member, "seconds": float(seconds)}
            for speaker, member, durations in rows
            for index, seconds in enumerate(durations)
        ]
    )


def random_corpus(seed: int, n_speakers: int = 20, n_clips: int = 10, longer: float = 0.3) -> pd.DataFrame:
    """Draw log durations, those of members longer by `longer`.

    Names of speakers do not reveal membership.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for index, number in enumerate(rng.permutation(2 * n_speakers)):
        member = index < n_speakers
        logs = rng.normal(longer * member, 0.3, n_clips)
        rows.append((f"{number:03d}", "1" if member else "0", list(np.exp(logs))))
    return corpus(*rows)


def matched(table: pd.DataFrame, settings: Matching, level="utterance", copies: dict[str, str] = {}, **options):  # noqa: B006
    contents = {name: f"content of {copies.get(name, name)}" for name in table["id"]}
    return match_recordings(
        table, dict(zip(table["id"], table["seconds"], strict=True)), contents, settings, level, **options
    )


def members_and_nonmembers(matching: MatchedRecordings) -> tuple[pd.DataFrame, pd.DataFrame]:
    kept = matching.rows[matching.rows["reason"] == ""]
    return kept[kept["member"] == "1"], kept[kept["member"] == "0"]


@pytest.mark.parametrize("settings", DURATIONS)
@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_classes_with_equal_durations_are_kept_completely(settings: Matching, level: str) -> None:
    durations = {"a": [1, 2.2, 3.1], "b": [1.4, 1.4, 5], "c": [0.7, 2.5, 9], "d": [2.9, 3.5, 4.4]}
    rows = [
        (f"{prefix}{name}", value, d) for name, d in durations.items() for prefix, value in (("m", "1"), ("n", "0"))
    ]
    assert matched(corpus(*rows), settings, level).discarded.empty


@pytest.mark.parametrize("settings", DURATIONS)
def test_recordings_of_one_length(settings: Matching) -> None:
    table = corpus(*((f"s{number}", str(int(number < 30)), [1.0] * 5) for number in range(34)))
    members, nonmembers = members_and_nonmembers(matched(table, settings))
    assert len(nonmembers) == 20  # of 20: the far smaller class is kept completely
    assert len(members) == (20 if settings.duration == "nearest" else 150)
    assert members["speaker"].nunique() > 10  # chosen at random, not the first ones


@pytest.mark.parametrize("settings", DURATIONS)
def test_pooled_durations_agree_afterwards(settings: Matching) -> None:
    table = random_corpus(0, n_speakers=40)
    members, nonmembers = members_and_nonmembers(matched(table, settings))
    quantiles = np.linspace(0.05, 0.95, 19)
    before = [table["seconds"][table["member"] == value].quantile(quantiles) for value in "10"]
    after = [recordings["seconds"].quantile(quantiles) for recordings in (members, nonmembers)]
    assert np.log(before[0] / before[1]).abs().min() > 0.15
    assert np.log(after[0] / after[1]).abs().max() < 0.03
    assert min(len(members), len(nonmembers)) > 200  # of 400


@pytest.mark.parametrize("duration", ["nearest", "histogram"])
@pytest.mark.parametrize("per_speaker", [False, True])
def test_speakers_are_matched_in_pairs(duration: str, per_speaker: bool) -> None:
    table = random_corpus(1, n_speakers=30)
    settings = Matching(duration=duration, utterances_per_speaker=per_speaker)  # type: ignore[arg-type]
    members, nonmembers = (
        recordings.groupby("speaker")["seconds"]
        for recordings in members_and_nonmembers(matched(table, settings, "speaker"))
    )
    assert members.size().min() >= 2
    assert len(members) == len(nonmembers) > 20
    if per_speaker:
        assert members.size().nunique() == nonmembers.size().nunique() == 1
    # Recordings of a pair have similar durations, and so the mean log durations of all speakers agree.
    means = [np.sort(durations.apply(lambda seconds: np.log(seconds).mean())) for durations in (members, nonmembers)]
    assert np.abs(means[0] - means[1]).max() < 0.06


def test_speakers_with_both_labels_are_paired_with_themselves() -> None:
    rows = [
        (name, value, [length, 1.1 * length, 3 * length])
        for name, length in zip("abcd", (1, 2, 4, 8), strict=True)
        for value in "10"
    ]
    table = corpus(*rows, ("long", "1", [50, 51]))
    matching = matched(table, Matching(duration="nearest", utterances_per_speaker=True))
    assert set(matching.discarded["speaker"]) == {"long"}
    assert set(matching.discarded["reason"]) == {"no speaker is left to be paired with"}


@pytest.mark.parametrize("settings", DURATIONS)
def test_held_back_recordings_are_matched_with_the_same_nonmembers(settings: Matching) -> None:
    rng = np.random.default_rng(2)
    rows = []
    for number in range(12):
        rows += [
            (f"m{number}", "1", list(rng.uniform(1.5, 3, 12))),
            (f"m{number}", "held_back", list(rng.uniform(1, 2.5, 12))),
        ]
        rows += [(f"n{number}", "0", list(rng.uniform(1, 3, 12)))]
    table = corpus(*rows, ("unpaired", "1", [2, 2, 2]))
    matching = matched(table, settings, "speaker")
    kept = matching.rows[matching.rows["reason"] == ""]
    counts = kept.groupby(["speaker", "member"]).size()
    class_sizes = [sorted(counts.xs(value, level="member")) for value in ("1", "held_back", "0")]
    assert class_sizes[0] == class_sizes[1] == class_sizes[2]
    assert min(class_sizes[0]) >= 2
    assert "unpaired" not in kept["speaker"].to_list()  # has no held-back recordings
    means = kept.groupby("member")["seconds"].mean()
    assert means.max() / means.min() < 1.04
    split = predefined(table[table["id"].isin(matching.kept)], {name: name for name in matching.kept}, "speaker")
    assert split.parts("speaker") == ("held_back", "trained")


def test_held_back_recordings_are_discarded_at_utterance_level() -> None:
    table = corpus(
        ("a", "1", [1, 2]), ("b", "1", [3, 4]), ("a", "held_back", [1, 2]), ("c", "0", [1, 2]), ("d", "0", [3, 4])
    )
    matching = matched(table, Matching(duration="nearest"))
    assert matching.discarded["id"].tolist() == ["a/held_back/0", "a/held_back/1"]
    assert "not evaluated at utterance level" in matching.discarded["reason"][0]


def test_equally_many_recordings_of_every_speaker() -> None:
    sizes = {"1": [2, *range(10, 20)], "0": range(5, 15)}
    rows = [(f"{value}{n:02d}", value, [1.0 + n] * n) for value, numbers in sizes.items() for n in numbers]
    matching = matched(corpus(*rows, ("x", "", [1.0] * 30)), Matching(utterances_per_speaker=True))
    members, nonmembers = members_and_nonmembers(matching)
    assert members.groupby("speaker").size().tolist() == [6] * 10  # nine of ten non-members have 6 or more
    assert nonmembers.groupby("speaker").size().tolist() == [6] * 9
    assert matching.discarded["reason"].value_counts().to_dict() == {
        "equally many recordings of every speaker are kept": sum(range(10, 20)) + sum(range(6, 15)) - 19 * 6,
        "too few recordings are left of the speaker": 2 + 5,
    }


def test_auxiliary_recordings_are_kept_and_copies_follow_the_first() -> None:
    table = corpus(("a", "1", [1, 2, 3, 4, 9, 9]), ("b", "0", [1, 2, 3, 4]), ("x", "", [70, 80]))
    matching = matched(table, Matching(duration="nearest"), copies={"a/1/5": "a/1/4"})
    assert matching.discarded["id"].tolist() == ["a/1/4", "a/1/5"]
    table["seconds"] = table["seconds"].replace(9, 1)
    matching = matched(table, Matching(duration="nearest"), copies={"a/1/5": "a/1/0", "a/1/4": "a/1/0"})
    assert matching.discarded.empty  # three copies of one recording need one partner


@pytest.mark.parametrize("settings", [*DURATIONS, Matching(utterances_per_speaker=True)])
def test_the_choice_depends_on_seed_and_ids_alone(settings: Matching) -> None:
    table = random_corpus(3, n_clips=6).assign(seconds=lambda rows: rows["seconds"].round(1))
    table = table.drop(index=range(0, 200, 7))
    kept = set(matched(table, settings).kept)
    assert set(matched(table.sample(frac=1, random_state=0), settings).kept) == kept
    other_seed = Matching(settings.duration, utterances_per_speaker=settings.utterances_per_speaker, seed=1)
    assert set(matched(table, other_seed).kept) != kept


@pytest.mark.parametrize("settings", DURATIONS)
@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_siblings_are_matched_with_the_kept_members_and_change_nothing_else(settings: Matching, level: str) -> None:
    table = random_corpus(0, n_speakers=30)
    rng = np.random.default_rng(1)
    siblings = corpus(*((f"s{i}", "sibling", list(np.exp(rng.normal(0.3, 0.3, 20)))) for i in range(10)))
    without = matched(table, settings, level)
    rows = matched(pd.concat([table, siblings], ignore_index=True), settings, level).rows
    pd.testing.assert_frame_equal(rows[rows["member"] != "sibling"], without.rows)
    kept = rows[rows["reason"] == ""]
    log_seconds = {kind: np.log(kept["seconds"][kept["member"] == kind]) for kind in ("1", "sibling")}
    assert len(log_seconds["sibling"]) > 60
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):  # before matching they differ by .15 and more
        assert abs(np.quantile(log_seconds["sibling"], share) - np.quantile(log_seconds["1"], share)) < 0.05


def test_siblings_are_counted_and_at_least_four_are_needed() -> None:
    table = corpus(("a", "1", [1, 2, 3, 4]), ("b", "0", [1, 2, 3, 4]), ("s", "sibling", [1, 2, 3, 4, 99]))
    matching = matched(table, Matching(duration="nearest"))
    assert matching.discarded[["id", "reason"]].to_numpy().tolist() == [
        ["s/sibling/4", "the durations of siblings follow those of the kept members"]
    ]
    assert "4 of 5 sibling recordings (1 of 1 speakers" in matching.notes("nearest")[0]
    with pytest.raises(InputError, match="Matching keeps 1 of 5 siblings, but a sibling control needs at least 4; "):
        matched(table.assign(seconds=table["seconds"].where(table["id"] != "s/sibling/0", 99)), Matching("nearest"))


def test_equally_many_siblings_of_every_speaker() -> None:
    classes = [(name, "1" if name < "e" else "0", [1.0] * 3) for name in "abcdefgh"]
    table = corpus(*classes, ("s", "sibling", [1.0] * 9), ("t", "sibling", [1.0] * 2))
    kept = matched(table, Matching(utterances_per_speaker=True)).rows.query("reason == ''")
    assert kept["speaker"].value_counts().to_dict() == {**dict.fromkeys("abcdefghs", 3), "t": 2}


def test_unfit_recordings_are_not_paired() -> None:
    table = corpus(("a", "1", [1, 2, 3, 4, 5]), ("b", "0", [1, 2, 3, 4, 5]))
    matching = matched(table, Matching(duration="nearest"), unfit={"b/0/2": "too short"})
    assert dict(zip(matching.discarded["id"], matching.discarded["reason"], strict=True)) == {
        "a/1/2": "no recording of similar duration is left to be paired with",
        "b/0/2": "too short",
    }


def test_too_few_matches_are_rejected_with_numbers_and_remedy() -> None:
    table = corpus(("a", "1", [4, 5, 6, 7]), ("b", "1", [8, 9]), ("c", "0", [1, 2, 3]), ("d", "0", [1, 4, 5, 6]))
    with pytest.raises(InputError) as error:
        matched(table, Matching(duration="nearest"))
    assert str(error.value) == (
        "Matching keeps 3 of 6 member and 3 of 7 non-member recordings, but at least 4 of each are needed (nine in "
        "ten member recordings last 4.25 to 8.75 s, non-member recordings 1.00 to 5.70 s); raise matching.tolerance, "
        "or crop instead, or add recordings"
    )
    with pytest.raises(InputError, match="keeps 2 of 2 member and 2 of 2 non-member speakers, but at least 4 of each"):
        matched(
            corpus(*((name, value, [1.0] * 9) for name, value in zip("abcd", "1100", strict=True))),
            Matching("nearest"),
            "speaker",
        )
    with pytest.raises(InputError, match=r"keeps 0 of 6 .* recordings.* lower matching.crop_seconds"):
        matched(table, Matching(crop_seconds=20), unfit=dict.fromkeys(table["id"], "too short"))
    with pytest.raises(
        InputError, match=r"keeps 0 of 0 member and 4 of 4 non-member .* member recordings last nothing"
    ):
        matched(table[table["speaker"] == "d"], Matching(duration="nearest"))


def test_notes_count_what_was_kept_and_discarded() -> None:
    table = corpus(("a", "1", [1, 2, 3, 4, 600]), ("b", "0", [1, 2, 3, 4]), ("x", "", [5]))
    kept, discarded = matched(table, Matching(duration="nearest")).notes("so")
    assert kept == (
        "Matching (so) kept 4 of 5 member recordings (1 of 1 speakers, 10 s of 10 min, median 2.50 s instead of "
        "3.00 s); 4 of 4 non-member recordings (1 of 1 speakers, 10 s of 10 s, median 2.50 s instead of 2.50 s); 1 "
        "of 1 auxiliary recordings (1 of 1 speakers, 5 s of 5 s, median 5.00 s instead of 5.00 s)."
    )
    reason = "1 because no recording of similar duration is left to be paired with"
    assert discarded == f"Discarded by matching: 1 member recordings (10 min): {reason}."
    complete = matched(table[table["seconds"] < 600], Matching(duration="nearest")).notes("so")
    assert complete[1] == "Discarded by matching: nothing."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0}, "matching.tolerance is 0: give a share of the duration"),
        ({"tolerance": 5}, "matching.tolerance is 5"),
        ({"tolerance": float("nan")}, "matching.tolerance is nan"),
        ({"crop_seconds": 0.05}, "matching.crop_seconds is 0.05: give 0.1 seconds or more"),
        ({"crop_seconds": float("inf")}, "matching.crop_seconds is inf"),
    ],
)
def test_invalid_settings_are_rejected(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Matching(**options)


def blind_p_value(seed: int, settings: Matching | None, level: str) -> float:
    """Compute the blind baseline's p-value if only durations differ.

    Half of the statistics reflect them.
    """
    table = random_corpus(seed)
    rng = np.random.default_rng(1000 + seed)
    voices = rng.normal(size=(40, 8))[table["speaker"].astype(int)]
    statistics = pd.DataFrame(rng.normal(size=(len(table), 8)) + 0.5 * voices, index=table["id"])
    statistics.iloc[:, :4] += np.log(table["seconds"].to_numpy())[:, None]
    statistics["duration_s"] = table["seconds"].to_numpy()
    if settings:
        table = table[table["id"].isin(matched(table, settings, level).kept)]
    split = predefined(table, {name: name for name in table["id"]}, level)  # type: ignore[arg-type]
    challenge = split.challenge(level)  # type: ignore[arg-type]
    redraws = split.redraw(list(challenge["unit_id"].unique()), level, 99, seed)
    return fit_blind_baseline(statistics, challenge, redraws, level).p_value


@pytest.mark.slow
@pytest.mark.parametrize("settings", DURATIONS)
@pytest.mark.parametrize("level", ["utterance", "speaker"])
def test_the_blind_baseline_is_at_chance_after_matching(settings: Matching, level: str) -> None:
    assert max(blind_p_value(seed, None, level) for seed in range(5)) < 0.05
    p_values = np.array([blind_p_value(seed, settings, level) for seed in range(60)])
    assert (p_values < 0.05).sum() <= 7  # uniform p-values exceed 7 of 60 in 1 of 80 cases; these are a bit larger
    assert 0.35 < p_values.mean() < 0.75
    assert (p_values < 0.5).sum() >= 17
