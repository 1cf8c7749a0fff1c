#!/usr/bin/env bash
# All benchmarks: graft's own paths one by one, then graft against the peers. A bad figure is printed, and fails nothing.
# With QUICK set it takes some minutes and leaves docs/BENCHMARKS.md alone.
set -uo pipefail
cd "$(dirname "$0")/.."
venv=$1
export GRAFT=$2
quick=${QUICK:-}
failed() { echo "FAILED: $1" >&2; }

echo "== graft-bench"
photo=$("$venv/bin/python" -c 'import skimage, pathlib; print(pathlib.Path(skimage.__file__).parent / "data/rocket.jpg")')
# shellcheck disable=SC2086
swift build ${RELEASE:--c release} --product graft-bench &&
    .build/release/graft-bench --photo "$photo" ${quick:+--quick} || failed graft-bench

# Only this needs it, so that the other checks need not wait for its 59 MB.
"$venv/bin/python" -c 'import openvino' 2>/dev/null || "$venv/bin/pip" install -q openvino || failed "installing OpenVINO"
declare -A settings=([bench_inference]="--write docs/BENCHMARKS.md" [bench_precision]="--write docs/PRECISION.md")
if [[ $quick ]]; then
    settings=([bench_inference]="--quick" [bench_precision]="--rounds 1 --networks mobilenetv2" [bench_convert]="--size 1 --repeats 2" [bench_hub]="--repeats 1")
    export ROUNDS=1 COUNT=48 EPOCHS=3
fi
for script in Scripts/bench_*.py; do
    name=$(basename "$script" .py)
    echo "== $script"
    # shellcheck disable=SC2086
    "$venv/bin/python" "$script" ${settings[$name]:-} || failed "$script"
done
exit 0
