import numpy as np
import pytest

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.speaker_risk import speaker_risks


def make_scores(values: np.ndarray, members: np.ndarray, speakers: np.ndarray, **changes) -> Scores:
    units = np.arange(len(values)).astype(str)
    options = {"level": "utterance", "two_sided": False, **changes}
    return Scores("a", options["level"], "grey-box", options["two_sided"], units, speakers, members, values)


def planted(shift: float, offset: float, n_speakers: int = 12, n_clips: int = 10, seed: int = 0, **changes) -> Scores:
    """Let `s00` leak, and `s01` score high on all clips."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(n_speakers), 2 * n_clips)
    members = np.tile(np.arange(2 * n_clips) < n_clips, n_speakers)
    values = rng.normal(size=len(speaker)) + shift * (members & (speaker == 0)) + offset * (speaker == 1)
    return make_scores(values, members, np.array([f"s{number:02d}" for number in speaker]), **changes)


def test_only_the_leaking_speaker_is_significant_not_the_high_scoring_one() -> None:
    risks = {risk.speaker: risk for risk in speaker_risks(planted(4.0, 4.0)).speakers}
    assert risks["s00"].p_value_corrected < 0.01
    assert risks["s01"].auroc > 0.9, "its members score above nearly all non-members"
    assert risks["s01"].auroc_own == pytest.approx(0.5, abs=0.3), "and so do its non-members"
    assert risks["s01"].p_value_corrected > 0.05
    assert all(risk.p_value_corrected > 0.05 for name, risk in risks.items() if name != "s00")


def test_figures_equal_direct_counts() -> None:
    scores = planted(1.0, 0.5)
    risks = speaker_risks(scores, fpr=0.1)
    threshold = np.sort(scores.values[~scores.members])[-12]  # 12 of 120 non-members reach it
    for risk in risks.speakers:
        own = scores.values[scores.members & (scores.speakers == risk.speaker)]
        others = scores.values[~scores.members]
        assert risk.auroc == pytest.approx((own[:, None] > others).mean())
        assert risk.auroc_ci95[0] < risk.auroc < risk.auroc_ci95[1]
        assert (risk.n_members, risk.n_nonmembers) == (10, 10)
        assert risk.n_found <= int((own >= threshold).sum())
    assert [risk.auroc for risk in risks.speakers] == sorted((risk.auroc for risk in risks.speakers), reverse=True)


def test_few_runs_without_a_leak_have_a_significant_speaker() -> None:
    n_significant = sum(
        any(risk.p_value_corrected < 0.05 for risk in speaker_risks(planted(0.0, 0.0, seed=seed)).speakers)
        for seed in range(60)
    )
    assert n_significant <= 8, "5 % of 60 are 3; more than 8 has a chance below 1 in 200"


def test_intervals_cover_the_true_auroc() -> None:
    from scipy.stats import norm

    covered = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        voice = rng.normal(size=12)
        speaker, members = np.repeat(np.arange(12), 20), np.tile(np.arange(20) < 10, 12)
        scores = make_scores(voice[speaker] + rng.normal(size=240) + members, members, speaker.astype(str))
        for risk in speaker_risks(scores).speakers:
            low, high = risk.auroc_ci95
            covered.append(low <= norm.cdf((voice[int(risk.speaker)] + 1) / np.sqrt(3)) <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_too_few_recordings_have_no_auroc() -> None:
    risks = speaker_risks(planted(4.0, 0.0, n_clips=4))
    assert risks.speakers == ()
    assert risks.n_too_few == 12


def test_the_smallest_p_reveals_that_no_speaker_can_be_significant() -> None:
    risks = speaker_risks(planted(9.0, 0.0, n_clips=5))
    best = risks.speakers[0]
    assert best.p_value == pytest.approx(1 / 252)
    assert best.smallest_p_corrected == pytest.approx(12 / 252) == best.p_value_corrected


def test_a_speaker_level_attack_compares_with_non_member_speakers() -> None:
    members = np.arange(40) % 2 == 0
    values = np.random.default_rng(0).normal(size=40)
    values[0] = 9.0
    names = np.array([f"s{number:02d}" for number in range(40)])
    risks = speaker_risks(make_scores(values, members, names, level="speaker"))
    best = risks.speakers[0]
    assert (best.speaker, best.auroc, best.auroc_own, best.compared_with) == ("s00", 1.0, None, "other_speakers")
    assert best.p_value == pytest.approx(1 / 21)
    assert best.p_value_corrected > 0.05, "20 member speakers are compared"
    assert best.auroc_ci95 == pytest.approx((0.8316, 1.0), abs=1e-3), "Clopper and Pearson's for 20 of 20"
    assert (risks.n_too_few, risks.n_without) == (0, 20)


def test_a_two_sided_attack_below_chance_is_flipped() -> None:
    scores = planted(-4.0, 0.0, two_sided=True)
    best = speaker_risks(scores).speakers[0]
    assert best.speaker == "s00"
    assert best.auroc > 0.9
    assert best.p_value_corrected < 0.01
