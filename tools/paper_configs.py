"""Write configs/paper: one config for every row of Tseng, Kao and Lee (2022), and the same rows under control.

python tools/paper_configs.py

Rows of the paper: four models, at utterance and at speaker level, on LibriSpeech and against VCTK, with the basic and
with the improved attack; the ablations of model size, data size and reversed audio. The figures are the highest
advantages (TPR − FPR) of the improved attack as the paper prints them; for the basic attack it prints curves.
"""

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

FOLDER = Path(__file__).parent.parent / "configs" / "paper"
SOURCE = "Tseng, Kao and Lee (2022)"

CHECKPOINTS = {
    "hubert": ("HuBERT base, 960 h", "PretrainedEncoder", "facebook/hubert-base-ls960"),
    "wav2vec2": ("wav2vec 2.0 base, 960 h", "PretrainedEncoder", "facebook/wav2vec2-base"),
    "tera": ("TERA, 960 h, by S3PRL", "PublishedTERA", "checkpoints/tera_960h/states-1000000.ckpt"),
    "cpc": ("modified CPC, 60,000 h, by CPC_audio", "PublishedCPC", "checkpoints/60k_epoch4-d0f474de.pt"),
    "hubert_large": ("HuBERT large, 60,000 h", "PretrainedEncoder", "facebook/hubert-large-ll60k"),
    "hubert_xlarge": ("HuBERT extra large, 60,000 h", "PretrainedEncoder", "facebook/hubert-xlarge-ll60k"),
    "wav2vec2_large": ("wav2vec 2.0 large, 960 h", "PretrainedEncoder", "facebook/wav2vec2-large"),
    "wav2vec2_large_60kh": ("wav2vec 2.0 large, 60,000 h", "PretrainedEncoder", "facebook/wav2vec2-large-lv60"),
    "tera_100h": ("TERA, 100 h, by S3PRL", "PublishedTERA", "checkpoints/tera_100h/states-200000.ckpt"),
    "mockingjay_100h": (
        "Mockingjay, 100 h, by S3PRL",
        "PublishedTERA",
        "checkpoints/mockingjay_100h/states-200000.ckpt",
    ),
}
"""What the model is called, its class here, and where its weights are: on the hub, or a file fetched by hand."""

ADVANTAGES = {  # (model, level, non-members): highest advantage of the improved attack
    ("hubert", "utterance", "librispeech"): 0.7598,
    ("wav2vec2", "utterance", "librispeech"): 0.7423,
    ("tera", "utterance", "librispeech"): 0.7317,
    ("cpc", "utterance", "librispeech"): 0.5948,
    ("hubert", "speaker", "librispeech"): 0.9867,
    ("wav2vec2", "speaker", "librispeech"): 0.9900,
    ("tera", "speaker", "librispeech"): 0.9833,
    ("cpc", "speaker", "librispeech"): 0.9767,
    ("hubert", "utterance", "vctk"): 0.7692,
    ("wav2vec2", "utterance", "vctk"): 0.7757,
    ("tera", "utterance", "vctk"): 0.6276,
    ("cpc", "utterance", "vctk"): 0.7716,
    ("hubert", "speaker", "vctk"): 1.0,
    ("wav2vec2", "speaker", "vctk"): 1.0,
    ("tera", "speaker", "vctk"): 1.0,
    ("cpc", "speaker", "vctk"): 1.0,
    ("hubert_large", "utterance", "librispeech"): 0.7002,
    ("hubert_xlarge", "utterance", "librispeech"): 0.7069,
    ("hubert_large", "speaker", "librispeech"): 0.9433,
    ("hubert_xlarge", "speaker", "librispeech"): 0.86,
    ("wav2vec2_large", "utterance", "librispeech"): 0.7080,
    ("wav2vec2_large_60kh", "utterance", "librispeech"): 0.7134,
    ("wav2vec2_large", "speaker", "librispeech"): 0.9167,
    ("wav2vec2_large_60kh", "speaker", "librispeech"): 0.9333,
    ("tera_100h", "utterance", "librispeech"): 0.5772,
    ("tera_100h", "speaker", "librispeech"): 0.9000,
}
REVERSED_QUERIES = {
    ("hubert", "utterance"): 0.7577,
    ("wav2vec2", "utterance"): 0.7440,
    ("tera", "utterance"): 0.3317,
    ("cpc", "utterance"): 0.0,
    ("hubert", "speaker"): 0.9900,
    ("wav2vec2", "speaker"): 0.9900,
    ("tera", "speaker"): 0.9900,
    ("cpc", "speaker"): 0.9900,
}
REVERSED_PRETRAINING = {"utterance": 0.5577, "speaker": 0.9900}
FOUR = ("hubert", "wav2vec2", "tera", "cpc")
LEVELS = ("utterance", "speaker")
SIDES = {"librispeech": "dev and test", "vctk": "VCTK"}


def librispeech(*splits: str) -> str:
    return (
        "class_path: lightning_mia.corpora.LibriSpeech\n"
        "init_args:\n"
        "  root: data # folder that holds, or will hold, the folder LibriSpeech\n"
        f"  splits: [{', '.join(splits)}]\n"
        "  download: false # true fetches what is not there\n"
    )


VCTK = (
    "class_path: lightning_mia.corpora.VCTK\n"
    "init_args:\n"
    "  root: data # folder that holds, or will hold, VCTK-Corpus-0.92\n"
    "  download: false # true fetches what is not there\n"
)
NONMEMBERS = {"librispeech": librispeech("dev-clean", "dev-other", "test-clean", "test-other"), "vctk": VCTK}


@dataclass(frozen=True)
class Row:
    """One config."""

    path: str  # from the folder, without suffix
    title: str
    command: str  # attack or audit
    level: str
    corpus: str  # YAML
    model: str  # YAML
    attacks: str  # YAML
    data: str = ""  # further keys of data
    published: str = ""  # YAML
    trainer: str = "trainer:\n  accelerator: auto\n  devices: 1\n"

    def text(self) -> str:
        return (
            f"# {self.title}\n"
            f"#   lightning-mia {self.command} -c configs/paper/{self.path}.yaml --run_dir R\n"
            "seed_everything: 0\n\n"
            f"data:\n{self.corpus}{self.data}\n"
            f"model:\n{self.model}\n"
            f"{self.attacks}\n{self.published}{self.trainer}"
        )


def two_sources(nonmembers: str) -> str:
    return (
        "  corpus:\n    class_path: lightning_mia.corpora.TwoSources\n    init_args:\n      members:\n"
        + indent(librispeech("train-clean-100"), " " * 8)
        + "      nonmembers:\n"
        + indent(nonmembers, " " * 8)
    )


def brought(level: str, extra: str = "") -> str:
    return f"  level: {level}\n  peak_normalise: true # as `sox norm` in the paper\n{extra}"


def checkpoint(model: str) -> str:
    _, class_name, name = CHECKPOINTS[model]
    where = "name on the Hugging Face hub, or a folder" if class_name == "PretrainedEncoder" else "the published file"
    return f"  class_path: lightning_mia.models.{class_name}\n  init_args:\n    checkpoint: {name} # {where}\n"


def attack_list(*names: str) -> str:
    lines = []
    for name in names:
        class_name, _, option = name.partition(" ")
        lines.append(f"  - class_path: lightning_mia.attacks.{class_name}\n")
        if option:
            lines.append(f"    init_args:\n      {option}\n")
    return "attacks: # of the last layer, last_hidden_state\n" + "".join(lines)


def basic(level: str) -> str:
    return "UtteranceSimilarity" if level == "utterance" else "SpeakerSimilarity"


def improved(level: str) -> tuple[str, str]:
    learned = f"Learned{basic(level)}"
    return basic(level), f"{learned} paper_protocol: true # fitted on the judged non-members, as the paper did"


def published(level: str, advantage: float, row: str) -> str:
    # A speaker of a split that was brought is asked about the recordings that it was trained on.
    name = f"learned_{level}_similarity_paper_protocol" + ("_trained" if level == "speaker" else "")
    return (
        "published:\n"
        f"  - attack: {name}\n    level: {level}\n    advantage: {advantage:g}\n"
        f"    source: {SOURCE}, {row}\n\n"
    )


def rows() -> list[Row]:
    """All configs."""
    return [*paper_rows(), *reversed_rows(), *matched_rows(), *controlled_rows()]


def paper_rows() -> list[Row]:
    made = []
    for (model, level, against), advantage in ADVANTAGES.items():
        title = f"{CHECKPOINTS[model][0]}: LibriSpeech train-clean-100 against {SIDES[against]}, {level} level"
        corpus = two_sources(NONMEMBERS[against])
        for kind in ("basic", "improved") if model in FOUR else ("improved",):
            folder = kind if model in FOUR else "ablations"
            attacks = attack_list(*(improved(level) if kind == "improved" else (basic(level),)))
            figure = published(level, advantage, f"{model}, {level} level, {SIDES[against]}")
            made.append(
                Row(
                    f"{folder}/{model}_{level}_{against}" if model in FOUR else f"{folder}/{model}_{level}",
                    f"{title}, {kind} attack",
                    "attack",
                    level,
                    corpus,
                    checkpoint(model),
                    attacks,
                    brought(level),
                    figure if kind == "improved" else "",
                )
            )
    return made


def reversed_rows() -> list[Row]:
    made = [
        Row(
            f"ablations/{model}_{level}_reversed_queries",
            f"{CHECKPOINTS[model][0]}: attacked with reversed audio, {level} level",
            "attack",
            level,
            two_sources(NONMEMBERS["librispeech"]),
            checkpoint(model),
            attack_list(*improved(level)),
            brought(level, "  reverse: queries # played backwards to the model\n"),
            published(level, advantage, f"{model} attacked with reversed audio, {level} level"),
        )
        for (model, level), advantage in REVERSED_QUERIES.items()
    ]
    for level, advantage in REVERSED_PRETRAINING.items():
        made.append(
            Row(
                f"ablations/tera_{level}_reversed_pretraining",
                f"TERA pretrained by us on reversed train-clean-100, a defence, {level} level",
                "audit",
                level,
                two_sources(NONMEMBERS["librispeech"]),
                base_model("tera"),
                attack_list(*improved(level)),
                brought(level, "  reverse: training # played backwards in pretraining alone\n  batch_seconds: 480\n"),
                published(level, advantage, f"TERA-100 pretrained on reversed audio, {level} level"),
                TRAINER["tera"],
            )
        )
    return made


def matched_rows() -> list[Row]:
    """Public checkpoints whose non-members differ from the members in little but membership."""
    corpus = two_sources(librispeech("train-clean-360"))
    matching = (
        "  matching:\n    duration: nearest # pairs of like duration, one to one\n    utterances_per_speaker: true\n"
    )
    return [
        Row(
            f"matched/{model}_{level}",
            f"{CHECKPOINTS[model][0]}: train-clean-100 against train-clean-360, matched, {level} level",
            "attack",
            level,
            corpus,
            checkpoint(model),
            attack_list(basic(level)),
            brought(level, matching),
        )
        for model in ("tera_100h", "mockingjay_100h")
        for level in LEVELS
    ]


def controlled_rows() -> list[Row]:
    """The paper's rows with members that are drawn from one pool: pretrained by us, base size."""
    pool = "  corpus:\n" + indent(librispeech("train-clean-100", "train-clean-360"), " " * 4)
    designs = {
        "utterance": "  design:\n    class_path: lightning_mia.splits.UtteranceDesign\n    init_args:\n"
        "      n_units: 60000 # challenge utterances, half of them members\n      n_auxiliary: 20000\n",
        "speaker": "  design:\n    class_path: lightning_mia.splits.SpeakerDesign\n    init_args:\n"
        "      n_units: 800 # challenge speakers, half of them members\n      n_auxiliary: 200\n"
        "      trained_per_speaker: 70\n      held_back_per_speaker: 20\n",
    }
    return [
        Row(
            f"controlled/{model}_{level}",
            f"{model}, base size, members drawn at random from train-clean-100 and -360, {level} level",
            "audit",
            level,
            f"{pool}{designs[level]}",
            base_model(model),
            attack_list(basic(level), f"Learned{basic(level)}", "PretextLoss"),
            f"  peak_normalise: true # as `sox norm` in the paper\n  batch_seconds: {BATCH_SECONDS[model]}\n"
            "  num_workers: 4\n",
            trainer=TRAINER[model],
        )
        for model in FOUR
        for level in LEVELS
    ]


BASES = {"tera": "tera_base", "hubert": "hubert_base", "wav2vec2": "wav2vec2_base", "cpc": "cpc_base"}
BATCH_SECONDS = {"tera": 480, "hubert": 1400, "wav2vec2": 1400, "cpc": 160}


def trainer_of(max_steps: int, clip: float) -> str:
    return (
        "trainer:\n  accelerator: auto\n  devices: auto\n  strategy: auto # DDP where there are several devices\n"
        f"  precision: bf16-mixed\n  max_epochs: -1\n  max_steps: {max_steps}\n  gradient_clip_val: {clip}\n"
    )


TRAINER = {
    "tera": trainer_of(200_000, 5.0),
    "hubert": trainer_of(250_000, 1.0),
    "wav2vec2": trainer_of(400_000, 1.0),
    "cpc": trainer_of(200_000, 1.0),
}


def base_model(model: str) -> str:
    """The model of configs/pretrain, as it stands there."""
    text = (FOLDER.parent / "pretrain" / f"{BASES[model]}.yaml").read_text(encoding="utf-8")
    block = text.split("\nmodel:\n", 1)[1]
    return block.split("\n\n", 1)[0].rstrip("\n") + "\n"


def main() -> None:
    for row in rows():
        path = FOLDER / f"{row.path}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row.text(), encoding="utf-8")
    print(f"{len(rows())} configs in {FOLDER}")


if __name__ == "__main__":
    main()
