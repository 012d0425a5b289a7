#!/bin/bash
# sbatch docs/distributed/slurm.sh IMAGES/ runs/images      2 nodes, one worker per node; a preempted job is queued again
#SBATCH --job-name=retinue
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --open-mode=append

# The workers find each other through SLURM's variables (ports 12000 to 44000). Task 0 is the chief. 120 seconds before the
# time limit, and when the job is preempted, all workers save a checkpoint at the end of a step and exit with code 138. The
# data and the run folder are on a disk that all nodes share.
data=$1 run=$2
shift 2
srun --kill-on-bad-exit=0 --wait=60 retinue train "$data" --out "$run" --auto-resume "$@"
code=$?
# srun returns the highest exit code. When one worker exits with 1, a user's mistake, the others exit with 138. That is why
# the number of restarts is limited.
if [ "$code" = 138 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 20 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
