"""Training folds of learned attacks, with left-out examples.

A unit under a shadow model occurs as an example, and again in the calibration of others. Examples that stop a fit or
select a setting must occur in neither. With three or more complementary pairs of shadow models, each fold leaves out
one pair, also from the calibration: the left-out models then have the role of the target. With one or two pairs nothing
would remain to calibrate with; instead, each fold leaves out a fifth of the units, under all models at once.

Each signal gives up to three features: the signal itself, the signal minus its mean over the shadow models that are OUT
for the unit, and minus its mean over those that are IN. Together they let even a linear classifier weigh how much
*this* unit changes when it is trained on, as a likelihood ratio does. The means exclude the example's own pair, whose
membership would reveal the label.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.classifiers.examples import ShadowExamples

MAX_EXAMPLES = 40_000  # more do not help; 16 shadow models provide as many with 2500 units
MIN_PAIRS_TO_LEAVE_OUT = 3
UNIT_FOLDS = 5
MIN_UNITS = 2 * UNIT_FOLDS


@dataclass(frozen=True)
class TrainingFold:
    """Training examples, left-out examples and target of a fold.

    All have the same f features, float32.

    Attributes:
        features: (examples, f).
        labels: (examples,) bool, IN.
        left_out: (left-out examples, f), unseen by the fit.
        left_out_labels: (left-out examples,) bool.
        target: (n, f), challenge units under the target.
    """

    features: np.ndarray
    labels: np.ndarray
    left_out: np.ndarray
    left_out_labels: np.ndarray
    target: np.ndarray


def training_folds(
    examples: ShadowExamples, *, calibrated: bool, max_signals: int, seed: int, max_examples: int = MAX_EXAMPLES
) -> list[TrainingFold]:
    """Make folds over pairs of shadow models or over units.

    There is one fold per pair, or 5 over units; all have equal size.

    Args:
        examples: uncalibrated examples. Shadow models without their partner are dropped.
        calibrated: whether calibrated signals are added; not possible with a single pair. With shadow models trained on
            a pool, no model is IN for a challenge unit, so only the OUT mean is subtracted.
        max_signals: maximum number of signals, those that differ most between IN and OUT in the fold's examples.
        seed: seed of the sample of units.
        max_examples: approximate maximum; units are sampled to reach it.

    Raises:
        CannotRun: no pair of shadow models, or too few units to leave some out.
    """
    whole = _whole_pairs(examples.pairs)
    generator = np.random.default_rng(seed)
    units = generator.permutation(examples.features.shape[1])[: max(MIN_UNITS, max_examples // int(whole.sum()))]
    training = _Labelled(examples.features[whole][:, units], examples.labels[whole][:, units], examples.pairs[whole])
    labels = np.zeros(examples.challenge.shape[:2], dtype=bool) if examples.from_pool else examples.labels
    challenge = _Labelled(examples.challenge[whole], labels[whole], training.pairs)
    n_pairs = len(training.pairs) // 2
    if n_pairs < 2 or not calibrated:
        subtracted: tuple[bool, ...] = ()
    else:
        subtracted = (False,) if examples.from_pool else (False, True)
    folds = _by_pairs(training) if n_pairs >= MIN_PAIRS_TO_LEAVE_OUT else _by_units(training)
    return [_fold(training, challenge, examples.target, left_out, subtracted, max_signals) for left_out in folds]


@dataclass(frozen=True)
class _Labelled:
    """Labelled signals of units under shadow models.

    Signals (K, m, d); membership (K, m) bool; pair of each model (K,) int.
    """

    features: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True)
class _LeftOut:
    """Left-out examples (K, m) bool, and their pair, if any.

    The pair is excluded from all means.
    """

    examples: np.ndarray
    pair: int | None


def _whole_pairs(pairs: np.ndarray) -> np.ndarray:
    """Find the models whose partner is present, (K,) bool."""
    numbers, counts = np.unique(pairs, return_counts=True)
    whole = np.isin(pairs, numbers[counts == 2])
    if not whole.any():
        raise CannotRun(f"it needs a complementary pair of shadow models, and there is none among {len(pairs)}")
    return whole


def _by_pairs(training: _Labelled) -> Iterator[_LeftOut]:
    for pair in np.unique(training.pairs).tolist():
        yield _LeftOut(np.broadcast_to(training.pairs[:, None] == pair, training.labels.shape), pair)


def _by_units(training: _Labelled) -> Iterator[_LeftOut]:
    """Leave out equally many units per fold.

    A remainder is never left out.
    """
    n_units = training.labels.shape[1]
    if n_units < MIN_UNITS:
        raise CannotRun(f"it needs {MIN_UNITS} units to leave some out, and there are {n_units}")
    size = n_units // UNIT_FOLDS
    for fold in range(UNIT_FOLDS):
        left_out = np.zeros(n_units, dtype=bool)
        left_out[fold * size : (fold + 1) * size] = True
        yield _LeftOut(np.broadcast_to(left_out, training.labels.shape), None)


def _fold(
    training: _Labelled,
    challenge: _Labelled,
    target: np.ndarray,
    left_out: _LeftOut,
    subtracted: tuple[bool, ...],
    max_signals: int,
) -> TrainingFold:
    """Make one fold: select signals, and add calibrated ones.

    Args:
        training: units under shadow models.
        challenge: challenge units under shadow models.
        target: (n, d), challenge units under the target.
        left_out: examples to leave out.
        subtracted: labels, OUT (False) and IN (True), whose means are subtracted; one calibrated version for each.
        max_signals: maximum number of signals.
    """
    learning = ~left_out.examples
    ranked = training.features
    if subtracted:
        ranked = ranked - other_means(ranked, ~training.labels, training.pairs, left_out.pair)
    effect = effects(ranked[learning & training.labels], ranked[learning & ~training.labels])
    kept = np.sort(np.argsort(-effect, kind="stable")[:max_signals])
    versions = [plain := training.features[..., kept]]
    for label in subtracted:
        versions.append(plain - other_means(plain, training.labels == label, training.pairs, left_out.pair))
    features = np.concatenate(versions, axis=-1, dtype=np.float32, casting="same_kind")
    models = np.ones(len(training.pairs), dtype=bool) if left_out.pair is None else training.pairs != left_out.pair
    target_versions = [target_plain := target[:, kept]]
    for label in subtracted:
        mean = means(challenge.features[models][..., kept], challenge.labels[models] == label)
        target_versions.append(target_plain - mean)
    return TrainingFold(
        features=features[learning],
        labels=training.labels[learning],
        left_out=features[left_out.examples],
        left_out_labels=training.labels[left_out.examples],
        target=np.concatenate(target_versions, axis=-1, dtype=np.float32, casting="same_kind"),
    )


def means(features: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Average every unit over the models that count for it.

    Args:
        features: (K, m, d).
        counted: (K, m) bool.

    Returns:
        (m, d); 0, the median of a standardised signal, for a unit without such models.
    """
    sums = np.einsum("kmd,km->md", features, counted.astype(features.dtype))
    return sums / np.maximum(counted.sum(axis=0), 1)[:, None]


def other_means(
    features: np.ndarray, counted: np.ndarray, pairs: np.ndarray, excluded: int | None = None
) -> np.ndarray:
    """Average every unit over the models of other pairs.

    Args:
        features: (K, m, d).
        counted: (K, m) bool.
        pairs: (K,) int.
        excluded: pair to exclude from all means.

    Returns:
        (K, m, d).
    """
    result = np.empty_like(features)
    for pair in np.unique(pairs):
        others = (pairs != pair) & (pairs != excluded)
        result[pairs == pair] = means(features[others], counted[others])
    return result


def effects(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Compute standardised differences of IN and OUT means.

    (a, d) and (b, d) → (d,), in standard deviations.
    """
    spread = np.sqrt((inside.var(axis=0) + outside.var(axis=0)) / 2)
    difference = np.abs(inside.mean(axis=0) - outside.mean(axis=0))
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)
