"""`graft upload` beside `hf upload`, against one hub on this machine that takes both: small and large files, parts, a kill, removals.

GRAFT names the program; needs huggingface_hub.
"""
import base64
import hashlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import _minihub
from _minihub import git_blob, sha256

GRAFT = os.environ["GRAFT"]
HF = os.path.join(os.path.dirname(sys.executable), "hf")
PART = 1 << 20
FILES = {"README.md": b"# tiny\n", "empty.txt": b"", "sub/\u00e9.json": b"{}", "small.safetensors": b"s" * 5000,
         "model.safetensors": bytes(range(256)) * 12_000}
failures = 0


def check(label, good, detail=""):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", label, "" if good else detail, flush=True)


class Hub:
    """One hub: {repository: {path: bytes}}, a store of large files, and what was asked."""

    def __init__(self, slow=0.0):
        hub = self
        self.repositories, self.store, self.parts, self.log, self.commits, self.slow = {}, {}, {}, [], [], slow

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def say(self, status, value=None, fields={}):
                body = b"" if value is None else json.dumps(value).encode()
                self.send_response(status)
                for key, text in {"Content-Length": len(body), **fields}.items():
                    self.send_header(key, str(text))
                try:
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # Killed.

            def body(self):
                if self.headers.get("Transfer-Encoding", "") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                whole = b""
                while size := int(self.rfile.readline(), 16):
                    whole += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return whole

            def answer(self):
                body = self.body()
                path = urllib.parse.unquote(self.path.split("?")[0])
                hub.log.append((self.command, path, self.headers.get("Authorization"), len(body)))
                if path.startswith("/store/"):
                    if self.headers.get("Authorization"):
                        return self.say(400, {"error": "a token for the store"})
                    time.sleep(hub.slow)
                    if path.count("/") == 2:
                        hub.store[path[7:]] = body
                        return self.say(200)
                    _, _, oid, number = path.split("/")
                    hub.parts[oid, int(number)] = body
                    return self.say(200, None, {"ETag": f'"{sha256(body)}"'})
                if found := re.fullmatch("/complete/(.+)", path):
                    named = json.loads(body)["parts"]
                    whole = b"".join(hub.parts[found[1], p["partNumber"]] for p in named)
                    good = sha256(whole) == found[1] and all(
                        p["etag"].strip('"') == sha256(hub.parts[found[1], p["partNumber"]]) for p in named)
                    if good:
                        hub.store[found[1]] = whole
                    return self.say(200 if good else 400, {})
                if self.headers.get("Authorization") != "Bearer hf_write":
                    return self.say(401, {"error": "no"})
                if path == "/api/validate-yaml":
                    return self.say(200, {"errors": [], "warnings": []})
                if path == "/api/whoami-v2":
                    return self.say(200, {"type": "user", "name": "ann", "orgs": [{"name": "acme"}],
                                          "auth": {"accessToken": {"role": "write", "displayName": "x"}}})
                if path == "/api/repos/create":
                    wanted = json.loads(body)
                    name = f"{wanted.get('organization') or 'ann'}/{wanted['name']}"
                    code = 409 if name in hub.repositories else 200
                    hub.repositories.setdefault(name, {})
                    return self.say(code, {"url": f"{hub.url}/{name}", "error": "exists"})
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/.+", path):
                    files = hub.repositories[found[1]]
                    def mode(f):
                        large = f["path"].endswith(".safetensors")
                        old = files.get(f["path"])
                        return {"path": f["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False,
                                "oid": old is not None and (sha256(old) if large else git_blob(old)) or None}
                    return self.say(200, {"files": [mode(f) for f in json.loads(body)["files"]]})
                if path.endswith(".git/info/lfs/objects/batch"):
                    def action(o):
                        if o["oid"] in hub.store:
                            return {**o}
                        if o["size"] <= PART:
                            upload = {"href": f"{hub.url}/store/{o['oid']}"}
                        else:
                            count = -(-o["size"] // PART)
                            upload = {"href": f"{hub.url}/complete/{o['oid']}", "header": {"chunk_size": str(PART)} | {
                                f"{n:05}": f"{hub.url}/store/{o['oid']}/{n}" for n in range(1, count + 1)}}
                        return {**o, "actions": {"upload": upload, "verify": {"href": hub.url + "/verify"}}}
                    return self.say(200, {"transfer": "multipart", "objects": [action(o) for o in json.loads(body)["objects"]]},
                                    {"Content-Type": "application/vnd.git-lfs+json"})
                if path == "/verify":
                    wanted = json.loads(body)
                    return self.say(200 if len(hub.store.get(wanted["oid"], b"")) == wanted["size"] else 404, {})
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
                    files = hub.repositories[found[1]]
                    lines = [json.loads(line) for line in body.splitlines()]
                    hub.commits.append(lines[0]["value"]["summary"])
                    for line in lines[1:]:
                        value = line["value"]
                        if line["key"] == "file":
                            files[value["path"]] = base64.b64decode(value["content"])
                        elif line["key"] == "lfsFile":
                            files[value["path"]] = hub.store[value["oid"]]
                            assert len(files[value["path"]]) == value["size"]
                        elif line["key"] == "deletedFile":
                            del files[value["path"]]
                    return self.say(200, {"success": True, "commitOid": "c" * 40, "commitUrl": f"{hub.url}/{found[1]}/commit/c",
                                          **({"pullRequestUrl": f"{hub.url}/{found[1]}/discussions/1"}
                                             if "create_pr" in self.path else {})})
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/.+)?", path):
                    if found[1] not in hub.repositories:
                        return self.say(404, None, {"X-Error-Code": "RepoNotFound"})
                    return self.say(200, {"id": found[1], "sha": "c" * 40, "siblings": [], "private": False})
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/.+", path):
                    return self.say(200, [_minihub.entry(p, d) for p, d in hub.repositories[found[1]].items()])
                self.say(404, {"error": "unknown " + path})

            do_GET = do_HEAD = do_POST = do_PUT = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def run(environment, *arguments, timeout=90):
    done = subprocess.run(arguments, env=environment, text=True, capture_output=True, timeout=timeout)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def main():
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home) / "run"
        for name, data in FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        hub = Hub()
        environment = _minihub.environment(home, hub.url) | {"HF_TOKEN": "hf_write"}
        result = run(environment, HF, "upload", "acme/theirs", str(folder), ".")
        check("hf upload fills the hub", result[0] == 0 and hub.repositories.get("acme/theirs") == FILES, result)
        hub.store.clear()
        result = run(environment, GRAFT, "upload", str(folder), "hf://acme/mine", "--message", "First")
        check("graft upload fills it with the same", result[0] == 0 and hub.repositories.get("acme/mine") == FILES
              and hub.commits[-1] == "First", (result, {k: len(v) for k, v in hub.repositories.get("acme/mine", {}).items()}))
        check("large files come in parts", len([1 for oid, _ in hub.parts if oid == sha256(FILES["model.safetensors"])]) == 3)
        before = len(hub.log)
        result = run(environment, GRAFT, "upload", str(folder), "hf://acme/mine", "--json")
        check("what is there already is not sent again", result[0] == 0 and len(json.loads(result[1])["unchanged"]) == len(FILES)
              and not [x for x in hub.log[before:] if x[0] == "PUT" or "/commit/" in x[1]], (result, hub.log[before:]))
        (folder / "README.md").write_text("# second\n")
        result = run(environment, GRAFT, "upload", str(folder / "README.md"), "hf://acme/mine/docs/", "--create-pr")
        check("one file, into a folder, as a pull request", result[0] == 0 and "discussions" in result[1] and
              hub.repositories["acme/mine"].get("docs/README.md") == b"# second\n", result)
        result = run(environment, GRAFT, "upload", str(folder), "hf://acme/mine", "--include", "README.md", "--delete", "docs/*")
        check("--include and --delete", result[0] == 0 and hub.repositories["acme/mine"] == FILES | {"README.md": b"# second\n"},
              (result, list(hub.repositories["acme/mine"])))
        result = run(environment | {"HF_TOKEN": "hf_old"}, GRAFT, "upload", str(folder), "hf://acme/mine")
        check("a token that is refused is named", result[0] == 1 and "`$HF_TOKEN`" in result[2] and "hf_old" not in result[2], result)
        result = run(environment, GRAFT, "auth", "whoami", "--json")
        check("auth whoami", result[0] == 0 and json.loads(result[1])["name"] == "ann", result)

        slow = Hub(slow=0.4)
        (folder / "model.safetensors").write_bytes(FILES["model.safetensors"][::-1] * 2)
        environment = _minihub.environment(home, slow.url) | {"HF_TOKEN": "hf_write"}
        process = subprocess.Popen([GRAFT, "upload", str(folder), "hf://acme/killed"], env=environment)
        deadline = time.monotonic() + 60
        # Of four parts that arrived, the answers to two may still be on their way.
        while len(slow.parts) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        slow.slow = 0
        sent = sum(1 for x in slow.log if x[0] == "PUT")
        result = run(environment, GRAFT, "upload", str(folder), "hf://acme/killed")
        again = sum(1 for x in slow.log if x[0] == "PUT") - sent
        data = (folder / "model.safetensors").read_bytes()
        check("a killed upload is resumed", result[0] == 0 and slow.repositories["acme/killed"]["model.safetensors"] == data
              and again <= -(-len(data) // PART) - 2, (result, sent, again))
        left = list((pathlib.Path(home) / "graft/uploads").glob("*"))
        check("no journal is left", not left, left)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
