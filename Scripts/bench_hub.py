"""Fetching: graft against `hf` (without Xet), aria2 and curl, from an nginx on this machine.

Run by `make bench`, or alone: GRAFT=path python Scripts/bench_hub.py [--size MB] [--files N] [--limit MB] [--repeats N].
nginx, aria2 and curl are installed by apt-get where they are missing. Every case runs as whole processes, ours and
theirs by turns against the same server; the figures are medians, CPU is user and system of the client alone, memory the
largest resident set. Every result is compared with what the server has before it counts.
"""
import argparse
import contextlib
import hashlib
import os
import pathlib
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "Tests" / "Conformance"))
import _machine
import _minihub
from _nginx import Nginx, install

GRAFT = os.environ["GRAFT"]
HF = str(pathlib.Path(sys.executable).parent / "hf")
COMMIT = "c" * 40


def measure(command, environment):
    """Seconds, CPU seconds and peak megabytes of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    peak = [0]

    def watch():
        # What `wait4` says of memory includes what Python held when it forked.
        while process.poll() is None:
            with contextlib.suppress(OSError), open(f"/proc/{process.pid}/status") as file:
                found = next((line for line in file if line.startswith("VmHWM")), None)
                peak[0] = max(peak[0], int(found.split()[1]) / 1000 if found else 0)
            time.sleep(0.01)

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watcher = threading.Thread(target=watch)
    watcher.start()
    said = process.stderr.read()
    status = process.wait()
    seconds = time.perf_counter() - start
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}\n{said.decode()[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, peak[0]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Contest:
    """Programs that do the same by turns; each starts with an empty folder unless it is `warm`.

    Small files are removed at the end only: ext4 is slow for seconds after many were.
    """

    def __init__(self, home, base, repeats):
        self.home, self.base, self.repeats = pathlib.Path(home), base, repeats

    def run(self, title, rivals, expected, warm=False, gigabytes=None, fresh=False):
        """`rivals` are {name: command(folder)}; `expected` are {path: sha256} of what must be there."""
        figures = {name: [] for name in rivals}
        for turn in range(self.repeats):
            for name, command in rivals.items():
                folder = self.home / (f"{name} {turn}" if fresh else name)
                if not warm:
                    shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(exist_ok=True)
                figures[name].append(measure(command(folder), _minihub.environment(folder, self.base)))
                # The first turn of each is looked at byte by byte.
                if turn == 0:
                    for path, wanted in expected.items():
                        found = next((p for p in folder.rglob("*") if str(p).endswith(path)), None)
                        if found is None or digest(found) != wanted:
                            raise SystemExit(f"{name}: {path} is missing or wrong")
        medians = {name: [statistics.median(column) for column in zip(*rows)]
                   for name, rows in figures.items()}
        print(f"\n{title} (median of {self.repeats})")
        print(f"  {'':13}{'seconds':>9}{'CPU s' + ('/GB' if gigabytes else ''):>10}{'peak MB':>9}   graft is")
        ours = medians["graft"]
        for name, (seconds, cpu, peak) in medians.items():
            ratio = "" if name == "graft" else f"   {seconds / ours[0]:.2f}x as fast"
            print(f"  {name:13}{seconds:9.2f}{cpu / (gigabytes or 1):10.2f}{peak:9.1f}{ratio}", flush=True)
        if not warm:
            for folder in self.home.iterdir():
                if folder.name.partition(" ")[0] in {n.partition(" ")[0] for n in rivals} and folder.is_dir():
                    shutil.rmtree(folder)
        return medians


def one_file(home, server, repeats, title, size, path, sha256):
    url = f"{server}/acme/big/resolve/{COMMIT}/model.safetensors"
    return Contest(home, server, repeats).run(title, {
        "graft": lambda folder: [GRAFT, "fetch", "-q", "hf://acme/big"],
        "hf": lambda folder: [HF, "download", "acme/big", "-q"],
        "aria2c -x8": lambda folder: ["aria2c", "-x8", "-s8", "-q", "--file-allocation=none", "-d", str(folder),
                                      "-o", "model.safetensors", url],
        "curl": lambda folder: ["curl", "-s", "-f", "-o", f"{folder}/model.safetensors", url],
        # curl alone proves nothing; this is what graft calls done.
        "curl, proven": lambda folder: ["sh", "-c", 'curl -s -f -o "$0" "$1" && echo "$2  $0" | sha256sum -c --quiet',
                                        f"{folder}/model.safetensors", url, sha256],
    }, {"model.safetensors": sha256}, gigabytes=size / 1e9)


def repository(home, server, repeats, files):
    """Many small files, then the same again where nothing is missing."""
    expected = {path: _minihub.sha256(data) for path, data in list(files.items())[::97]}
    listing = pathlib.Path(home) / "urls.txt"
    listing.write_text("".join(f"{server}/acme/small/resolve/{COMMIT}/{p}\n  out={p}\n" for p in files))
    config = pathlib.Path(home) / "curl.txt"
    config.write_text("".join(f'url = "{server}/acme/small/resolve/{COMMIT}/{p}"\noutput = "{p}"\n' for p in files))
    contest = Contest(home, server, repeats)
    whole = {
        "graft": lambda folder: [GRAFT, "fetch", "-q", "hf://acme/small"],
        "hf": lambda folder: [HF, "download", "acme/small", "-q"],
    }
    contest.run(f"a repository of {len(files)} small files", whole | {
        "aria2c -x8": lambda folder: ["aria2c", "-x8", "-j8", "-q", "--file-allocation=none", "-d", str(folder),
                                      "-i", str(listing)],
        "curl -Z": lambda folder: ["curl", "-s", "-f", "-Z", "--parallel-max", "8", "--create-dirs",
                                   "--output-dir", str(folder), "-K", str(config)],
    }, expected, fresh=True)
    for name, command in whole.items():
        folder = pathlib.Path(home) / name
        folder.mkdir()
        measure(command(folder), _minihub.environment(folder, server))
    contest.run("the same repository, nothing missing", whole, {}, warm=True)
    for name in whole:
        shutil.rmtree(pathlib.Path(home) / name)


def settled(nginx):
    """The bytes that nginx sent, once it noticed that the connections of a killed program are gone: it writes a
    request down when it ends, and looks at a limited connection only when it may send again."""
    sent, since = nginx.sent(), time.monotonic()
    while time.monotonic() - since < 2:
        time.sleep(0.1)
        if nginx.sent() != sent:
            sent, since = nginx.sent(), time.monotonic()
    return sent


def killed(home, nginx, server, size, sha256):
    """How much is fetched again after kill -9 at 90 %."""
    print("\nkilled at 90 %, then run again", flush=True)
    url = f"{server}/acme/big/resolve/{COMMIT}/model.safetensors"
    for name, command in {
        "graft": lambda folder: [GRAFT, "fetch", "-q", "hf://acme/big"],
        "hf": lambda folder: [HF, "download", "acme/big", "-q"],
        "aria2c -x8": lambda folder: ["aria2c", "-x8", "-s8", "-q", "-c", "--file-allocation=none",
                                      "-d", str(folder), "-o", "model.safetensors", url],
        "curl -C -": lambda folder: ["curl", "-s", "-f", "-C", "-", "-o", f"{folder}/model.safetensors", url],
    }.items():
        folder = pathlib.Path(home) / name
        folder.mkdir()
        environment = _minihub.environment(folder, server)
        process = subprocess.Popen(command(folder), env=environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)

        def on_disk():
            return sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file() and not p.is_symlink())

        while process.poll() is None and on_disk() < 0.9 * size:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached = on_disk() / size
        before = settled(nginx)
        measure(command(folder), environment)
        found = next(p for p in folder.rglob("*") if str(p).endswith("model.safetensors"))
        right = digest(found) == sha256
        # Of what lay on the disk; what was on its way counts for nobody.
        again = nginx.sent() - before - size * (1 - min(reached, 1))
        print(f"  {name:13} killed at {reached:4.0%}, {max(again, 0) / size:6.2%} fetched twice"
              f"{'' if right else ', and the file is WRONG'}", flush=True)
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1000, help="megabytes of the large file")
    parser.add_argument("--files", type=int, default=2000, help="files of the repository of small ones")
    parser.add_argument("--limit", type=int, default=40, help="megabytes a second for each connection")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="file,limit,small,kill", help="cases, with commas")
    wanted = parser.parse_args()
    print(_machine.line(GRAFT))
    install("nginx", "aria2", "curl")
    cases = wanted.only.split(",")
    chance = random.Random(5)
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as home:
        small = {f"part{n % 20:02}/file{n:04}.json": chance.randbytes(chance.randrange(200, 20_000))
                 for n in range(wanted.files)}
        nginx = Nginx(f"{home}/server")
        size = wanted.size * 10 ** 6
        sha256 = nginx.add_large("acme/big", COMMIT, "model.safetensors", size)
        nginx.add("acme/small", COMMIT, small)
        plain, limited = nginx.start(limits=[None, wanted.limit])
        try:
            path = f"/acme/big/resolve/{COMMIT}/model.safetensors"
            if "file" in cases:
                one_file(home, plain, wanted.repeats, f"{wanted.size} MB from nginx", size, path, sha256)
            if "limit" in cases:
                one_file(home, limited, wanted.repeats,
                         f"{wanted.size} MB from nginx, {wanted.limit} MB/s for each connection", size, path, sha256)
            if "small" in cases:
                repository(home, plain, wanted.repeats, small)
            if "kill" in cases:
                killed(home, nginx, limited, size, sha256)
        finally:
            nginx.stop()


if __name__ == "__main__":
    main()
