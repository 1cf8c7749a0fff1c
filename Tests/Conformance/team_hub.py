"""A team's hub from one program: `graft serve --upstream` pulls through, verifies and keeps; `--writable` takes `hf upload`, `graft
upload` and push_to_hub. The peers are huggingface_hub, transformers and timm.

GRAFT names the program.
"""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import _minihub
from _minihub import entry, environment, etag, git_blob, sha256

GRAFT = os.environ["GRAFT"]
HF = os.path.join(os.path.dirname(sys.executable), "hf")
A, B = "a" * 40, "b" * 40
WRITE, READ = "hf_write_0123456789", "hf_read_0123456789ab"
chance = random.Random(12)
TINY = {"config.json": b'{"hidden_size": 8, "model_type": "bert"}\n', "model.safetensors": chance.randbytes(3_000_000),
        "sub/sp ace+.bin": chance.randbytes(70_000), "empty.txt": b"", "sub/\u00e9.txt": b"e"}
BIG = chance.randbytes(1 << 20) * 24
failures = []


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


class Upstream:
    """A hub whose large files come slowly, or wrong; counts what it sends."""

    def __init__(self, repositories):
        hub = self
        self.repositories, self.sent, self.log, self.wrong, self.pause = repositories, {}, [], set(), 0.0
        self.authorizations = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, body=b"", fields={}, length=None):
                self.send_response(status)
                for key, value in {"Content-Length": len(body) if length is None else length, **fields}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_GET(self):
                path = urllib.parse.unquote(self.path.split("?")[0])
                hub.log.append((self.command, path))
                hub.authorizations.add(self.headers.get("Authorization"))
                try:
                    self.answer(path)
                except OSError:
                    self.close_connection = True

            do_HEAD = do_GET

            def answer(self, path):
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/(.+?)/?", path):
                    if found[1] not in hub.repositories:
                        return self.say(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                    commits, refs = hub.repositories[found[1]]
                    commit = refs.get(found[3], found[3])
                    if commit not in commits:
                        return self.say(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
                    value = ({"id": found[1], "sha": commit} if found[2] == "revision"
                             else [entry(p, d) for p, d in commits[commit].items()])
                    return self.say(200, json.dumps(value).encode(), {"Content-Type": "application/json"})
                if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                    commits, refs = hub.repositories[found[1]]
                    commit = refs.get(found[2], found[2])
                    data = commits[commit][found[3]]
                    fields = {"X-Repo-Commit": commit, "ETag": f'"{etag(found[3], data)}"', "Accept-Ranges": "bytes"}
                    if found[3] in hub.wrong:
                        data = data[:-1] + bytes([data[-1] ^ 1])
                    first, last, status = 0, len(data) - 1, 200
                    if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                        first, last, status = int(wanted[1]), min(int(wanted[2] or last), last), 206
                        fields["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                    part = data[first:last + 1]
                    if self.command == "HEAD" or hub.pause == 0:
                        if self.command == "GET":
                            hub.sent[found[3]] = hub.sent.get(found[3], 0) + len(part)
                        return self.say(status, part, fields)
                    self.say(status, b"", fields, length=len(part))
                    for start in range(0, len(part), 1 << 20):
                        self.wfile.write(part[start:start + (1 << 20)])
                        hub.sent[found[3]] = hub.sent.get(found[3], 0) + len(part[start:start + (1 << 20)])
                        time.sleep(hub.pause)
                    return
                self.say(404)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # Clients that stop reading.
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Serve:
    def __init__(self, home, *arguments, **more):
        self.errors = open(home / "serve.err", "a+")
        self.process = subprocess.Popen([GRAFT, "serve", "--port", "0", "--cache-dir", str(home / "hub"), *arguments],
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=environment(home / "server") | more)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.errors.seek(0)
            raise SystemExit(self.errors.read())
        self.port = int(self.url.rsplit(":", 1)[1])

    def ask(self, method, path, fields={}, body=None, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(method, path, body, fields)
        answer = connection.getresponse()
        try:
            data = answer.read()
        except http.client.IncompleteRead as broken:
            data = broken
        connection.close()
        return answer, data

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=30)


def run(env, *arguments, timeout=120):
    done = subprocess.run(arguments, env=env, text=True, capture_output=True, timeout=timeout)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def same(folder, files):
    return all((pathlib.Path(folder) / path).read_bytes() == data for path, data in files.items())


def pulls(home):
    upstream = Upstream({"acme/tiny": ({A: TINY}, {"main": A, "v1": A}), "acme/big": ({B: {"big.bin": BIG}}, {"main": B}),
                         "acme/bad": ({B: {"bad.bin": BIG[:9_000_000], "bad.txt": b"small" * 99}}, {"main": B})})
    home.mkdir()
    # The mirror's own token is not lent to its clients.
    serve = Serve(home, "--upstream", upstream.url, HF_TOKEN="hf_of_the_machine")
    result = run(environment(home / "a", serve.url), HF, "download", "acme/tiny", "-q")
    check("hf downloads through the mirror, byte for byte", result[0] == 0 and same(result[1].splitlines()[-1], TINY), result)
    verified = run(environment(home / "a", serve.url), HF, "cache", "verify", "acme/tiny")
    check("hf cache verify agrees", verified[0] == 0, verified)
    check("no token of the machine reaches the upstream hub", upstream.authorizations == {None}, upstream.authorizations)
    count = len([x for x in upstream.log if "/resolve/" in x[1] and x[0] == "GET"])
    result = run(environment(home / "b", serve.url), GRAFT, "fetch", "hf://acme/tiny@v1", "-q")
    again = len([x for x in upstream.log if "/resolve/" in x[1] and x[0] == "GET"])
    check("a second client gets everything from the cache", result[0] == 0 and again == count, (result, count, again))

    upstream.pause = 0.05
    first, wrong = [], []

    def fetch(start):
        begun = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=120)
        connection.request("GET", "/acme/big/resolve/main/big.bin", headers={"Range": f"bytes={start}-"} if start else {})
        answer = connection.getresponse()
        data = answer.read(1)
        first.append(time.monotonic() - begun)
        data += answer.read()
        if data != BIG[start:]:
            wrong.append((start, len(data)))

    threads = [threading.Thread(target=fetch, args=(start,)) for start in [0] * 10 + [5, 1000, 20_000_000]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("13 clients at the same time get the file, whole and in parts", not wrong, wrong)
    check("and upstream sends it once", upstream.sent["big.bin"] <= 1.1 * len(BIG), upstream.sent["big.bin"] / len(BIG))
    print(f"     first bytes after {min(first):.2f} s, all of 24 MB took upstream at least {24 * 0.05 / 16:.2f} s", flush=True)
    upstream.pause = 0

    upstream.wrong = {"bad.bin", "bad.txt"}
    for path, size in (("bad.bin", 9_000_000), ("bad.txt", 495)):
        try:
            answer, data = serve.ask("GET", f"/acme/bad/resolve/main/{path}")
            whole = answer.status == 200 and isinstance(data, bytes) and len(data) == size
        except (OSError, http.client.HTTPException) as error:
            answer, whole = error, False
        check(f"wrong bytes from upstream are never a whole answer: {path}", not whole, answer)
    result = run(environment(home / "c", serve.url) | {"HF_HUB_DOWNLOAD_TIMEOUT": "5"}, HF, "download", "acme/bad", "bad.txt", "-q")
    check("and hf fails with them", result[0] != 0, result)
    upstream.wrong = set()
    result = run(environment(home / "c2", serve.url), HF, "download", "acme/bad", "-q")
    check("right bytes come as soon as upstream has them", result[0] == 0, result)
    for target, code in (("/acme/none/resolve/main/x", "RepoNotFound"), ("/acme/tiny/resolve/none/x", "RevisionNotFound"),
                         ("/acme/tiny/resolve/main/none", "EntryNotFound"), ("/api/models/acme/none", "RepoNotFound")):
        answer, _ = serve.ask("GET", target)
        check(f"{target} is {code}", answer.status == 404 and answer.getheader("X-Error-Code") == code,
              (answer.status, answer.getheaders()))

    upstream.stop()
    # Beyond the time for which a branch is taken as it was.
    time.sleep(31)
    start = time.monotonic()
    result = run(environment(home / "d", serve.url), HF, "download", "acme/tiny", "-q")
    taken = time.monotonic() - start
    check("without upstream, what is in the cache is served", result[0] == 0 and same(result[1].splitlines()[-1], TINY), result)
    print(f"     in {taken:.1f} s", flush=True)
    answer, body = serve.ask("GET", "/acme/other/resolve/main/x", timeout=120)
    check("and what is not is a 504", answer.status == 504, (answer.status, body))
    check("it stops", serve.stop() == 0)


def sizes(home):
    home.mkdir()
    files = {f"acme/m{n}": ({A: {"w.bin": chance.randbytes(2_000_000)}}, {"main": A}) for n in range(6)}
    upstream = Upstream(files)
    serve = Serve(home, "--upstream", upstream.url, "--max-size", "5MB")
    for number in range(6):
        answer, data = serve.ask("GET", f"/acme/m{number}/resolve/main/w.bin")
        check(f"repository {number} of six comes", sha256(data) == sha256(files[f"acme/m{number}"][0][A]["w.bin"]), answer.status)
        time.sleep(1.1)

    def total():
        return sum(f.stat().st_size for f in (home / "hub").rglob("blobs/*"))

    for _ in range(100):
        if total() <= 5_000_000:
            break
        time.sleep(0.1)
    kept = sorted(p.parent.parent.name for p in (home / "hub").rglob("blobs/*"))
    check("--max-size 5MB keeps the last ones", total() <= 5_000_000 and "models--acme--m5" in kept, (total(), kept))
    answer, data = serve.ask("GET", "/acme/m0/resolve/main/w.bin")
    check("and what was removed is fetched again", len(data) == 2_000_000, answer.status)
    serve.stop()
    upstream.stop()


def writes(home):
    home.mkdir()
    tokens = home / "tokens"
    tokens.write_text(f"# the team\n{WRITE} ann write\n{READ} bob read\n")
    serve = Serve(home, "--writable", "--token-file", str(tokens))
    ann = environment(home / "ann", serve.url) | {"HF_TOKEN": WRITE}
    bob = environment(home / "bob", serve.url) | {"HF_TOKEN": READ}
    folder = home / "run"
    files = TINY | {"README.md": b"---\nlicense: mit\n---\n# tiny\n", "large.bin": chance.randbytes(1 << 20) * 70}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    result = run(ann, HF, "upload", "acme/theirs", str(folder), ".", "--commit-message", "First")
    check("hf upload fills it", result[0] == 0, result)
    result = run(bob, HF, "download", "acme/theirs", "-q")
    check("hf download gets the same from it", result[0] == 0 and same(result[1].splitlines()[-1], files), result)
    verified = run(bob, HF, "cache", "verify", "acme/theirs")
    check("hf cache verify agrees", verified[0] == 0, verified)
    result = run(ann, GRAFT, "upload", str(folder), "hf://acme/mine", "--json")
    check("graft upload fills it, in parts too", result[0] == 0, result)
    result = run(bob, GRAFT, "fetch", "hf://acme/mine", "-q")
    check("graft fetch gets the same from it", result[0] == 0 and same(result[1].splitlines()[-1], files), result)
    result = run(ann, GRAFT, "upload", str(folder), "hf://acme/mine", "--json")
    check("what is there already is not sent again", result[0] == 0 and len(json.loads(result[1])["unchanged"]) == len(files), result)
    result = run(ann, GRAFT, "upload", str(folder / "README.md"), "hf://acme/mine/docs/", "--create-pr")
    pull = run(bob, HF, "download", "acme/mine", "docs/README.md", "--revision", "refs/pr/1", "-q")
    main = run(bob, HF, "download", "acme/mine", "docs/README.md", "-q")
    check("a pull request is the revision refs/pr/1, and main stays", result[0] == 0 and "discussions/1" in result[1]
          and pull[0] == 0 and main[0] != 0, (result, pull, main))
    result = run(ann, GRAFT, "upload", str(folder), "hf://acme/mine", "--include", "README.md", "--delete", "sub/*")
    left = run(bob, GRAFT, "fetch", "hf://acme/mine", "--json")
    check("files are removed", result[0] == 0 and "sub/" not in left[1], (result, left))
    for name, env, arguments in (("no token", environment(home / "x", serve.url), [HF, "download", "acme/mine", "-q"]),
                                 ("a wrong token", environment(home / "y", serve.url) | {"HF_TOKEN": "hf_wrong_0123456789"}, [HF, "download", "acme/mine", "-q"]),
                                 ("a token that may only read", bob, [HF, "upload", "acme/bobs", str(folder / "README.md")]),
                                 ("a token that may only read", bob, [GRAFT, "upload", str(folder / "README.md"), "hf://acme/mine"])):
        result = run(env, *arguments)
        check(f"{name} is refused: {' '.join(map(str, arguments[1:3]))}", result[0] != 0, result)
    hostile(serve)
    python(home, serve, ann, bob)
    listed = run(environment(home / "server") | {"HF_HUB_CACHE": str(home / "hub")}, HF, "cache", "ls")
    check("the folder is a cache of huggingface_hub, without a complaint",
          listed[0] == 0 and "acme/mine" in listed[1] and "warning" not in (listed[1] + listed[2]).lower(), listed)
    check("it stops", serve.stop() == 0)
    serve = Serve(home, "--token-file", str(tokens), "--anonymous-read")
    result = run(environment(home / "later", serve.url), HF, "download", "acme/theirs", "README.md", "-q")
    check("what was uploaded is there after a restart, for everybody with --anonymous-read", result[0] == 0, result)
    result = run(environment(home / "later", serve.url) | {"HF_TOKEN": WRITE}, GRAFT, "upload", str(folder / "README.md"), "hf://acme/mine")
    check("without --writable nobody writes", result[0] != 0 and "read-only" in result[2], result)
    serve.stop()


def hostile(serve):
    """What no client of ours sends."""
    fields = {"Authorization": f"Bearer {WRITE}"}

    def commit(*changes, header={"summary": "x"}, revision="main"):
        lines = [{"key": "header", "value": header}, *changes]
        answer, data = serve.ask("POST", f"/api/models/acme/mine/commit/{revision}", fields,
                                 "\n".join(json.dumps(line) for line in lines))
        return answer.status, data

    file = lambda path: {"key": "file", "value": {"path": path, "content": base64.b64encode(b"x").decode(), "encoding": "base64"}}
    bad = [p for p in ("../x", "/etc/x", "a/../../x", "a//b", "C:/x", "a\u0000b", "..\\x", "") if commit(file(p))[0] != 400]
    check("paths that lead outside are refused", not bad, bad)
    status, data = commit(file("a"), file("a/b"))
    check("a file is not a folder as well", status == 400, (status, data))
    status, data = commit({"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": "0" * 64, "size": 5}})
    check("a large file that was not uploaded is refused", status == 400, (status, data))
    status, data = commit(file("x"), header={"summary": "x", "parentCommit": "0" * 40})
    check("a commit on another parent is refused", status == 412, (status, data))
    status, data = commit(file("x"), revision="none")
    check("an unknown branch is refused", status == 404, (status, data))
    batch = {"operation": "upload", "objects": [{"oid": sha256(b"right"), "size": 5}, {"oid": "../../x", "size": 5},
                                                 {"oid": "0" * 64, "size": -1}, {"oid": "0" * 64, "size": 1 << 60}]}
    answer, data = serve.ask("POST", "/acme/mine.git/info/lfs/objects/batch", fields, json.dumps(batch))
    objects = json.loads(data)["objects"]
    check("sizes and digests that are none are refused", ["error" in o for o in objects] == [False, True, True, True], objects)
    path = urllib.parse.urlparse(objects[0]["actions"]["upload"]["href"]).path
    for what, body, expected in (("wrong bytes", b"wrong", 400), ("too few bytes", b"righ", 400), ("too many bytes", b"right!", 413)):
        answer, data = serve.ask("PUT", path, {}, body)
        check(f"{what} in the store are refused", answer.status == expected, (answer.status, data))
    answer, data = serve.ask("PUT", path[:-1] + ("0" if path[-1] != "0" else "1"), {}, b"right")
    check("a signature that is not ours is refused", answer.status == 403, (answer.status, data))
    answer, data = serve.ask("PUT", path.replace("/5/", "/50/"), {}, b"right" * 10)
    check("and an address that was changed", answer.status == 403, (answer.status, data))
    answer, data = serve.ask("PUT", path, {}, b"right")
    check("right bytes are taken", answer.status == 200, (answer.status, data))
    answer, data = serve.ask("DELETE", "/api/repos/delete", fields, json.dumps({"name": "mine", "organization": "acme"}))
    check("what the server does not do is refused by name", answer.status == 501 and b"graft cache rm" in data, (answer.status, data))


def python(home, serve, ann, bob):
    """Loaders and push_to_hub, each in a process of its own, as they read their settings once."""
    text = """
import _peers
_peers.torchvision()
from huggingface_hub import HfApi
api = HfApi()
print(api.whoami()["name"])
api.create_repo("acme/lists", exist_ok=True); api.create_repo("acme/lists", exist_ok=True)
info = api.upload_file(path_or_fileobj=b"{}", path_in_repo="a.json", repo_id="acme/lists")
print(info.oid == api.model_info("acme/lists").sha)
api.create_branch("acme/lists", branch="next"); print(sorted(b.name for b in api.list_repo_refs("acme/lists").branches))
api.delete_file("a.json", "acme/lists"); print(api.list_repo_files("acme/lists"))
from transformers import BertConfig, BertModel
model = BertModel(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))
model.push_to_hub("acme/bert")
back = BertModel.from_pretrained("acme/bert")
print(all((a == b).all() for a, b in zip(model.state_dict().values(), back.state_dict().values())))
import timm
net = timm.create_model("mobilenetv3_small_050", num_classes=3)
timm.models.push_to_hf_hub(net, "acme/timm", model_config={"label_names": ["a", "b", "c"]})
again = timm.create_model("hf_hub:acme/timm", pretrained=True)
print(all((a == b).all() for a, b in zip(net.state_dict().values(), again.state_dict().values())))
"""
    result = run(ann | {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}, sys.executable, "-c", text, timeout=300)
    check("HfApi, transformers' and timm's push_to_hub and their loaders work unchanged",
          result[1].split("\n")[-6:] == ["ann", "True", "['main', 'next']", "['.gitattributes']", "True", "True"], result)


def card(home):
    """A trained run is uploaded with a card that the Hub's own parser reads."""
    from huggingface_hub import ModelCard

    home.mkdir()
    tokens = home / "tokens"
    tokens.write_text(f"{WRITE} ann write\n")
    env = environment(home / "ann") | {"HF_TOKEN": WRITE}
    run(env, GRAFT, "draw", str(home / "drawn"), "--classes", "3", "--count", "8")
    result = run(env, GRAFT, "train", str(home / "drawn"), "--backbone", "graft/tiny", "-o", str(home / "run"), "--mode", "finetune",
                 "--unfreeze", "all", "--epochs", "2", timeout=300)
    check("a run is trained", result[0] == 0, result)
    serve = Serve(home, "--writable", "--token-file", str(tokens))
    env["HF_ENDPOINT"] = serve.url
    result = run(env, GRAFT, "upload", str(home / "run"), "hf://acme/run", "--json")
    sent = json.loads(result[1])["files"] if result[0] == 0 else []
    check("the run is uploaded with its card", "README.md" in sent and "model.safetensors" in sent, result)
    answer, data = serve.ask("GET", "/acme/run/resolve/main/README.md", {"Authorization": f"Bearer {WRITE}"})
    metrics = json.loads((home / "run/metrics.json").read_text())
    found = ModelCard(data.decode())
    check("the Hub's parser reads its metadata", found.data.library_name == "graft"
          and found.data.pipeline_tag == "image-classification" and "graft" in found.data.tags, found.data.to_dict())
    text = data.decode()
    command = json.loads((home / "run/run.json").read_text())["command"]
    check("it has the metrics, the digest of the data and the command",
          f"| accuracy | {round(metrics['accuracy'], 4):g} |" in text.replace(".0 |", " |") and "Digest of the data split" in text
          and command in text, text)
    (home / "run/README.md").write_text("# mine\n")
    result = run(env, GRAFT, "upload", str(home / "run"), "hf://acme/run")
    check("a README.md of the user's own stays", result[0] == 0 and (home / "run/README.md").read_text() == "# mine\n", result)
    serve.stop()


def killed(home):
    """An upload that is killed in the middle of its parts goes on."""
    home.mkdir()
    tokens = home / "tokens"
    tokens.write_text(f"{WRITE} ann write\n")
    log = home / "log"
    serve = Serve(home, "--writable", "--token-file", str(tokens), "--access-log", str(log))
    data = chance.randbytes(1 << 20) * 200
    (home / "w.bin").write_bytes(data)
    env = environment(home / "ann", serve.url) | {"HF_TOKEN": WRITE}
    parts = lambda: [l for l in map(json.loads, log.read_text().splitlines()) if "/part/" in l["path"] and l["status"] == 200]
    process = subprocess.Popen([GRAFT, "upload", str(home / "w.bin"), "hf://acme/k"], env=env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and (not log.exists() or len(parts()) < 2):
        time.sleep(0.01)
    process.kill()
    process.wait()
    sent = len(parts())
    result = run(env, GRAFT, "upload", str(home / "w.bin"), "hf://acme/k")
    check("a killed upload is resumed", result[0] == 0 and len(parts()) <= 7 + 1, (result, sent, len(parts())))
    blobs = list((home / "hub/models--acme--k/blobs").iterdir())
    check("and the blob is right, with nothing partial beside it", sha256(data) in [b.name for b in blobs]
          and not [b for b in blobs if b.name.endswith(".incomplete")], blobs)
    serve.stop()


def main():
    with tempfile.TemporaryDirectory(prefix="graft-team-") as home:
        home = pathlib.Path(home)
        only = sys.argv[1:]
        for name, part in (("pulls", pulls), ("sizes", sizes), ("writes", writes), ("card", card), ("killed", killed)):
            if not only or name in only:
                part(home / name)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
