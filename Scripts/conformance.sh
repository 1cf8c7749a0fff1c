#!/usr/bin/env bash
# Runs every conformance script with the peers and says how many agreed.
set -uo pipefail
venv=$1
export GRAFT=$2
export CUDA_VISIBLE_DEVICES= TF_CPP_MIN_LOG_LEVEL=3 PYTHONUNBUFFERED=1
passed=0
failed=0
for script in Tests/Conformance/*.py; do
    [[ $(basename "$script") == _* ]] && continue
    echo "== $script"
    if "$venv/bin/python" "$script"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $script"
    fi
done
echo "conformance: $passed passed, $failed failed"
((failed == 0 && passed > 0))
