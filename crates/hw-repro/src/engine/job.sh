#!/bin/bash
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
# One of equal workers on one folder. Options given to sbatch itself come before those above.
#
# Slurm sends USR1 before the time limit: the worker saves a checkpoint and this element of the array queues again.
# On TERM (scancel, preemption) the worker saves a checkpoint and this ends.

id=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}}
id=${id:-$SLURM_JOB_ID}
say() { echo "$(date '+%F %T') job $id on ${SLURMD_NODENAME:-$HOSTNAME}: $*"; }

# As many threads as Slurm gives processors, where nothing else was asked for.
if [ -n "$SLURM_CPUS_ON_NODE" ]; then
  export RAYON_NUM_THREADS="${RAYON_NUM_THREADS:-$SLURM_CPUS_ON_NODE}"
fi

worker=
asked=
stop() {
  asked=$1
  if [ -n "$worker" ]; then
    kill -TERM "$worker" 2>/dev/null
  fi
}
trap 'stop again' USR1
trap 'stop end' TERM INT

say "the worker starts"
@WORKER@ &
worker=$!
# A signal that came before the worker had a number.
if [ -n "$asked" ]; then
  kill -TERM "$worker"
fi
# A signal ends `wait` early, so the worker is waited for only when it is gone.
while kill -0 "$worker" 2>/dev/null; do
  sleep 1 &
  wait $! 2>/dev/null
done
wait "$worker"
code=$?

case $code in
  0) say "the worker ended: nothing is left" ;;
  130) say "the worker stopped and saved" ;;
  *) say "the worker ended with exit code $code" ;;
esac
if [ "$code" = 130 ] && [ "$asked" = again ]; then
  say "the time limit comes near: queueing again"
  # Where it works, Slurm ends this script at once.
  if scontrol requeue "$id"; then
    exit 0
  fi
  say "cannot be queued again; the command that submitted it goes on"
fi
exit "$code"
