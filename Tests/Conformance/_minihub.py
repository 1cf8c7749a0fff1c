"""A Hub on this machine, and its cache written by hand: for scripts that need one of known content."""
import hashlib
import http.server
import json
import os
import pathlib
import re
import threading
import urllib.parse


def git_blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def etag(path, data):
    """Weights are in large-file storage, the rest is in git."""
    return sha256(data) if path.endswith((".safetensors", ".bin")) else git_blob(data)


def entry(path, data):
    found = {"type": "file", "path": path, "size": len(data), "oid": git_blob(data)}
    if etag(path, data) == sha256(data):
        found["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 130}
        found["oid"] = hashlib.sha1(("pointer" + sha256(data)).encode()).hexdigest()
    return found


def lay(cache, name, commits, refs, kind="model", trees=True, links=True):
    """Writes a repository as huggingface_hub would: commits is {commit: {path: bytes}}."""
    folder = pathlib.Path(cache) / f"{kind}s--{name.replace('/', '--')}"
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    for commit, files in commits.items():
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            place = snapshot / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if links:
                (folder / "blobs" / etag(path, data)).write_bytes(data)
                place.symlink_to("../" * (path.count("/") + 2) + "blobs/" + etag(path, data))
            else:
                place.write_bytes(data)
        if trees:
            (folder / "trees").mkdir(exist_ok=True)
            listing = {}
            for path, data in sorted(files.items()):
                listing[path] = {"size": len(data), "blob_id": entry(path, data)["oid"]}
                if "lfs" in entry(path, data):
                    listing[path] |= {"lfs_sha256": sha256(data), "lfs_size": len(data)}
            (folder / "trees" / f"{commit}.json").write_text(
                json.dumps({"format_version": 1, "files": listing}))
    for ref, commit in refs.items():
        place = folder / "refs" / ref
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(commit)
    return folder


class MiniHub:
    """Serves {name: ({commit: {path: bytes}}, {ref: commit})} as models."""

    def __init__(self, repositories):
        hub = self
        self.repositories, self.requests = repositories, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.do_GET()

            def answer(self, status, body=b"", fields={}):
                self.send_response(status)
                for key, value in {"Content-Length": len(body), **fields}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def do_GET(self):
                hub.requests.append((self.command, self.path))
                path = self.path.split("?")[0]
                if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(revision|tree)/([^/]+)/?", path):
                    name, what, revision = found.groups()
                    files, commit = self.find(name, revision)
                    if files is None:
                        return
                    value = ({"id": name, "sha": commit} if what == "revision"
                             else [entry(p, d) for p, d in files.items()])
                    return self.answer(200, json.dumps(value).encode(),
                                       {"Content-Type": "application/json"})
                if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                    name, revision, file = found.groups()
                    files, commit = self.find(name, revision)
                    if files is None:
                        return
                    data = files.get(urllib.parse.unquote(file))
                    if data is None:
                        return self.answer(404, b"", {"X-Error-Code": "EntryNotFound",
                                                      "X-Repo-Commit": commit})
                    fields = {"X-Repo-Commit": commit, "ETag": f'"{etag(file, data)}"',
                              "Accept-Ranges": "bytes"}
                    if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                        first = int(wanted[1])
                        last = min(int(wanted[2] or len(data) - 1), len(data) - 1)
                        fields["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                        return self.answer(206, data[first:last + 1], fields)
                    return self.answer(200, data, fields) if self.command == "GET" else \
                        self.answer(200, data, fields)
                self.answer(404, b"")

            def find(self, name, revision):
                if name not in hub.repositories:
                    self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
                    return None, None
                commits, refs = hub.repositories[name]
                commit = refs.get(urllib.parse.unquote(revision), revision)
                if commit not in commits:
                    self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
                    return None, None
                return commits[commit], commit

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def environment(home, endpoint="http://127.0.0.1:9"):
    """Variables under which huggingface_hub and graft see nothing but `home` and `endpoint`."""
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith(("HF_", "HUGGING", "XDG_", "GRAFT_CACHE", "http", "HTTP"))}
    return kept | {
        "HF_HOME": f"{home}/hf", "GRAFT_CACHE": f"{home}/graft", "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HOME": str(home),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*",
        "no_proxy": "*",
    }
