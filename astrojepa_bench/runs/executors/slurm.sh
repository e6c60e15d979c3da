#!/bin/bash
# An array of Slurm that trains and scores what is missing below
#   {{ out }}
# Written by astrojepa-bench, to be read and edited. Submit it with
#   sbatch {{ script }}
#
# Missing: {{ missing }}; {{ length }}.
# Each task issues one command with its part of the grid. What is done is found and not done again, and no two
# processes work on one cell: submit this as often as you like, also beside tasks that still run.

# One task a part: {{ parts }} parts in all, and of these the ones in which something is missing.
#SBATCH --array={{ array }}

# How long a task may take. {{ told_s }} s before its time is over it is told so (USR1); then it stops, keeps what it
# has, and goes back into the queue. There it goes on from the last checkpoint.
#SBATCH --time={{ time }}
#SBATCH --signal=B:USR1@{{ told_s }}
#SBATCH --requeue

# What a task says, in one file also where it comes back.
#SBATCH --output={{ log }}
#SBATCH --open-mode=append

# The folder in which the command was issued; its paths start here.
#SBATCH --chdir={{ folder }}

# What a task takes of a node, and what else was asked for with --executor-option.
{% for option in options %}
#SBATCH --{{ option }}
{% endfor %}

set -m                                        # or the command would not hear an interrupt
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK" # threads of a task; --jobs divides them
stopped=""
trap 'told=yes; stopped=yes; kill -INT "$bench"' USR1

{{ command }} \
    --shard "$SLURM_ARRAY_TASK_ID/{{ parts }}" &
bench=$!

told=yes
while [ -n "$told" ]; do # a signal ends a wait, though not what is waited for
    told=""
    wait "$bench"
    code=$?
done

# 130: it was stopped with work left. A task that came back {{ restarts }} times gets nowhere, and stays away.
if [ -n "$stopped" ] && [ "$code" -eq 130 ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -lt {{ restarts }} ]; then
        scontrol requeue "$SLURM_JOB_ID" && sleep 60 # until Slurm takes it back
    fi
    echo "task $SLURM_ARRAY_TASK_ID was not put back into the queue; submit the script again" >&2
fi
exit "$code"
