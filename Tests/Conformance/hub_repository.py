"""`graft fetch hf://…` and huggingface_hub on one cache, both ways, from a Hub in this script.

Also: 16 programs fetch a file once, and kill -9 at random moments (50 of them under CONFORMANCE=all) loses little.
Needs huggingface_hub. GRAFT names the program.
"""
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

import _faults
import _minihub
from _faults import FaultyHub, unsound

GRAFT = os.environ["GRAFT"]
failures = []
COMMIT, OTHER = "a" * 40, "b" * 40
random.seed(7)
BIG = random.randbytes(24 << 20)
FILES = {"config.json": b'{"a": 1}', "empty.txt": b"", "sub/deep/tokenizer.json": b"[]" * 900,
         "model.safetensors": random.randbytes(300_000), "name with space+.txt": b"x",
         "pytorch_model.bin": random.randbytes(200_000)}


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


def tree(folder):
    """Everything below a folder, by path: what a link says, or the bytes."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        key = str(path.relative_to(folder))
        if path.is_symlink():
            found[key] = os.readlink(path)
        elif path.is_file():
            found[key] = path.read_bytes()
    return {k: v for k, v in found.items() if not k.startswith(".locks/")}


def graft(environment, *arguments, timeout=30):
    done = subprocess.run([GRAFT, *arguments], env=environment, text=True, capture_output=True,
                          timeout=timeout)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def python(environment, code):
    done = subprocess.run([sys.executable, "-c", "from huggingface_hub import *\n" + code],
                          env=environment, text=True, capture_output=True, timeout=120)
    return done.returncode, done.stdout.strip(), done.stderr.strip()[-600:]


def repositories(home):
    hub = _minihub.MiniHub({"acme/tiny": ({COMMIT: FILES}, {"main": COMMIT, "refs/pr/1": COMMIT})})
    mine = _minihub.environment(f"{home}/one", hub.url)
    theirs = _minihub.environment(f"{home}/two", hub.url)
    for folder in ("one", "two", "some"):
        os.makedirs(f"{home}/{folder}")
    names = ["model.safetensors", "name with space+.txt"]
    some = graft(_minihub.environment(f"{home}/some", hub.url), "fetch", "hf://acme/tiny", *names)
    check("files of it by name, as hf download takes them", some[0] == 0
          and [pathlib.Path(p).read_bytes() for p in some[1].splitlines()] == [FILES[n] for n in names], some)
    missing = graft(_minihub.environment(f"{home}/some", hub.url), "fetch", "hf://acme/tiny", names[0], "nothing.bin")
    check("one that is not there is named", missing[0] == 1 and "nothing.bin" in missing[2], missing)
    hub.requests.clear()
    result = graft(mine, "fetch", "hf://acme/tiny", "--json")
    check("a repository arrives", result[0] == 0, result)
    fetched = json.loads(result[1])["repositories"][0]
    check("its files are right", all((pathlib.Path(fetched["path"]) / p).read_bytes() == d
                                     for p, d in FILES.items()), fetched)
    requests = [r for r in hub.requests if r[0] == "GET" and "resolve" in r[1]]
    check("each file costs one request, an empty one none",
          len(requests) == len(FILES) - 1, requests)
    result = python(theirs, "print(snapshot_download('acme/tiny'))")
    check("huggingface_hub fetches it as well", result[0] == 0, result)
    ours, reference = tree(f"{home}/one/hf/hub"), tree(f"{home}/two/hf/hub")
    check("the cache is Python's, byte for byte", ours == reference,
          {k for k in ours.keys() | reference.keys() if ours.get(k) != reference.get(k)})

    before = len(hub.requests)
    result = graft(mine, "fetch", "hf://acme/tiny")
    check("a warm repository costs one request",
          result[0] == 0 and len(hub.requests) == before + 1, hub.requests[before:])
    before = len(hub.requests)
    result = graft(mine, "fetch", f"hf://acme/tiny@{COMMIT}")
    check("a commit costs none", result[0] == 0 and len(hub.requests) == before,
          hub.requests[before:])
    result = python(mine, "print(snapshot_download('acme/tiny', local_files_only=True))")
    check("Python reads graft's cache offline",
          result[0] == 0 and result[1] == fetched["path"], result)
    result = graft(theirs, "fetch", "--offline", "hf://acme/tiny", "--json")
    check("graft reads Python's cache offline, and says that it is complete", result[0] == 0 and
          json.loads(result[1])["repositories"][0]["completeness"] == "complete", result)
    (pathlib.Path(fetched["path"]) / "config.json").unlink()
    result = graft(mine, "fetch", "--offline", "hf://acme/tiny")
    check("offline, what is missing is named", result[0] == 1 and "config.json" in result[2], result)

    folder = f"{home}/plain"
    result = graft(mine, "fetch", "hf://acme/tiny@refs/pr/1", "--local-dir", folder,
                   "--exclude", "*.bin")
    check("a plain folder is filled", result[0] == 0 and
          (pathlib.Path(folder) / "sub/deep/tokenizer.json").read_bytes() ==
          FILES["sub/deep/tokenizer.json"] and not os.path.exists(f"{folder}/pytorch_model.bin"),
          result)
    before = len([r for r in hub.requests if r[0] == "GET" and "resolve" in r[1]])
    result = python(mine, f"print(snapshot_download('acme/tiny', local_dir={folder!r}, "
                          "ignore_patterns='*.bin'))")
    after = len([r for r in hub.requests if r[0] == "GET" and "resolve" in r[1]])
    check("Python trusts its bookkeeping", result[0] == 0 and before == after, result)
    result = graft(mine, "fetch", "hf://acme/tiny/nothing.txt")
    check("a missing file is explained",
          result[0] == 1 and "no such file" in result[2], result)
    result = graft(mine, "fetch", "hf://acme/none")
    check("a missing repository is explained",
          result[0] == 1 and "no such repository" in result[2], result)
    result = graft(mine | {"HF_HUB_DISABLE_SYMLINKS": "1"}, "fetch", "hf://acme/tiny",
                   "--cache-dir", f"{home}/flat")
    flat = tree(f"{home}/flat")
    check("a cache without links holds the files themselves", result[0] == 0 and
          flat.get(f"models--acme--tiny/snapshots/{COMMIT}/config.json") == FILES["config.json"]
          and not any("/blobs/" in p for p in flat), (result, list(flat)))
    hub.close()


def kills(home):
    """kill -9 at random moments: the file is right in the end, and little is fetched twice."""
    wanted = 50 if os.environ.get("CONFORMANCE") == "all" else 12
    seed = int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    deaths = finished = again = allowed = 0
    with FaultyHub({"w.safetensors": BIG}, drip=(32768, 0.004)) as hub:
        place = pathlib.Path(f"{home}/killed")
        environment = _minihub.environment(place, hub.url)
        while True:
            process = subprocess.Popen([GRAFT, "fetch", "hf://a/b"], env=environment, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                out, err = process.communicate(timeout=chance.uniform(0.02, 0.6) if deaths < wanted else 100)
            except subprocess.TimeoutExpired:
                # A piece for each connection, what lies in the buffers of its sockets, and a piece of grace.
                allowed += (hub.open + 1) * (1 << 20)
                process.kill()
                process.communicate()
                deaths += 1
                while hub.open:
                    time.sleep(0.005)
                continue
            data = (pathlib.Path(out.strip()) / "w.safetensors").read_bytes() if process.returncode == 0 else b""
            if data != BIG or unsound(place):
                return check(f"killed {deaths} times (seed {seed}), the file is right", False, (out, err))
            finished += 1
            again += hub.sent - len(BIG)
            hub.sent = 0
            if deaths >= wanted:
                break
            shutil.rmtree(place)
    check(f"killed {deaths} times (seed {seed}), the file is right", finished > 0)
    check("what is fetched twice is a piece or so for each connection", 0 <= again <= allowed, (again, allowed))
    print(f"     {again / deaths / 2 ** 20:.1f} MiB fetched twice for each kill, {finished} files", flush=True)


def together(home):
    with FaultyHub({"w.safetensors": BIG[:6 << 20]}, drip=(65536, 0.002)) as hub:
        environment = _minihub.environment(f"{home}/together", hub.url)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            results = list(pool.map(lambda _: graft(environment, "fetch", f"hf://a/b@{_faults.COMMIT}"), range(16)))
        check("16 programs fetch a file once", all(r[0] == 0 for r in results) and hub.sent == 6 << 20,
              (hub.sent, [r for r in results if r[0]][:1]))


def main():
    with tempfile.TemporaryDirectory() as home:
        repositories(home)
        kills(home)
        together(home)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
