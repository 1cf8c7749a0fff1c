#!/usr/bin/env bash
# Builds graft and runs its tests inside another release of Debian (or Ubuntu), made by debootstrap: SUITE=trixie.
# Needs root, for chroot. The toolchain of this machine is used inside, read-only; the folder is kept for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${SUITE:-trixie}
root=${ROOT:-$PWD/.build-portable/$suite}
here=$PWD

if (($(id -u) != 0)); then
    echo "error: chroot needs root" >&2
    echo "hint: sudo make portable" >&2
    exit 1
fi
if ! command -v debootstrap >/dev/null; then
    echo "installing with apt-get: debootstrap" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null
fi
swift=$(realpath "$(command -v swift)")
toolchain=$(dirname "$(dirname "$(dirname "$swift")")") # …/usr/bin/swift

mkdir -p "$root"
# Mounts of its own: nothing stays mounted, however this ends.
if [[ -z ${GRAFT_PORTABLE_INSIDE:-} ]]; then
    [[ -x $root/usr/bin/apt-get ]] || debootstrap --variant=minbase "$suite" "$root" ${MIRROR:+"$MIRROR"}
    # Packages are resolved here, where git knows how to reach them, and built there.
    swift package --scratch-path "$root/.scratch" resolve >/dev/null
    mkdir -p "$root/toolchain"
    GRAFT_PORTABLE_INSIDE=1 exec unshare --mount --pid --fork "$0"
fi
mount --bind "$toolchain" "$root/toolchain"
mount -o remount,bind,ro "$root/toolchain"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmp "$root/tmp"
# After the mount on /tmp: the checkout may lie there.
mkdir -p "$root$here"
mount --bind "$here" "$root$here"
# The packages' folder lies at the same path inside as outside: its records name it so.
mkdir -p "$root$root/.scratch"
mount --bind "$root/.scratch" "$root$root/.scratch"
cp /etc/resolv.conf "$root/etc/resolv.conf"

cat >"$root/inside.sh" <<'END'
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/toolchain/usr/bin:$PATH HOME=/root
. /etc/os-release
echo "== $PRETTY_NAME, glibc $(ldd --version | sed -n '1s/.* //p')"
apt-get update -qq
# What Swift's toolchain needs of the system, and what the tests call.
apt-get install -y -qq --no-install-recommends git make python3 g++ libcurl4 libxml2 libedit2 libsqlite3-0 \
    libncurses6 zlib1g-dev ca-certificates ffmpeg unzip bzip2 xz-utils zstd >/dev/null
cd "$1"
git config --global --add safe.directory "$1"
Scripts/system-packages.sh
dpkg-query -W -f='${Package} ${Version}\n' libdnnl-dev libhdf5-dev libarchive-dev
flags=(--scratch-path "$2" --disable-automatic-resolution)
swift build -c release "${flags[@]}" --static-swift-stdlib --product graft
"$2/release/graft" doctor --offline
GRAFT="$2/release/graft" OMP_WAIT_POLICY=passive swift test "${flags[@]}" --disable-xctest
END
chroot "$root" bash /inside.sh "$here" "$root/.scratch"
