"""EncoderMI: an encoder maps views of its training data closer together."""

import pandas as pd
import torch
from torch import Tensor, nn

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.attacks.classifiers.published import PublishedAttack, layers
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.view_consistency import ViewAgreement

REFERENCE = "Liu et al. (2021, EncoderMI), section 4"
PAIR_COLUMNS = r"views_pair\d+"


class EncoderMIT(Attack):
    """EncoderMI-T, the threshold variant.

    Score: mean of cos(v_i, v_j) over all pairs i < j of ten views. No shadow models: in the paper they only determine
    the threshold, which an AUROC does not need.

    Deviations from the paper: views of a waveform, not of an image; and two-sided, since encoders trained without view
    invariance need not map views of members closer together.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, columns=["views_pair00", "views_pair01"])
        >>> audit.auroc(EncoderMIT().score(audit.evidence))
        0.76
    """

    base_name = "encodermi_t"
    access = "black-box"
    levels = ("utterance", "speaker")
    two_sided = True
    reference = REFERENCE

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The similarities of views."""
        return (ViewAgreement(),)

    def score(self, evidence: Evidence) -> pd.Series:
        """Return the mean cosine of every unit."""
        return unit_means(evidence.target.scalars.filter(regex=f"^{PAIR_COLUMNS}$").mean(axis=1), evidence.challenge)


class EncoderMIV(PublishedAttack):
    """EncoderMI-V, the vector variant.

    Score: logit of a network with two hidden layers of 256 ReLUs on the sorted cosines of all pairs of views. See
    `PublishedAttack` for the fit.

    Args:
        calibrated: whether the cosines are also compared with those under other shadow models, unlike in the paper.
        fit: settings of the fit.

    Example:
        >>> EncoderMIV(calibrated=True).name, EncoderMIV().body(45, 45)[0]
        ('encodermi_v_calibrated', Linear(in_features=45, out_features=256, bias=True))
    """

    base_name, columns, reference = "encodermi_v", PAIR_COLUMNS, REFERENCE

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The similarities of views."""
        return (ViewAgreement(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Make a network with two hidden layers."""
        return layers(n_features, 256, 256, 1)


class EncoderMIS(PublishedAttack):
    """EncoderMI-S, the set variant.

    Score: logit of a DeepSets network (Zaheer et al. 2017), ρ(mean of φ(c)) over the set of cosines c of all pairs of
    views. See `PublishedAttack` for the fit.

    Args:
        calibrated: whether the cosines are also compared with those under other shadow models, unlike in the paper.
        fit: settings of the fit.

    Example:
        >>> EncoderMIS().name, EncoderMIS().body(45, 90).element_network[0]
        ('encodermi_s', Linear(in_features=2, out_features=32, bias=True))
    """

    base_name, columns, reference = "encodermi_s", PAIR_COLUMNS, REFERENCE
    shared_scale = True

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The similarities of views."""
        return (ViewAgreement(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Make a permutation-invariant network."""
        return DeepSets(n_columns, n_features // n_columns)


class DeepSets(nn.Module):
    """Permutation-invariant network: ρ(mean of φ over the elements).

    φ and ρ have one hidden layer each (`element_network`, `set_network`).

    Args:
        n_elements: size of the set.
        n_kinds: numbers per element, stored `n_elements` apart: the cosine, and its calibrated versions.
        width: width of the layers.
    """

    def __init__(self, n_elements: int, n_kinds: int, width: int = 32) -> None:
        super().__init__()
        self.n_elements, self.n_kinds = n_elements, n_kinds
        self.element_network, self.set_network = layers(n_kinds, width, width), layers(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (batch, n_kinds × n_elements) → (batch, 1)."""
        elements = features.view(-1, self.n_kinds, self.n_elements).transpose(1, 2)  # (batch, elements, kinds)
        return self.set_network(torch.relu(self.element_network(elements)).mean(dim=1))
