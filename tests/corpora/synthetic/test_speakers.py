from collections import Counter
from pathlib import Path

import espeakng_loader

from lightning_mia.corpora.synthetic.speakers import ACCENTS, N_SPEAKERS, VARIANTS, speaker_voice


def test_at_least_a_hundred_distinct_speakers() -> None:
    assert N_SPEAKERS >= 100
    assert len({speaker_voice(k) for k in range(N_SPEAKERS)}) == N_SPEAKERS


def test_speakers_that_share_a_variant_differ_in_pitch_and_accent() -> None:
    voices = [speaker_voice(k) for k in range(N_SPEAKERS)]
    assert len({(voice.name.split("+")[1], voice.pitch) for voice in voices}) == N_SPEAKERS
    assert max(Counter(voice.name for voice in voices).values()) == 1


def test_espeak_has_every_accent_and_variant() -> None:
    # espeak-ng accepts an unknown variant silently, and all its speakers would sound the same
    data = Path(espeakng_loader.get_data_path())
    assert [accent for accent in ACCENTS if not (data / "lang" / accent).is_file()] == []
    assert [variant for variant in VARIANTS if not (data / "voices" / "!v" / variant).is_file()] == []


def test_parameters_are_in_espeaks_range() -> None:
    for voice in map(speaker_voice, range(N_SPEAKERS)):
        assert 0 <= voice.pitch <= 99
        assert 0 <= voice.pitch_range <= 99
        assert 80 <= voice.rate <= 450
