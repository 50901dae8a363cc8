#!/usr/bin/env bash
# SLURM: many models, one per GPU, on a Ray cluster of 4 nodes with 8 GPUs each, started for this job:
#   sbatch slurm_ray.sh M.csv R
# All nodes share M.csv, R and the current folder. A preempted or resubmitted job resumes.
#SBATCH --job-name=lightning-mia-ray
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=slurm-%j.log
set -euo pipefail
manifest=${1:?give the manifest} run=${2:?give the run directory}
export OMP_NUM_THREADS=1
export LIGHTNING_MIA_CACHE=${LIGHTNING_MIA_CACHE:-$(dirname "$run")/lightning_mia_cache} # decoded audio, for all nodes
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent hosts "$head" | awk '{print $1; exit}')
srun --nodes=1 --ntasks=1 -w "$head" ray start --head --node-ip-address="$address" --port=6379 --disable-usage-stats --block &
sleep 20
srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" ray start --address="$address:6379" --block &
sleep 20
srun --overlap --nodes=1 --ntasks=1 --gpus=1 -w "$head" lightning-mia audit -c configs/audit/shadows.yaml \
    --data.corpus.path "$manifest" --run_dir "$run" --fleet.size 256 --trainer.devices 1 \
    --fleet.engine ray --fleet.ray_address "$address:6379" --fleet.gpus_per_model 1
