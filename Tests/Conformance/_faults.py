"""A Hub that misbehaves on purpose, in every way that servers on the network were seen to (and a few more)."""
import contextlib
import email.utils
import gzip
import http.client
import http.server
import json
import pathlib
import random
import re
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import _minihub

COMMIT = "f" * 40
DATA = random.Random(21).randbytes(12_000_000)

# What did not hold, of the script that runs.
failures = []


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {str(detail)[:1500]}"), flush=True)
    if not holds:
        failures.append(what)


class FaultyHub:
    """Serves `files` of one commit of `a/b`; keyword arguments switch faults on.

    drop=(bytes, times)        the connection ends after so many bytes of a body
    ignore_range=True          200 and the whole file, whatever part was asked for
    wrong_range=(kind, times)  `shifted`, `total`, `garbage` or `none` in Content-Range
    refuse=[(status, fields)]  answers to the first requests for a file
    refuse_api=[…]             the same for the API
    drip=(bytes, seconds)      a body comes in such pieces
    stall=(bytes, times)       a body stops after so many bytes, and the connection stays
    spoil=(kind, times)        `corrupt`, `short`, `long` bodies; short ones are announced short
    coding=True                bodies are compressed with gzip and say so
    redirect=f(path)           where a request for a file is sent; None for nowhere
    store=Store                files are at signed addresses of a store
    without={names}            fields that are left out
    weak=True                  weak ETags
    tree=[…], page=n           entries of the tree as they are, and how many go on a page
    next_origin=url            where the next page of a tree is said to be
    tls=context                speaks TLS
    """

    def __init__(self, files=None, commit=COMMIT, **faults):
        self.files = {"w.safetensors": DATA} if files is None else files
        self.commit, self.faults = commit, faults
        self.log, self.sent, self.open, self.lock = [], 0, 0, threading.Lock()
        self.counts = {}
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def setup(self):
                super().setup()
                # What was sent and what was received differ by little.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)

            def do_HEAD(self):
                self.do_GET()

            def do_GET(self):
                with hub.lock:
                    hub.log.append((self.command, self.path, dict(self.headers)))
                try:
                    hub.answer(self)
                except OSError:
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if "tls" in faults:
            self.server.socket = faults["tls"].wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = self.server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def gets(self, what="/resolve/"):
        return [entry for entry in list(self.log) if entry[0] == "GET" and what in entry[1]]

    def spend(self, fault):
        """Whether a fault that happens a number of times happens once more."""
        kind, times = self.faults.get(fault, (None, 0))
        with self.lock:
            used = self.counts.get(fault, 0)
            if used >= times:
                return None
            self.counts[fault] = used + 1
        return kind

    def refusal(self, fault):
        answers = self.faults.get(fault, [])
        with self.lock:
            used = self.counts.get(fault, 0)
            self.counts[fault] = used + 1
        return answers[used] if used < len(answers) else None

    # What it answers

    def answer(self, request):
        path = urllib.parse.unquote(request.path.split("?")[0])
        if path.startswith("/api/"):
            return self.answer_api(request, path)
        found = re.fullmatch(r"/a/b/resolve/([^/]+)/(.+)", path)
        name = found[2] if found else path.rsplit("/", 1)[1]
        if name not in self.files:
            return self.head(request, 404, 0, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.commit})
        if refused := self.refusal("refuse"):
            return self.head(request, refused[0], 0, refused[1])
        data = self.files[name]
        fields = self.fields(name, data)
        if (where := self.faults.get("redirect")) and (target := where(request.path)):
            fields |= {"X-Linked-Etag": fields["ETag"], "X-Linked-Size": str(len(data)), "Location": target}
            return self.head(request, 302, 0, fields)
        if "store" in self.faults and found:
            fields |= {"X-Linked-Etag": fields["ETag"], "X-Linked-Size": str(len(data)),
                       "Location": self.faults["store"].sign(name)}
            return self.head(request, 302, 0, fields)
        self.body(request, data, fields)

    def fields(self, name, data):
        tag = f'"{_minihub.etag(name, data)}"'
        fields = {"X-Repo-Commit": self.commit, "ETag": ("W/" if self.faults.get("weak") else "") + tag,
                  "Accept-Ranges": "bytes"}
        return {k: v for k, v in fields.items() if k not in self.faults.get("without", ())}

    def answer_api(self, request, path):
        if refused := self.refusal("refuse_api"):
            return self.head(request, refused[0], 0, refused[1])
        if "/revision/" in path:
            return self.text(request, {"id": "a/b", "sha": self.commit})
        entries = self.faults.get("tree") or [_minihub.entry(p, d) for p, d in self.files.items()]
        if size := self.faults.get("page"):
            query = urllib.parse.parse_qs(request.path.partition("?")[2])
            start = int(query.get("cursor", ["0"])[0])
            if start + size < len(entries) or self.faults.get("endless"):
                base = self.faults.get("next_origin", self.url)
                link = f"<{base}{path}?recursive=true&cursor={start + size}>; rel=\"next\""
                return self.text(request, entries[start:start + size], {"Link": link})
            entries = entries[start:]
        self.text(request, entries)

    def text(self, request, value, fields={}):
        body = json.dumps(value).encode()
        self.head(request, 200, len(body), {"Content-Type": "application/json", **fields})
        if request.command == "GET":
            request.wfile.write(body)

    def head(self, request, status, length, fields):
        request.send_response(status)
        for name, value in fields.items():
            request.send_header(name, str(value))
        if "Content-Length" not in self.faults.get("without", ()) or status != 200:
            request.send_header("Content-Length", str(length))
        else:
            request.send_header("Connection", "close")
            request.close_connection = True
        request.end_headers()

    def body(self, request, data, fields):
        status, part = 200, data
        spoiled = self.spend("spoil") if request.command == "GET" else None
        if spoiled == "corrupt":
            data = part = data[:len(data) // 2] + bytes(1000) + data[len(data) // 2 + 1000:]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if wanted and not self.faults.get("ignore_range"):
            first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
            if first >= len(data):
                return self.head(request, 416, 0, {"Content-Range": f"bytes */{len(data)}"})
            status, part = 206, data[first:last + 1]
            kind = self.spend("wrong_range")
            fields = fields | {"Content-Range": {
                "shifted": f"bytes {first + 5}-{last + 5}/{len(data)}",
                "total": f"bytes {first}-{last}/{len(data) + 7}", "garbage": "bytes of some kind",
                "none": ""}.get(kind, f"bytes {first}-{last}/{len(data)}")}
        if spoiled == "short":
            part = part[:len(part) // 2]
        if spoiled == "long":
            part = part + b"more"
        if self.faults.get("coding"):
            part = gzip.compress(part)
            fields = fields | {"Content-Encoding": "gzip"}
        self.head(request, status, len(part), fields)
        if request.command == "HEAD":
            return
        with self.lock:
            self.open += 1
        try:
            self.send(request, part)
        finally:
            with self.lock:
                self.open -= 1

    def send(self, request, part):
        end = self.spend("drop")
        stop = self.spend("stall")
        size, pause = self.faults.get("drip", (65536, 0))
        position = 0
        while position < len(part):
            if end is not None and position >= end:
                request.close_connection = True
                with contextlib.suppress(OSError):
                    request.connection.shutdown(socket.SHUT_RDWR)
                return
            if stop is not None and position >= stop:
                time.sleep(30)
                request.close_connection = True
                return
            piece = part[position:position + size]
            if end is not None:
                piece = piece[:max(end - position, 1)]
            request.wfile.write(piece)
            position += len(piece)
            with self.lock:
                self.sent += len(piece)
            if pause:
                time.sleep(pause)


class Store(FaultyHub):
    """A store of another origin, whose signed addresses expire after some seconds or bytes."""

    def __init__(self, files=None, seconds=None, limit=None, **faults):
        self.seconds, self.limit, self.signed, self.expired = seconds, limit, {}, 0
        super().__init__(files, **faults)

    def sign(self, name):
        with self.lock:
            number = len(self.signed)
            self.signed[number] = [time.monotonic(), 0]
        return f"{self.url}/store/{name}?Signature={number}"

    def answer(self, request):
        number = int(request.path.partition("Signature=")[2])
        born, used = self.signed[number]
        if (self.seconds is not None and time.monotonic() - born > self.seconds) or \
                (self.limit is not None and used >= self.limit):
            with self.lock:
                self.expired += 1
            return self.head(request, 403, 0, {})
        with self.lock:
            self.signed[number][1] += 1
        name = urllib.parse.unquote(request.path.split("?")[0]).rsplit("/", 1)[1]
        self.body(request, self.files[name], {"ETag": '"of-the-store"', "Accept-Ranges": "bytes"})


def authority(folder):
    """A certificate authority of our own and a server's certificate from it, by openssl."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Test authority",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "server.key",
            "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "names", "-out", "server.pem")
    # As `c_rehash` names it, for folders of certificates.
    name = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", "ca.pem"], cwd=folder, check=True,
                          capture_output=True, text=True).stdout.strip()
    (folder / "folder").mkdir(exist_ok=True)
    (folder / "folder" / f"{name}.0").write_bytes((folder / "ca.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


class Proxy:
    """An HTTP proxy: passes on what is asked, tunnels what is CONNECTed, and writes down both."""

    def __init__(self):
        proxy = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_CONNECT(self):
                proxy.seen.append(("CONNECT", self.path))
                host, port = self.path.rsplit(":", 1)
                with socket.create_connection((host, int(port))) as other:
                    self.send_response(200)
                    self.end_headers()

                    def pump(source, target):
                        with contextlib.suppress(OSError):
                            while piece := source.recv(65536):
                                target.sendall(piece)
                            target.shutdown(socket.SHUT_WR)

                    back = threading.Thread(target=pump, args=(other, self.connection), daemon=True)
                    back.start()
                    pump(self.connection, other)
                    back.join(timeout=10)
                self.close_connection = True

            def do_GET(self):
                proxy.seen.append((self.command, self.path))
                target = urllib.parse.urlsplit(self.path)
                connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
                passed = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy")}
                connection.request(self.command, target.path + ("?" + target.query if target.query else ""),
                                   headers=passed)
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else len(body)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                self.wfile.write(body)

            do_HEAD = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def unsound(home):
    """What of a cache below `home` is not as it should be: half-written, misnamed or dangling."""
    wrong = []
    for blob in pathlib.Path(home).glob("hf/hub/*--*/blobs/*"):
        if blob.name.endswith(".incomplete"):
            continue
        data = blob.read_bytes()
        if blob.name not in (_minihub.sha256(data), _minihub.git_blob(data)):
            wrong.append(blob)
    for place in pathlib.Path(home).glob("hf/hub/*--*/snapshots/**/*"):
        if place.is_symlink() and not place.exists():
            wrong.append(place)
    return wrong


def http_date(seconds):
    """A moment so many seconds from now, as `Retry-After` has it."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)
