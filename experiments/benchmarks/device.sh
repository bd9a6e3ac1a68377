#!/usr/bin/env bash
# What exits cost and gain on this machine's accelerator: rows of JSON in a folder, some minutes.
#
#     experiments/benchmarks/device.sh OUTPUT
#
# Depths are forced: a quarter, half and all of the blocks. `tables.py` makes Markdown of the rows.
set -euo pipefail
output=${1:?the folder to write rows into is missing: give a new one}
mkdir "$output"

ee-jax devices --json >"$output/devices.json"
bench() { # NAME ARGUMENTS: rows of one benchmark, and its time
    local start=$SECONDS
    ee-jax bench "${@:2}" --json >"$output/$1.jsonl"
    echo "$1: $((SECONDS - start)) s"
}
bench decode_12x768 decode --model 12x768 --every 3 --depth 3,6,12 --batch 1,8,32 --draft 3 --repeats 5
bench decode_12x768_each decode --model 12x768 --depth 3,6,12 --batch 1,8 --draft 3 --repeats 5
bench decode_16x2048 decode --model 16x2048 --every 4 --depth 4,8,16 --batch 1,8,32 --draft 4 --repeats 5
bench loop loop --model bert-base --seq 128 --batch 1 --depth 3,6,12
bench mixed loop --model bert-base --seq 128 --batch 32 --mixed
bench train train --model bert-base --seq 128 --batch 32
