"""What `graft fetch` believes and says, beside `hf`: refused tokens, mirrors that redirect, credentials of other kinds, shared caches, file systems without locks.

Everything runs on this machine. GRAFT names the program; needs huggingface_hub, and a C compiler for the last part.
"""
import base64
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import _minihub

GRAFT = os.environ["GRAFT"]
HF = os.path.join(os.path.dirname(sys.executable), "hf")
COMMIT = "c" * 40
FILES = {"config.json": b'{"a": 1}', "model.safetensors": bytes(range(256)) * 40}
failures = 0


def check(label, good, detail=""):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", label, "" if good else detail, flush=True)


def run(program, environment, *arguments, timeout=60, cwd=None):
    done = subprocess.run([program, *arguments], env=environment, text=True, capture_output=True, timeout=timeout,
                          cwd=cwd)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


class Server:
    """Answers with what `answer(request)` returns: status, fields, body."""

    def __init__(self, answer):
        server = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.requests.append((self.command, self.path, self.headers.get("Authorization")))
                status, fields, body = answer(self)
                self.send_response(status)
                for key, value in {"Content-Length": len(body), **fields}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def place(home, name):
    folder = pathlib.Path(home) / name
    folder.mkdir(parents=True)
    return folder


def tokens(home, hub):
    """An expired token and an outage leave what is complete; both programs agree."""
    for status, fields in ((401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
                           (403, {"X-Error-Code": "GatedRepo"}), (404, {"X-Error-Code": "RepoNotFound"}), (500, {})):
        with Server(lambda _: (status, fields, b"")) as down:
            for program, arguments in ((GRAFT, ("fetch", "hf://acme/tiny")), (HF, ("download", "acme/tiny"))):
                root = place(home, f"token-{status}-{os.path.basename(program)}")
                first = run(program, _minihub.environment(root, hub.url), *arguments)
                again = run(program, _minihub.environment(root, down.url) | {"HF_TOKEN": "hf_old"}, *arguments)
                check(f"{status} falls back to the cache: {os.path.basename(program)}", first[0] == again[0] == 0,
                      (first, again))
                if program == GRAFT:
                    check(f"{status} is said", "warning:" in again[2] and "hf_old" not in again[2]
                          and (status != 401 or "`$HF_TOKEN`" in again[2]), again)
    with Server(lambda _: (403, {"X-Error-Code": "GatedRepo"}, b"")) as gated:
        result = run(GRAFT, _minihub.environment(place(home, "gated"), gated.url), "fetch", "hf://acme/tiny")
        check("a gated repository names its page", result[0] == 1 and f"{gated.url}/acme/tiny," in result[2], result)


def mirrors(home, hub):
    """A mirror that sends its clients to another hub is followed there, without the token."""
    def answer(request):
        return 308, {"Location": hub.url + request.path}, b""

    with Server(answer) as mirror:
        root = place(home, "mirror")
        result = run(GRAFT, _minihub.environment(root, mirror.url) | {"HF_TOKEN": "hf_secret"}, "fetch", "hf://acme/tiny", "-v")
        check("a mirror's redirect is followed", result[0] == 0 and len(mirror.requests) == 4, (result, mirror.requests))
        check("-v shows requests and no token", "GET http" in result[2] and "hf_secret" not in result[2], result[2])
        result = run(GRAFT, _minihub.environment(place(home, "mirror2"), mirror.url), "fetch", "hf://acme/tiny/config.json")
        check("for one file too", result[0] == 0, result)


def credentials(home):
    secret = "Basic " + base64.b64encode(b"user:s3cret").decode()

    def answer(request):
        if request.headers.get("Authorization") != secret:
            return 401, {"WWW-Authenticate": "Basic"}, b""
        if request.path == "/simple/tiny/":
            link = f"http://{request.headers['Host']}/files/tiny-1.0-py3-none-any.whl"
            return 200, {"Content-Type": "text/html"}, f'<a href="{link}">tiny</a>'.encode()
        return 200, {}, b"PK\3\4" + bytes(500)

    with Server(answer) as server:
        root = place(home, "netrc")
        (root / ".netrc").write_text("machine 127.0.0.1 login user password s3cret\n")
        (root / ".netrc").chmod(0o600)
        environment = _minihub.environment(root)
        result = run(GRAFT, environment, "fetch", server.url + "/w.bin")
        check("~/.netrc is read", result[0] == 0, result)
        root = place(home, "index")
        index = server.url.replace("http://", "http://user:s3cret@") + "/simple"
        result = run(GRAFT, _minihub.environment(root) | {"PIP_INDEX_URL": index}, "fetch", "pypi:tiny")
        check("an index's credentials count for its absolute links", result[0] == 0, result)
        result = run(GRAFT, _minihub.environment(root), "lock", index.replace("simple", "w.bin?X-Amz-Signature=t0p"),
                     cwd=root)
        check("an address with secrets is locked", result[0] == 0, result)
        kept = [str(p) for p in root.rglob("*") if p.is_file() and any(s in p.read_bytes() for s in (b"s3cret", b"t0p"))]
        shown = run(GRAFT, _minihub.environment(root), "cache", "ls")[1] + result[2]
        check("secrets are in no file and no list", not kept and "s3cret" not in shown and "t0p" not in shown,
              (kept, shown))


def search(home):
    """`graft models --hub`: filters in one request a page, and what graft can do with each model."""
    def answer(request):
        models = [{"id": "timm/resnet50.a1_in1k", "downloads": 9, "gated": False, "usedStorage": 10 ** 8,
                   "siblings": [{"rfilename": "model.safetensors"}], "tags": ["license:apache-2.0"]},
                  {"id": "acme/pages", "siblings": [{"rfilename": "README.md"}], "gated": "manual"},
                  {"id": "../evil"}]
        if "cursor" in request.path:
            return 200, {}, json.dumps([{"id": "acme/big", "usedStorage": 10 ** 12}]).encode()
        link = f'<http://{request.headers["Host"]}/api/models?cursor=2>; rel="next"'
        return 200, {"Link": link}, json.dumps(models).encode()

    with Server(answer) as server:
        environment = _minihub.environment(place(home, "search"), server.url)
        result = run(GRAFT, environment, "models", "--hub", "resnet", "pets", "--task", "image-classification", "--license",
                     "Apache-2.0", "--json")
        found = {m["reference"]: m for m in json.loads(result[1] or '{"models": []}')["models"]}
        check("models --hub", result[0] == 0 and len(server.requests) == 2 and found["hf://acme/pages"]["use"] == "none"
              and found["hf://acme/pages"]["isGated"] and found["hf://timm/resnet50.a1_in1k"]["use"] in ("run", "read")
              and len(found) == 3, (result, server.requests))
        asked = server.requests[0][1]
        check("its filters are asked for", all(t in asked for t in ("search=resnet%20pets", "pipeline_tag=image-classification",
                                                                     "filter=license%3Aapache-2.0")), asked)
        result = run(GRAFT, environment, "models", "--hub", "x", "--max-size", "1GB")
        check("--max-size", result[0] == 0 and "acme/big" not in result[1] and "timm/resnet50" in result[1], result)


def shared(home, hub):
    """A read-only cache of the team: files in it are used, none are written to it."""
    team = place(home, "team")
    run(GRAFT, _minihub.environment(team, hub.url), "fetch", "hf://acme/tiny")
    path = f"{team}/hf:{team}/graft:/nonexistent"
    with Server(lambda _: (503, {}, b"")):
        root = place(home, "mine")
        environment = _minihub.environment(root, hub.url) | {"GRAFT_CACHE_PATH": path}
        before = {p: p.stat().st_mtime_ns for p in team.rglob("*")}
        hub.requests.clear()
        result = run(GRAFT, environment, "fetch", "hf://acme/tiny")
        check("a shared cache is read", result[0] == 0 and result[1].startswith(str(team)) and
              len(hub.requests) == 1, (result, hub.requests))
        result = run(GRAFT, environment, "fetch", "--offline", "hf://acme/tiny/config.json")
        check("offline too", result[0] == 0 and result[1].startswith(str(team)), result)
        check("and not written", before == {p: p.stat().st_mtime_ns for p in team.rglob("*")})
        listed = next(team.rglob("config.json"))
        blob = listed.resolve()
        blob.chmod(0o644)
        blob.write_bytes(b"!" * blob.stat().st_size)
        listed.unlink()
        listed.symlink_to("/dev/null")
        result = run(GRAFT, environment, "fetch", "hf://acme/tiny")
        check("what is wrong there is fetched", result[0] == 0 and result[1].startswith(str(root)) and
              (pathlib.Path(result[1]) / "config.json").read_bytes() == FILES["config.json"], result)


def locks(home, hub):
    """`flock` that fails, and one that keeps nobody out."""
    for name, body in (("refused", "errno = ENOLCK; return -1;"), ("no-op", "return 0;")):
        root = place(home, "lock-" + name)
        (root / "flock.c").write_text("#include <errno.h>\nint flock(int f, int o) { (void)f; (void)o; " + body + " }\n")
        built = subprocess.run(["cc", "-shared", "-fPIC", "-o", root / "flock.so", root / "flock.c"])
        if built.returncode:
            print("skip flock: no C compiler")
            return
        environment = _minihub.environment(root, hub.url) | {"LD_PRELOAD": str(root / "flock.so")}
        hub.requests.clear()
        running = [subprocess.Popen([GRAFT, "fetch", "hf://acme/tiny"], env=environment, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
        results = [(*p.communicate(timeout=60), p.returncode) for p in running]
        right = all(code == 0 and all((pathlib.Path(out.strip()) / n).read_bytes() == d for n, d in FILES.items())
                    for out, _, code in results)
        gets = [r for r in hub.requests if r[0] == "GET" and "/resolve/" in r[1]]
        check(f"flock {name}: four programs, right files", right, results)
        check(f"flock {name}: each file once", len(gets) == len(FILES), gets)
        check(f"flock {name}: it is said", any("flock" in err for _, err, _ in results), results)
        left = [p for p in root.rglob("*.owner")]
        check(f"flock {name}: nothing is left", not left, left)


def main():
    with tempfile.TemporaryDirectory() as home:
        hub = _minihub.MiniHub({"acme/tiny": ({COMMIT: FILES}, {"main": COMMIT})})
        tokens(home, hub)
        mirrors(home, hub)
        credentials(home)
        search(home)
        shared(home, hub)
        locks(home, hub)
        hub.close()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
