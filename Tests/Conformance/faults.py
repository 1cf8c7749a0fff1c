"""`graft fetch` on a Hub with every fault that we know of: the right bytes, or an explained error, and nothing else.

After each of them the cache is looked at: nothing half-written, nothing misnamed, nothing outside. GRAFT names the
program; needs nothing but the standard library and openssl.
"""
import concurrent.futures
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from _faults import COMMIT, DATA, FaultyHub, Store, authority, check, failures, http_date, unsound
from _minihub import entry, environment

GRAFT = os.environ["GRAFT"]
numbers = itertools.count()
SMALL = {"config.json": b'{"a": 1}' * 50, "w.safetensors": DATA[:3000]}


class Bench:
    """Runs graft in a fresh home inside a folder whose other contents must stay what they are."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def fetch(self, hub, *arguments, name="hf://a/b", variables={}, timeout=60):
        self.parent = self.root / f"case{next(numbers)}"
        self.home = self.parent / "home"
        self.home.mkdir(parents=True)
        (self.parent / "witness").write_text("untouched")
        done = subprocess.run([GRAFT, "fetch", name, *arguments], env=environment(self.home, hub.url) | variables,
                              text=True, capture_output=True, timeout=timeout)
        self.out, self.err = done.stdout.strip(), done.stderr.strip()
        return done.returncode

    def is_right(self, files):
        folder = pathlib.Path(self.out)
        return all((folder / path).is_file() and (folder / path).read_bytes() == data for path, data in files.items())

    def is_clean(self):
        return sorted(p.name for p in self.parent.iterdir()) == ["home", "witness"] and not unsound(self.home) \
            and (self.parent / "witness").read_text() == "untouched"


def right(bench, what, hub, *arguments, also=lambda: True, **options):
    """The fault is overcome: the bytes are right."""
    code = bench.fetch(hub, *arguments, **options)
    check(what, code == 0 and bench.is_right(hub.files) and bench.is_clean() and also(),
          (code, bench.err, [(m, p, h.get("Range")) for m, p, h in hub.log][-8:]))


def explained(bench, what, hub, *words, also=lambda: True, **options):
    """The fault is final: exit code 1, an error with those words, and no file."""
    code = bench.fetch(hub, **options)
    files = [p for p in bench.home.glob("hf/hub/*--*/snapshots/**/*") if p.is_file()]
    check(what, code == 1 and "error:" in bench.err and all(w in bench.err for w in words) and not bench.out
          and not files and bench.is_clean() and also(), (code, bench.err, files, unsound(bench.home)))


def bodies(bench):
    for times in (1, 6):
        with FaultyHub(drop=(2_000_000, times)) as hub:
            right(bench, f"{times} connections that end after 2 MB go on where they stopped", hub,
                  # Near the end the tail of a slow connection is asked for twice.
                  also=lambda: hub.sent < len(DATA) + times * 400_000 + 1_000_000)
    with FaultyHub(drop=(0, 10 ** 6)) as hub:
        explained(bench, "a server that never sends a byte is given up", hub, "partial file")
    with FaultyHub(ignore_range=True) as hub:
        right(bench, "a server that ignores ranges is read as one stream", hub)
    with FaultyHub(ignore_range=True, drop=(5_000_000, 2)) as hub:
        right(bench, "and read anew where it breaks off", hub)
    for kind in ("shifted", "total", "garbage", "none"):
        with FaultyHub(wrong_range=(kind, 2)) as hub:
            right(bench, f"a wrong Content-Range ({kind}) is noticed and asked again", hub)
        with FaultyHub(wrong_range=(kind, 10 ** 6)) as hub:
            explained(bench, f"one that stays wrong ({kind}) is explained", hub, "range" if kind in
                      ("garbage", "none") else "other bytes")
    with FaultyHub(drip=(4096, 0.001), files={"w.safetensors": DATA[:600_000]}) as hub:
        right(bench, "a slow drip arrives", hub)
    with FaultyHub(stall=(1_000_000, 2)) as hub:
        right(bench, "a connection that stalls is given up and replaced", hub,
              variables={"HF_HUB_DOWNLOAD_TIMEOUT": "1"}, timeout=25)
    with FaultyHub(spoil=("corrupt", 10 ** 6), files=SMALL) as hub:
        explained(bench, "corrupt bytes of the right length are refused", hub, "mismatch")
    with FaultyHub(spoil=("corrupt", 10 ** 6)) as hub:
        explained(bench, "in large files too", hub, "mismatch",
                  also=lambda: not list(bench.home.glob("hf/hub/*--*/blobs/*")))
    with FaultyHub(spoil=("short", 3)) as hub:
        right(bench, "parts that come short are asked again", hub)
    with FaultyHub(spoil=("short", 10 ** 6), files=SMALL) as hub:
        explained(bench, "a body shorter than the tree says is explained", hub, "expected 400 bytes, found 200")
    with FaultyHub(spoil=("long", 10 ** 6), files={"w.safetensors": DATA[:3000]}) as hub:
        explained(bench, "a body longer than the tree says is refused", hub, "3000", "3004")
    with FaultyHub(coding=True, files=SMALL) as hub:
        right(bench, "a body in gzip, which nobody asked for, is decoded where a digest verifies it", hub)


def refusals(bench):
    for status in (408, 425, 429, 500, 502, 503, 504):
        with FaultyHub(refuse=[(status, {})] * 3, refuse_api=[(status, {})], files=SMALL) as hub:
            right(bench, f"{status} passes: API and files are asked again", hub)
    with FaultyHub(refuse=[(503, {})] * 1000, files=SMALL) as hub:
        explained(bench, "503 for ever is explained", hub, "`503`")
    waits = {"Retry-After in seconds": {"Retry-After": "1"}, "Retry-After as a date": {"Retry-After": http_date(2)},
             "RateLimit": {"RateLimit": '"resolvers";r=0;t=0', "RateLimit-Policy": '"fixed window";"resolvers";q=3;w=1'}}
    for name, fields in waits.items():
        with FaultyHub(refuse=[(429, fields)], files={"w.safetensors": DATA[:3000]}) as hub:
            right(bench, f"429 with {name} is obeyed", hub, also=lambda: len(hub.gets()) == 2)
        with FaultyHub(refuse_api=[(429, fields)], files={"w.safetensors": DATA[:3000]}) as hub:
            right(bench, f"and where the API says so ({name})", hub)
    for status, code, words in ((403, "GatedRepo", "gated"), (401, "GatedRepo", "gated"),
                                (404, "RepoNotFound", "no such repository"), (401, None, "HF_TOKEN"),
                                (404, "RevisionNotFound", "no such revision"), (403, None, "HF_TOKEN")):
        fields = {"X-Error-Code": code} if code else {}
        with FaultyHub(refuse_api=[(status, fields)] * 9, files=SMALL) as hub:
            explained(bench, f"{status} {code or 'without a code'} is explained", hub, words, "hint:",
                      also=lambda: len(hub.log) == 1)
    with FaultyHub(refuse_api=[(403, {"X-Error-Message": "Access to this resource is disabled."})], files=SMALL) as hub:
        explained(bench, "a disabled repository is explained", hub, "disabled", also=lambda: len(hub.log) == 1)
    with FaultyHub(refuse=[(403, {"X-Error-Code": "GatedRepo"})] * 9, files=SMALL) as hub:
        explained(bench, "a gate that shows only at a file is explained", hub, "gated", "hint:")


def redirects(bench):
    with FaultyHub(redirect=lambda path: path, files=SMALL) as hub:
        explained(bench, "a redirect to itself ends", hub, "in a circle", also=lambda: len(hub.log) < 60)
    flip = {"x": "y", "y": "x"}
    with FaultyHub(redirect=lambda path: path[:-1] + flip.get(path[-1], "x"),
                   files={"w.x": b"1", "w.y": b"2"}) as hub:
        explained(bench, "a circle of two ends", hub, "in a circle")
    with FaultyHub(redirect=lambda path: None if "cache" in path else "/resolve-cache/" + path.rsplit("/", 1)[1],
                   files=SMALL) as hub:
        right(bench, "a relative redirect is followed", hub)
    for target in ("ftp://127.0.0.1/x", "file:///etc/passwd", "http://192.0.2.1/x", "gopher://127.0.0.1/1"):
        with FaultyHub(redirect=lambda path: target, files=SMALL) as hub:
            explained(bench, f"a redirect to {target} is refused", hub, "hint:")
    context = authority(bench.root / "authority")
    trust = {"SSL_CERT_FILE": str(bench.root / "authority" / "ca.pem")}
    with Store(SMALL) as plain, FaultyHub(SMALL, tls=context, store=plain) as hub:
        explained(bench, "a redirect from https to http is refused", hub, "from https to http",
                  variables=trust, also=lambda: not plain.log)
    for kind, options in {"after a second": {"seconds": 0.4, "drip": (65536, 0.01), "drop": (1_500_000, 9)},
                          "after two requests": {"limit": 2, "drop": (3_000_000, 3)}}.items():
        files = {"w.safetensors": DATA}
        with Store(files, **options) as store, FaultyHub(files, store=store) as hub:
            right(bench, f"a signed address that expires {kind} is signed anew in mid-file", hub,
                  also=lambda: store.expired > 0 and len(hub.gets()) > 1)
    files = {"w.safetensors": DATA}
    with Store(files, limit=0) as store, FaultyHub(files, store=store) as hub:
        explained(bench, "signed addresses that never work are explained", hub, "`403`", also=lambda: len(hub.log) < 60)


def fields(bench):
    for name in ("ETag", "X-Repo-Commit", "Accept-Ranges", "Content-Length"):
        with FaultyHub(SMALL, without={name}) as hub:
            right(bench, f"a repository arrives without {name}: the tree says it all", hub)
    for name in ("ETag", "X-Repo-Commit"):
        with FaultyHub(SMALL, without={name}) as hub:
            code = bench.fetch(hub, name="hf://a/b/config.json")
            check(f"one file without {name} is explained", code == 1 and "`X-Repo-Commit` and `ETag`" in bench.err
                  and bench.is_clean(), bench.err)
    with FaultyHub(without={"Content-Length"}) as hub:
        right(bench, "a large file without Content-Length arrives", hub)
    with FaultyHub(weak=True) as hub:
        right(bench, "weak ETags name what they name", hub)
    with FaultyHub(SMALL, weak=True) as hub:
        code = bench.fetch(hub, name="hf://a/b/config.json")
        check("for one file too", code == 0 and pathlib.Path(bench.out).read_bytes() == SMALL["config.json"], bench.err)


def trees(bench):
    many = {f"d{n % 7}/f{n}.txt": b"%d" % n for n in range(95)}
    with FaultyHub(many, page=10) as hub:
        right(bench, "a tree on ten pages arrives whole", hub, also=lambda: len(hub.gets("/tree/")) == 10)
    with FaultyHub(SMALL) as other, FaultyHub(many, page=10, next_origin=other.url) as hub:
        explained(bench, "a next page at another server is refused", hub, "refused", also=lambda: not other.log)
    entries = [entry(p, d) for p, d in SMALL.items()]
    with FaultyHub(SMALL, tree=entries + entries[:1]) as hub:
        right(bench, "a path that is listed twice is fetched once", hub, also=lambda: len(hub.gets()) == len(SMALL))
    with FaultyHub(SMALL, tree=entries + [entries[0] | {"oid": "0" * 40}]) as hub:
        explained(bench, "a path listed twice with other content is refused", hub, "twice", also=lambda: not hub.gets())
    with FaultyHub({"a": b"1", "a/b": b"2"}) as hub:
        explained(bench, "a file that is a folder too is refused", hub, "as a file")
    for what, tree in {"no list": {"error": 1}, "a number": [7], "an entry without a size": [{"type": "file", "path": "x",
                       "oid": "0" * 40}], "a negative size": [{"type": "file", "path": "x", "oid": "0" * 40, "size": -1}],
                       "an oid that is none": [{"type": "file", "path": "x", "oid": "../../x", "size": 1}],
                       "an LFS oid that is none": [{"type": "file", "path": "x", "oid": "0" * 40, "size": 1,
                                                    "lfs": {"oid": "../../../x", "size": 1, "pointerSize": 1}}],
                       "a size beyond the disk": [{"type": "file", "path": "x", "oid": "0" * 40, "size": 1 << 62}],
                       "two that overflow": [{"type": "file", "path": p, "oid": "0" * 40, "size": (1 << 63) - 1}
                                             for p in "xy"]}.items():
        with FaultyHub(SMALL, tree=tree) as hub:
            explained(bench, f"a tree with {what} is explained", hub)


HOSTILE = ["../outside", "a/../../outside", "../../../../outside", "/tmp/graft-outside", "//tmp/graft-outside",
           "a\\..\\..\\outside", "..\\outside", "C:\\x", "c:x", "\\\\server\\share\\x", "a//b", "a/./b", "./a", "a/..", "..", ".",
           "", "a/", "a/b\nc", "a\0b", "a\x7fb", "\x1b[2Jx", "x" * 300, "/".join(["d"] * 3000)]


def paths(bench):
    for name in HOSTILE:
        tree = [{"type": "file", "path": name, "oid": "0" * 40, "size": 4}]
        with FaultyHub({"w": b"evil"}, tree=tree) as hub:
            explained(bench, f"the path {name[:24]!r} is refused", hub,
                      also=lambda: not hub.gets() and not os.path.exists("/tmp/graft-outside"))
            code = bench.fetch(hub, "--local-dir", str(bench.root / "plain"))
            check("into a plain folder as well", code == 1 and bench.is_clean()
                  and not any(p.read_bytes() == b"evil" for p in bench.root.rglob("*") if p.is_file()
                              and not p.is_symlink()), bench.err)
    # A folder of the snapshot that somebody made a link to elsewhere.
    with FaultyHub({"sub/w.txt": b"evil"}) as hub:
        bench.fetch(hub, "--dry-run")
        snapshot = bench.home / "hf/hub/models--a--b/snapshots" / COMMIT
        snapshot.mkdir(parents=True)
        (bench.parent / "elsewhere").mkdir()
        (snapshot / "sub").symlink_to(bench.parent / "elsewhere")
        done = subprocess.run([GRAFT, "fetch", "hf://a/b"], env=environment(bench.home, hub.url), text=True,
                              capture_output=True, timeout=60)
        check("a link in the snapshot leads no write elsewhere", done.returncode == 1
              and not list((bench.parent / "elsewhere").iterdir()), done.stderr)
    for commit in ("../../x", "A" * 40, "f" * 39, "", "f" * 64):
        with FaultyHub(SMALL, commit=commit) as hub:
            explained(bench, f"the commit {commit[:12]!r} is refused", hub)
            code = bench.fetch(hub, name="hf://a/b/config.json")
            check("for one file too", code == 1 and bench.is_clean(), (bench.out, bench.err))


def main():
    with tempfile.TemporaryDirectory(prefix="graft-faults-") as root:
        groups = (bodies, refusals, redirects, fields, trees, paths)
        # They wait more than they work.
        with concurrent.futures.ThreadPoolExecutor(len(groups)) as pool:
            for done in [pool.submit(group, Bench(pathlib.Path(root) / group.__name__)) for group in groups]:
                done.result()
    print(json.dumps({"cases": next(numbers), "failed": len(failures)}))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
