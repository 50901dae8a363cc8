from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.cpc import CPC
from lightning_mia.models.hubert import HuBERT, MelHuBERT
from lightning_mia.models.tera import TERA
from lightning_mia.models.wav2vec2 import Wav2Vec2
from lightning_mia.signals.base import Resources
from lightning_mia.signals.surrogate.fillings import Filling, ShapedNoise, Silence, SteadyTone
from lightning_mia.signals.surrogate.spans import hidden_spans
from lightning_mia.signals.surrogate.targets import AdversarysClusters, HiddenTarget, LogMelFrames
from lightning_mia.signals.surrogate_pretext import FrameGrid, SurrogateHead
from lightning_mia.utilities.errors import InputError

Speech = Callable[..., Batch]
SMALL: dict[str, Any] = {"dim": 16, "n_heads": 2, "feedforward_dim": 32}
FAMILIES: dict[str, Callable[[], SpeechModel]] = {
    "tera": partial(TERA, **SMALL),
    "mel_hubert": partial(MelHuBERT, **SMALL, n_clusters=8),
    "hubert": partial(HuBERT, **SMALL, n_clusters=8, conv_channels=8, conv_group_norm=True, pre_norm=False),
    "wav2vec2": partial(Wav2Vec2, **SMALL, conv_channels=8, n_negatives=8, codebook_size=8, code_dim=8),
    "cpc": partial(CPC, dim=16, n_negatives=8),
}


class Auxiliary:
    """The recordings of a batch, as `Recordings`."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.ids = batch, list(batch.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray, str]:
        return self.ids[index], self.batch.waveforms[index, : self.batch.lengths[index]].numpy(), ""

    @property
    def durations(self) -> np.ndarray:
        return self.batch.lengths.numpy() / 16_000


def auxiliary_of(batch: Batch) -> Recordings:
    return cast(Recordings, Auxiliary(batch))


def named(batch: Batch, prefix: str) -> Batch:
    return batch._replace(ids=[f"{prefix}{name}" for name in batch.ids])


def measure_all(
    head: SurrogateHead, model: SpeechModel, auxiliary: Batch, batches: Sequence[Batch], batch_seconds: float = 60.0
) -> Tensor:
    """(recordings, columns) float64."""
    with torch.inference_mode():
        measure = head.prepare(model, Resources(auxiliary_of(auxiliary), batch_seconds))
        parts = [measure(model, batch).scalars for batch in batches]
    return torch.cat([torch.stack(list(scalars.values()), dim=1) for scalars in parts])


def one_by_one(batch: Batch) -> list[Batch]:
    places = zip(batch.ids, batch.waveforms, batch.lengths.tolist(), strict=True)
    recordings = [(name, waveform[:length].numpy(), "") for name, waveform, length in places]
    return [collate([recording]) for recording in recordings]


def family(name: str) -> SpeechModel:
    torch.manual_seed(0)
    return FAMILIES[name]().eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    "filling", [None, SteadyTone(), ShapedNoise(), Silence()], ids=lambda sound: sound and sound.name
)
def test_neighbours_and_padding_change_nothing(name: str, filling: Filling | None, speech: Speech) -> None:
    """Nor does the size of the batches that the head is fitted on."""
    model, head = family(name), SurrogateHead(filling, every=2)
    if not head.supports(model):
        assert (name, filling) == ("cpc", None)
        return
    auxiliary, batch = named(speech(0.5, 0.9, 0.3, 0.7), "aux"), speech(1.0, 0.1, 0.43)
    together = measure_all(head, model, auxiliary, [batch])
    alone = measure_all(head, model, auxiliary, one_by_one(batch), batch_seconds=0.5)
    assert together.isfinite().all() and together.shape == (3, 1)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", [LogMelFrames(20, 0.0), AdversarysClusters(3, 0.0)], ids=lambda target: target.name)
def test_signals_equal_a_slow_version(target: HiddenTarget, speech: Speech) -> None:
    """One utterance, one draw, one frame after the other; the heads by scikit-learn and SciPy."""
    from sklearn.linear_model import Ridge

    model, auxiliary, batch = family("tera"), named(speech(0.9, 1.2, 1.1, 0.8), "aux"), speech(0.6, 0.35)
    head = SurrogateHead(None, target, every=2, rounds=2, layers=(1,), folds=2)
    signals = measure_all(head, model, auxiliary, [batch, auxiliary])[:, 0]
    targets = target.prepare([auxiliary])

    def frames(name: str, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (rows, dim) and truth (rows, numbers) of all hidden frames of all draws."""
        length = torch.tensor([len(waveform)])
        n = int(model.frame_lengths(length))
        truth = targets(waveform[None], length, n, 160)[0]
        inputs, outputs = [], []
        for draw in range(4):
            mask = hidden_spans([name], [n], 7, 2, draw, 0)
            with torch.inference_mode():
                hidden = model.encode(waveform[None], length, mask).hidden[1][0]
            inputs += [hidden[at].double() for at in range(n) if mask[0, at]]
            outputs += [truth[at].double() for at in range(n) if mask[0, at]]
        return torch.stack(inputs), torch.stack(outputs)

    def slow_signal(recording: tuple[Tensor, Tensor], others: list[tuple[Tensor, Tensor]]) -> float:
        x, y = torch.cat([x for x, _ in others]).numpy(), torch.cat([y for _, y in others]).numpy()
        if isinstance(target, LogMelFrames):
            guess = Ridge(alpha=1e-9).fit(x, y).predict(recording[0].numpy())
            return -float(np.log(np.abs(guess - recording[1].numpy()).mean()))
        labels, shares = y.argmax(axis=1), (y.sum(axis=0) + 1) / (len(y) + y.shape[1])
        centres = [x[labels == label].mean(axis=0) for label in range(y.shape[1])]
        within = np.cov((x - np.array(centres)[labels]).T, bias=True)
        distributions = [multivariate_normal(centre, within) for centre in centres]
        log_densities = [distribution.logpdf(recording[0].numpy()) for distribution in distributions]
        joint = np.stack(log_densities, axis=1) + np.log(shares)
        right = (joint - logsumexp(joint, axis=1, keepdims=True))[recording[1].numpy() == 1]
        mean = float(right.mean())
        return mean - np.log1p(-np.exp(mean))

    rows = {
        name: frames(name, recordings.waveforms[i, : recordings.lengths[i]])
        for recordings in (batch, auxiliary)
        for i, name in enumerate(recordings.ids)
    }
    by_fold = [[rows[name] for name in sorted(auxiliary.ids)[fold::2]] for fold in (0, 1)]
    for row, name in enumerate(rows):
        candidates = [slow_signal(rows[name], by_fold[1 - fold]) for fold in (0, 1)]
        if name in auxiliary.ids:  # by the head that did not see it
            assert signals[row].item() == pytest.approx(candidates[sorted(auxiliary.ids).index(name) % 2], rel=1e-3)
        else:
            signal = signals[row].item()
            assert min(abs(signal - candidate) for candidate in candidates) < 1e-3 * abs(signal)


class Repeats(TERA):
    """An encoder that remembers some utterances: its outputs are their true frames, even under a mask."""

    def remember(self, waveforms: Tensor, lengths: Tensor) -> None:
        self.known = self._frames(waveforms, lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None):  # type: ignore[no-untyped-def]
        encoded = super().encode(waveforms, lengths, masks)
        seen = self._frames(waveforms, lengths)
        for row in range(len(seen)):
            near = [(seen[row] - known[: seen.shape[1]]).abs().mean() for known in self.known]
            closest = int(torch.stack(near).argmin())
            if near[closest] < 0.6:
                encoded.hidden[-1][row, :, :16] = self.known[closest][: seen.shape[1], :16]
        return encoded


def test_memorised_frames_raise_the_signal(speech: Speech) -> None:
    """For spans hidden by a mask and by a sound."""
    torch.manual_seed(0)
    model = Repeats(n_mels=16, dim=16, n_heads=2, feedforward_dim=32).eval()
    everything = speech(*[1.0] * 16)
    model.remember(everything.waveforms[:12], everything.lengths[:12])  # members, and some to fit on
    others = _rows(everything, range(8, 16))
    for filling in (None, SteadyTone()):
        head = SurrogateHead(filling, LogMelFrames(16), every=3)
        scores = measure_all(
            head, model, named(others, "x"), [_rows(everything, range(0, 4)), _rows(everything, range(12, 16))]
        )
        assert scores[:4].min() > scores[4:].max()


def _rows(batch: Batch, rows: range) -> Batch:
    places = list(rows)
    return Batch([batch.ids[i] for i in places], batch.waveforms[places], batch.lengths[places])


def test_too_few_auxiliary_recordings_give_no_columns(speech: Speech, tera: SpeechModel) -> None:
    batch = speech(0.5)
    measure = SurrogateHead().prepare(tera, Resources(auxiliary_of(batch)))
    assert measure(tera, batch).scalars == {}


def test_column_names_differ_between_settings(speech: Speech, tera: SpeechModel) -> None:
    heads = [
        SurrogateHead(),
        SurrogateHead(None),
        SurrogateHead(Silence()),
        SurrogateHead(SteadyTone(gain=1.0)),
        SurrogateHead(target=AdversarysClusters()),
        SurrogateHead(every=4),
        SurrogateHead(target=LogMelFrames(ridge=1.0)),
    ]
    assert len({head.prefix for head in heads}) == len(heads)
    assert SurrogateHead().prefix == SurrogateHead().prefix
    batch = speech(0.5, 0.4)
    scalars = SurrogateHead(layers=(1, -1)).prepare(tera, Resources(auxiliary_of(batch)))(tera, batch).scalars
    assert [name.rsplit("_", 1)[1] for name in scalars] == ["layer0", "layer1"]
    assert all(name.startswith("surrogate_head_") for name in scalars)


@pytest.mark.parametrize(
    ("name", "stride", "field"),
    [("tera", 160, 400), ("mel_hubert", 320, 560), ("hubert", 320, 400), ("wav2vec2", 320, 400)],
)
def test_the_frame_grid_is_inferred_from_frame_counts(name: str, stride: int, field: int) -> None:
    assert FrameGrid.from_model(family(name)) == FrameGrid(stride, field)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 1}, "SurrogateHead.every is 1: give 2 to 10,000"),
        ({"rounds": 0}, "SurrogateHead.rounds is 0: give 1 to 10,000"),
        ({"folds": 1}, "SurrogateHead.folds is 1: give 2 to 1,000"),
        ({"layers": ()}, "layers of SurrogateHead is empty"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SurrogateHead(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("target", "name"), [(LogMelFrames, "ridge"), (AdversarysClusters, "shrinkage")])
def test_a_negative_strength_is_refused(target: Callable[..., HiddenTarget], name: str) -> None:
    with pytest.raises(InputError, match=rf"\.{name} is -1\.0: give 0 to 1,000,000"):
        target(**{name: -1.0})
