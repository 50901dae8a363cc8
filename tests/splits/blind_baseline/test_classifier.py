import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, rankdata

from lightning_mia.evaluation.statistics.permutation import corrected_p_values
from lightning_mia.evaluation.statistics.roc import aurocs_and_advantages
from lightning_mia.splits.blind_baseline.classifier import (
    fit_blind_baseline,
    fit_blind_baselines,
    standardised_ranks,
    unit_statistics,
)
from lightning_mia.splits.blind_baseline.cross_fit import CONTRAST, N_FOLDS, CrossFit, speaker_folds
from lightning_mia.splits.blind_baseline.own_directions import OwnDirections
from lightning_mia.splits.blind_baseline.within_speakers import centred_by_speaker, divided_speakers
from lightning_mia.utilities.errors import InputError


def within_speakers(speakers: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Make half of each speaker's units members, (n, units)."""
    labels = np.zeros((n, len(speakers)), bool)
    for speaker in np.unique(speakers):
        own_units = np.flatnonzero(speakers == speaker)
        labels[:, own_units] = rng.permuted(np.tile(np.arange(len(own_units)) % 2 == 0, (n, 1)), axis=1)
    return labels


def by_speaker(speakers: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Make half of the speakers members, (n, units)."""
    names, unit_speakers = np.unique(speakers, return_inverse=True)
    return rng.permuted(np.tile(np.arange(len(names)) % 2 == 0, (n, 1)), axis=1)[:, unit_speakers]


def noise_features(
    speakers: np.ndarray, rng: np.random.Generator, n_statistics: int = 30, speaker_effect: float = 1.0
) -> np.ndarray:
    """Draw correlated statistics with speaker effects, (units, n_statistics)."""
    names, unit_speakers = np.unique(speakers, return_inverse=True)
    mixing = rng.standard_normal((n_statistics, n_statistics)) * 0.3 + np.eye(n_statistics)
    voices = speaker_effect * rng.standard_normal((len(names), n_statistics))
    return (voices[unit_speakers] + rng.standard_normal((len(speakers), n_statistics))) @ mixing


def make_challenge(speakers: np.ndarray, members: np.ndarray) -> pd.DataFrame:
    ids = [f"u{number}" for number in range(len(speakers))]
    return pd.DataFrame({"id": ids, "unit_id": ids, "speaker": speakers, "member": members})


def scores(fit: CrossFit | OwnDirections, labels: np.ndarray) -> np.ndarray:
    """Fit to labels, (R, units), and score all units, (R, units)."""
    return fit.scores(labels.T.astype(np.float64)).T


def fit_baseline(features: np.ndarray, speakers: np.ndarray, labels: np.ndarray, *, within_speakers: bool = False):
    challenge = make_challenge(speakers, labels[0])
    statistics = pd.DataFrame(features, index=challenge["id"])
    within = within_speakers
    return fit_blind_baseline(
        statistics, challenge, labels[1:], "utterance", both_directions=within, within_speakers=within
    )


SPEAKERS = np.repeat([f"s{number:02d}" for number in range(12)], 10)


@pytest.mark.parametrize("design", [within_speakers, by_speaker])
def test_batched_refits_equal_single_refits(design) -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    features = standardised_ranks(noise_features(SPEAKERS, rng))
    labels = design(SPEAKERS, 5, rng)
    expected = np.empty(labels.shape)
    folds = speaker_folds(SPEAKERS)
    for row, members in enumerate(labels):
        for fold in np.unique(folds):
            X, y = features[folds != fold], members[folds != fold]
            difference = X[y].mean(axis=0) - X[~y].mean(axis=0)
            contrasted = np.sign(difference) * np.abs(difference) ** CONTRAST
            target = np.linalg.lstsq(X.T, contrasted)[0]  # so that X.T @ target is what ridge starts from
            classifier = Ridge(alpha=(X**2).sum() / X.shape[1], fit_intercept=False).fit(X, target)
            expected[row, folds == fold] = classifier.predict(features[folds == fold])
    fit = CrossFit(features, SPEAKERS)
    np.testing.assert_allclose(scores(fit, labels), expected, rtol=1e-8)
    np.testing.assert_allclose(scores(fit, labels[2:3]), expected[2:3], rtol=1e-8)


def test_scores_do_not_depend_on_the_speakers_own_labels() -> None:
    rng = np.random.default_rng(0)
    features = standardised_ranks(noise_features(SPEAKERS, rng))
    labels = within_speakers(SPEAKERS, 1, rng)[0]
    own_units = SPEAKERS == "s03"
    flipped = np.where(own_units, ~labels, labels)
    original, changed = (scores(CrossFit(features, SPEAKERS), each[None])[0] for each in (labels, flipped))
    np.testing.assert_array_equal(original[own_units], changed[own_units])
    assert not np.allclose(original[~own_units], changed[~own_units])


def test_folds_share_no_speaker_and_are_of_similar_size() -> None:
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{number}" for number in range(37)], rng.integers(1, 20, 37))
    folds = speaker_folds(rng.permutation(speakers))
    sizes = np.bincount(folds)
    assert len(sizes) == N_FOLDS
    assert sizes.max() < 1.6 * sizes.min()
    folds = speaker_folds(speakers)
    assert all(len(np.unique(folds[speakers == speaker])) == 1 for speaker in np.unique(speakers))


def test_one_speaker_is_rejected() -> None:
    with pytest.raises(InputError, match="at least two speakers"):
        speaker_folds(np.array(["a", "a"]))


def test_one_class_yields_zero_scores() -> None:
    speakers = np.array(["a", "a", "b", "b", "c", "c"])
    members = speakers == "a"  # without "a" there is no member to learn from
    fitted = scores(CrossFit(np.random.default_rng(0).standard_normal((6, 3)), speakers), members[None])[0]
    assert (fitted[members] == 0).all()
    assert (fitted[~members] != 0).all()


def test_standardised_statistics() -> None:
    rng = np.random.default_rng(0)
    statistics = np.column_stack([rng.standard_normal(50), np.full(50, 3.0), rng.integers(0, 2, 50)])
    features = standardised_ranks(statistics)
    assert features.shape == (50, 2)  # the constant one is dropped
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(features.std(axis=0), 1)
    with_outlier = statistics.copy()
    with_outlier[statistics[:, 0].argmax(), 0] = 1e9
    np.testing.assert_array_equal(standardised_ranks(with_outlier), features)


def test_constant_statistics() -> None:
    labels = within_speakers(SPEAKERS, 100, np.random.default_rng(0))
    baseline = fit_baseline(np.ones((len(SPEAKERS), 3)), SPEAKERS, labels)
    assert baseline.aurocs[0] == 0.5
    assert baseline.p_value == 1


def test_speaker_level_averages_the_recordings() -> None:
    challenge = pd.DataFrame(
        {
            "id": ["1", "2", "3", "4", "5"],
            "unit_id": ["b", "a", "b", "c", "a"],
            "speaker": ["b", "a", "b", "c", "a"],
            "member": [True, False, True, False, False],
        }
    )
    statistics = pd.DataFrame({"level": [0.0, 1.0, 2.0, 3.0, 4.0]}, index=["1", "2", "3", "4", "5"])
    units = unit_statistics(statistics, challenge)
    assert units["level"].to_dict() == {"b": 1.0, "a": 2.5, "c": 3.0}
    assert units["n_recordings"].tolist() == [2, 2, 1]
    baseline = fit_blind_baseline(statistics, challenge, np.array([[False, True, False]]), "speaker")
    assert baseline.scores.unit_ids.tolist() == ["b", "a", "c"]
    assert baseline.scores.members.tolist() == [True, False, False]
    assert baseline.scores.level == "speaker"


def test_aurocs_agree_with_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    monkeypatch.setattr("lightning_mia.splits.blind_baseline.classifier.CHUNK", 2 * len(SPEAKERS))
    rng = np.random.default_rng(0)
    features, labels = noise_features(SPEAKERS, rng), within_speakers(SPEAKERS, 6, rng)
    baseline = fit_baseline(features, SPEAKERS, labels)
    values = scores(CrossFit(standardised_ranks(features), SPEAKERS), labels)
    np.testing.assert_allclose(baseline.aurocs, [roc_auc_score(*row) for row in zip(labels, values, strict=True)])
    gains = [np.max(tpr - fpr) for fpr, tpr, _ in (roc_curve(*row) for row in zip(labels, values, strict=True))]
    np.testing.assert_allclose(baseline.redrawn_advantages, gains[1:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "n_speakers", "per_speaker"), [(within_speakers, 6, 20), (within_speakers, 20, 10), (by_speaker, 40, 1)]
)
def test_p_values_are_uniform_under_the_null(design, n_speakers: int, per_speaker: int) -> None:
    rng = np.random.default_rng(1)
    speakers = np.repeat([f"s{number:02d}" for number in range(n_speakers)], per_speaker)
    p_values, aurocs = [], []
    for _ in range(200):
        labels = design(speakers, 100, rng)
        baseline = fit_baseline(noise_features(speakers, rng, n_statistics=20), speakers, labels)
        p_values.append(baseline.p_value)
        aurocs.append(baseline.aurocs[0])
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert abs(np.mean(aurocs) - 0.5) < 4 * np.std(aurocs) / np.sqrt(len(aurocs))


def test_one_shifted_statistic_among_many_is_detected() -> None:
    rng = np.random.default_rng(2)
    speakers = np.repeat([f"s{number:02d}" for number in range(20)], 10)
    labels = within_speakers(speakers, 1001, rng)
    features = noise_features(speakers, rng, n_statistics=90, speaker_effect=0.5)
    features[:, 7] = rng.standard_normal(len(speakers)) + labels[0]  # one standard deviation
    baseline = fit_baseline(features, speakers, labels)
    assert baseline.p_value < 0.001
    rank_sum = rankdata(features[:, 7])[labels[0]].sum() - 100 * 101 / 2
    assert 0.6 < baseline.aurocs[0] < rank_sum / 100**2 + 0.1


def test_each_speakers_own_direction_is_learned() -> None:
    rng = np.random.default_rng(3)
    speakers = np.repeat([f"s{number:02d}" for number in range(12)], 40)
    labels = within_speakers(speakers, 200, rng)
    features = noise_features(speakers, rng, n_statistics=10)
    directions = rng.standard_normal((12, 10))
    features += np.repeat(directions, 40, axis=0) * labels[0][:, None]
    alone = OwnDirections(standardised_ranks(features), speakers)
    (auroc,), _ = aurocs_and_advantages(scores(alone, labels[:1]), labels[:1])
    assert auroc > 0.8
    assert 0.45 < aurocs_and_advantages(scores(alone, labels[1:]), labels[1:])[0].mean() < 0.55
    assert fit_baseline(features, speakers, labels, within_speakers=True).p_value < 0.01


def test_own_directions_against_a_plain_ridge() -> None:
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    labels = within_speakers(SPEAKERS, 1, rng)
    for n_statistics in (3, 30):  # fewer and more than a speaker's units
        features = standardised_ranks(noise_features(SPEAKERS, rng, n_statistics))
        own = SPEAKERS == "s05"
        X, y = features[own] - features[own].mean(axis=0), labels[0, own]
        fold = np.arange(10) % 5 == 2
        targets = 8 * np.where(y[~fold], 1 / y[~fold].sum(), -1 / (~y[~fold]).sum())
        gram = X[~fold] @ X[~fold].T if n_statistics >= 8 else X[~fold].T @ X[~fold]
        ridge = Ridge(alpha=np.trace(gram) / len(gram), fit_intercept=False).fit(X[~fold], targets)
        fitted = scores(OwnDirections(features, SPEAKERS), labels)[0, own]
        np.testing.assert_allclose(fitted[fold], ridge.predict(X[fold]), rtol=1e-6)


def test_changes_in_both_directions_are_detected() -> None:
    rng = np.random.default_rng(4)
    speakers = np.repeat([f"s{number:02d}" for number in range(20)], 10)
    labels = within_speakers(speakers, 500, rng)
    features = rng.standard_normal((200, 20))
    features[:, 3] *= np.where(labels[0], 3, 1)
    assert fit_baseline(features, speakers, labels).p_value > 0.05
    assert fit_baseline(features, speakers, labels, within_speakers=True).p_value < 0.01


def test_speakers_are_centred_only_if_labels_differ_within_them() -> None:
    rng = np.random.default_rng(0)
    half = np.repeat(np.arange(12) < 6, 10)
    labels = np.where(half, within_speakers(SPEAKERS, 20, rng), by_speaker(SPEAKERS, 20, rng))
    divided = divided_speakers(labels, SPEAKERS)
    np.testing.assert_array_equal(divided, half)
    np.testing.assert_array_equal(divided_speakers(labels[::-1], SPEAKERS), half)  # whichever labels were observed
    features = standardised_ranks(noise_features(SPEAKERS, rng))
    centred = centred_by_speaker(features, SPEAKERS, divided)
    np.testing.assert_allclose(centred.std(axis=0), features.std(axis=0))
    means = pd.DataFrame(centred).groupby(SPEAKERS).mean().abs().max(axis=1)
    assert (means[:6] < 1e-12).all()
    assert (means[6:] > 0.1).all()


def test_one_kind_that_gives_the_split_away_is_named_after_correction() -> None:
    rng = np.random.default_rng(0)
    labels = within_speakers(SPEAKERS, 400, rng)
    challenge = make_challenge(SPEAKERS, labels[0])
    words = pd.DataFrame({"word": labels[0] ^ (rng.random(120) < 0.2)}, index=challenge["id"], dtype=float)
    noise, fine = (pd.DataFrame(rng.standard_normal((120, 10)), index=challenge["id"]) for _ in range(2))
    statistics = {"acoustics": noise, "fine": fine, "content": words}
    fits = fit_blind_baselines(statistics, challenge, labels[1:], "utterance")
    corrected = dict(zip(fits, corrected_p_values([null for fit in fits.values() for null in fit.nulls]), strict=True))
    assert list(corrected) == ["acoustics", "within", "fine", "content"]
    assert corrected["content"] < 0.01 < 0.05 < min(corrected[kind] for kind in ("acoustics", "within", "fine"))
    assert all(corrected[kind] >= fits[kind].p_value for kind in fits)


def test_other_kinds_do_not_change_the_classifier_of_acoustics() -> None:
    rng = np.random.default_rng(0)
    labels = within_speakers(SPEAKERS, 50, rng)
    challenge = make_challenge(SPEAKERS, labels[0])
    acoustics, fine = (pd.DataFrame(rng.standard_normal((120, 10)), index=challenge["id"]) for _ in range(2))
    fits = fit_blind_baselines({"acoustics": acoustics, "fine": fine}, challenge, labels[1:], "utterance")
    alone = fit_blind_baseline(acoustics, challenge, labels[1:], "utterance")
    np.testing.assert_array_equal(fits["acoustics"].aurocs, alone.aurocs)
    np.testing.assert_array_equal(fits["acoustics"].scores.values, alone.scores.values)


def test_fine_statistics_are_heard_in_both_directions_but_compared_between_speakers() -> None:
    rng = np.random.default_rng(5)
    speakers = np.repeat([f"s{number:02d}" for number in range(40)], 5)
    labels = by_speaker(speakers, 300, rng)  # nobody has both labels
    challenge = make_challenge(speakers, labels[0])
    acoustics = pd.DataFrame(rng.standard_normal((200, 5)), index=challenge["id"])
    fine = pd.DataFrame(rng.standard_normal((200, 5)), index=challenge["id"])
    fine[2] *= np.where(labels[0], 3, 1)
    fits = fit_blind_baselines({"acoustics": acoustics, "fine": fine}, challenge, labels[1:], "utterance")
    assert fits["fine"].p_value < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("design", [within_speakers, by_speaker])
def test_corrected_p_values_are_uniform_under_the_null(design) -> None:
    rng = np.random.default_rng(1)
    speakers, p_values = np.repeat([f"s{number:02d}" for number in range(20)], 6), []
    for _ in range(150):
        labels = design(speakers, 100, rng)
        challenge = make_challenge(speakers, labels[0])
        tables = {
            "acoustics": noise_features(speakers, rng, n_statistics=12),
            "content": (rng.random((120, 8)) < 0.3).astype(float),
            "metadata": np.argsort(rng.random((120, 3)), axis=0),
        }
        statistics = {kind: pd.DataFrame(table, index=challenge["id"]) for kind, table in tables.items()}
        fits = fit_blind_baselines(statistics, challenge, labels[1:], "utterance").values()
        p_values.append(min(corrected_p_values([null for fit in fits for null in fit.nulls])))
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.05) < 0.11
