#!/usr/bin/env bash
# Installs the C libraries that graft links, with apt-get, where they are missing.
set -euo pipefail
packages=(libcurl4-openssl-dev libhdf5-dev libarchive-dev libdnnl-dev libturbojpeg0-dev
    libpng-dev libwebp-dev libexpat1-dev libbrotli-dev liblz4-dev libsnappy-dev libzstd-dev zlib1g-dev
    pkg-config ca-certificates)
# Opened at run time for HEIC, AVIF, TIFF and GIF images; graft builds without them. Newer systems have
# the decoders of libheif in packages of their own.
for package in libheif1 libtiff6 libgif7 libheif-plugin-libde265 libheif-plugin-dav1d; do
    if apt-cache show "$package" >/dev/null 2>&1; then packages+=("$package"); fi
done
# Ubuntu's name of TurboJPEG's development package differs.
if ! apt-cache show libturbojpeg0-dev >/dev/null 2>&1 &&
    apt-cache show libturbojpeg-dev >/dev/null 2>&1; then
    packages=("${packages[@]/libturbojpeg0-dev/libturbojpeg-dev}")
fi
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
        missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi
echo "installing with apt-get: ${missing[*]}" >&2
sudo=()
if (($(id -u) != 0)); then
    command -v sudo >/dev/null || {
        echo "error: not root and no sudo; ask an administrator to run:" >&2
        echo "  apt-get install ${missing[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
