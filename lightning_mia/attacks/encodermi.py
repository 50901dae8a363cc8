"""EncoderMI: an encoder answers views of what it was trained on more alike than views of anything else."""

import pandas as pd
import torch
from torch import Tensor, nn

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.classifiers.published import PublishedAttack, layers
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.view_consistency import ViewAgreement

REFERENCE = "Liu et al. (2021, EncoderMI), section 4"
PAIRS = r"views_pair\d+"


class EncoderMIT(Attack):
    """The threshold variant: the mean cosine of all pairs of ten views. No shadow models.

    The published attack takes its threshold from a shadow model; an AUROC needs none. Encoders that were not trained to
    answer views alike need not do so for their training data either, hence two-sided.
    """

    access = "black-box"
    levels = ("utterance", "speaker")
    two_sided = True
    reference = REFERENCE

    @property
    def name(self) -> str:
        """`encodermi_t`."""
        return "encodermi_t"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Views."""
        return (ViewAgreement(),)

    def score(self, evidence: Evidence) -> pd.Series:
        """Mean cosine of every unit."""
        cosines = evidence.target.scalars.filter(regex=f"^{PAIRS}$").mean(axis=1)
        scores = evidence.challenge["id"].map(cosines)
        return scores.groupby(evidence.challenge["unit_id"].to_numpy(), sort=False).mean()


class EncoderMIV(PublishedAttack):
    """The vector variant: a net with two hidden layers of 256 ReLUs on the cosines in rising order.

    Args:
        calibrated: see `PublishedAttack`.
        fit: see `PublishedAttack`.
    """

    stem, columns, reference = "encodermi_v", PAIRS, REFERENCE

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Views."""
        return (ViewAgreement(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Two hidden layers."""
        return layers(n_features, 256, 256, 1)


class EncoderMIS(PublishedAttack):
    """The set variant: DeepSets (Zaheer et al. 2017) on the cosines, whose order does not matter.

    Args:
        calibrated: see `PublishedAttack`.
        fit: see `PublishedAttack`.
    """

    stem, columns, reference = "encodermi_s", PAIRS, REFERENCE
    one_scale = True

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Views."""
        return (ViewAgreement(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """A net for every cosine, and one on the mean of what these say."""
        return DeepSets(n_columns, n_features // n_columns)


class DeepSets(nn.Module):
    """ρ(mean of φ over the elements of a set), with one hidden layer in each net.

    Args:
        n_elements: of the set.
        n_kinds: numbers of an element; they lie n_elements apart.
        width: of the layers.
    """

    def __init__(self, n_elements: int, n_kinds: int, width: int = 32) -> None:
        super().__init__()
        self.n_elements, self.n_kinds = n_elements, n_kinds
        self.of_element, self.of_set = layers(n_kinds, width, width), layers(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, n_kinds × n_elements) → (batch, 1)."""
        elements = features.view(-1, self.n_kinds, self.n_elements).transpose(1, 2)  # (batch, elements, kinds)
        return self.of_set(torch.relu(self.of_element(elements)).mean(dim=1))
