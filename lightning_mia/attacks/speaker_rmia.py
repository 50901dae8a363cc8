"""RMIA on speakers."""

from lightning_mia.attacks.rmia import RMIA


class SpeakerRMIA(RMIA):
    """RMIA with a speaker as the unit: the mean of the signals of the speaker's recordings, then the ratio.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a speaker are read too.
        gamma: γ, by how much a speaker's ratio must exceed that of an auxiliary recording.
        a: of the offline formula, 0 to 1 (published: 0.3); by default fitted on the shadow models.
    """

    stem = "speaker_rmia"
    levels = ("speaker",)
