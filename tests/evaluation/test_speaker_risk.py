import numpy as np
import pytest

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.speaker_risk import speaker_risks


def scores_of(values: np.ndarray, members: np.ndarray, speakers: np.ndarray, **changes) -> Scores:
    units = np.arange(len(values)).astype(str)
    given = {"level": "utterance", "two_sided": False, **changes}
    return Scores("a", given["level"], "grey-box", given["two_sided"], units, speakers, members, values)


def planted(shift: float, offset: float, n_speakers: int = 12, n_clips: int = 10, seed: int = 0, **changes) -> Scores:
    """Speakers with half of their clips members; `s00` alone leaks, `s01` alone has a voice that scores high."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(n_speakers), 2 * n_clips)
    members = np.tile(np.arange(2 * n_clips) < n_clips, n_speakers)
    values = rng.normal(size=len(speaker)) + shift * (members & (speaker == 0)) + offset * (speaker == 1)
    return scores_of(values, members, np.array([f"s{number:02d}" for number in speaker]), **changes)


def test_the_speaker_whose_members_leak_is_found_and_the_high_voice_is_not() -> None:
    found = {one.speaker: one for one in speaker_risks(planted(4.0, 4.0)).speakers}
    assert found["s00"].p_value_corrected < 0.01
    assert found["s01"].auroc > 0.9, "its members score above nearly everybody's non-members"
    assert found["s01"].auroc_own == pytest.approx(0.5, abs=0.3), "and so do its non-members"
    assert found["s01"].p_value_corrected > 0.05
    assert all(one.p_value_corrected > 0.05 for name, one in found.items() if name != "s00")


def test_figures_equal_those_of_counting() -> None:
    scores = planted(1.0, 0.5)
    risks = speaker_risks(scores, fpr=0.1)
    threshold = np.sort(scores.values[~scores.members])[-12]  # 12 of 120 non-members reach it
    for one in risks.speakers:
        own = scores.values[scores.members & (scores.speakers == one.speaker)]
        others = scores.values[~scores.members]
        assert one.auroc == pytest.approx((own[:, None] > others).mean())
        assert one.auroc_ci95[0] < one.auroc < one.auroc_ci95[1]
        assert (one.n_members, one.n_nonmembers) == (10, 10)
        assert one.n_found <= int((own >= threshold).sum())
    assert [one.auroc for one in risks.speakers] == sorted((one.auroc for one in risks.speakers), reverse=True)


def test_under_the_null_hardly_a_run_marks_anybody() -> None:
    n_marked = sum(
        any(one.p_value_corrected < 0.05 for one in speaker_risks(planted(0.0, 0.0, seed=seed)).speakers)
        for seed in range(60)
    )
    assert n_marked <= 8, "5 % of 60 are 3; more than 8 has a chance below 1 in 200"


def test_intervals_hold_the_true_figure() -> None:
    from scipy.stats import norm

    held = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        voice = rng.normal(size=12)
        speaker, members = np.repeat(np.arange(12), 20), np.tile(np.arange(20) < 10, 12)
        scores = scores_of(voice[speaker] + rng.normal(size=240) + members, members, speaker.astype(str))
        for one in speaker_risks(scores).speakers:
            low, high = one.auroc_ci95
            held.append(low <= norm.cdf((voice[int(one.speaker)] + 1) / np.sqrt(3)) <= high)
    assert 0.9 <= np.mean(held) <= 0.99


def test_too_few_recordings_have_no_figure() -> None:
    risks = speaker_risks(planted(4.0, 0.0, n_clips=4))
    assert risks.speakers == ()
    assert risks.n_too_few == 12


def test_where_no_speaker_can_stand_out_the_smallest_p_says_so() -> None:
    risks = speaker_risks(planted(9.0, 0.0, n_clips=5))
    best = risks.speakers[0]
    assert best.p_value == pytest.approx(1 / 252)
    assert best.smallest_p_corrected == pytest.approx(12 / 252) == best.p_value_corrected


def test_a_speaker_level_attack_compares_with_non_member_speakers() -> None:
    members = np.arange(40) % 2 == 0
    values = np.random.default_rng(0).normal(size=40)
    values[0] = 9.0
    names = np.array([f"s{number:02d}" for number in range(40)])
    risks = speaker_risks(scores_of(values, members, names, level="speaker"))
    best = risks.speakers[0]
    assert (best.speaker, best.auroc, best.auroc_own, best.compared_with) == ("s00", 1.0, None, "other_speakers")
    assert best.p_value == pytest.approx(1 / 21)
    assert best.p_value_corrected > 0.05, "20 member speakers are compared"
    assert best.auroc_ci95 == pytest.approx((0.8316, 1.0), abs=1e-3), "Clopper and Pearson's for 20 of 20"
    assert (risks.n_too_few, risks.n_without) == (0, 20)


def test_a_two_sided_attack_below_one_half_is_turned() -> None:
    scores = planted(-4.0, 0.0, two_sided=True)
    best = speaker_risks(scores).speakers[0]
    assert best.speaker == "s00"
    assert best.auroc > 0.9
    assert best.p_value_corrected < 0.01
