#!/usr/bin/env bash
# SLURM: one model on 4 nodes with 8 GPUs each (DDP). DIR contains LibriSpeech/; all nodes share DIR and R:
#   sbatch slurm_4_nodes.sh DIR R
# A preempted or resubmitted job resumes from its last checkpoint.
#SBATCH --job-name=lightning-mia
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=48:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
set -euo pipefail
data=${1:?give the folder of the corpus} run=${2:?give the run directory}
export OMP_NUM_THREADS=1
export LIGHTNING_MIA_CACHE=${LIGHTNING_MIA_CACHE:-$(dirname "$run")/lightning_mia_cache} # decoded audio, for all nodes
srun lightning-mia fit -c configs/pretrain/hubert_base.yaml --data.corpus.root "$data" --run_dir "$run" \
    --trainer.accelerator gpu --trainer.num_nodes 4 --trainer.devices 8 --trainer.strategy ddp
