"""PartCrop, with crops in time: an encoder recognises parts of what it was trained on."""

from torch import nn

from lightning_mia.attacks.classifiers.published import PublishedAttack, layers
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.crop_responses import CropResponses


class PartCrop(PublishedAttack):
    """A net with hidden layers of 512, 256 and 128 ReLUs on the sorted divergences of crops' responses.

    Published for images, with 128 crops in space; here 32 in time, of which 16 quantiles are read.

    Args:
        calibrated: see `PublishedAttack`.
        fit: see `PublishedAttack`.
    """

    stem, columns = "partcrop", r"crops_(uniform|gaussian)_\d+"
    reference = "Zhu et al. (2024, PartCrop), section 4"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Crops."""
        return (CropResponses(),)

    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Three hidden layers."""
        return layers(n_features, 512, 256, 128, 1)
