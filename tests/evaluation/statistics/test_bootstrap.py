import numpy as np
import pytest

from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers


def clips(n: int, n_speakers: int, n_values: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with ties, labels and speakers of unequal sizes."""
    generator = np.random.default_rng(seed)
    speaker = generator.integers(n_speakers, size=n)
    members = generator.random(n) < 0.5
    return generator.integers(n_values, size=n) + speaker + members, members, speaker.astype(str)


def compare(
    values: np.ndarray, members: np.ndarray, member_mask: np.ndarray, nonmember_mask: np.ndarray
) -> list[float]:
    return [
        (values[i] > values[j]) + 0.5 * (values[i] == values[j])
        for i in np.flatnonzero(members & member_mask)
        for j in np.flatnonzero(~members & nonmember_mask)
    ]


def slow_replicate(values: np.ndarray, members: np.ndarray, speaker: np.ndarray, drawn: np.ndarray) -> float:
    """Compare every pair of drawn copies, as the module describes."""
    all_units = np.ones(len(values), dtype=bool)
    overall = np.mean(compare(values, members, all_units, all_units))
    wins = pairs = 0.0
    for i, first in enumerate(drawn):
        for j, second in enumerate(drawn):
            own = compare(values, members, speaker == first, speaker == second)
            if first == second and i != j and own:
                better = compare(values, members, speaker == first, speaker != first)
                worse = compare(values, members, speaker != first, speaker == first)
                expected = sum(np.mean(part) - overall for part in (better, worse) if part) + overall
                wins += np.clip(expected, 0, 1) * len(own)
            else:
                wins += sum(own)
            pairs += len(own)
    return wins / pairs if pairs else float("nan")


@pytest.mark.parametrize(("n", "n_speakers", "n_values"), [(40, 4, 3), (40, 4, 10**9), (30, 8, 5)])
def test_replicates_equal_a_double_loop_over_drawn_speakers(n: int, n_speakers: int, n_values: int) -> None:
    values, members, speakers = clips(n, n_speakers, n_values, seed=n_speakers)
    draws = draw_speakers(speakers, members, n_bootstraps=6, seed=0)
    expected = [
        slow_replicate(values, members, draws.speaker, np.repeat(np.arange(len(row)), row.astype(int)))
        for row in draws.weights
    ]
    np.testing.assert_allclose(bootstrap_auroc(values, members, draws), expected, atol=1e-12)


@pytest.mark.parametrize("n_values", [7, 10**9])
def test_blocks_do_not_change_a_replicate(monkeypatch: pytest.MonkeyPatch, n_values: int) -> None:
    values, members, speakers = clips(50, 6, n_values, seed=1)
    draws = draw_speakers(speakers, members, 100, seed=0)
    whole = bootstrap_auroc(values, members, draws)
    monkeypatch.setattr("lightning_mia.evaluation.statistics.bootstrap.BLOCK", 4)
    np.testing.assert_array_equal(bootstrap_auroc(values, members, draws), whole)


def test_speakers_drawn_a_million_times_are_counted_without_rounding() -> None:
    drawn = [1_000_003, 5, 7, 999_983, 11, 3]
    speaker = np.arange(60) % 6
    values, members = np.random.default_rng(4).permutation(60), speaker < 3
    pairs = [(i, j) for i in np.flatnonzero(members) for j in np.flatnonzero(~members)]
    times = [drawn[speaker[i]] * drawn[speaker[j]] for i, j in pairs]  # whole numbers of any size
    wins = sum(count for count, (i, j) in zip(times, pairs, strict=True) if values[i] > values[j])
    draws = SpeakerDraws(speaker, np.array([drawn], dtype=np.int32), 4)
    assert bootstrap_auroc(values, members, draws).tolist() == [wins / sum(times)]


def test_one_speaker_fewer_than_all_is_drawn() -> None:
    _, members, speakers = clips(60, 6, 7, seed=2)
    draws = draw_speakers(speakers, members, 50, seed=0)
    assert (draws.weights.sum(axis=1) == 5).all()
    assert draws.degrees_of_freedom == 5


def test_member_and_non_member_speakers_are_drawn_separately() -> None:
    speakers = np.repeat([f"s{number}" for number in range(9)], 3)
    members = np.repeat(np.arange(9) < 4, 3)
    draws = draw_speakers(speakers, members, 50, seed=0)
    assert (draws.weights[:, :4].sum(axis=1) == 3).all()
    assert (draws.weights[:, 4:].sum(axis=1) == 4).all()
    assert draws.degrees_of_freedom == pytest.approx((1 / 4 + 1 / 5) ** 2 / (1 / 16 / 3 + 1 / 25 / 4))


def test_few_speakers_on_one_side_leave_few_degrees_of_freedom() -> None:
    def freedom(n_members: int, n_nonmembers: int) -> float:
        speakers = np.arange(n_members + n_nonmembers)
        return draw_speakers(speakers.astype(str), speakers < n_members, 2, seed=0).degrees_of_freedom

    assert freedom(10, 10) == pytest.approx(18)
    assert freedom(3, 20) == pytest.approx(freedom(20, 3))
    assert 2 < freedom(3, 20) < 3
    assert freedom(1, 20) == 0


def test_a_replicate_without_non_members_is_nan() -> None:
    draws = SpeakerDraws(np.array([0, 0, 1]), np.array([[0, 1], [1, 1]], dtype=np.int32), 1)
    replicates = bootstrap_auroc(np.array([0.0, 1.0, 2.0]), np.array([False, True, True]), draws)
    assert np.isnan(replicates[0])
    assert replicates[1] == 1.0


@pytest.mark.parametrize("speaker_effect", [0.0, 1.0])
def test_the_spread_of_replicates_is_the_standard_error(speaker_effect: float) -> None:
    generator = np.random.default_rng(3)
    n_speakers, n_clips = 10, 20
    speaker = np.repeat(np.arange(n_speakers), n_clips)
    half = np.tile(np.arange(n_clips) < n_clips // 2, (n_speakers, 1))
    observed, spreads = [], []
    for seed in range(250):
        members = generator.permuted(half, axis=1).ravel()
        values = speaker_effect * generator.normal(size=n_speakers)[speaker] + generator.normal(size=len(speaker))
        draws = draw_speakers(speaker.astype(str), members, 200, seed)
        spreads.append(bootstrap_auroc(values, members, draws).std())
        wins = values[members][:, None] > values[~members]
        observed.append(wins.mean())
    assert np.sqrt(np.mean(np.square(spreads))) == pytest.approx(np.std(observed), rel=0.12)
