"""`graft cache` and Python's `hf cache` on the same caches: they must agree on what is there, what
is damaged, what goes, and what is left.

GRAFT names the program; the `hf` of this Python's environment is the peer.
"""
import fcntl
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from huggingface_hub import scan_cache_dir

from _minihub import MiniHub, environment, etag, lay, sha256

GRAFT = os.environ["GRAFT"]
HF = str(pathlib.Path(sys.executable).parent / "hf")
failures = []
chance = random.Random(7)
# hf removes commits by their hash alone: no two repositories may have one in common.
A, B, C, D = (letter * 40 for letter in "abcd")
SHARED = chance.randbytes(200_000)
OLD, NEW = chance.randbytes(300_000), chance.randbytes(310_000)
TINY = {
    A: {"model.safetensors": OLD, "config.json": b'{"a": 1}\n', "sub/shared.bin": SHARED},
    B: {"model.safetensors": NEW, "config.json": b'{"a": 2}\n', "sub/shared.bin": SHARED},
}
DATA = {C: {"data.bin": SHARED, "README.md": b"# data\n"}}


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


class Machine:
    """A home with both caches in it, and both programs in that home."""

    def __init__(self, endpoint="http://127.0.0.1:9", **more):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="graft-cache-"))
        self.hub = self.home / "hf" / "hub"
        self.own = self.home / "graft"
        self.hub.mkdir(parents=True)
        self.own.mkdir()
        self.environment = environment(self.home, endpoint) | more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, *command, **options):
        return subprocess.run([str(c) for c in command], env=self.environment, text=True,
                              capture_output=True, timeout=120, **options)

    def graft(self, *arguments, **options):
        return self.run(GRAFT, "cache", *arguments, **options)

    def json(self, *arguments):
        result = self.graft(*arguments, "--json")
        try:
            return json.loads(result.stdout)
        except ValueError:
            return {"error": result.stderr}

    def hf(self, *arguments):
        return self.run(HF, "cache", *arguments)

    def fill(self):
        lay(self.hub, "acme/tiny", TINY, {"main": B, "v1": A})
        lay(self.hub, "gpt2", {D: {"config.json": b"{}"}}, {"main": D, "refs/pr/1": D})
        lay(self.hub, "acme/data", DATA, {"main": C}, kind="dataset")

    def seen_by_hf(self):
        info = scan_cache_dir(self.hub)
        return {
            (r.repo_type, r.repo_id): (
                r.size_on_disk, {v.commit_hash: (sorted(v.refs), v.size_on_disk, v.nb_files)
                                 for v in r.revisions})
            for r in info.repos}, [str(w) for w in info.warnings]

    def seen_by_graft(self):
        found = {}
        for item in self.json("ls").get("items", []):
            if item["kind"] in ("model", "dataset"):
                name = item["id"].removeprefix("hf://").removeprefix("datasets/")
                found[item["kind"], name] = (
                    item["bytes"], {v["commit"]: (sorted(v["refs"]), v["bytes"], v["files"])
                                    for v in item["revisions"]})
        return found

    def agree(self, what):
        theirs, warnings = self.seen_by_hf()
        ours = self.seen_by_graft()
        check(what, theirs == ours and not warnings, (theirs, ours, warnings))


def listing():
    with Machine() as m:
        m.fill()
        m.agree("graft and hf list the same repositories, commits, references and sizes")
        answer = m.json("ls")
        total = len(OLD) + len(NEW) + 2 * len(SHARED) + 2 * len(b'{"a": 1}\n') + 2 + len(b"# data\n")
        check("sizes are bytes on the disk", answer["bytesOnDisk"] == total, (answer, total))
        check("times are RFC 3339", all(
            i["used"].endswith("Z") and "T" in i["modified"] for i in answer["items"]), answer)
        rows = {r["id"]: r for r in json.loads(m.hf("ls", "--json").stdout)}
        check("hf lists them by its own command too", len(rows) == 3, rows)
        small = m.json("ls", "--filter", "size<1KB")["items"]
        check("a filter on sizes", [i["id"] for i in small] == ["hf://gpt2"], small)
        refs = m.json("ls", "--filter", "refs=v1", "--revisions")["items"]
        check("a filter on references", [v["commit"] for i in refs for v in i["revisions"]] == [A], refs)
        named = m.json("ls", "acme/*", "-f", "type=dataset")["items"]
        check("patterns and types", [i["id"] for i in named] == ["hf://datasets/acme/data"], named)
        check("the path of a reference is that of its main commit",
              m.graft("path", "hf://acme/tiny").stdout.strip()
              == str(m.hub / "models--acme--tiny/snapshots" / B))
        (m.hub / "models--acme--tiny/refs/broken").write_text("e" * 40)
        result = m.graft("ls")
        check("what hf would drop without a word is listed with a warning",
              "acme/tiny" in result.stdout and "refs/broken" in result.stderr, result)


def unlinked():
    """As on a file system without symbolic links."""
    with Machine() as m:
        lay(m.hub, "acme/tiny", TINY, {"main": B}, links=False)
        m.agree("both list a cache without links")
        result = m.json("verify")
        check("its files are verified by the listing of their commit",
              result["intact"] == 6 and not result["findings"], result)
        freed = m.json("rm", A)["freed"]
        check("removing a commit of it frees its files",
              freed == sum(map(len, TINY[A].values())), freed)
        m.agree("both list what is left of it")


def verifying():
    hub = MiniHub({"acme/tiny": (TINY, {"main": B, "v1": A})})
    with Machine(hub.url) as m:
        for revision in ("main", "v1"):
            result = m.run(HF, "download", "acme/tiny", "--revision", revision)
            check(f"hf downloads {revision}", result.returncode == 0, result.stderr)
        before = len(hub.requests)
        ours = m.json("verify")
        check("graft verifies what hf downloaded, without a request",
              ours["damaged"] == ours["unknown"] == 0 and ours["checked"] == 5
              and len(hub.requests) == before, ours)
        check("hf agrees", m.hf("verify", "acme/tiny").returncode == 0)
        victim = m.hub / "models--acme--tiny/blobs" / etag("x.bin", NEW)
        data = bytearray(NEW)
        data[1000] ^= 1
        victim.write_bytes(data)
        result = m.graft("verify")
        check("a changed bit is found", result.returncode == 1 and "error:" in result.stderr, result)
        answer = m.json("verify")["findings"]
        check("the finding names file and digests",
              [(f["file"], f["expected"]) for f in answer]
              == [("model.safetensors", "sha256:" + sha256(NEW))], answer)
        check("hf finds it too", m.hf("verify", "acme/tiny").returncode == 1)
        config = m.hub / "models--acme--tiny/blobs" / etag("config.json", TINY[B]["config.json"])
        config.write_bytes(b'{"a": 3}\n')
        check("so it is with a file of git", m.json("verify")["damaged"] == 2, m.json("verify"))
        (m.hub / "models--acme--tiny/snapshots" / A / "config.json").unlink()
        check("missing files are an error only on demand",
              m.graft("verify", f"hf://acme/tiny@{A}").returncode == 0
              and m.graft("verify", "--fail-on-missing-files", f"hf://acme/tiny@{A}").returncode == 1)
    hub.close()


def removing():
    with Machine() as m:
        m.fill()
        dry = m.json("rm", f"hf://acme/tiny@{A}", "--dry-run")
        wet = m.json("rm", f"hf://acme/tiny@{A}")
        frees = len(OLD) + len(TINY[A]["config.json"])
        check("removing a commit frees what no other one needs, as the dry run said",
              dry["freed"] == wet["freed"] == frees, (dry, wet, frees))
        m.agree("hf reads what graft left")
        result = m.hf("rm", "model/acme/tiny", "-y")
        check("hf removes the rest", result.returncode == 0, result)
        m.agree("graft reads what hf left")
        m.graft("rm", "dataset/acme/data")
        check("the last commit takes the folder along",
              not (m.hub / "datasets--acme--data").exists(), list(m.hub.iterdir()))
        result = m.graft("rm", "hf://no/such")
        check("an unknown name is explained", result.returncode == 1 and "hint:" in result.stderr)
        m.agree("nothing else changed")


def pruning():
    def litter(m):
        m.fill()
        (m.hub / "models--acme--tiny/refs/v1").unlink()
        (m.hub / "models--acme--tiny/blobs" / f"{'e' * 64}.12345678.incomplete").write_bytes(b"x" * 999)

    with Machine() as m, Machine() as n:
        litter(m)
        litter(n)
        theirs = json.loads(m.hf("prune", "--dry-run", "--json").stdout or "{}")
        ours = m.json("prune", "--dry-run")
        check("both would prune the same commits and leftovers",
              theirs.get("revisions") == len(ours["removed"]) == 1
              and theirs.get("incomplete") == sum(
                  p["kind"] == "partial" for p in ours["litter"]) == 1, (theirs, ours))
        m.graft("prune")
        n.hf("prune", "-y")
        check("both leave the same", m.seen_by_hf() == n.seen_by_hf(), (m.seen_by_hf(), n.seen_by_hf()))
        m.agree("and read it alike")
        rest = json.loads(m.hf("prune", "--dry-run", "--json").stdout or "{}")
        check("hf finds nothing more to prune", rest.get("revisions", 0) == 0 == rest.get("incomplete", 0), rest)
        names = [p.stat().st_ino for p in m.hub.glob(f"*/blobs/{sha256(SHARED)}")]
        check("the same bytes in two repositories are stored once",
              len(names) == 2 and len(set(names)) == 1, names)
        check("and count once", m.json("du")["bytesOnDisk"] == len(NEW) + len(SHARED) + 9 + 2 + 7,
              m.json("du"))


def collecting():
    with Machine() as m:
        for number in range(6):
            lay(m.hub, f"acme/m{number}", {A: {"w.bin": chance.randbytes(100_000)}}, {"main": A})
        features = m.own / "features" / "0123"
        features.mkdir(parents=True)
        (features / "photo.0.f32").write_bytes(b"x" * 50_000)
        log = [f"{2_000_000_000 + order} {m.hub}/models--acme--m{number}/snapshots/{A}"
               for order, number in enumerate((3, 1, 0, 2, 5, 4))]
        log.append(f"2100000000 {features}")
        (m.own / "usage.log").write_text("\n".join(log) + "\n")
        m.graft("pin", "hf://acme/m3")
        locks = m.hub / ".locks" / "models--acme--m1"
        locks.mkdir(parents=True)
        with open(locks / "some.lock", "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            dry = m.json("gc", "--max-size", "400KB", "--dry-run")
            answer = m.json("gc", "--max-size", "400KB")
        names = [i["id"] for i in answer["removed"]]
        check("gc evicts the least recently used, not what is pinned or locked",
              names == ["hf://acme/m0", "hf://acme/m2", "hf://acme/m5"], (names, answer))
        check("the dry run said so, and how much is left",
              [i["id"] for i in dry["removed"]] == names
              and dry["bytesAfter"] == answer["bytesAfter"] == 350_000, (dry, answer))
        check("what was in use is named", [i["id"] for i in answer["inUse"]] == ["hf://acme/m1"], answer)
        m.agree("hf reads what gc left")
        result = m.graft("rm", "hf://acme/m3")
        check("what is pinned is not removed by hand either",
              result.returncode == 1 and "unpin" in result.stderr, result)
        m.graft("unpin", "hf://acme/m3")
        answer = m.json("gc", "--max-size", "0")
        check("unpinned and unlocked, everything goes",
              answer["bytesAfter"] == 0 and len(answer["removed"]) == 4, answer)
        check("features go with the rest", not features.exists())


def shared_store():
    """What huggingface_hub 2 shares between repositories."""
    with Machine() as m:
        payload = chance.randbytes(100_000)
        xet = "ab" + "0" * 62
        store = m.hub / "blobs" / "ab"
        store.mkdir(parents=True)
        (m.hub / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
        (store / xet).write_bytes(payload)
        (store / xet).chmod(0o444)
        lines = []
        for name in ("one", "two"):
            folder = lay(m.hub, f"acme/{name}", {A: {"w.bin": payload}}, {"main": A})
            blob = folder / "blobs" / sha256(payload)
            blob.unlink()
            blob.symlink_to(f"../../blobs/ab/{xet}")
            lines.append(f"{folder.name}/blobs/{blob.name}\n")
        (store / f"{xet}.refs").write_text("".join(lines))
        m.agree("both list repositories that share a store")
        check("the store counts once", m.json("ls")["bytesOnDisk"] == 100_000, m.json("ls"))
        check("its files verify", m.json("verify")["damaged"] == 0)
        first = m.json("rm", "hf://acme/one")
        check("one repository less frees nothing", first["freed"] == 0 and (store / xet).exists(), first)
        m.agree("both list the other one")
        dry = m.json("rm", "hf://acme/two", "--dry-run")
        second = m.json("rm", "hf://acme/two")
        check("the last one frees the bytes",
              dry["freed"] == second["freed"] == 100_000 and not (store / xet).exists(), (dry, second))


def read_only():
    with Machine() as m:
        m.fill()
        for path in [m.home, *m.home.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() else 0o444)
        other = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
        try:
            answer = m.graft("ls", "--json", **other)
            verified = m.graft("verify", **other)
            refused = m.graft("rm", "hf://gpt2", **other)
        except PermissionError as error:
            print(f"ok   skipped for another user: {error}")
            return
        finally:
            for path in [m.home, *m.home.rglob("*")]:
                if path.is_dir() and not path.is_symlink():
                    path.chmod(0o755)
        check("a read-only cache is listed", answer.returncode == 0
              and len(json.loads(answer.stdout)["items"]) == 3, answer)
        check("and verified", verified.returncode == 0, verified)
        check("and says why nothing can be removed",
              refused.returncode == 1 and "cannot" in refused.stderr, refused)


def main():
    for part in (listing, unlinked, verifying, removing, pruning, collecting, shared_store, read_only):
        part()
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
