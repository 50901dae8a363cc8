"""LiRA on speakers."""

from lightning_mia.attacks.lira import LiRA


class SpeakerLiRA(LiRA):
    """LiRA with a speaker as the unit: the mean of the signals of the speaker's recordings, then the ratio.

    The mean is over the same number of recordings for every speaker, and its ratio is taken at speaker level, where
    the spread between shadow models is that of means. A sum of the recordings' own ratios would grow with their number
    and count as independent what one model says of one voice.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a speaker are read too.
    """

    stem = "speaker_lira"
    levels = ("speaker",)
