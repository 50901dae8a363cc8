"""What members share with non-members is counted and said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile

from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.splits import Split, predefined
from lightning_mia.splits.shared_content import SharedContent, normalise, shared_content, shared_content_notes

MEMBERS = {"a": "1", "b": "0", "c": "sibling"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> tuple[Split, AudioCache]:
    """Four members, non-members and siblings; b1 and c2 are quieter copies of a0 and a3, a9 an exact one of a0."""
    folder, rng = tmp_path_factory.mktemp("audio"), np.random.default_rng(0)
    levels = {name: rng.lognormal(0, 1, 20) for name in ("a0", "a1", "a2", "a3", "b0", "b2", "b3", "c0", "c1", "c3")}
    waveforms = {
        name: 0.02 * rng.standard_normal(16_000) * np.interp(np.arange(16_000) / 800, np.arange(20), level)
        for name, level in levels.items()
    }
    waveforms |= {"b1": 0.5 * waveforms["a0"], "c2": 0.3 * waveforms["a3"], "a9": waveforms["a0"]}
    texts = {"a0": "One, two.", "a1": "three", "a9": "one two", "b0": "ONE TWO", "b2": "four", "b3": "One two!"}
    table = pd.DataFrame({"id": list(waveforms)})
    table["path"] = [str(folder / f"{name}.wav") for name in waveforms]
    table["speaker"] = table["id"].str[0]
    table["member"] = table["speaker"].map(MEMBERS)
    table["text"] = table["id"].map(texts).fillna("")
    for name, path in zip(table["id"], table["path"], strict=True):
        soundfile.write(path, waveforms[name], 16_000, subtype="PCM_16")
    audio = decode(table, cache_dir=folder, progress=False)
    return predefined(table, audio.contents), audio


def test_texts_and_audio_on_both_sides_are_counted(loaded) -> None:
    nonmembers, siblings = shared_content(*loaded, progress=False)
    assert nonmembers == SharedContent("non-member", (2, 1), (3, 2), (("a0", "b1"),))
    assert siblings == SharedContent("sibling", (2, 0), (0, 0), (("a3", "c2"),))


def test_notes_say_how_many_and_what_to_do(loaded) -> None:
    assert shared_content_notes(*loaded) == (
        "1 member has nearly the same audio as a non-member (a0 ~ b1). It counts as both, which lowers every AUROC: "
        "remove one of each pair.",
        "The same words are on both sides: 1 of 2 member recordings have the text of a non-member, and 2 of 3 "
        "non-member recordings that of a member. Words that a model learned do not tell such recordings apart.",
        "1 member has nearly the same audio as a sibling (a3 ~ c2). It counts as both, which lowers every AUROC: "
        "remove one of each pair.",
    )
    pairs = tuple((f"a{i % 4}", f"b{i}") for i in range(5))
    assert (
        SharedContent("non-member", (0, 0), (0, 0), pairs)
        .notes()[0]
        .startswith(
            "4 members have nearly the same audio as a non-member (a0 ~ b0, a1 ~ b1, a2 ~ b2, …). They count as both"
        )
    )
    assert SharedContent("non-member", (4, 0), (4, 0), ()).notes() == ()


def test_corpora_without_texts_have_no_note_on_texts(loaded) -> None:
    split, audio = loaded
    notes = shared_content_notes(split, replace(audio, texts={}))
    assert [note[:8] for note in notes] == ["1 member", "1 member"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Don’t – STOP!", "don't stop"),
        ("  straße ", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("وَاحِد، اثنان", "وَاحِد اثنان"),
        ("… —", ""),
    ],
)
def test_case_punctuation_and_encoding_do_not_distinguish_texts(text: str, same: str) -> None:
    assert normalise(text) == normalise(same)
    assert normalise("one") != normalise("two")
