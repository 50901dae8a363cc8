"""PartCrop: an encoder recognises parts of its training data."""

from torch import nn

from lightning_mia.attacks.classifiers.published import PublishedAttack, layers
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses


class PartCrop(PublishedAttack):
    """PartCrop attack.

    Score: logit of a network with hidden layers of 512, 256 and 128 ReLUs on the sorted divergences KL(uniform ‖ q_k)
    and KL(Gaussian ‖ q_k), with q_k the response of a recording's frames to its crop k (see `CropResponses`).

    Deviations from the paper: 32 crops in time rather than 128 in the plane of an image, and 16 quantiles rather than
    all sorted divergences. See `PublishedAttack` for the fit.

    Args:
        calibrated: whether the divergences are also compared with those under other shadow models, unlike in the paper.
        fit: settings of the fit.

    Example:
        >>> PartCrop().name, [tuple(weight.shape) for weight in PartCrop().body(32, 32).parameters()][:2]
        ('partcrop', [(512, 32), (512,)])
    """

    base_name, columns = "partcrop", r"crops_(uniform|gaussian)_\d+"
    reference = "Zhu et al. (2024, PartCrop), section 4"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The responses to crops."""
        return (CropResponses(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Make a network with three hidden layers."""
        return layers(n_features, 512, 256, 128, 1)
