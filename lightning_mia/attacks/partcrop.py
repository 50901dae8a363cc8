"""PartCrop: an encoder recognises parts of its training data."""

from torch import nn

from lightning_mia.attacks.classifiers.published import PublishedAttack, layers
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses


class PartCrop(PublishedAttack):
    """PartCrop attack.

    Score: logit of a network with hidden layers of 512, 256 and 128 ReLUs on the sorted divergences of the responses
    to crops from reference distributions.

    Published for images with 128 crops in space; here 32 crops in time, summarised by 16 quantiles.

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
        """Crops."""
        return (CropResponses(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Make three hidden layers."""
        return layers(n_features, 512, 256, 128, 1)
