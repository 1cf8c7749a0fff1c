"""`graft train hf://datasets/…`: photos of a Hub data set in image-folder form, fetched, proven and learned from.

The same pictures in a plain folder are the peer: the run must learn the same numbers from both.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from _minihub import environment, lay

GRAFT = os.environ["GRAFT"]
work = pathlib.Path(tempfile.mkdtemp(prefix="graft-datasets-"))
COMMIT = "c" * 40
failed = 0


def check(what, holds, detail=""):
    global failed
    failed += not holds
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)


def graft(*arguments, **variables):
    return subprocess.run([GRAFT, *map(str, arguments)], capture_output=True, text=True, timeout=300,
                          env=environment(work / "home", url) | variables)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


subprocess.run([GRAFT, "draw", str(work / "shapes"), "--classes", "3", "--count", "12"], check=True)
pictures = files(work / "shapes")
lay(work / "cache", "acme/shapes", {COMMIT: {f"data/{k}": v for k, v in pictures.items()}
                                    | {"README.md": b"shapes\n", "data.parquet": b"PAR1"}},
    {"main": COMMIT}, kind="dataset")
lay(work / "cache", "acme/table", {COMMIT: {"data/train.parquet": b"PAR1"}}, {"main": COMMIT}, kind="dataset")
server = subprocess.Popen([GRAFT, "serve", "--port", "0", "--cache-dir", str(work / "cache")], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(work / "server"))
url = server.stdout.readline().strip()
train = ["--backbone", "graft/tiny", "--epochs", "2", "--seed", "3", "--overwrite"]
local = graft("train", work / "shapes", *train, "-o", work / "local")
check("a folder is learned from", local.returncode == 0, local.stderr[-300:])
remote = graft("train", "hf://datasets/acme/shapes", *train, "-o", work / "remote")
check("a data set of the Hub is learned from", remote.returncode == 0, remote.stderr[-300:])
if not failed:
    ours, theirs = (json.loads((work / run / "metrics.json").read_text()) for run in ("remote", "local"))
    for metrics in (ours, theirs):
        for key in [key for key in metrics if "second" in key or "time" in key.lower()]:
            del metrics[key]
    check("and the numbers are those of the same pictures in a folder", ours == theirs, f"{ours} / {theirs}"[:600])
again = graft("train", "hf://datasets/acme/shapes", *train, "-o", work / "again", HF_HUB_OFFLINE="1")
check("offline it is there", again.returncode == 0, again.stderr[-300:])
table = graft("train", "hf://datasets/acme/table", *train, "-o", work / "table")
check("a data set without photos is refused with a hint",
      table.returncode == 1 and "hint:" in table.stderr and not (work / "table").exists(), table.stderr[-300:])
missing = graft("train", "hf://datasets/acme/nothing", *train, "-o", work / "missing")
check("a data set that is not there is refused", missing.returncode == 1 and "acme/nothing" in missing.stderr,
      missing.stderr[-300:])
server.terminate()
server.wait()
sys.exit(failed > 0)
