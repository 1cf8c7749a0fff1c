"""`graft serve` as the Hub of Python's own clients: `hf download`, HfApi, transformers' and timm's loaders.

GRAFT names the program; huggingface_hub of this Python's environment is the peer.
"""
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading

from _minihub import environment, etag, lay

GRAFT = os.environ["GRAFT"]
HF = str(pathlib.Path(sys.executable).parent / "hf")
failures = []
chance = random.Random(11)
A, B = "a" * 40, "b" * 40
MANY = {f"part/{n:04}.txt": f"{n}\n".encode() for n in range(1200)}
TINY = {
    A: {"model.safetensors": chance.randbytes(100_000), "config.json": b'{"model_type": "bert"}\n'},
    B: {"model.safetensors": chance.randbytes(3_000_000), "config.json": b'{"hidden_size": 8, "model_type": "bert"}\n',
        "sub/sp ace+.bin": chance.randbytes(70_000), "empty.txt": b""},
}


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


def raw(port, method, path, headers={}, body=None):
    """A request whose path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def same(folder, files):
    return all((folder / path).read_bytes() == data for path, data in files.items())


def main():
    home = pathlib.Path(tempfile.mkdtemp(prefix="graft-serve-"))
    cache = home / "served" / "hub"
    (home / "secret.txt").write_text("secret")
    lay(cache, "acme/tiny", TINY, {"main": B, "v1": A, "refs/pr/1": A})
    lay(cache, "gpt2", {A: {"config.json": b"{}"}}, {"main": A})
    lay(cache, "acme/many", {A: MANY}, {"main": A}, trees=False)
    lay(cache, "acme/flat", TINY, {"main": B}, links=False)
    lay(cache, "acme/data", {A: {"data.bin": b"d" * 5000}}, {"main": A}, kind="dataset")
    (cache / "models--acme--tiny/snapshots" / B / "leak").symlink_to(home / "secret.txt")
    big = home / "big.bin"
    folder = cache / "models--acme--big"
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots" / A).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(A)
    block, count = chance.randbytes(1 << 20), 256
    digest = hashlib.sha256()
    with open(big, "wb") as out:
        for _ in range(count):
            out.write(block)
            digest.update(block)
    big.rename(folder / "blobs" / digest.hexdigest())
    (folder / "snapshots" / A / "w.bin").symlink_to(f"../../blobs/{digest.hexdigest()}")

    server = subprocess.Popen([GRAFT, "serve", "--port", "0", "--cache-dir", str(cache)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env=environment(home / "server"))
    try:
        url = server.stdout.readline().strip()
        port = int(url.rsplit(":", 1)[1])
        check("it says where it listens, on this machine only", url.startswith("http://127.0.0.1:"), url)
        downloads(home, url)
        protocol(port, url)
        hostile(port)
        heavy(port, server.pid, folder / "blobs" / digest.hexdigest(), block, count)
        loaders(home, url)
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(home, ignore_errors=True)
    sys.exit(1 if failures else 0)


def downloads(home, url):
    def hf(*arguments, name):
        result = subprocess.run([HF, "download", *arguments, "-q"], text=True, capture_output=True,
                                timeout=180, env=environment(home / name, url))
        return pathlib.Path(result.stdout.strip().splitlines()[-1]) if result.returncode == 0 else result.stderr

    for name, arguments, files in (
            ("whole", ["acme/tiny"], {k: v for k, v in TINY[B].items()}),
            ("tag", ["acme/tiny", "--revision", "v1"], TINY[A]),
            ("pr", ["acme/tiny", "--revision", "refs/pr/1"], TINY[A]),
            ("commit", ["acme/tiny", "--revision", A], TINY[A]),
            ("flat", ["acme/flat"], TINY[B]),
            ("short", ["gpt2"], {"config.json": b"{}"}),
            ("data", ["acme/data", "--repo-type", "dataset"], {"data.bin": b"d" * 5000})):
        place = hf(*arguments, name=name)
        check(f"hf downloads {' '.join(arguments)[:50]}, byte for byte",
              isinstance(place, pathlib.Path) and same(place, files), place)
    place = hf("acme/tiny", "sub/sp ace+.bin", name="one")
    check("and a single file with a strange name",
          isinstance(place, pathlib.Path) and place.read_bytes() == TINY[B]["sub/sp ace+.bin"], place)
    place = hf("acme/tiny", "--local-dir", str(home / "local"), name="local")
    check("and into a folder of the user", isinstance(place, pathlib.Path) and same(home / "local", TINY[B]), place)
    verified = subprocess.run([HF, "cache", "verify", "acme/tiny"], text=True, capture_output=True,
                              timeout=60, env=environment(home / "whole", url))
    check("hf cache verify agrees with the tree", verified.returncode == 0, verified.stderr)
    for arguments, words in ((["acme/none"], "not found"), (["acme/tiny", "none.txt"], "not found"),
                             (["acme/tiny", "--revision", "none"], "not found")):
        problem = hf(*arguments, name="errors")
        check(f"hf explains what is missing: {arguments[-1]}",
              isinstance(problem, str) and words in problem.lower(), problem)


def protocol(port, url):
    from huggingface_hub import HfApi

    api = HfApi(endpoint=url, token=False)
    tree = [e.path for e in api.list_repo_tree("acme/many", recursive=True)]
    check("a tree of more than a page is listed whole", tree == ["part", *sorted(MANY)], len(tree))
    info = api.model_info("acme/tiny", files_metadata=True)
    weights = next(s for s in info.siblings if s.rfilename == "model.safetensors")
    check("model_info tells commit, sizes and digests",
          info.sha == B and weights.size == 3_000_000
          and weights.lfs.sha256 == etag("model.safetensors", TINY[B]["model.safetensors"]), info)
    found = api.get_paths_info("acme/tiny", ["config.json", "sub", "none"])
    check("paths-info knows files and folders", sorted(e.path for e in found) == ["config.json", "sub"], found)
    refs = api.list_repo_refs("acme/tiny", include_pull_requests=True)
    check("refs are listed", {b.name for b in refs.branches} == {"main", "v1"}
          and [p.name for p in refs.pull_requests] == ["1"], refs)
    check("file_exists", api.file_exists("acme/tiny", "config.json")
          and not api.file_exists("acme/tiny", "none"))
    check("models are listed", "acme/tiny" in [m.id for m in api.list_models()])

    path, data = "/acme/tiny/resolve/main/model.safetensors", TINY[B]["model.safetensors"]
    head, body = raw(port, "HEAD", path)
    check("HEAD has the fields and no body", head.status == 200 and body == b""
          and head.getheader("Content-Length") == "3000000" and head.getheader("X-Repo-Commit") == B
          and head.getheader("ETag") == f'"{etag(path, data)}"'
          and head.getheader("X-Xet-Hash") is None, head.getheaders())
    for text, part in (("bytes=0-99", data[:100]), ("bytes=2999990-", data[-10:]), ("bytes=-7", data[-7:]),
                       ("bytes=5-5", data[5:6]), ("bytes=2999999-9999999", data[-1:])):
        answer, body = raw(port, "GET", path, {"Range": text})
        check(f"a range: {text}", answer.status == 206 and body == part
              and answer.getheader("Content-Range", "").endswith("/3000000"), answer.getheaders())
    answer, body = raw(port, "GET", path, {"Range": "bytes=3000000-"})
    check("a range behind the end", answer.status == 416
          and answer.getheader("Content-Range") == "bytes */3000000", answer.getheaders())
    tag = f'"{etag(path, data)}"'
    for text, whole in ((tag, False), ('"another"', True), ("W/" + tag, True), ("Sun, 06 Nov 1994 08:49:37 GMT", True)):
        answer, body = raw(port, "GET", path, {"Range": "bytes=5-9", "If-Range": text})
        check(f"If-Range {text[:12]}: {'the whole' if whole else 'the part'}",
              (answer.status, body) == ((200, data) if whole else (206, data[5:10])), answer.getheaders())
    for text in ("bytes=9-5", "bytes=a-b", "lines=0-5", "bytes=0-1,5-6", "bytes="):
        answer, body = raw(port, "GET", path, {"Range": text})
        check(f"what is no single range means the whole: {text}", answer.status == 200 and body == data, answer.status)
    head, body = raw(port, "HEAD", "/acme/tiny/resolve/main/none")
    check("HEAD of what is missing names the commit and has no body", head.status == 404 and body == b""
          and head.getheader("X-Error-Code") == "EntryNotFound" and head.getheader("X-Repo-Commit") == B, head.getheaders())
    for target, code in (("/acme/none/resolve/main/x", "RepoNotFound"), ("/acme/tiny/resolve/none/x", "RevisionNotFound"),
                         ("/api/models/acme/none", "RepoNotFound"), ("/api/models/acme/tiny/tree/none", "RevisionNotFound"),
                         ("/api/models/acme/tiny/tree/main/none", "EntryNotFound")):
        answer, _ = raw(port, "GET", target)
        check(f"{target} is {code}", answer.status == 404 and answer.getheader("X-Error-Code") == code, answer.getheaders())
    for target in ("/api/models/acme/tiny", "/api/models/acme/tiny/revision/refs%2Fheads%2Fmain",
                   f"/api/models/acme/tiny/revision/{B}", "/api/datasets/acme/data"):
        answer, body = raw(port, "GET", target)
        check(f"{target} tells the commit", json.loads(body)["sha"] in (A, B), body[:200])
    answer, body = raw(port, "GET", "/api/whoami-v2")
    named, person = raw(port, "GET", "/api/whoami-v2", {"Authorization": "Bearer x"})
    check("whoami: nobody without a token, a reader with one", answer.status == 401
          and json.loads(person)["name"] == "anonymous" and named.status == 200, (body, person))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(50):
        connection.request("GET", "/acme/tiny/resolve/main/config.json")
        last = connection.getresponse().read()
    check("a connection serves many requests", last == TINY[B]["config.json"])
    connection.close()
    answer, body = raw(port, "PUT", path, body=b"x")
    check("nothing can be written", answer.status == 405, answer.status)


def hostile(port):
    paths = ["leak", "../../../../secret.txt", "..%2f..%2f..%2f..%2fsecret.txt", "/etc/passwd",
             "%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret.txt", "%2fetc%2fpasswd", "..%5c..%5csecret.txt",
             "config.json%00", "config.json/..", "."]
    targets = ["/acme/tiny/resolve/main/" + p for p in paths] + [
        "/../../secret.txt", "/acme/..%2f..%2f../resolve/main/secret.txt",
        "/acme/tiny/resolve/..%2f..%2f..%2f..%2f/secret.txt", "/api/models/..%2f..%2f../tree/main",
        "/api/models/acme/tiny/tree/main/..%2f..", "/.locks/resolve/main/x", "//etc/passwd", "/%zz"]
    bad = []
    for target in targets:
        answer, body = raw(port, "GET", target)
        if answer.status not in (400, 404) or b"secret" == body or b"root:" in body:
            bad.append((target, answer.status, body[:50]))
    check(f"{len(targets)} hostile paths are refused", not bad, bad)


def heavy(port, pid, blob, block, count):
    """Hundreds of connections and large files in little memory."""
    def resident():
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(next(l for l in status.splitlines() if l.startswith("VmHWM")).split()[1]) * 1024

    wrong = []

    def fetch():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/acme/big/resolve/main/w.bin")
        answer = connection.getresponse()
        received = 0
        while piece := answer.read(1 << 20):
            if piece != block:
                wrong.append(len(piece))
            received += len(piece)
        if received != count << 20:
            wrong.append(received)
        connection.close()

    before = resident()
    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("four clients read 256 MiB each, right", not wrong, wrong[:3])
    grown = resident() - before
    check("in memory that does not grow with the file", grown < 64 << 20, grown)
    connections = []
    for _ in range(300):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        connections.append(connection)
    for connection in connections:
        connection.request("GET", "/gpt2/resolve/main/config.json")
    check("300 connections at once are answered",
          all(c.getresponse().read() == b"{}" for c in connections))
    for connection in connections:
        connection.close()


def loaders(home, url):
    """What programs load with, in a process of its own, as they read their settings once."""
    text = """
import json, sys
from huggingface_hub import hf_hub_download, snapshot_download
print(open(hf_hub_download("acme/tiny", "config.json")).read().strip())
print(snapshot_download("acme/many", allow_patterns=["part/000*"]) != "")
try:
    from transformers import AutoConfig
    print(AutoConfig.from_pretrained("acme/tiny").hidden_size)
except ImportError:
    print(8)
try:
    from timm.models import load_model_config_from_hf
    print(load_model_config_from_hf.__name__)
except ImportError:
    print("load_model_config_from_hf")
"""
    result = subprocess.run([sys.executable, "-c", text], text=True, capture_output=True, timeout=180,
                            env=environment(home / "loaders", url))
    check("Python's loaders load from it",
          result.stdout.split("\n")[0] == TINY[B]["config.json"].decode().strip()
          and result.stdout.split("\n")[1:3] == ["True", "8"], result)


if __name__ == "__main__":
    main()
