"""What a learned attack is fitted on, stopped by and applied to, with nothing of one in the other.

A unit under a shadow model is seen many times: as an example, and again wherever it calibrates another one. Whatever
stops a fit, or chooses between settings, must not meet it again. Where there are three or more complementary pairs of
shadow models, each pair is left out in turn, of the calibration of the others too: the left-out models then stand where
the target stands. With one or two pairs nothing would be left to calibrate by, and units are left out in turn instead,
under all models at once.

A signal is offered up to three times: as it is; minus its mean over the shadow models that are OUT for the unit; and
minus its mean over those that are IN. The three together let even a linear classifier weigh how much *this* unit moves
when it is trained on, as a likelihood ratio does. The models of an example's own pair are in neither mean: which of the
two is IN would tell the label.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.classifiers.examples import ShadowExamples

MIN_PAIRS_TO_LEAVE_OUT = 3
UNIT_FOLDS = 5
MIN_UNITS = 2 * UNIT_FOLDS


@dataclass(frozen=True)
class TrainingFold:
    """One way of leaving out; the f features are the same in all three tables, float32.

    Attributes:
        features: (examples, f).
        labels: (examples,) bool, IN.
        left_out: (others, f), examples that nothing of the fit may have seen.
        left_out_labels: (others,) bool.
        target: (n, f), the challenge set's units under the target.
    """

    features: np.ndarray
    labels: np.ndarray
    left_out: np.ndarray
    left_out_labels: np.ndarray
    target: np.ndarray


def training_folds(
    examples: ShadowExamples, *, calibrated: bool, most_signals: int, most_examples: int, seed: int
) -> list[TrainingFold]:
    """Make the folds, one a pair of shadow models, or 5 over units; all have equally many examples.

    Args:
        examples: not calibrated yet. A shadow model without its partner is left out.
        calibrated: whether calibrated signals are offered beside the plain ones. With a single pair they never are, and
            with a fleet that was trained on a pool there is no mean over models that are IN.
        most_signals: signals that are offered: those that differ most between IN and OUT, by the examples of the fold.
        most_examples: where there are more, units are drawn at random so that about so many are left.
        seed: of what is drawn.

    Raises:
        CannotRun: no pair of shadow models, or too few units to leave some out.
    """
    whole = _whole_pairs(examples.pairs)
    from_pool = examples.from_pool
    generator = np.random.default_rng(seed)
    units = generator.permutation(examples.features.shape[1])[: max(MIN_UNITS, most_examples // int(whole.sum()))]
    known = _Known(examples.features[whole][:, units], examples.labels[whole][:, units], examples.pairs[whole])
    labels = np.zeros(examples.challenge.shape[:2], dtype=bool) if from_pool else examples.labels
    judged = _Known(examples.challenge[whole], labels[whole], known.pairs)
    n_pairs = len(known.pairs) // 2
    sides: tuple[bool, ...] = () if n_pairs < 2 or not calibrated else (False,) if from_pool else (False, True)
    folds = _by_pairs(known) if n_pairs >= MIN_PAIRS_TO_LEAVE_OUT else _by_units(known)
    return [_fold(known, judged, examples.target, left_out, sides, most_signals) for left_out in folds]


@dataclass(frozen=True)
class _Known:
    """Signals of units under shadow models, (K, m, d); who is IN, (K, m) bool; and the pair of each model, (K,) int."""

    features: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True)
class _LeftOut:
    """Examples that are left out, (K, m) bool; and the pair that no mean is taken over, if it is by pairs."""

    examples: np.ndarray
    pair: int | None


def _whole_pairs(pairs: np.ndarray) -> np.ndarray:
    """(K,) bool: the model's partner is there."""
    numbers, counts = np.unique(pairs, return_counts=True)
    whole = np.isin(pairs, numbers[counts == 2])
    if not whole.any():
        raise CannotRun(f"it needs a complementary pair of shadow models, and there is none among {len(pairs)}")
    return whole


def _by_pairs(known: _Known) -> Iterator[_LeftOut]:
    for pair in np.unique(known.pairs).tolist():
        yield _LeftOut(np.broadcast_to(known.pairs[:, None] == pair, known.labels.shape), pair)


def _by_units(known: _Known) -> Iterator[_LeftOut]:
    """Equally many units a fold, in the order in which they were drawn; the few that are too many always learn."""
    n_units = known.labels.shape[1]
    if n_units < MIN_UNITS:
        raise CannotRun(f"it needs {MIN_UNITS} units to leave some out, and there are {n_units}")
    size = n_units // UNIT_FOLDS
    for fold in range(UNIT_FOLDS):
        own = np.zeros(n_units, dtype=bool)
        own[fold * size : (fold + 1) * size] = True
        yield _LeftOut(np.broadcast_to(own, known.labels.shape), None)


def _fold(
    known: _Known, judged: _Known, target: np.ndarray, left_out: _LeftOut, sides: tuple[bool, ...], most_signals: int
) -> TrainingFold:
    """Choose the signals by the examples that learn, and put plain and calibrated ones side by side.

    Args:
        known: units whose membership teaches.
        judged: the challenge set's units under the shadow models.
        target: (n, d), the same under the target.
        left_out: what does not learn.
        sides: OUT (False) and IN (True), whose means are subtracted.
        most_signals: number of signals.
    """
    learn = ~left_out.examples
    telling = known.features
    if sides:
        telling = telling - other_means(telling, ~known.labels, known.pairs, left_out.pair)
    effect = effects(telling[learn & known.labels], telling[learn & ~known.labels])
    kept = np.sort(np.argsort(-effect, kind="stable")[:most_signals])
    plain = known.features[..., kept]
    offered = [plain, *(plain - other_means(plain, known.labels == side, known.pairs, left_out.pair) for side in sides)]
    features = np.concatenate(offered, axis=-1, dtype=np.float32, casting="same_kind")
    others = np.ones(len(known.pairs), dtype=bool) if left_out.pair is None else known.pairs != left_out.pair
    of_target = [target[:, kept]]
    for side in sides:
        of_target.append(of_target[0] - means(judged.features[others][..., kept], judged.labels[others] == side))
    return TrainingFold(
        features=features[learn],
        labels=known.labels[learn],
        left_out=features[left_out.examples],
        left_out_labels=known.labels[left_out.examples],
        target=np.concatenate(of_target, axis=-1, dtype=np.float32, casting="same_kind"),
    )


def means(features: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Mean of every unit over the models that count for it.

    Args:
        features: (K, m, d).
        counted: (K, m) bool.

    Returns:
        (m, d); 0, the median of a standardised signal, for a unit for which no model counts.
    """
    sums = np.einsum("kmd,km->md", features, counted.astype(features.dtype))
    return sums / np.maximum(counted.sum(axis=0), 1)[:, None]


def other_means(features: np.ndarray, counted: np.ndarray, pairs: np.ndarray, without: int | None = None) -> np.ndarray:
    """For every model, the mean of every unit over the models of other pairs that count for it.

    Args:
        features: (K, m, d).
        counted: (K, m) bool.
        pairs: (K,) int.
        without: a pair that is in no mean.

    Returns:
        (K, m, d).
    """
    found = np.empty_like(features)
    for pair in np.unique(pairs):
        others = (pairs != pair) & (pairs != without)
        found[pairs == pair] = means(features[others], counted[others])
    return found


def effects(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """How far IN and OUT examples differ in every signal, in standard deviations: (a, d) and (b, d) → (d,)."""
    spread = np.sqrt((inside.var(axis=0) + outside.var(axis=0)) / 2)
    difference = np.abs(inside.mean(axis=0) - outside.mean(axis=0))
    return np.divide(difference, spread, out=np.zeros_like(difference), where=spread > 0)
