import numpy as np

from lightning_mia.splits.blind_baseline.content import MAX_TERMS, content_statistics

IDS = [f"r{number:02d}" for number in range(40)]


def columns_equal_to(pattern: np.ndarray, texts: list[str]) -> int:
    statistics = content_statistics(dict(zip(IDS, texts, strict=True)), IDS)
    assert statistics is not None
    assert list(statistics.index) == IDS
    assert np.isfinite(statistics.to_numpy()).all()
    return int((statistics.to_numpy() == pattern[:, None]).all(axis=0).sum())


EVEN = (np.arange(40) % 2 == 0).astype(float)


def test_words_and_pairs_of_words() -> None:
    assert columns_equal_to(EVEN, ["Open the door" if even else "shut the window" for even in EVEN]) >= 4
    assert columns_equal_to(EVEN, ["left right" if even else "right left" for even in EVEN]) >= 2  # pairs, whole texts


def test_a_script_without_spaces_is_divided_into_characters() -> None:
    texts = [f"{chr(0x4E00 + number)}門{chr(0x5E00 + number)}" for number in range(40)]
    doors = [text if even else text.replace("門", "窓") for text, even in zip(texts, EVEN, strict=True)]
    assert columns_equal_to(EVEN, doors) >= 1


def test_a_column_in_two_scripts() -> None:
    texts = [f"open {number}" if even else f"打开 {number}" for number, even in enumerate(EVEN)]
    assert columns_equal_to(EVEN, texts) >= 2  # the word, the script


def test_words_are_not_cut_at_vowel_signs() -> None:
    # हिन्दी and हन्द share all letters but the vowel signs
    assert columns_equal_to(EVEN, ["हिन्दी" if even else "हन्द" for even in EVEN]) >= 1


def test_recordings_without_text() -> None:
    assert content_statistics({}, IDS) is None
    assert content_statistics(dict.fromkeys(IDS, ""), IDS) is None
    some = content_statistics({"r00": "a word"}, IDS)
    assert some is not None
    assert some["n_words"].tolist() == [2] + 39 * [0]
    assert "term" not in " ".join(some.columns)  # one recording is too few


def test_the_number_of_columns_is_limited() -> None:
    rng = np.random.default_rng(0)
    texts = {name: " ".join(f"w{word}" for word in rng.integers(0, 900, 5000)) for name in IDS}
    statistics = content_statistics(texts, IDS)
    assert statistics is not None
    assert statistics.shape[1] <= MAX_TERMS + 5
