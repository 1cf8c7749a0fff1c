"""`graft cache ls` on 10,000 repositories, and the start of the program, against Python's `hf`.

GRAFT names the program. Medians of interleaved runs; `hf` is asked once, as it takes minutes.
"""
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

GRAFT = os.environ["GRAFT"]
HF = pathlib.Path(sys.executable).parent / "hf"
COUNT = int(os.environ.get("REPOSITORIES", "10000"))


def fill(root):
    """Repositories of three files each, as huggingface_hub lays them."""
    for number in range(COUNT):
        commit = hashlib.sha1(b"%d" % number).hexdigest()
        folder = root / f"models--org{number % 100}--model-{number}"
        for name in ("blobs", f"snapshots/{commit}", "refs"):
            (folder / name).mkdir(parents=True)
        for path in ("config.json", "model.safetensors", "README.md"):
            data = f"{number}{path}".encode()
            digest = hashlib.sha256 if path.startswith("model") else hashlib.sha1
            name = digest(data).hexdigest()
            (folder / "blobs" / name).write_bytes(data)
            (folder / "snapshots" / commit / path).symlink_to(f"../../blobs/{name}")
        (folder / "refs/main").write_text(commit)


def seconds(*command, environment):
    start = time.perf_counter()
    subprocess.run([str(c) for c in command], env=environment, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as home:
        root = pathlib.Path(home) / "hub"
        root.mkdir()
        fill(root)
        environment = os.environ | {
            "HF_HUB_CACHE": str(root), "GRAFT_CACHE": home + "/graft", "HF_HOME": home + "/hf",
            "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        paths = {
            "graft cache ls": (GRAFT, "cache", "ls"),
            "graft cache ls --json": (GRAFT, "cache", "ls", "--json"),
            "graft --version": (GRAFT, "--version"),
            "graft fetch --dry-run resnet50": (GRAFT, "fetch", "--dry-run", "resnet50"),
        }
        times = {name: [] for name in paths}
        for _ in range(11):
            for name, command in paths.items():
                times[name].append(seconds(*command, environment=environment))
        print(f"{COUNT} repositories, medians of 11 runs after the first")
        for name, found in times.items():
            print(f"{name:<32} {statistics.median(found[1:]) * 1000:8.1f} ms")
        print(f"{'hf cache ls, once':<32} {seconds(HF, 'cache', 'ls', environment=environment) * 1000:8.1f} ms")


if __name__ == "__main__":
    main()
