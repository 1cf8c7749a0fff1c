"""`tfhub://` and `kaggle://`: archives of SavedModels that TensorFlow wrote, from a server on this
machine that redirects to signed addresses as the real ones do; and archives made to do harm.

GRAFT names the program; TensorFlow is the peer.
"""
import gzip
import http.server
import io
import json
import os
import pathlib
import sys
import tarfile
import threading

import numpy
import tensorflow

import cache
from _minihub import sha256
from cache import Machine, check

HANDLE = "google/imagenet/tiny_v1_100_32/feature_vector/5"
archives, requests = {}, []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        for key, value in {"Content-Length": len(body), **fields}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self):
        requests.append((self.path, self.headers.get("Authorization")))
        path, _, query = self.path.partition("?")
        if path.startswith("/signed/"):
            return self.answer(200, archives[path[len("/signed/"):]])
        if path.endswith("/get"):
            return self.answer(200, b'{"versionNumber": 2, "id": 1}')
        name = path[1:]
        for prefix in ("api/v1/models/",):
            name = name.removeprefix(prefix).removesuffix("/download")
        if name not in archives:
            return self.answer(404)
        if not path.startswith("/api/") and query != "tf-hub-format=compressed":
            return self.answer(200, b"<html>a page for people</html>")
        self.answer(302, Location=f"http://127.0.0.1:{second.server_port}/signed/{name}?X-Goog-Signature=s")


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def packed(members, mode="w:gz"):
    """An archive of (name, bytes or None for a folder, changes)."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode=mode) as archive:
        for name, data, *changes in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.size = len(data or b"")
            for key, value in (changes[0] if changes else {}).items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data or b""))
    return body.getvalue()


def saved_model(folder):
    """A module as TF Hub has them: the weights of a small network."""
    chance = numpy.random.default_rng(3)

    class Net(tensorflow.Module):
        def __init__(self):
            self.kernel = tensorflow.Variable(chance.random((3, 3, 3, 8), "float32"), name="Conv/kernel")
            self.bias = tensorflow.Variable(chance.random(8, "float32"), name="Conv/bias")

        @tensorflow.function(input_signature=[tensorflow.TensorSpec([None, 32, 32, 3], tensorflow.float32)])
        def __call__(self, x):
            return tensorflow.nn.conv2d(x, self.kernel, 1, "SAME") + self.bias

    net = Net()
    tensorflow.saved_model.save(net, str(folder))
    return net


def members(folder):
    return [("./", None)] + [
        ("./" + str(p.relative_to(folder)), None if p.is_dir() else p.read_bytes())
        for p in sorted(folder.rglob("*"))]


first, second = serve(), serve()


def good():
    with Machine(TFHUB_ENDPOINT=f"http://127.0.0.1:{first.server_port}",
                 KAGGLE_API_ENDPOINT=f"http://127.0.0.1:{first.server_port}",
                 KAGGLE_USERNAME="somebody", KAGGLE_KEY="secret") as m:
        folder = m.home / "saved"
        net = saved_model(folder)
        archives[HANDLE] = packed(members(folder))
        archives["acme/net/tensorFlow2/tiny/2"] = archives[HANDLE]
        got = m.run(cache.GRAFT, "fetch", "tfhub://" + HANDLE)
        place = pathlib.Path(got.stdout.strip() or "/nowhere")
        theirs = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        ours = {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}
        check("a module of TF Hub is unpacked to what TensorFlow saved", theirs == ours, got)
        loaded = tensorflow.saved_model.load(str(place))
        x = numpy.random.default_rng(4).random((1, 32, 32, 3), "float32")
        check("TensorFlow runs it", numpy.array_equal(loaded(x), net(x)))
        seen = m.run(cache.GRAFT, "inspect", place, "--json")
        names = [t["name"] for t in json.loads(seen.stdout or '{"tensors": []}')["tensors"]]
        check("graft reads its tensors", len(names) >= 2, seen)
        out = m.home / "out.npz"
        made = m.run(cache.GRAFT, "convert", "tfhub://" + HANDLE, "--to", "npz", "-o", out)
        arrays = [a for a in numpy.load(out).values()] if out.exists() else []
        check("and converts them by the reference alone", made.returncode == 0 and any(
            a.shape == (3, 3, 3, 8) and numpy.array_equal(a, net.kernel.numpy()) or
            a.shape == (8, 3, 3, 3) and numpy.array_equal(a, net.kernel.numpy().transpose(3, 2, 0, 1))
            for a in arrays), (made, [a.shape for a in arrays]))
        count = len(requests)
        again = m.run(cache.GRAFT, "fetch", "tfhub://" + HANDLE)
        page = m.run(cache.GRAFT, "fetch", "--offline", "https://tfhub.dev/" + HANDLE)
        check("the second time sends nothing, by the address of its page too", len(requests) == count
              and again.stdout == page.stdout == got.stdout, (again, page))
        items = m.json("ls")["items"]
        check("the cache lists it with what it unpacks to", len(items) == 1 and items[0]["bytes"] == len(
            archives[HANDLE]) + sum(map(len, theirs.values())) and items[0]["files"] == 1 + len(theirs), items)
        check("and verifies it", m.json("verify")["intact"] == 1 + len(theirs), m.json("verify"))
        damaged = place / "variables/variables.index"
        damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
        check("damage in the folder is noticed", m.graft("verify").returncode == 1)
        m.json("repair")
        fixed = m.run(cache.GRAFT, "fetch", "--offline", "tfhub://" + HANDLE)
        check("and mended without a network", fixed.returncode == 0
              and damaged.read_bytes() == theirs["variables/variables.index"], fixed)
        original = archives[HANDLE]
        archives[HANDLE] = packed(members(folder) + [("./assets/new", b"new")])
        m.graft("rm", "tfhub://" + HANDLE)
        check("nothing is left of it", not list((m.own / "unpacked").iterdir()))
        changed = m.run(cache.GRAFT, "fetch", "tfhub://" + HANDLE)
        check("a module has to be ever after what it was at first", changed.returncode == 1
              and "changed since it was first fetched" in changed.stderr, changed)
        archives[HANDLE] = original
        requests.clear()
        kaggle = m.run(cache.GRAFT, "fetch", "kaggle://acme/net/tensorFlow2/tiny")
        check("a model of Kaggle without a version is its newest", kaggle.returncode == 0
              and "/api/v1/models/acme/net/tensorFlow2/tiny/2/download" in [p for p, _ in requests], kaggle)
        check("who asks is told to Kaggle and to nobody else", all(
            (a or "").startswith("Basic ") != p.startswith("/signed/") for p, a in requests), requests)
        long = m.run(cache.GRAFT, "fetch", "--offline", "https://www.kaggle.com/models/acme/net/frameworks/"
                     "tensorFlow2/variations/tiny/versions/2")
        short = m.run(cache.GRAFT, "fetch", "--offline", "kaggle://acme/net/tensorFlow2/tiny")
        check("its page and its newest version are found offline",
              long.returncode == 0 and long.stdout == kaggle.stdout == short.stdout, (long, short))
        gone = m.run(cache.GRAFT, "fetch", "tfhub://google/gone/1")
        check("a module that is not there is explained", gone.returncode == 1 and "hint:" in gone.stderr, gone)
        archives["google/page/1"] = b"<html>moved</html>"
        moved = m.run(cache.GRAFT, "fetch", "tfhub://google/page/1")
        check("a page in place of an archive is explained and not kept", moved.returncode == 1
              and "kaggle" in moved.stderr and "page" in moved.stderr
              and len(m.json("ls")["items"]) == 1, moved)
        for text in ("tfhub://", "tfhub://x", "tfhub://a/../../b", "kaggle://a/b", "kaggle://a/b/c/d/e",
                     "tfhub://a/b c/1"):
            bad = m.run(cache.GRAFT, "fetch", text)
            check(f"refused: {text}", bad.returncode == 1 and "hint:" in bad.stderr, bad)


def hostile():
    body = b"payload"
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
    cases = {
        "climbs": [("../evil", body)],
        "climbs inside": [("./a/../../evil", body)],
        "absolute": [("/tmp/graft-evil", body)],
        "backslash": [("..\\evil", body)],
        "symbolic link": [("a", b"", link)],
        "link, then a file through it": [("a", b"", link | {"linkname": "/tmp"}), ("a/evil", body)],
        "hard link": [("a", body), ("b", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        "hard link inside": [("a", body), ("b", b"", {"type": tarfile.LNKTYPE, "linkname": "a"})],
        "device": [("null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
        "pipe": [("pipe", b"", {"type": tarfile.FIFOTYPE})],
        "twice": [("a", body), ("a", b"other")],
        "twice by another name": [("a", body), ("./a", b"other")],
        "a file that is a folder too": [("a", body), ("a/b", body)],
        "a folder that is a file too": [("a/b", body), ("a", body)],
        "control characters": [("a\nb", body)],
        "a long name": [("a" * 300, body)],
        "nothing": [],
    }
    files = {name: packed(found) for name, found in cases.items()}
    zeros = io.BytesIO()
    with gzip.open(zeros, "wb", compresslevel=1) as bomb:
        member = tarfile.TarInfo("zeros")
        member.size = 400 << 20
        bomb.write(member.tobuf())
        block = bytes(1 << 20)
        for _ in range(400):
            bomb.write(block)
        bomb.write(bytes(1024))
    files["bomb"] = zeros.getvalue()
    whole = packed([("a", os.urandom(50_000)), ("b", os.urandom(50_000))])
    for cut in (3, 30, len(whole) // 2, len(whole) - 9000):
        files[f"cut after {cut} bytes"] = whole[:cut]
    files["not compressed as it says"] = b"\x1f\x8b" + os.urandom(2000)
    with Machine(TFHUB_ENDPOINT=f"http://127.0.0.1:{first.server_port}") as m:
        for number, (name, data) in enumerate(files.items()):
            archives[f"evil/m/{number}"] = data
            before = {p for p in pathlib.Path("/tmp").glob("*evil*")}
            got = m.run(cache.GRAFT, "fetch", f"tfhub://evil/m/{number}")
            left = [p for p in m.own.rglob("*") if p.is_file() and ".lock" not in p.name
                    and p.name != "usage.log"]
            outside = [p for p in m.home.iterdir() if p.name not in ("graft", "hf")]
            check(f"refused, nothing left: {name}", got.returncode == 1 and "error:" in got.stderr
                  and not left and not outside
                  and before == {p for p in pathlib.Path("/tmp").glob("*evil*")},
                  (got.returncode, got.stderr[-300:], left, outside))


def main():
    good()
    hostile()
    sys.exit(1 if cache.failures else 0)


if __name__ == "__main__":
    main()
