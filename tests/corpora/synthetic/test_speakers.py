from collections import Counter
from pathlib import Path

import espeakng_loader

from lightning_mia.corpora.synthetic.speakers import ACCENTS, N_SPEAKERS, VARIANTS, voice_of


def test_at_least_a_hundred_people_none_twice() -> None:
    assert N_SPEAKERS >= 100
    assert len({voice_of(k) for k in range(N_SPEAKERS)}) == N_SPEAKERS


def test_whoever_shares_a_variant_differs_in_pitch_and_accent() -> None:
    voices = [voice_of(k) for k in range(N_SPEAKERS)]
    assert len({(voice.name.split("+")[1], voice.pitch) for voice in voices}) == N_SPEAKERS
    assert max(Counter(voice.name for voice in voices).values()) == 1


def test_espeak_has_every_accent_and_variant() -> None:
    # espeak-ng takes an unknown variant without a word, and all who have it would sound the same
    data = Path(espeakng_loader.get_data_path())
    assert [accent for accent in ACCENTS if not (data / "lang" / accent).is_file()] == []
    assert [variant for variant in VARIANTS if not (data / "voices" / "!v" / variant).is_file()] == []


def test_parameters_are_in_espeaks_range() -> None:
    for voice in map(voice_of, range(N_SPEAKERS)):
        assert 0 <= voice.pitch <= 99
        assert 0 <= voice.pitch_range <= 99
        assert 80 <= voice.rate <= 450
