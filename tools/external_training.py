"""Train small models with transformers and PyTorch alone, and audit them.

python -m tools.external_training MANIFEST.csv FOLDER

1. Draws two splits of the manifest with `lightning-mia split`, with lists for a target and four shadow models.
2. Trains a wav2vec 2.0 (`Wav2Vec2ForPreTraining`) and a speech recogniser (`Wav2Vec2ForCTC`) on every list of the first
   split, and on the target's list of the second: plain loops of PyTorch, which use nothing of this package.
3. Audits each target on the first split, without and with the shadow models: those trained on its lists should leak,
   those trained on the other draw should not.
4. Trains and audits the same models with `lightning-mia audit`.

Prints, for each kind of model, a Markdown table of all attacks.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Processor,
)
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

DROPOUTS = ("hidden_dropout", "attention_dropout", "activation_dropout", "final_dropout", "layerdrop")
SIZES: dict[str, Any] = {
    **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256},
    **{"conv_dim": [32] * 7, "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4},
    **{"num_codevectors_per_group": 32, "codevector_dim": 32, "proj_codevector_dim": 32, "num_negatives": 64},
    **dict.fromkeys(DROPOUTS, 0.0),
}
BATCH = 16  # recordings
VOCABULARY = ["<pad>", "|", "<unk>", *"abcdefghijklmnopqrstuvwxyz'_"]
RECOGNISER: dict[str, Any] = {
    **{"vocab_size": len(VOCABULARY), "pad_token_id": 0, "ctc_loss_reduction": "mean"},
    **{"apply_spec_augment": False, "feat_proj_dropout": 0.0},
}
EPOCHS = {"pretraining": 60, "ctc": 30}  # a recogniser of 60 epochs knows its members by heart
RATE = 2e-3
CTC_SCORE = {"class_path": "TaskScore", "init_args": {"score": "ctc_score"}}
WITH_SHADOWS = ("MidPoint", "BaVarIA", "LiRA", "RMIA")
ATTACKS: dict[str, list[Any]] = {  # those that read the model's own loss: one probe for each model
    "pretraining": ["UtteranceSimilarity", "PretextLoss", *WITH_SHADOWS],
    "ctc": [
        "UtteranceSimilarity",
        "CTCLoss",
        *({"class_path": name, "init_args": {"signal": CTC_SCORE}} for name in WITH_SHADOWS),
    ],
}
N_SHADOWS = 4


# Training: nothing of the package.


def extractor() -> Wav2Vec2FeatureExtractor:
    return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)


def new_model(kind: str, seed: int) -> Any:
    """Create a model with random weights."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    if kind == "pretraining":
        return Wav2Vec2ForPreTraining(Wav2Vec2Config(**SIZES))
    return Wav2Vec2ForCTC(Wav2Vec2Config(**SIZES, **RECOGNISER))


def save(model: Any, kind: str, folder: Path) -> None:
    """Save a model with what describes its input, and for CTC its vocabulary."""
    model.save_pretrained(folder)
    if kind == "pretraining":
        extractor().save_pretrained(folder)
        return
    vocabulary = {character: label for label, character in enumerate(VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None)
    Wav2Vec2Processor(extractor(), tokenizer).save_pretrained(folder)


def train(model: Any, waveforms: Sequence[np.ndarray], epochs: int, rate: float, texts: Sequence[str] = ()) -> Any:
    """Train a model on recordings of equal length.

    Args:
        model: the model.
        waveforms: recordings, 16 kHz.
        epochs: passes over the recordings.
        rate: peak learning rate.
        texts: transcripts, for CTC.
    """
    inputs = extractor()(list(waveforms), sampling_rate=16_000, return_tensors="pt", padding=True).input_values
    labels = [torch.tensor([VOCABULARY.index(c) for c in text.replace(" ", "|")]) for text in texts]
    n_batches = -(-len(inputs) // BATCH)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=rate, betas=(0.9, 0.98), eps=1e-6)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rate, total_steps=epochs * n_batches, pct_start=0.1, anneal_strategy="linear"
    )
    for epoch in range(epochs):
        if not texts:
            model.set_gumbel_temperature(max(2.0 * 0.25 ** (epoch / (0.7 * epochs)), 0.5))
        losses = []
        for rows in torch.randperm(len(inputs)).split(BATCH):
            loss = (
                ctc_loss(model, inputs[rows], [labels[row] for row in rows])
                if texts
                else contrastive_loss(model, inputs[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)
    return model.eval()


def contrastive_loss(model: Wav2Vec2ForPreTraining, inputs: torch.Tensor) -> torch.Tensor:
    """Compute the loss per masked frame."""
    shape = (len(inputs), int(model._get_feat_extract_output_lengths(inputs.shape[1])))
    masks = _compute_mask_indices(shape, mask_prob=0.65, mask_length=10, min_masks=1)
    negatives = _sample_negative_indices(shape, model.config.num_negatives, mask_time_indices=masks)
    output = model(
        inputs,
        mask_time_indices=torch.from_numpy(masks),
        sampled_negative_indices=torch.from_numpy(negatives),
    )
    loss: torch.Tensor = output.loss / int(masks.sum())
    return loss


def ctc_loss(model: Wav2Vec2ForCTC, inputs: torch.Tensor, labels: Sequence[torch.Tensor]) -> torch.Tensor:
    padded = torch.nn.utils.rnn.pad_sequence(list(labels), batch_first=True, padding_value=-100)
    loss: torch.Tensor = model(inputs, labels=padded).loss
    return loss


def train_on_list(kind: str, path: Path, seed: int, epochs: int, folder: Path) -> None:
    """Train a new model on a training list, unless it is there."""
    if (folder / "model.safetensors").exists():
        return
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    waveforms = [soundfile.read(file, dtype="float32")[0] for file in table["path"]]
    print(f"{folder}: {len(waveforms)} recordings", flush=True)
    texts = table["text"].to_list() if kind == "ctc" else ()
    save(train(new_model(kind, seed), waveforms, epochs, RATE, texts), kind, folder)


# Audit: by command line.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, help="manifest of transcribed recordings of 1 s, 16 kHz")
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--n_units", type=int, default=160, help="members and non-members")
    parser.add_argument("--n_auxiliary", type=int, default=40, help="auxiliary recordings")
    parser.add_argument("--epochs", type=int, help="passes over the members; default: 60 and, for CTC, 30")
    parser.add_argument("--kinds", nargs="+", choices=list(EPOCHS), default=list(EPOCHS), help="models to train")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    for seed, name in enumerate(("S", "other_draw")):
        sizes = ["--n_units", str(arguments.n_units), "--n_auxiliary", str(arguments.n_auxiliary)]
        options = [*sizes, "--seed", str(seed), "--shadows", str(N_SHADOWS), "--formats", "csv"]
        lightning_mia("split", str(arguments.manifest), "--out", str(folder / name), *options)
    for kind in arguments.kinds:
        results = audit_kind(kind, folder, arguments.epochs or EPOCHS[kind])
        verdicts = [f"{name}: {audit['verdict']['status']}" for name, audit in results.items()]
        print(f"\n{kind}, {', '.join(verdicts)}\n")
        print("\n".join(table(results)), flush=True)


def audit_kind(kind: str, folder: Path, epochs: int) -> dict[str, dict[str, Any]]:
    """Train and audit all models of a kind; return the results of each audit."""
    models = folder / kind
    for seed, name in enumerate(["target", *(f"shadow_{number:03d}" for number in range(N_SHADOWS))]):
        train_on_list(kind, folder / "S" / "train" / f"{name}.csv", seed, epochs, models / name)
    train_on_list(kind, folder / "other_draw" / "train" / "target.csv", N_SHADOWS + 1, epochs, models / "other_draw")
    fleet = ["--fleet.checkpoints", f"{models}/shadow_{{:03d}}"]
    audits = {
        "without shadow models": audit(ATTACKS[kind], folder / "S", models / "target", []),
        "with 4 shadow models": audit(ATTACKS[kind], folder / "S", models / "target", fleet),
        "other draw": audit(ATTACKS[kind], folder / "S", models / "other_draw", fleet),
    }
    initial = models / "initial"
    save(new_model(kind, 0), kind, initial)
    own = ["--model.fresh", "true", "--model.learning_rate", str(RATE), "--trainer.max_epochs", str(epochs)]
    own += ["--fleet.size", str(N_SHADOWS), "--trainer.gradient_clip_val", "1.0", "--controls.wrong_model", "false"]
    audits["trained by the suite"] = audit(ATTACKS[kind], folder / "S", initial, own, command="audit")
    return audits


def audit(
    attacks: Sequence[Any], split: Path, checkpoint: Path, options: Sequence[str], command: str = "attack"
) -> dict[str, Any]:
    """Audit a checkpoint on a drawn split; return `results.json`."""
    run_dir = checkpoint.with_name(f"{checkpoint.name}_audit")
    data = ["--split", str(split), "--data.batch_seconds", str(BATCH)]  # recordings of 1 s
    trainer = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    chosen = ["--attacks", json.dumps(attacks), "--controls.untrained", "false"]
    arguments = ["--model.checkpoint", str(checkpoint), "--run_dir", str(run_dir), *data, *trainer, *chosen]
    lightning_mia(command, "-c", "configs/attack/checkpoint.yaml", *arguments, *options)
    results: dict[str, Any] = json.loads((run_dir / "report" / "results.json").read_text())
    return results


def lightning_mia(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lightning_mia", *arguments], check=True)


def table(audits: dict[str, dict[str, Any]]) -> list[str]:
    """Make a Markdown table: one row for each attack and number of shadow models."""
    heading = ["attack", "shadow models", *list(audits)[1:], "over targets", "over targets, trained by the suite"]
    by_audit = {name: {attack["name"]: attack for attack in audit["attacks"]} for name, audit in audits.items()}
    here, own = by_audit["with 4 shadow models"], by_audit["trained by the suite"]
    rows = []
    for name, attack in sorted(here.items(), key=lambda item: -item[1]["auroc"]):
        cells = [estimate(by_audit[audit].get(name)) for audit in list(audits)[1:]]
        rows.append(
            [f"`{name}`", str(attack["n_shadows"] or 0), *cells, over_targets(attack), over_targets(own.get(name))]
        )
    return ["| " + " | ".join(cells) + " |" for cells in (heading, ["---"] * len(heading), *rows)]


def estimate(result: dict[str, Any] | None) -> str:
    """Format AUROC with interval, and TPR at 1 % FPR."""
    if result is None:
        return "–"
    rate = next((point["tpr"] for point in result["tpr_at_fpr"] if point["fpr"] == 0.01), float("nan"))
    lower, upper = result["auroc_ci95"]
    return f"{result['auroc']:.2f} [{lower:.2f}, {upper:.2f}], {rate:.0%}"


def over_targets(result: dict[str, Any] | None) -> str:
    """Format mean ± standard deviation over the shadow models as targets."""
    summary = result and result.get("in_turn")
    return f"{summary['auroc_mean']:.2f} ± {summary['auroc_sd']:.2f}" if summary else "–"


if __name__ == "__main__":
    main()
