"""What `graft fetch` does on a network that misbehaves: a server in this script plays tricks.

Needs nothing but the standard library. GRAFT names the program.
"""
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

GRAFT = os.environ["GRAFT"]
CONTENT = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(65536))  # 2 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
requests, failures = [], []


class Tricks(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        wanted = self.headers.get("Range")
        requests.append((self.command, path, wanted))
        attempt = sum(1 for method, p, _ in requests if (method, p) == ("GET", path))
        if path.startswith("/missing"):
            return self.reply(404, b"no such file")
        if path.startswith("/busy") and attempt < 3:
            return self.reply(503, b"later", {"Retry-After": "0"})
        if path.startswith("/moved"):
            return self.reply(302, b"", {"Location": "/plain-after-move.bin"})
        if path.startswith("/loop"):
            return self.reply(302, b"", {"Location": path})
        if path.startswith("/slow"):
            time.sleep(1)
        body, status, headers = CONTENT, 200, {"ETag": '"one"', "Accept-Ranges": "bytes"}
        if wanted and not path.startswith("/norange"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(CONTENT):
                return self.reply(416, b"", {"Content-Range": f"bytes */{len(CONTENT)}"})
            body, status = CONTENT[start:], 206
            headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        cut = 1_000_000 if attempt == 1 and path.startswith(("/cut", "/norange")) else None
        self.reply(status, body, headers, cut)

    def reply(self, status, body, headers={}, cut=None):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tricks)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"

    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "GRAFT_CACHE": cache, "NO_PROXY": "*"}

        def start(*arguments):
            return subprocess.Popen([GRAFT, *arguments], env=environment, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def graft(*arguments):
            process = start(*arguments)
            out, err = process.communicate(timeout=120)
            return process.returncode, out.strip(), err.strip()

        def gets(path):
            return [r for r in list(requests) if r[0] == "GET" and r[1] == path]

        def right(result):
            return result[0] == 0 and pathlib.Path(result[1]).read_bytes() == CONTENT

        result = graft("fetch", f"{base}/plain.bin#sha256={SHA256}")
        check("a file arrives whole", right(result), result)
        check("it keeps its name", result[1].endswith("/plain.bin"), result)
        before = len(requests)
        check("the second fetch sends nothing",
              right(graft("fetch", f"{base}/plain.bin#sha256={SHA256}"))
              and len(requests) == before, requests[before:])
        result = graft("fetch", "--offline", f"{base}/never.bin")
        check("offline fails for what is not there, without a request",
              result[0] == 1 and "error:" in result[2] and not gets("/never.bin"), result)

        result = graft("fetch", f"{base}/cut.bin#sha256={SHA256}")
        ranges = [r[2] for r in gets("/cut.bin")]
        check("a cut transfer goes on where it stopped",
              right(result) and len(ranges) == 2 and ranges[1] not in (None, "bytes=0-"),
              (result, ranges))
        result = graft("fetch", f"{base}/norange.bin#sha256={SHA256}")
        check("a 200 in answer to a range starts over", right(result), result)

        result = graft("fetch", f"{base}/wrong.bin#sha256={'0' * 64}")
        left = [p for p in pathlib.Path(cache).rglob("wrong.bin")]
        check("a wrong digest is an error and leaves nothing",
              result[0] == 1 and SHA256 in result[2] and not left, (result, left))
        result = graft("fetch", f"{base}/missing.bin")
        check("404 is explained, and not tried again",
              result[0] == 1 and "404" in result[2] and len(gets("/missing.bin")) == 1, result)
        check("503 is tried again", right(graft("fetch", f"{base}/busy.bin")), requests[-4:])
        check("a redirect is followed", right(graft("fetch", f"{base}/moved.bin")), requests[-4:])
        result = graft("fetch", f"{base}/loop.bin")
        check("a redirect loop ends", result[0] == 1, result)
        result = graft("fetch", "http://example.org/weights.bin")
        check("plain http is refused off this machine",
              result[0] == 1 and "http" in result[2], result)

        pair = [start("fetch", f"{base}/slow.bin") for _ in range(2)]
        results = [(p.communicate(timeout=120)[0].strip(), p.returncode) for p in pair]
        check("two programs that want one file fetch it once",
              all(code == 0 for _, code in results) and results[0] == results[1]
              and len(gets("/slow.bin")) == 1, (results, gets("/slow.bin")))

        result = graft("cache", "verify")
        check("the cache verifies", result[0] == 0, result)
        listed = graft("cache", "ls", "--json")
        check("the cache lists as JSON", listed[0] == 0 and json.loads(listed[1]), listed)
        victim = pathlib.Path(graft("fetch", f"{base}/plain.bin#sha256={SHA256}")[1])
        victim.write_bytes(b"x" + CONTENT[1:])
        result = graft("cache", "verify")
        check("the cache notices a changed byte", result[0] == 1, result)
    server.shutdown()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
