#!/bin/bash
# sbatch launch/slurm.sh --config=unet --workdir=/shared/runs/unet
#
# Trains with one task per GPU. jax.distributed finds the processes from the environment variables of Slurm.
#
# Restarts: SIGTERM is sent two minutes before the time limit or a preemption. The run saves a checkpoint and exits,
# this script requeues the job, and the same command resumes training. If a node dies, Slurm requeues the job.
#SBATCH --job-name=specjax
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append
set -euo pipefail
export XLA_PYTHON_CLIENT_MEM_FRACTION=.9
status=0
srun --kill-on-bad-exit=1 python -m specjax.train --pod "$@" || status=$?
# Status 143: stopped by SIGTERM after saving. Requeue the job to resume.
if [ "$status" -eq 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
