#!/bin/bash
# sbatch docs/distributed/slurm.sh PHOTOS/ runs/photos      2 nodes, one worker a node; preempted, it is queued again
#SBATCH --job-name=retinue
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append

# The tasks find each other by SLURM's variables (ports 12000 to 44000), the chief is task 0. 120 seconds before the time is
# up, and when the job is preempted, all save at the end of a step and leave with code 138. DATA and RUN lie on a disk that
# all nodes share.
data=$1 run=$2
shift 2
srun --kill-on-bad-exit=0 --wait=60 retinue train "$data" --out "$run" --auto-resume "$@"
code=$?
# srun answers the highest code: 138 is also that of the others when one ended with a person's mistake, code 1. So not for ever.
if [ "$code" = 138 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
