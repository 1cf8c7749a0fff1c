#!/usr/bin/env bash
# Runs every conformance script with the peers, two at a time where there are two cores, and says how many agreed.
# Names of scripts after the first two arguments (`hub readers`) choose.
set -uo pipefail
venv=$1
export GRAFT=$2
shift 2
export CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# One script: its output is kept together, and its ending is a file beside it.
run() {
    local script=$1 name started=$SECONDS
    name=$(basename "$script" .py)
    if "$venv/bin/python" "$script" >"$logs/$name.log" 2>&1; then touch "$logs/$name.passed"; fi
    (
        flock 9 # one script's lines stay together
        echo "== $script ($((SECONDS - started)) s)"
        cat "$logs/$name.log"
        [[ -e $logs/$name.passed ]] || echo "FAILED: $script"
    ) 9>"$logs/printing"
}

scripts=()
for script in Tests/Conformance/*.py; do
    name=$(basename "$script" .py)
    [[ $name == _* ]] && continue
    if (($# > 0)) && [[ " $* " != *" $name "* ]]; then continue; fi
    scripts+=("$script")
done
atOnce=$(($(nproc) < 2 ? 1 : 2))
for script in "${scripts[@]}"; do
    while (($(jobs -rp | wc -l) >= atOnce)); do wait -n; done
    run "$script" &
done
wait
passed=$(find "$logs" -name '*.passed' | wc -l)
failed=$((${#scripts[@]} - passed))
echo "conformance: $passed passed, $failed failed"
((failed == 0 && passed > 0))
