#!/bin/bash
# launch/tpu_vm.sh NAME ZONE --config=unet --workdir=gs://bucket/runs/unet-or-a-shared-folder
#
# Runs the same command on every worker of a TPU VM slice, from a checkout already copied to ~/specjax.
# Restart story: a preempted slice is made anew (queued resources do it by themselves); run this again, it resumes.
set -euo pipefail
name=$1 zone=$2
shift 2
command="cd ~/specjax && pip install -q -e '.[tpu]' && python -m specjax.train --pod $(printf '%q ' "$@")"
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$command"
