"""Speakers of the synthetic voices."""

from lightning_mia.corpora.synthetic.espeak import Voice

# espeak-ng's names of English accents.
ACCENTS = (
    "gmw/en-US",
    "gmw/en",
    "gmw/en-GB-scotland",
    "gmw/en-029",
    "gmw/en-GB-x-gbclan",
    "gmw/en-US-nyc",
    "gmw/en-GB-x-rp",
    "gmw/en-GB-x-gbcwmd",
)

# Voice variants that sound human and distinct: no robots, whispers or echoes, and no Klatt variants, whose noise
# comes from the C library's random numbers. High and low voices alternate.
VARIANTS = (
    "m1", "f2", "kaukovalta", "linda", "antonio", "f1", "ed", "Andrea",
    "max", "steph2", "Gene2", "Annie", "iven2", "aunty", "michel", "f5",
    "Mike", "anika", "sandro", "grandma", "norbert", "shelby", "Jacky", "belinda",
    "Tweaky", "f3", "paul", "f4", "quincy", "Nguyen", "ian", "steph",
)  # fmt: skip

_PITCHES = (50, 66, 36, 80)  # a variant is reused with another accent, 17 to 25 % higher or lower

N_SPEAKERS = len(VARIANTS) * len(_PITCHES)
"""Number of distinct speakers."""


def speaker_voice(speaker: int) -> Voice:
    """Return the voice of speaker 0, 1, …

    >>> speaker_voice(0)
    Voice(name='gmw/en-US+m1', pitch=50, pitch_range=35, rate=155)
    """
    generation, variant = divmod(speaker, len(VARIANTS))
    accent = ACCENTS[(variant + 3 * generation) % len(ACCENTS)]
    # Multiples of the golden ratio and of the plastic ratio (Kronecker sequences) spread any number of speakers evenly.
    return Voice(
        name=f"{accent}+{VARIANTS[variant]}",
        pitch=_PITCHES[generation],
        pitch_range=35 + int(45 * (0.7549 * speaker % 1)),
        rate=155 + int(50 * (0.6180 * speaker % 1)),
    )
