#!/usr/bin/env bash
# The main job on real data: fetch published weights, convert, train a new head, evaluate, predict.
set -euo pipefail
graft=$1
work=demo
stamps=tuxpaint-stamps-default
mkdir -p "$work"

# Prints a command as a newcomer would type it.
show() { printf '\n$ graft %s\n' "$*"; }

# Prints a command, then runs it.
run() {
    show "$@"
    "$graft" "$@"
}

# 280 pictures of 8 kinds, most of them photos, from a package of Debian and Ubuntu.
photos() {
    [[ -d $work/photos ]] && return 0
    rm -rf "$work/unpack" && mkdir -p "$work/unpack"
    echo "fetching photos: Debian's package $stamps (161 MB)" >&2
    (cd "$work/unpack" && apt-get download -qq "$stamps" 2>/dev/null) || {
        sudo=(); (($(id -u) == 0)) || sudo=(sudo)
        "${sudo[@]}" apt-get update -qq >&2 &&
            (cd "$work/unpack" && apt-get download -qq "$stamps") >&2
    } || return 1
    dpkg -x "$work/unpack/$stamps"*.deb "$work/unpack" || return 1
    local root=$work/unpack/usr/share/tuxpaint/stamps kind file
    for kind in animals/birds animals/insects animals/mammals food/fruit food/vegetables \
        plants/flowers town/houses vehicles; do
        mkdir -p "$work/unpack/photos/${kind##*/}"
        while IFS= read -r file; do
            cp "$file" "$work/unpack/photos/${kind##*/}/"
        done < <(find "$root/$kind" -name '*.png' | sort)
    done
    mv "$work/unpack/photos" "$work/photos"
    rm -rf "$work/unpack"
}

backbone=timm/tf_efficientnet_lite0
if photos && run fetch "$backbone"; then
    echo
    echo "real run: published ImageNet weights of EfficientNet-Lite0, real pictures from Debian"
    run convert "$backbone" -o "$work/backbone.safetensors"
    show summary "$work/backbone.safetensors" "| tail -n 12"
    "$graft" summary "$work/backbone.safetensors" | tail -n 12
    run train "$work/photos" --backbone "$work/backbone.safetensors" -o "$work/run" --overwrite
    run evaluate "$work/run/model.safetensors" "$work/photos" --split "$work/run/split.json"
    run predict "$work/run/model.safetensors" "$(find "$work/photos/birds" -name '*.png' | sort | head -n 1)"
else
    echo
    echo "OFFLINE run: the weights or the photos cannot be had from here, so this is a small built-in"
    echo "network that learns from nothing, on pictures that graft draws; its accuracy says nothing"
    echo "about real photos"
    rm -rf "$work/drawn"
    run draw "$work/drawn" --classes 4 --count 300
    run train "$work/drawn" --backbone graft/tiny -o "$work/run" --overwrite \
        --mode finetune --unfreeze all --optimizer adam --learning-rate 0.002 --epochs 40
    run evaluate "$work/run/model.safetensors" "$work/drawn" --split "$work/run/split.json"
    run predict "$work/run/model.safetensors" "$work/drawn/circle/0000.png"
fi
echo
echo "the trained model: $work/run/model.safetensors"
