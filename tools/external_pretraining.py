"""Pretrain a small wav2vec 2.0 with transformers alone.

python tools/external_pretraining.py MANIFEST.csv FOLDER

Draws 200 members, 200 non-members and 200 auxiliary recordings. Writes FOLDER/target, trained on the members,
FOLDER/wrong_model, trained on the auxiliary recordings, and FOLDER/members.csv, a manifest with the column `member`:

lightning-mia attack -c configs/attack/checkpoint.yaml --model.checkpoint FOLDER/target --run_dir R \
    --controls.wrong_model_checkpoint FOLDER/wrong_model --data.corpus.path FOLDER/members.csv \
    --data.batch_seconds 16 --attacks "[Relearn, PretextLoss]"

The training is a plain loop of PyTorch, and nothing of it but the weights is known to the audit.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

ROLES = {"1": "members", "0": "non-members", "": "auxiliary"}
DROPOUTS = ("hidden_dropout", "attention_dropout", "activation_dropout", "final_dropout", "layerdrop")
SIZES: dict[str, Any] = {
    **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256},
    **{"conv_dim": [32] * 7, "num_conv_pos_embeddings": 32, "num_conv_pos_embedding_groups": 4},
    **{"num_codevectors_per_group": 32, "codevector_dim": 32, "proj_codevector_dim": 32, "num_negatives": 64},
    **dict.fromkeys(DROPOUTS, 0.0),
}
BATCH = 16  # recordings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path, help="manifest of recordings of 1 s, 16 kHz")
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--n_members", type=int, default=200, help="members, non-members and auxiliary recordings each")
    parser.add_argument("--epochs", type=int, default=60, help="passes over the members")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw and the training")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    table = draw(arguments.manifest, arguments.n_members, arguments.seed)
    table.to_csv(arguments.folder / "members.csv", index=False)
    for name, member in (("target", "1"), ("wrong_model", "")):
        paths = table["path"][table["member"] == member]
        model = pretrain([soundfile.read(path, dtype="float32")[0] for path in paths], arguments.epochs, arguments.seed)
        model.save_pretrained(arguments.folder / name)
        extractor().save_pretrained(arguments.folder / name)


def draw(manifest: Path, n: int, seed: int) -> pd.DataFrame:
    """Draw recordings, and label them with their role."""
    table = pd.read_csv(manifest, dtype=str)
    drawn = table.iloc[np.random.default_rng(seed).permutation(len(table))[: len(ROLES) * n]].reset_index(drop=True)
    drawn["member"] = np.repeat(list(ROLES), n)[: len(drawn)]
    drawn["path"] = [str((manifest.parent / path).resolve()) for path in drawn["path"]]
    return drawn


def extractor() -> Wav2Vec2FeatureExtractor:
    return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)


def pretrain(waveforms: list[np.ndarray], epochs: int, seed: int) -> Wav2Vec2ForPreTraining:
    """Train a model with random weights on recordings of equal length."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = Wav2Vec2ForPreTraining(Wav2Vec2Config(**SIZES)).train()
    inputs = extractor()(waveforms, sampling_rate=16_000, return_tensors="pt", padding=True).input_values
    n_batches = -(-len(inputs) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-6)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=2e-3, total_steps=epochs * n_batches, pct_start=0.1, anneal_strategy="linear"
    )
    for epoch in range(epochs):
        model.set_gumbel_temperature(max(2.0 * 0.25 ** (epoch / (0.7 * epochs)), 0.5))
        losses = []
        for part in inputs[torch.randperm(len(inputs))].split(BATCH):
            losses.append(step(model, part, optimizer))
            schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: loss {np.mean(losses):.3f}", flush=True)
    return model.eval()


def step(model: Wav2Vec2ForPreTraining, inputs: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Take one step; return the loss per masked frame."""
    shape = (len(inputs), int(model._get_feat_extract_output_lengths(inputs.shape[1])))
    masks = _compute_mask_indices(shape, mask_prob=0.65, mask_length=10, min_masks=1)
    negatives = _sample_negative_indices(shape, model.config.num_negatives, mask_time_indices=masks)
    output = model(
        inputs,
        mask_time_indices=torch.from_numpy(masks),
        sampled_negative_indices=torch.from_numpy(negatives),
    )
    loss = output.loss / int(masks.sum())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


if __name__ == "__main__":
    main()
