"""`graft fetch hf://…` and huggingface_hub on one cache, both ways, from a Hub in this script.

Also: 16 programs fetch a file once, kill -9 loses little, hostile trees write nothing outside, and no
token leaves its origin. Needs huggingface_hub. GRAFT names the program.
"""
import concurrent.futures
import hashlib
import http.server
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import _minihub

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


class Slow:
    """One file at /resolve, slow enough to be killed in the middle; counts the bytes it sends."""

    def __init__(self, data, pause, token_server=None):
        outer = self
        self.sent, self.seen, self.lock = 0, [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                with outer.lock:
                    outer.seen.append((self.path, self.headers.get("Authorization")))
                if "/api/" in self.path:
                    entry = _minihub.entry("w.safetensors", data)
                    value = ({"id": "a/b", "sha": COMMIT} if "/revision/" in self.path else [entry])
                    return self.reply(200, json.dumps(value).encode())
                fields = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
                if token_server and "resolve" in self.path:
                    fields |= {"X-Linked-Etag": fields["ETag"], "X-Linked-Size": str(len(data)),
                               "Location": token_server + "/cdn/file?Signature=1"}
                    return self.reply(302, b"", fields)
                body, status = data, 200
                if wanted := self.headers.get("Range"):
                    first, last = wanted.removeprefix("bytes=").split("-")
                    first, last = int(first), int(last or len(data) - 1)
                    body, status = data[first:last + 1], 206
                    fields["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                self.reply(status, body, fields)

            def reply(self, status, body, fields={}):
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                try:
                    for start in range(0, len(body), 65536):
                        piece = body[start:start + 65536]
                        self.wfile.write(piece)
                        with outer.lock:
                            outer.sent += len(piece)
                        if pause and len(body) > 65536:
                            time.sleep(pause)
                except OSError:
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


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
    for folder in ("one", "two"):
        os.makedirs(f"{home}/{folder}")
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


def hostile(home):
    names = ["../outside", "a/../../outside", "/tmp/graft-outside", "a\\..\\..\\outside", "C:\\x",
             "a//b", "a/./b", "a/b\nc", "x" * 300]
    for name in names:
        hub = _minihub.MiniHub({"evil/one": ({COMMIT: {name: b"evil"}}, {"main": COMMIT})})
        root = pathlib.Path(home) / "evil"
        result = graft(_minihub.environment(f"{root}/inner", hub.url), "fetch", "hf://evil/one")
        written = [p for p in root.rglob("*") if p.is_file() and p.read_bytes() == b"evil"]
        check(f"the hostile name {name[:24]!r} is refused",
              result[0] == 1 and "error:" in result[2] and not written
              and not os.path.exists("/tmp/graft-outside"), (result, written))
        hub.close()


def kills(home):
    server = Slow(BIG, 0.002)
    environment = _minihub.environment(f"{home}/killed", server.url)
    deaths = 0
    for _ in range(40):
        process = subprocess.Popen([GRAFT, "fetch", "hf://a/b"], env=environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.wait(timeout=random.uniform(0.15, 0.5) if deaths < 8 else 100)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
            deaths += 1
    result = graft(environment, "fetch", "hf://a/b")
    data = (pathlib.Path(result[1]) / "w.safetensors").read_bytes() if result[0] == 0 else b""
    check(f"killed {deaths} times, the file is right", data == BIG, result)
    again = server.sent - len(BIG)
    # Up to a piece of 1 MiB for each connection, and what was in the buffers of the sockets.
    check("little was fetched twice", again <= max(deaths, 1) * (8 << 20),
          f"{again} of {len(BIG)} bytes, {deaths} kills")
    print(f"     {again / len(BIG):.1%} fetched twice over {deaths} kills", flush=True)
    server.close()


def together(home):
    server = Slow(BIG[:6 << 20], 0)
    environment = _minihub.environment(f"{home}/together", server.url)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        results = list(pool.map(
            lambda _: graft(environment, "fetch", f"hf://a/b@{COMMIT}"), range(16)))
    check("16 programs fetch a file once",
          all(r[0] == 0 for r in results) and server.sent < (6 << 20) + 40_000,
          (server.sent, [r for r in results if r[0]][:1]))
    server.close()


def tokens(home):
    store = Slow(FILES["model.safetensors"], 0)
    server = Slow(FILES["model.safetensors"], 0, store.url)
    environment = _minihub.environment(f"{home}/token", server.url) | {"HF_TOKEN": "hf_secret"}
    result = graft(environment, "fetch", "hf://a/b")
    check("a redirect to a store is followed", result[0] == 0, result)
    check("the token goes to the hub", any(t == "Bearer hf_secret" for _, t in server.seen),
          server.seen)
    check("and to nobody else", store.seen and all(t is None for _, t in store.seen), store.seen)
    server.close()
    store.close()


def main():
    with tempfile.TemporaryDirectory() as home:
        repositories(home)
        hostile(home)
        kills(home)
        together(home)
        tokens(home)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
