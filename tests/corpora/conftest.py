"""Miniatures of published corpora, with tones for speech."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.base import Corpus

Tree = Callable[[str, Path], Path]


def record(path: Path, seconds: float = 0.2, rate: int = 16_000) -> None:
    """Write a tone in noise, determined by the name.

    The suffix determines the format.
    """
    rng = np.random.default_rng(list(path.name.encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 300) * time) + rng.uniform(-0.1, 0.1, len(time))
    sf.write(path, tone, rate, format="NIST" if path.suffix == ".sph" else None)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def speakers_txt(root: Path) -> None:
    write(
        root / "LibriSpeech/SPEAKERS.TXT",
        "; Some pipe(|) separated metadata about all LibriSpeech speakers\n"
        ";ID  |SEX| SUBSET           |MINUTES| NAME\n"
        "19   | F | train-clean-100  | 25.19 | Kara Shallenberg\n"
        "26   | M | train-clean-100  | 25.08 | Denny Sayers\n"
        "60   | M | train-clean-100  | 20.18 | | CBW | Simon\n"
        "84   | F | dev-clean        |  8.02 | Christie Nowak\n",
    )


def librispeech(root: Path) -> None:
    chapter = root / "LibriSpeech/train-clean-100/19/198"
    for n in range(2):
        record(chapter / f"19-198-000{n}.flac")
    write(chapter / "19-198.trans.txt", "19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS LITTLE WORK\n")
    speakers_txt(root)


def librilight(root: Path) -> None:
    for folder, name in (
        ("1h/0/clean/19/198", "19-198-0000"),
        ("1h/5/other/26/495", "26-495-0003"),
        ("9h/clean/19/198", "19-198-0007"),
    ):
        chapter = root / "librispeech_finetuning" / folder
        record(chapter / f"{name}.flac")
        write(chapter / f"{name[:-5]}.trans.txt", f"{name} THIS IS {name[-1]}\n")
    write(root / "librispeech_finetuning/phones/10min_phones.txt", "19-198-0000 1 2 3\n")


def vctk(root: Path) -> None:
    folder = root / "VCTK-Corpus-0.92"
    audio, texts = folder / "wav48_silence_trimmed", folder / "txt"
    for name in ("p225_001", "p225_002", "p280_001", "p362_001", "p362_003", "p374_001", "s5_001"):
        speaker = name.split("_")[0]
        write(texts / speaker / f"{name}.txt", f"Please call {name}.\n")
        for microphone in ("mic1", "mic2"):
            is_missing = (speaker == "p280" and microphone == "mic2") or name == "p362_003"
            if not is_missing:
                record(audio / speaker / f"{name}_{microphone}.flac", rate=48_000)
    record(audio / "p315/p315_001_mic1.flac", rate=48_000)  # its text is missing
    write(audio / "log.txt", "trimmed\n")
    write(
        folder / "speaker-info.txt",
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \n"
        "p225  23  F    English    Southern  England\n"
        "p280  25  F    Unknown    France (mic2 files unavailable)\n"
        "p315  18  M    American    New  England (Text and mic2 files unavailable)\n"
        "p362  29  F    American\n"
        "p374  28  M    Australian  English\n",
    )


def voxceleb1(root: Path) -> None:
    paths = ["id10001/1zcIwhmdeo4/00001.wav", "id10001/na8-QEFmj44/00003.wav", "id10002/_0-x/00002.wav"]
    for path in paths:
        record(root / "wav" / path)
    write(root / "iden_split.txt", f"3 {paths[0]}\n1 {paths[1]}\n2 {paths[2]}\n")
    write(
        root / "vox1_meta.csv",
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
        "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
        "id10002\tA.R._Rahman\tf\tIndia\tdev\n",
    )


def speech_commands(root: Path) -> None:
    folder = root / "SpeechCommands/speech_commands_v0.02"
    for path in ("bed/00176480_nohash_0", "bed/00176480_nohash_1", "cat/0a7c2a8d_nohash_0", "cat/ffd2ba2f_nohash_0"):
        record(folder / f"{path}.wav")
    record(folder / "_background_noise_/white_noise.wav", seconds=1.0)
    write(folder / "validation_list.txt", "cat/0a7c2a8d_nohash_0.wav\n")
    write(folder / "testing_list.txt", "cat/ffd2ba2f_nohash_0.wav\n")


def common_voice(root: Path) -> None:
    for n in (1, 2, 3, 4):
        record(root / f"clips/common_voice_de_{n}.mp3", rate=32_000)
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n"
    train = (
        'ab12\tcommon_voice_de_1.mp3\ts1\tEr sagte „so“.\t2\t0\tfourties\tmale_masculine\t"Bayern"\tde\t\n'
        'ab12\tcommon_voice_de_2.mp3\ts2\t"Das ""Ja"" gilt."\t2\t0\tfourties\tmale_masculine\t\tde\t\n'
    )
    test = 'cd34\tcommon_voice_de_3.mp3\ts3\t"Nein\t2\t1\t\t\t\tde\t\n'
    write(root / "train.tsv", header + train)
    write(root / "test.tsv", header + test)
    write(root / "validated.tsv", header + train + test)
    write(root / "clip_durations.tsv", "clip\tduration[ms]\ncommon_voice_de_1.mp3\t216\ncommon_voice_de_2.mp3\t200\n")


def fluent_speech_commands(root: Path) -> None:
    folder = root / "fluent_speech_commands_dataset"
    header = ",path,speakerId,transcription,action,object,location\n"
    for split, speaker, text in (
        ("train", "2BqVo8kVB2Skwgyb", "Change language"),
        ("valid", "4BrX8aDqK2cLZRYl", '"Bring my shoes, please"'),
        ("test", "7NEaXjeLX3sg3yDB", "Pause"),
    ):
        path = f"wavs/speakers/{speaker}/0a3129c0-4474-11e9-a9a5-{split}.wav"
        record(folder / path)
        write(folder / f"data/{split}_data.csv", f"{header}0,{path},{speaker},{text},change language,none,none\n")
    write(
        folder / "data/speaker_demographics.csv",
        "speakerId,Self-reported fluency level ,First Language spoken,Current language used for work/school,"
        "gender,ageRange\n"
        "2BqVo8kVB2Skwgyb,advanced,English (United States),English,female,22-40\n"
        "4BrX8aDqK2cLZRYl,advanced,English (Canada),English (Canada),male,22-40\n",
    )


def cmu_arctic(root: Path) -> None:
    for speaker in ("aew", "rxr"):
        folder = root / f"ARCTIC/cmu_us_{speaker}_arctic"
        for n in (1, 2):
            record(folder / f"wav/arctic_a000{n}.wav")
        write(
            folder / "etc/txt.done.data",
            '( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )\n'
            '( arctic_a0002 "Not at this (\\"particular\\") case, Tom." )\n',
        )


def ljspeech(root: Path) -> None:
    folder = root / "LJSpeech-1.1"
    for name in ("LJ001-0001", "LJ050-0278"):
        record(folder / f"wavs/{name}.wav", rate=22_050)
    write(
        folder / "metadata.csv",
        'LJ001-0001|Printing, in 1455, "so|Printing, in fourteen fifty-five, "so\nLJ050-0278|the Ü|the Ü\n',
    )


def tedlium1(root: Path) -> None:
    folder = root / "TEDLIUM_release1/train"
    record(folder / "sph/AlGore_2006.sph", seconds=3.0)
    write(
        folder / "stm/AlGore_2006.stm",
        "AlGore_2006 1 AlGore_2006 0.25 1.00 <o,f0,male> thank you(2) <sil> so much (AlGore_2006-25-100-F0_M-S1)\n",
    )


def tedlium3(root: Path) -> None:
    folder = root / "TEDLIUM_release-3"
    record(folder / "data/sph/AlGore_2006.sph", seconds=3.0)
    record(folder / "data/sph/JaneGoodall_2003X.sph", seconds=2.0)
    write(
        folder / "data/stm/AlGore_2006.stm",
        "AlGore_2006 1 AlGore_2006 0.25 1.00 <NA> thank you so much\n"
        "AlGore_2006 1 AlGore_2006 1.00 2.10 <NA> i 've <unk>\n",
    )
    write(folder / "data/stm/JaneGoodall_2003X.stm", "JaneGoodall_2003X 1 JaneGoodall_2003X 0.5 1.7 <NA> hello\n")
    record(folder / "legacy/test/sph/AlGore_2009.sph", seconds=3.0)
    write(
        folder / "legacy/test/stm/AlGore_2009.stm",
        ";; LABEL F0_M\n"
        "AlGore_2009 1 inter_segment_gap 0 0.5 <o,,unknown> ignore_time_segment_in_scoring\n"
        "AlGore_2009 1 Al_Gore 0.5 2.9 <F0_M> last year\n",
    )


LAYOUTS = (
    librispeech,
    librilight,
    vctk,
    voxceleb1,
    speech_commands,
    common_voice,
    fluent_speech_commands,
    cmu_arctic,
    ljspeech,
    tedlium1,
    tedlium3,
)
TREES = {layout.__name__: layout for layout in LAYOUTS}


@pytest.fixture
def tree() -> Tree:
    """Write a corpus into a folder, and return the folder."""

    def make(name: str, root: Path) -> Path:
        TREES[name](root)
        return root

    return make


@pytest.fixture
def call(tmp_path: Path) -> np.ndarray:
    """Write four seconds of a telephone call in stereo, and one second in mono; return the call, int16."""
    samples = np.random.default_rng(0).integers(-9999, 9999, (64_000, 2)).astype(np.int16)
    sf.write(tmp_path / "call.wav", samples, 16_000)
    sf.write(tmp_path / "mono.flac", samples[:16_000, 0], 16_000)
    return samples


@pytest.fixture
def waveforms(tmp_path: Path) -> Callable[[Corpus], dict[str, np.ndarray]]:
    """Decode a corpus, and return the samples of every utterance, int16."""

    def decoded(corpus: Corpus) -> dict[str, np.ndarray]:
        audio = decode(corpus.table(), cache_dir=tmp_path / "cache", progress=False)
        return {name: (audio.waveform(name) * 32768).astype(np.int16) for name in audio.index.index}

    return decoded
