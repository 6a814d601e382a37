#!/bin/bash
# launch/tpu_vm.sh NAME ZONE --config=unet --workdir=gs://bucket/runs/unet-or-a-shared-folder
#
# Trains on every worker of a TPU VM slice, from a checkout already copied to ~/specjax.
#
# Restarts: after a preemption, recreate the slice (queued resources do so automatically) and run this command again.
# Training resumes from the newest checkpoint.
set -euo pipefail
name=$1 zone=$2
shift 2
command="cd ~/specjax && pip install -q -e '.[tpu]' && python -m specjax.train --pod $(printf '%q ' "$@")"
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$command"
