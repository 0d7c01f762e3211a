#!/usr/bin/env bash
# Every training of docs/study.md, one after another: about four hours on two cores, less where two run side by side.
#
#   docs/study/train.sh FOLDER_OF_FASHION_MNIST FOLDER_FOR_THE_RUNS
#
# One thread each, so that the same bits come out however many run at once. The names it writes to names.txt are what
# gather.py looks for.
set -euo pipefail
data=$1 runs=$2
mkdir -p "$runs"
export SUPERNET_RUNS_DIR=$runs

supernets() { # NAME EPOCHS SEEDS SAMPLER [EPOCHS OF RETRAINING]
    local run
    run=$(supernet train --preset lab --set "data.root=$data" --set runtime.threads=1 --set train.evaluate_every=100 \
        --set train.evaluate_unrecalibrated=true \
        --set "train.epochs=$2" --set "train.seeds=$3" --set "train.sampler=$4" --set "retrain.epochs=${5:-1}" \
        --quiet --json | python -c 'import json, sys; print(json.load(sys.stdin)["run"])')
    echo "$1 $run" >>"$runs/names.txt"
}

named() { awk -v name="$1" '$1 == name { print $2 }' "$runs/names.txt"; }

truth() { # EPOCHS
    supernets "truth-$1" 1 "[0]" uniform "$1"
    supernet retrain --all --seeds 0,1,2 --run "$(named "truth-$1")" --quiet
    supernet evaluate --run "$(named "truth-$1")" --quiet
}

truth 1
truth 3

five='[0,1,2,3,4]'
dropout='{ name = "path-dropout", rate = 0.5, ghost = 4 }'
for epochs in 2 4 8; do
    supernets "uniform-$epochs" $epochs "$five" uniform
    supernets "fair-$epochs" $epochs "$five" fair
    supernets "path-dropout-$epochs" $epochs "$five" "$dropout"
done
supernets uniform-16 16 "$five" uniform
for epochs in 2 4 8; do
    supernet retrain --all --short --seeds 0,1,2 --run "$(named "uniform-$epochs")" --quiet
done
for sampler in sandwich bandit epoch; do
    supernets "$sampler-4" 4 "$five" "$sampler"
done
supernets dropout-gentle-4 4 '[0,1]' '{ name = "path-dropout", rate = 0.05, ghost = 4 }'
supernets dropout-summed-4 4 "$five" '{ name = "path-dropout", rate = 0.5, ghost = 4, combine = "sum" }'
