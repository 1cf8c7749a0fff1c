#!/usr/bin/env bash
# The C kernels compile for processors that have none of their instructions: there oneDNN and plain loops do the work.
set -euo pipefail
cd "$(dirname "$0")/.."
targets=(aarch64 riscv64)
missing=()
for target in "${targets[@]}"; do
    [[ -d /usr/$target-linux-gnu/include ]] || missing+=("libc6-dev-${target/aarch64/arm64}-cross")
done
if ((${#missing[@]} > 0)) && command -v apt-get >/dev/null; then
    echo "installing with apt-get: ${missing[*]}" >&2
    sudo=(); if (($(id -u) != 0)); then sudo=(sudo); fi
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
fi
flags=(-O2 -c -Wall -Wextra -Werror -ISources/CKernels/include -o /dev/null)
for source in Sources/CKernels/*.c; do
    for target in "${targets[@]}"; do
        clang --target="$target-linux-gnu" -isystem "/usr/$target-linux-gnu/include" "${flags[@]}" "$source"
    done
    # The oldest x86-64: what is newer is chosen at run time, by function.
    clang --target=x86_64-linux-gnu -march=x86-64 "${flags[@]}" "$source"
done
echo "the C kernels compile for ${targets[*]} and the first x86-64"
