"""Scores before and after further training, with stubs that train nothing."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.tera import TERA
from lightning_mia.signals.base import Resources
from lightning_mia.signals.encoder_outputs import EncoderAnswers
from lightning_mia.signals.inputs.random_masks import draw_masks_and_noise
from lightning_mia.signals.relearning import HEAD_RATE, MIN_CANDIDATES, Relearned, Relearning
from lightning_mia.signals.runner.loop import measure_batch
from lightning_mia.signals.safe_rates import RATES
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]
CANDIDATES = [f"c{number:02d}" for number in range(MIN_CANDIDATES)]
AUXILIARY = [f"x{number:02d}" for number in range(60)]
SPREAD = 0.01 * (2 / 1600) ** 0.5  # standard deviation of the mean square of the recordings


class Tones:
    """Recordings by id, as `Recordings`."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = list(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray, str]:
        rng = np.random.default_rng(list(self.ids[index].encode()))
        return self.ids[index], (0.1 * rng.standard_normal(1600)).astype(np.float32), ""

    def take(self, ids: Sequence[str]) -> "Tones":
        return Tones(ids)

    @property
    def durations(self) -> np.ndarray:
        return np.full(len(self.ids), 0.1)


def recordings(ids: Sequence[str]) -> Recordings:
    return cast(Recordings, Tones(ids))


def batch_of(ids: Sequence[str]) -> Batch:
    tones = Tones(ids)
    return collate([tones[index] for index in range(len(tones))])


class Trainings:
    """Perturbs weights instead of training; notes what was asked for.

    Args:
        diverges: whether a training at this rate diverges.
        shift: by how much training raises the score, if the model is `Scored`.
    """

    def __init__(
        self, diverges: Callable[[float], bool] = lambda _: False, shift: Callable[[float], float] = lambda _: 0.0
    ) -> None:
        self.diverges, self.shift = diverges, shift
        self.asked: list[dict[str, Any]] = []

    def __call__(self, model: SpeechModel, ids: Sequence[str], **settings: Any) -> SpeechModel | None:
        self.asked.append({"ids": list(ids), **settings})
        if settings.pop("head_only", False):
            assert isinstance(model, Headless)
            return model.with_head()
        if self.diverges(settings["learning_rate"]):
            return None
        other = copy.deepcopy(model)
        generator = torch.Generator().manual_seed(settings["seed"])
        with torch.no_grad():
            for parameter in other.parameters():
                parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
        if isinstance(other, Scored):
            other.level += self.shift(settings["learning_rate"])
        return other

    @property
    def training_sets(self) -> list[list[str]]:
        return [asked["ids"] for asked in self.asked]


class Scored(TERA):
    """A TERA whose score is its level, which training changes, plus the loudness of the recording.

    Over recordings, the score has a standard deviation of about 1.
    """

    level = 0.0

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        loudness = waveforms.square().sum(dim=1).double() / lengths
        return (self.level + (loudness - 0.01) / SPREAD).expand(masks.shape[:-1])


class Headless(Scored):
    """A `Scored` that has no head before it is fitted."""

    headless = True

    @property
    def needs_targets(self) -> bool:
        return self.headless

    @property
    def has_pretext(self) -> bool:
        return not self.headless

    def with_head(self) -> "Headless":
        other = copy.deepcopy(self)
        other.headless, other.level = False, 5.0
        other.origin = {"training": "that of the head"}
        return other


def resources(trainings: Trainings, auxiliary: Sequence[str] = (), **questions: Sequence[str]) -> Resources:
    return Resources(recordings(auxiliary), 60.0, questions or {"utterance": CANDIDATES}, trainings)


@pytest.fixture
def ours(tera: SpeechModel) -> SpeechModel:
    model = copy.deepcopy(tera)
    model.origin = {"training": "some hash"}
    return model


def scores(group: Relearning, model: SpeechModel, given: Resources, ids: Sequence[str]) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        measured = group.prepare(model, given)(model, batch_of(ids))
    return {name: values.numpy() for name, values in measured.scalars.items()}


def finite(scores: dict[str, np.ndarray]) -> list[list[bool]]:
    """Which recordings have scores, for each question."""
    columns = [np.isfinite(values).tolist() for values in scores.values()]
    assert columns[::2] == columns[1::2]  # before and after
    return columns[::2]


def test_after_is_the_mean_score_of_the_copies(ours: SpeechModel) -> None:
    group, trainings = Relearning(n_copies=3, halves=False, n_masks=4, fill_to=0), Trainings()
    before, after = scores(group, ours, resources(trainings), CANDIDATES).values()
    copies = [Trainings()(ours, CANDIDATES, **{k: v for k, v in a.items() if k != "ids"}) for a in trainings.asked]
    expected = []
    for name in CANDIDATES:  # one recording, mask and model at a time
        batch = batch_of([name])
        masks, _ = draw_masks_and_noise(ours, batch, ours.mask_span, 4, 0)
        by_model = []
        for model in [ours, *copies]:
            assert model is not None
            with torch.inference_mode():
                draws = [model.pretext_score(batch.waveforms, batch.lengths, mask) for mask in masks]
            by_model.append(float(torch.stack(draws).mean()))
        expected.append((by_model[0], np.mean(by_model[1:])))
    np.testing.assert_allclose(np.stack([before, after], axis=1), expected, atol=2e-6)
    assert np.std(before - after) > 1e-3


def answered(model: SpeechModel, given: Resources, n_masks: int, seed: int = 0) -> Resources:
    """Resources of an audit that has measured its pretext scores."""
    group = EncoderAnswers(n_masks, seed)
    with torch.inference_mode():
        answers = measure_batch(model, group.measure, batch_of(CANDIDATES))
    return replace(given, n_masks=n_masks, mask_seed=seed, answers=answers)


@pytest.mark.parametrize("n_masks", [3, 5])
def test_the_score_before_is_the_pretext_loss_of_the_audit(ours: SpeechModel, n_masks: int) -> None:
    given = answered(ours, resources(Trainings()), n_masks)
    group = Relearning(n_copies=1, fill_to=0)
    shared = scores(group, ours, given, CANDIDATES)
    apart = scores(group, ours, replace(given, answers=None), CANDIDATES)
    assert all(np.array_equal(shared[name], apart[name]) for name in apart)  # bit by bit
    assert given.answers is not None
    given.answers.scalars.loc[:] += 1.0
    assert np.allclose(scores(group, ours, given, CANDIDATES)[next(iter(apart))], next(iter(apart.values())) + 1.0)


@pytest.mark.parametrize("other", [{"n_masks": 2}, {"mask_seed": 4}])
def test_under_other_masks_the_score_before_is_measured(ours: SpeechModel, other: dict[str, int]) -> None:
    given = answered(ours, resources(Trainings()), n_masks=3)
    group = Relearning(n_copies=1, fill_to=0, **other)
    mine = scores(group, ours, given, CANDIDATES)
    apart = scores(group, ours, replace(given, answers=None), CANDIDATES)
    shared = scores(Relearning(n_copies=1, fill_to=0), ours, given, CANDIDATES)
    assert all(np.array_equal(mine[name], apart[name]) for name in apart)
    assert not np.allclose(next(iter(mine.values())), next(iter(shared.values())), atol=1e-6)


def test_queries_follow_the_masks_of_the_audit() -> None:
    assert Relearning().queries == 2 * 3 * 3 + 3 * 16
    assert Relearning(n_copies=1).queries_with(4) == 3 * 3 + 2 * 4
    assert Relearning(n_copies=1, n_masks=5).queries_with(4) == 3 * 3 + 2 * 5


def test_only_candidates_are_scored(ours: SpeechModel) -> None:
    given = resources(Trainings(), AUXILIARY)
    columns = scores(Relearning(n_masks=2), ours, given, [*CANDIDATES[:3], *AUXILIARY[:2]])
    assert finite(columns) == [[True] * 3 + [False] * 2]


def test_the_scores_of_a_recording_do_not_depend_on_its_batch(ours: SpeechModel) -> None:
    group, given = Relearning(n_masks=2), resources(Trainings())
    together = np.stack(list(scores(group, ours, given, CANDIDATES).values()), axis=1)
    alone = [[values[0] for values in scores(group, ours, given, [name]).values()] for name in CANDIDATES]
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_every_question_has_copies_of_its_own(ours: SpeechModel) -> None:
    others = [f"d{number:02d}" for number in range(30)]
    trainings = Trainings()
    given = resources(trainings, speaker_held_back=CANDIDATES, speaker_trained=others, utterance=others)
    group = Relearning(n_copies=1, halves=False, fill_to=0, n_masks=1)
    columns = scores(group, ours, given, [CANDIDATES[0], others[0]])
    questions = ("speaker_held_back", "speaker_trained", "utterance")
    assert list(columns) == [f"{column}@{name}" for name in questions for column in group.columns]
    assert finite(columns) == [[True, False], [False, True], [False, True]]
    assert trainings.training_sets == [CANDIDATES, others]  # the same candidates are trained on once


def test_copies_differ_in_their_seeds_alone(ours: SpeechModel) -> None:
    trainings = Trainings()
    Relearning(n_copies=3, halves=False, epochs=5, fill_to=0).prepare(ours, resources(trainings))
    assert trainings.training_sets == [CANDIDATES] * 3
    assert [asked["seed"] for asked in trainings.asked] == [1, 2, 3]
    rate = ours.hparams["learning_rate"]
    assert {(asked["epochs"], asked["learning_rate"]) for asked in trainings.asked} == {(5, rate)}
    assert len({asked["name"] for asked in trainings.asked}) == 3


def test_halves_are_complementary_and_drawn_for_every_pair(ours: SpeechModel) -> None:
    trainings = Trainings()
    Relearning(n_copies=4, halves=True, fill_to=0).prepare(ours, resources(trainings))
    first, second, third, fourth = map(set, trainings.training_sets)
    assert first | second == third | fourth == set(CANDIDATES)
    assert not first & second and not third & fourth and first not in (third, fourth)
    assert len(first) == len(second) == len(CANDIDATES) // 2


def test_few_candidates_are_joined_by_auxiliary_recordings(ours: SpeechModel) -> None:
    trainings = Trainings()
    Relearning(n_copies=1, halves=False, fill_to=50).prepare(ours, resources(trainings, AUXILIARY))
    (trained,) = trainings.training_sets
    assert len(trained) == 50 and set(CANDIDATES) < set(trained) < {*CANDIDATES, *AUXILIARY}


def test_auxiliary_recordings_are_scored_if_all_are_trained_on(ours: SpeechModel) -> None:
    trainings = Trainings()
    group = Relearning(n_copies=1, halves=False, with_auxiliary=True, n_masks=1)
    columns = scores(group, ours, resources(trainings, AUXILIARY), [CANDIDATES[0], *AUXILIARY[:3]])
    assert set(trainings.training_sets[0]) == {*CANDIDATES, *AUXILIARY}
    assert finite(columns) == [[True] * 4]


def test_a_few_candidates_without_auxiliary_recordings_are_too_few(ours: SpeechModel) -> None:
    trainings = Trainings()
    assert scores(Relearning(), ours, resources(trainings, utterance=CANDIDATES[1:]), CANDIDATES) == {}
    assert not trainings.asked


def test_nothing_is_measured_where_nothing_can_be_trained(ours: SpeechModel) -> None:
    given = Resources(recordings([]), candidates={"utterance": CANDIDATES})
    assert scores(Relearning(), ours, given, CANDIDATES) == {}


def test_the_rate_is_halved_until_the_training_does_not_diverge(ours: SpeechModel) -> None:
    rate = ours.hparams["learning_rate"]
    trainings = Trainings(diverges=lambda asked: asked > 0.3 * rate)
    measure = Relearning(n_copies=2, halves=False).prepare(ours, resources(trainings))
    assert isinstance(measure, Relearned)
    assert measure.learning_rate == rate / 4
    assert [asked["learning_rate"] for asked in trainings.asked] == [rate, rate / 2, rate / 4, rate / 4]
    assert [f"halved to {rate / 2:g}" in measure.notes[0], f"halved to {rate / 4:g}" in measure.notes[1]] == [True] * 2


def test_a_model_that_diverges_at_every_rate_is_refused(ours: SpeechModel) -> None:
    with pytest.raises(InputError, match=r"diverged even at a learning rate of .*: give Relearning.learning_rate"):
        Relearning().prepare(ours, resources(Trainings(diverges=lambda _: True)))


def foreign() -> Scored:
    """A model whose training is not known."""
    return Scored(dim=16, n_heads=2, feedforward_dim=32).eval()


def test_an_unknown_rate_is_the_largest_at_which_a_held_out_score_falls_little() -> None:
    trainings = Trainings(shift=lambda rate: -1.7e3 * rate)  # by 0.17 standard deviations at 1e-4, 0.34 at 2e-4
    measure = Relearning(n_copies=1, halves=False).prepare(foreign(), resources(trainings, AUXILIARY))
    assert isinstance(measure, Relearned) and measure.learning_rate == 1e-4
    assert "learning rate of 0.0001" in measure.notes[0]
    tried = [asked["learning_rate"] for asked in trainings.asked[:-1]]
    assert len(tried) <= 4 and {1e-4, 2e-4} <= set(tried) <= set(RATES)
    assert all(set(ids) > set(CANDIDATES) and len(ids) == 20 + 30 for ids in trainings.training_sets[:-1])


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "n_tried"), [(1.0, 80), (4.0, 60), (12.0, 20), (60.0, 20)])
def test_rates_are_tried_on_four_minutes_of_audio(
    monkeypatch: pytest.MonkeyPatch, seconds: float, n_tried: int
) -> None:
    others = [f"d{number:02d}" for number in range(60)]
    trainings = Trainings()
    monkeypatch.setattr(Tones, "durations", property(lambda self: np.full(len(self.ids), seconds)))
    given = resources(trainings, AUXILIARY, utterance=[*CANDIDATES, *others])
    Relearning(n_copies=1, fill_to=0).prepare(foreign(), given)
    *tried, copy = trainings.training_sets
    assert {len(ids) for ids in tried} == {n_tried} and len(copy) == 80
    assert all(ids == tried[0] and set(ids) <= set(copy) for ids in tried)


@pytest.mark.slow
def test_a_training_that_ruins_the_model_is_repeated_at_half_the_rate(ours: SpeechModel) -> None:
    model = foreign()
    model.origin, rate = ours.origin, model.hparams["learning_rate"]
    trainings = Trainings(shift=lambda asked: -10 * asked / rate)  # in standard deviations
    measure = Relearning(n_copies=1, halves=False, fill_to=0).prepare(model, resources(trainings, AUXILIARY))
    assert isinstance(measure, Relearned) and measure.learning_rate == rate / 16
    assert "lowered the score of held-out auxiliary recordings by" in measure.notes[0]
    assert f"halved to {rate / 2:g}" in measure.notes[0]
    given = resources(Trainings(shift=lambda _: -1e9), AUXILIARY)
    with pytest.raises(InputError, match=r"lowered the score .* even at a learning rate of .*: give"):
        Relearning(n_copies=1, halves=False, fill_to=0).prepare(model, given)


def headless() -> Headless:
    """A bare encoder, whose training is not known."""
    return Headless(dim=16, n_heads=2, feedforward_dim=32).eval()


def test_a_missing_head_is_fitted_on_the_auxiliary_recordings_first() -> None:
    model, trainings = headless(), Trainings(shift=lambda _: 1.0)
    group = Relearning(n_copies=2, halves=False, fill_to=0, n_masks=2, head_epochs=7)
    assert group.supports(model)
    before, after = scores(group, model, resources(trainings, AUXILIARY), CANDIDATES).values()
    head, *tried = trainings.asked
    assert (head["epochs"], head["learning_rate"], set(head["ids"])) == (7, HEAD_RATE, set(AUXILIARY))
    # The origin of the head's training does not make the rate known.
    assert 2 < len(tried) <= 6 and all(asked["ids"] == CANDIDATES for asked in tried)
    assert {copy["learning_rate"] for copy in tried[-2:]} == {RATES[0]}
    assert before.mean() == pytest.approx(5.0, abs=0.5)  # the score with the head, and not that of the bare encoder
    np.testing.assert_allclose(after, before + 1.0)
    assert model.level == 0.0 and model.needs_targets


def test_a_head_needs_auxiliary_recordings() -> None:
    trainings = Trainings()
    group = Relearning(learning_rate=1e-3)
    assert scores(group, headless(), resources(trainings, AUXILIARY[:39]), CANDIDATES) == {}
    assert not trainings.asked


def test_without_auxiliary_recordings_an_unknown_rate_must_be_given() -> None:
    trainings = Trainings()
    assert scores(Relearning(), foreign(), resources(trainings), CANDIDATES) == {}
    Relearning(n_copies=1, halves=False, learning_rate=3e-4).prepare(foreign(), resources(trainings))
    assert [asked["learning_rate"] for asked in trainings.asked] == [3e-4]


def test_a_model_that_only_forgets_is_left_out_with_a_note() -> None:
    trainings = Trainings(shift=lambda _: -9.0)
    measure = Relearning().prepare(foreign(), resources(trainings, AUXILIARY))
    assert isinstance(measure, Relearned) and not measure.copies
    assert measure.notes[0].startswith("Relearning was omitted: at every learning rate")


def test_settings_change_the_names_of_the_columns() -> None:
    assert Relearning().columns != Relearning(epochs=9).columns != Relearning(epochs=9, seed=1).columns


def test_halves_need_an_even_number_of_copies() -> None:
    with pytest.raises(InputError, match="n_copies is 3: halves need an even number"):
        Relearning(n_copies=3, halves=True)


@pytest.mark.parametrize(
    ("option", "value"), [("n_copies", 0), ("epochs", 0), ("rate", 0.0), ("learning_rate", -1.0), ("n_masks", 0)]
)
def test_numbers_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"Relearning.{option} is {value}"):
        Relearning(**{option: value})
