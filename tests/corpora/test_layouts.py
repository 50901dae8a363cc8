"""Tests of the tables of published corpora, on miniatures."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile as sf

from lightning_mia import corpora
from lightning_mia.corpora import (
    VCTK,
    CMUArctic,
    CommonVoice,
    FluentSpeechCommands,
    LibriLightLimited,
    LibriSpeech,
    LJSpeech,
    SpeechCommands,
    VoxCeleb1,
)
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.utilities.errors import InputError


def by_id(table: pd.DataFrame, column: str) -> dict[str, str]:
    assert table["id"].is_unique
    return dict(zip(table["id"], table[column], strict=True))


def check_decodes(table: pd.DataFrame, cache: Path) -> None:
    audio = decode(table, cache_dir=cache, progress=False)
    assert (audio.index["n_samples"] >= 3000).all()
    assert len(audio.index) == len(table)


def test_librispeech_gender(tree, tmp_path):
    table = LibriSpeech(str(tree("librispeech", tmp_path))).table()
    assert list(table) == ["id", "path", "speaker", "text", "session", "gender"]
    assert table["gender"].tolist() == ["female", "female"]
    (tmp_path / "LibriSpeech/SPEAKERS.TXT").unlink()
    assert "gender" not in LibriSpeech(str(tmp_path)).table()


def test_damaged_speakers_txt(tree, tmp_path):
    root = tree("librispeech", tmp_path)
    (root / "LibriSpeech/SPEAKERS.TXT").write_text("19 F\n")
    with pytest.raises(InputError, match=r"SPEAKERS\.TXT: not enough values .*; restore it"):
        LibriSpeech(str(root)).table()


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("10min", ["19-198-0000"]),
        ("1h", ["19-198-0000", "26-495-0003"]),
        ("10h", ["19-198-0000", "26-495-0003", "19-198-0007"]),
    ],
)
def test_librilight(tree, tmp_path, split, ids):
    root = tree("librilight", tmp_path)
    table = LibriLightLimited(str(root), split).table()
    assert table["id"].tolist() == ids
    assert table["text"].tolist() == [f"THIS IS {name[-1]}" for name in ids]
    assert table["speaker"].tolist() == [name.split("-")[0] for name in ids]
    assert table["session"].tolist() == [name.split("-")[1] for name in ids]
    check_decodes(table, tmp_path / "cache")
    assert "gender" not in table
    tree("librispeech", tmp_path)
    assert LibriLightLimited(str(root), split).table()["gender"].tolist() == ["female", "male", "female"][: len(ids)]


def test_librilight_lists_what_torchaudio_lists(tree, tmp_path):
    from torchaudio import datasets

    root = tree("librilight", tmp_path)
    for split in ("10min", "1h", "10h"):
        expected = [name for _, name in datasets.LibriLightLimited(root, split)._fileids_paths]
        assert sorted(LibriLightLimited(str(root), split).table()["id"]) == sorted(expected)


def test_librilight_without_transcript(tree, tmp_path):
    root = tree("librilight", tmp_path)
    (root / "librispeech_finetuning/9h/clean/19/198/19-198.trans.txt").write_text("")
    with pytest.raises(InputError, match=r"no transcript of 19-198-0007 in 19-198\.trans\.txt; restore"):
        LibriLightLimited(str(root), "10h").table()


def test_vctk(tree, tmp_path):
    root = tree("vctk", tmp_path)
    table = VCTK(str(root), "mic1").table()
    assert list(table) == ["id", "path", "speaker", "text", "gender", "accent"]
    assert table["id"].tolist() == ["p225_001", "p225_002", "p280_001", "p362_001", "p374_001", "s5_001"]
    assert table["text"][0] == "Please call p225_001."
    assert by_id(table, "speaker")["s5_001"] == "s5"
    assert table["gender"].tolist() == ["female"] * 4 + ["male", ""]
    assert table["accent"].tolist() == ["English", "English", "Unknown", "American", "Australian", ""]
    assert table["path"][0].endswith("VCTK-Corpus-0.92/wav48_silence_trimmed/p225/p225_001_mic1.flac")
    check_decodes(table, tmp_path / "cache")
    second = VCTK(str(root), "mic2").table()
    assert "p280" not in set(second["speaker"])
    assert all(path.endswith("_mic2.flac") for path in second["path"])
    check_decodes(second, tmp_path / "cache")


@pytest.mark.parametrize("microphone", ["mic1", "mic2"])
def test_vctk_lists_what_torchaudio_lists(tree, tmp_path, microphone):
    from torchaudio.datasets import VCTK_092

    root = tree("vctk", tmp_path)
    expected = ["_".join(sample) for sample in VCTK_092(str(root), microphone)._sample_ids]
    assert VCTK(str(root), microphone).table()["id"].tolist() == expected


def test_vctk_without_list_of_speakers(tree, tmp_path):
    root = tree("vctk", tmp_path)
    (root / "VCTK-Corpus-0.92/speaker-info.txt").unlink()
    assert list(VCTK(str(root)).table()) == ["id", "path", "speaker", "text"]


def test_voxceleb1(tree, tmp_path):
    root = tree("voxceleb1", tmp_path)
    table = VoxCeleb1(str(root)).table()
    assert list(table) == ["id", "path", "speaker", "session", "gender"]
    assert by_id(table, "session") == {
        "id10001-na8-QEFmj44-00003": "na8-QEFmj44",
        "id10002-_0-x-00002": "_0-x",
        "id10001-1zcIwhmdeo4-00001": "1zcIwhmdeo4",
    }
    assert table["speaker"].tolist() == ["id10001", "id10002", "id10001"]
    assert table["gender"].tolist() == ["male", "female", "male"]
    check_decodes(table, tmp_path / "cache")
    assert VoxCeleb1(str(root), ["dev"]).table()["speaker"].tolist() == ["id10002"]


def test_voxceleb1_is_not_downloaded(tree, tmp_path, monkeypatch):
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("tried to fetch")

    monkeypatch.setattr("torchaudio.datasets.voxceleb1.download_url_to_file", forbidden)
    root = tree("voxceleb1", tmp_path)
    (root / "iden_split.txt").unlink()
    with pytest.raises(InputError, match=r"iden_split\.txt: no such file; fetch it from https://www\.robots"):
        VoxCeleb1(str(root)).table()
    shutil.rmtree(root / "wav")
    with pytest.raises(InputError, match=r"wav: no such folder; request the recordings at https://www\.robots"):
        VoxCeleb1(str(root)).table()


def test_voxceleb1_damaged_list(tree, tmp_path):
    root = tree("voxceleb1", tmp_path)
    (root / "iden_split.txt").write_text("<html>\n")
    with pytest.raises(InputError, match=r"iden_split\.txt: .*; restore it as it was published"):
        VoxCeleb1(str(root)).table()


def test_speech_commands(tree, tmp_path):
    root = tree("speech_commands", tmp_path)
    table = SpeechCommands(str(root)).table()
    assert by_id(table, "speaker") == {
        "bed/00176480_nohash_0": "00176480",
        "bed/00176480_nohash_1": "00176480",
        "cat/0a7c2a8d_nohash_0": "0a7c2a8d",
        "cat/ffd2ba2f_nohash_0": "ffd2ba2f",
    }
    assert table["text"].tolist() == ["bed", "bed", "cat", "cat"]
    check_decodes(table, tmp_path / "cache")
    assert SpeechCommands(str(root), ["testing"]).table()["speaker"].tolist() == ["ffd2ba2f"]
    assert SpeechCommands(str(root), ["validation"]).table()["speaker"].tolist() == ["0a7c2a8d"]


def test_speech_commands_with_a_foreign_file(tree, tmp_path):
    root = tree("speech_commands", tmp_path)
    shutil.copy(
        root / "SpeechCommands/speech_commands_v0.02/bed/00176480_nohash_0.wav",
        root / "SpeechCommands/speech_commands_v0.02/bed/x_nohash_y.wav",
    )
    with pytest.raises(InputError, match=r"speech_commands_v0\.02: invalid literal .*; restore"):
        SpeechCommands(str(root)).table()


def test_common_voice(tree, tmp_path):
    root = tree("common_voice", tmp_path)
    table = CommonVoice(str(root)).table()
    assert list(table) == ["id", "path", "speaker", "text", "duration", "gender", "accent"]
    assert table["id"].tolist() == ["common_voice_de_1", "common_voice_de_2"]
    assert table["speaker"].tolist() == ["ab12", "ab12"]
    assert table["text"].tolist() == ["Er sagte „so“.", 'Das "Ja" gilt.']
    assert table["duration"].tolist() == [0.216, 0.2]
    assert table["gender"].tolist() == ["male", "male"]
    assert table["accent"].tolist() == ["Bayern", ""]
    check_decodes(table, tmp_path / "cache")


def test_common_voice_splits_overlap(tree, tmp_path):
    table = CommonVoice(str(tree("common_voice", tmp_path)), ["test", "validated", "train"]).table()
    assert table["id"].tolist() == ["common_voice_de_3", "common_voice_de_1", "common_voice_de_2"]
    assert table["text"][0] == '"Nein'
    assert table["gender"].tolist() == ["", "male", "male"]
    assert table["duration"].isna().tolist() == [True, False, False]


def test_common_voice_of_the_first_releases(tree, tmp_path):
    root = tree("common_voice", tmp_path)
    (root / "clip_durations.tsv").unlink()
    (root / "test.tsv").write_text(
        "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent\n"
        "ef56\tcommon_voice_de_4\tJa\t2\t0\t\tfemale\tswitzerland\n"
    )
    table = CommonVoice(str(root), ["test"]).table()
    assert table.drop(columns="path").to_dict("records") == [
        {"id": "common_voice_de_4", "speaker": "ef56", "text": "Ja", "gender": "female", "accent": "switzerland"}
    ]
    check_decodes(table, tmp_path / "cache")


def test_common_voice_converted_to_other_formats(tree, tmp_path):
    root = tree("common_voice", tmp_path)
    (root / "test.tsv").write_text("client_id\tpath\tsentence\nef56\tclip.v2.wav\tJa\n")
    table = CommonVoice(str(root), ["test"]).table()
    assert table["id"].tolist() == ["clip.v2"]
    assert table["path"].tolist() == [str(root / "clips/clip.v2.wav")]


def test_common_voice_missing_or_damaged_list(tree, tmp_path):
    root = tree("common_voice", tmp_path)
    with pytest.raises(InputError, match=r"dev\.tsv: no such file; download a language from https://commonvoice"):
        CommonVoice(str(root), ["dev"]).table()
    (root / "dev.tsv").write_bytes(b"client_id\tpath\n\xff\xfe\n")
    with pytest.raises(InputError, match=r"dev\.tsv: cannot be read .*; restore it"):
        CommonVoice(str(root), ["dev"]).table()
    (root / "dev.tsv").write_text("client_id\tsentence\nab\tJa\n")
    with pytest.raises(InputError, match="empty id in 1 of 1 rows"):
        CommonVoice(str(root), ["dev"]).table()
    (root / "dev.tsv").write_text("")
    with pytest.raises(InputError, match="no utterances"):
        CommonVoice(str(root), ["dev"]).table()


def test_fluent_speech_commands(tree, tmp_path):
    root = tree("fluent_speech_commands", tmp_path)
    table = FluentSpeechCommands(str(root)).table()
    assert list(table) == ["id", "path", "speaker", "text", "gender"]
    assert table["speaker"].tolist() == ["2BqVo8kVB2Skwgyb", "4BrX8aDqK2cLZRYl", "7NEaXjeLX3sg3yDB"]
    assert table["text"].tolist() == ["Change language", "Bring my shoes, please", "Pause"]
    assert table["gender"].tolist() == ["female", "male", ""]
    check_decodes(table, tmp_path / "cache")


def test_fluent_speech_commands_missing_or_damaged(tree, tmp_path):
    with pytest.raises(InputError, match=r"no such folder; get it from https://fluent\.ai.*, and set root"):
        FluentSpeechCommands(str(tmp_path)).table()
    root = tree("fluent_speech_commands", tmp_path)
    (root / "fluent_speech_commands_dataset/data/valid_data.csv").unlink()
    with pytest.raises(InputError, match=r"No such file or directory.*valid_data\.csv.*; restore"):
        FluentSpeechCommands(str(root)).table()


def test_cmu_arctic(tree, tmp_path):
    table = CMUArctic(str(tree("cmu_arctic", tmp_path)), ["aew", "rxr"]).table()
    assert list(table) == ["id", "path", "speaker", "text", "gender", "accent"]
    assert table["id"].tolist() == ["aew/arctic_a0001", "aew/arctic_a0002", "rxr/arctic_a0001", "rxr/arctic_a0002"]
    assert table["speaker"].tolist() == ["aew", "aew", "rxr", "rxr"]
    assert table["text"][0] == "Author of the danger trail, Philip Steels, etc."
    assert table["text"][1] == 'Not at this ("particular") case, Tom.'
    assert table["gender"].tolist() == ["male", "male", "", ""]
    assert table["accent"].tolist() == ["US", "US", "", ""]
    check_decodes(table, tmp_path / "cache")


def test_cmu_arctic_knows_the_speakers_that_torchaudio_knows():
    from torchaudio.datasets import cmuarctic

    from lightning_mia.corpora import cmu_arctic

    expected = [url.rsplit("cmu_us_")[1][:3] for url in cmuarctic._CHECKSUMS]
    assert sorted(cmu_arctic.SPEAKERS) == sorted(expected)
    assert set(cmu_arctic.GENDERS) == set(cmu_arctic.ACCENTS) <= set(cmu_arctic.SPEAKERS)


def test_cmu_arctic_damaged_prompts(tree, tmp_path):
    root = tree("cmu_arctic", tmp_path)
    (root / "ARCTIC/cmu_us_aew_arctic/etc/txt.done.data").write_text('( a "A" )\n\narctic_a0002\n')
    with pytest.raises(InputError, match=r"aew_arctic: line 3 of txt\.done\.data is not a prompt; restore"):
        CMUArctic(str(root), ["aew"]).table()


def test_ljspeech(tree, tmp_path):
    root = tree("ljspeech", tmp_path)
    table = LJSpeech(str(root)).table()
    assert table.drop(columns="path").to_dict("records") == [
        {
            "id": "LJ001-0001",
            "speaker": "LJ",
            "text": 'Printing, in fourteen fifty-five, "so',
            "session": "LJ001",
        },
        {"id": "LJ050-0278", "speaker": "LJ", "text": "the Ü", "session": "LJ050"},
    ]
    check_decodes(table, tmp_path / "cache")
    (root / "LJSpeech-1.1/metadata.csv").write_text("LJ001-0001|Printing\n")
    with pytest.raises(InputError, match=r"metadata\.csv: not enough values .*; restore"):
        LJSpeech(str(root)).table()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: LibriLightLimited(root, "100h"), "unknown Libri-light split 100h; choose from 10min, 1h, 10h"),
        (lambda root: VCTK(root, "mic3"), "unknown VCTK microphone mic3; choose from mic1, mic2"),
        (lambda root: VoxCeleb1(root, ["eval"]), "unknown VoxCeleb1 split eval; choose from train, dev, test"),
        (lambda root: VoxCeleb1(root, []), "no VoxCeleb1 split; choose from train"),
        (lambda root: SpeechCommands(root, ["train"]), "unknown Speech Commands split train; choose from training"),
        (lambda root: SpeechCommands(root, version="v3"), "unknown Speech Commands version v3; choose from v0.01"),
        (lambda root: CommonVoice(root, ["train.tsv"]), "unknown Common Voice split train.tsv; choose from train,"),
        (lambda root: FluentSpeechCommands(root, ["dev"]), "unknown Fluent Speech Commands split dev; choose from"),
        (lambda root: CMUArctic(root, ["aew", "xyz"]), "unknown CMU Arctic speaker xyz; choose from aew, ahw"),
        (lambda root: corpora.TEDLIUM(root, ["eval"]), "unknown TED-LIUM split eval; choose from train, dev, test"),
        (lambda root: corpora.TEDLIUM(root, release="4"), "unknown TED-LIUM release 4; choose from release1"),
    ],
)
def test_unknown_names_list_the_known_ones(tmp_path, make, message):
    with pytest.raises(InputError) as error:
        make(str(tmp_path)).table()
    assert message in str(error.value)


def test_home_folder_is_expanded(tree, tmp_path, monkeypatch):
    tree("ljspeech", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert all(Path(path).is_file() for path in LJSpeech("~").table()["path"])


def test_the_tree_contains_mp3(tree, tmp_path):
    assert sf.info(tree("common_voice", tmp_path) / "clips/common_voice_de_1.mp3").format == "MP3"


@pytest.mark.slow
def test_importing_the_corpora_is_cheap():
    code = "import sys, lightning_mia.corpora; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["torch", "torchaudio", "datasets", "soundfile", "scipy", "fsspec"]
    process = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_every_corpus_is_exported_and_described():
    for name in corpora.__all__:
        corpus = getattr(corpora, name)
        assert issubclass(corpus, corpora.Corpus)
        if corpus is not corpora.Corpus:
            assert "Args:" in corpus.__init__.__doc__
