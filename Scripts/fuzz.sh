#!/usr/bin/env bash
# Gives every parser, or those that are named, to libFuzzer for some seconds each.
#
#   Scripts/fuzz.sh PROGRAM SECONDS [PARSER…]
#
# The corpus grows in .build-fuzz/corpus and is kept from run to run; an input that a parser fails on is written to
# Tests/FuzzTests/Corpus/PARSER, where the tests replay it from then on.
set -uo pipefail
cd "$(dirname "$0")/.."
program=$1
seconds=$2
shift 2
# Swift's own backtraces would come before libFuzzer notices.
export SWIFT_BACKTRACE=enable=no
(($# > 0)) || mapfile -t all < <(GRAFT_FUZZ_TARGET='' "$program")
(($# > 0)) || set -- "${all[@]}"
shm=/dev/shm
[[ -w $shm ]] || shm=/tmp
GRAFT_FUZZ_FOLDER=$(mktemp -d "$shm/graft-fuzz.XXXXXX")
export GRAFT_FUZZ_FOLDER
trap 'rm -rf "$GRAFT_FUZZ_FOLDER"' EXIT

failed=()
for parser in "$@"; do
    export GRAFT_FUZZ_TARGET=$parser
    grown=.build-fuzz/corpus/$parser
    kept=Tests/FuzzTests/Corpus/$parser
    seeds=$GRAFT_FUZZ_FOLDER/seeds
    log=.build-fuzz/$parser.log
    mkdir -p "$grown" "$kept" "$seeds"
    rm -f "$seeds"/*
    while read -r seed; do [[ -z $seed ]] || cp "$seed" "$seeds/"; done < <(GRAFT_FUZZ_SEEDS=1 "$program")
    before=$(find "$kept" -type f | wc -l)
    # libhdf5 has faults of its own, which is why it is confined: those are counted and not kept.
    if [[ $parser == hdf5 ]]; then
        artifacts=.build-fuzz/libhdf5/
        mkdir -p "$artifacts"
        extra=(-fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1)
    else
        artifacts=$kept/
        extra=()
    fi
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
        -artifact_prefix="$artifacts" -print_final_stats=1 "${extra[@]}" "$grown" "$kept" "$seeds" >"$log" 2>&1
    status=$?
    if [[ $parser == hdf5 ]]; then
        status=0
        faults=$(find "$artifacts" -type f | wc -l)
        ((faults == 0)) || echo "    $faults inputs that libhdf5 does not survive are in $artifacts"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    inputs=$(find "$grown" -type f | wc -l)
    printf '%-20s %10s inputs tried, %5s kept\n' "$parser" "${runs:-?}" "$inputs"
    if ((status != 0)) || (($(find "$kept" -type f | wc -l) != before)); then
        failed+=("$parser")
        grep -aE 'ERROR|SUMMARY|Fatal error|Test unit written' "$log" | sed 's/^/    /'
        found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
        [[ -z $found ]] || echo "    again: GRAFT_FUZZ_TARGET=$parser $program $found"
    fi
done
((${#failed[@]} == 0)) || {
    echo "fuzz: ${failed[*]} failed"
    exit 1
}
echo "fuzz: ${#} parsers, none failed"
