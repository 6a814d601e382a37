#!/bin/bash
# sbatch launch/slurm.sh --config=unet --workdir=/shared/runs/unet
#
# One task a GPU; jax.distributed finds the pod from Slurm's own variables.
# Restart story: SIGTERM comes two minutes before the time limit or a preemption; the run saves and leaves, Slurm
# queues the job again, and the same command resumes. A dead node ends the job, which is queued again too.
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
# 143 is "stopped by SIGTERM and saved": go on where it left off.
if [ "$status" -eq 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
