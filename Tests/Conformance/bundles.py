"""`graft cache export` and `import`: what one machine packed, Python's `hf` uses on another one that has
no network; and an archive that lies about anything is refused without a trace.

GRAFT names the program; the `hf` of this Python's environment is the peer.
"""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile

import cache
from _minihub import MiniHub, etag, git_blob, lay, sha256
from cache import A, B, Machine, TINY, check


def tree(folder):
    """Every path below a folder, with what it is."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            found[name] = sha256(path.read_bytes())
    return found


def content(machine):
    """What can be reached: no locks, no records of graft's own."""
    return {k: v for k, v in tree(machine.hub).items() if not k.startswith(".locks")}


def round_trip():
    with Machine() as one, Machine(HF_HUB_OFFLINE="1") as two:
        one.fill()
        bundle = one.home / "models.tar.zst"
        plan = one.json("export", "--filter", "name=*", "--dry-run")
        made = one.json("export", "hf://acme/tiny", "hf://gpt2", "hf://datasets/acme/data", "-o", bundle)
        check("export packs the same bytes once", made["contents"] == plan["contents"] == 7
              and made["bytes"] == one.json("ls")["bytesOnDisk"] - len(cache.SHARED), (made, plan))
        listed = subprocess.run(["tar", "--zstd", "-tf", bundle], capture_output=True, text=True)
        check("tar lists the bundle", listed.returncode == 0 and len(listed.stdout.split()) == 8, listed)
        dry = two.json("import", bundle, "--dry-run")
        check("a dry run adds nothing", dry["added"] == 9 and not tree(two.hub), dry)
        result = two.json("import", bundle)
        check("import adds all of it", result["added"] == 9 and all(
            i["state"] == "added" for i in result["items"]), result)
        theirs, ours = content(one), content(two)
        ours.pop("CACHEDIR.TAG", None)
        listings = {k: json.loads((one.hub / k).read_text()) == json.loads((two.hub / k).read_text())
                    for k in theirs if "/trees/" in k}
        same = {k: v for k, v in theirs.items() if "/trees/" not in k}
        check("blobs, links, references and listings are the same on both machines",
              same == {k: v for k, v in ours.items() if "/trees/" not in k}
              and listings and all(listings.values()), (same, ours, listings))
        two.agree("hf lists the imported cache as graft does")
        for revision, commit in (("main", B), ("v1", A)):
            got = two.run(cache.HF, "download", "acme/tiny", "--revision", revision, "--quiet")
            check(f"hf finds {revision} offline, and whole", got.returncode == 0
                  and got.stdout.strip().endswith(commit), got)
        got = two.run(cache.HF, "download", "acme/data", "--repo-type", "dataset", "--quiet")
        check("and the data set", got.returncode == 0, got)
        verified = two.json("verify")
        check("every file verifies", not verified["findings"] and verified["checked"] == 8, verified)
        before = tree(two.home)
        again = two.json("import", bundle)
        check("a second import changes nothing", again["added"] == 0 and tree(two.home) == before
              and all(i["state"] == "present" for i in again["items"]), again)


def merging():
    with Machine() as one, Machine() as two:
        one.fill()
        bundle = one.home / "models.tar.zst"
        one.json("export", "hf://acme/tiny", "-o", bundle)
        # The other machine's main is another commit, and one file is here already.
        lay(two.hub, "acme/tiny", {A: {"config.json": TINY[A]["config.json"]}}, {"main": A}, trees=False)
        place = two.hub / "models--acme--tiny/blobs" / etag("config.json", TINY[A]["config.json"])
        stamp = place.stat().st_mtime_ns
        result = two.json("import", bundle)
        notes = [n for i in result["items"] for n in i["notes"]]
        check("a branch that is here stays where it is", any("main" in n and A in n for n in notes)
              and (two.hub / "models--acme--tiny/refs/main").read_text() == A, result)
        check("what is here is not written again", place.stat().st_mtime_ns == stamp)
        check("both commits are there", len(two.json("ls", "--revisions")["items"][0]["revisions"]) == 2)
        two.agree("hf agrees after the merge")
        with Machine(HF_HUB_DISABLE_SYMLINKS="1") as three:
            three.json("import", bundle)
            files = [p for p in three.hub.rglob("*") if p.is_symlink()]
            got = three.run(cache.HF, "download", "acme/tiny", "--revision", "v1", "--quiet")
            check("without links files are copied", not files, files)
            three.agree("and hf reads them")


def own_files():
    hub = MiniHub({"acme/tiny": (TINY, {"main": B})})
    with Machine(hub.url) as one, Machine() as two:
        address = f"{hub.url}/acme/tiny/resolve/main/model.safetensors"
        path = one.run(cache.GRAFT, "fetch", address).stdout.strip()
        bundle = one.home / "own.tar.zst"
        one.json("export", address, "-o", bundle)
        two.json("import", bundle)
        got = two.run(cache.GRAFT, "fetch", "--offline", address)
        check("a fetched address moves too", got.returncode == 0
              and pathlib.Path(got.stdout.strip()).read_bytes() == pathlib.Path(path).read_bytes(), got)
        known = list((two.own / "known").glob("*.json"))
        check("with what it was when it was first fetched", len(known) == 1, known)
    hub.close()


def hostile():
    data = {"good": b"good bytes", "evil": b"evil bytes"}
    etags = {k: git_blob(v) for k, v in data.items()}

    def repository(**changes):
        return {"kind": "model", "id": "acme/x", "commit": A, "refs": ["main"], "used": 0,
                "files": {"a.txt": {"etag": etags["good"], "sha256": sha256(data["good"]),
                                    "byteCount": len(data["good"])}}} | changes

    def file(path="a.txt", **changes):
        return repository(files={path: repository()["files"]["a.txt"] | changes})

    def manifest(repositories, contents=None, files=(), **more):
        return {"format": 1, "made": "2026-01-01T00:00:00Z", "repositories": repositories,
                "files": list(files),
                "contents": contents or [{"sha256": sha256(data["good"]), "byteCount": len(data["good"])}]
                } | more

    def own(**changes):
        return {"entry": {"reference": "https://x.org/a", "url": "https://x.org/a",
                          "sha256": sha256(data["good"]), "byteCount": len(data["good"]),
                          "fileName": "a", "fetched": "2026-01-01T00:00:00Z"} | changes, "used": 0}

    good = ("contents/" + sha256(data["good"]), data["good"], tarfile.REGTYPE)
    cases = {
        "no list": (None, [good]),
        "another format": (manifest([repository()], format=2), [good]),
        "a path that climbs": (manifest([file("../../../evil")]), [good]),
        "an absolute path": (manifest([file("/tmp/evil")]), [good]),
        "a path with a backslash": (manifest([file("..\\evil")]), [good]),
        "a file in a file": (manifest([repository(files=file("a")["files"] | file("a/b")["files"])]), [good]),
        "a reference that climbs": (manifest([repository(refs=["../../x"])]), [good]),
        "a commit that is none": (manifest([repository(commit="../" * 13 + "x")]), [good]),
        "a name that climbs": (manifest([repository(id="../x")]), [good]),
        "a digest that climbs": (manifest([file(etag="../../../evil")]), [good]),
        "another digest than the name": (manifest([file(etag="f" * 64)]), [good]),
        "another git digest than the name": (manifest([file(etag="f" * 40)]), [good]),
        "a size that is wrong": (manifest([file(byteCount=3)]), [good]),
        "other bytes": (manifest([repository()]), [(good[0], data["evil"], good[2])]),
        "too many bytes": (manifest([repository()]), [(good[0], data["good"] * 9, good[2])]),
        "a content that is missing": (manifest([repository()]), []),
        "a content twice": (manifest([repository()]), [good, good]),
        "a content listed twice": (manifest([repository()], contents=2 * manifest([])["contents"]), [good]),
        "a member that is not listed": (manifest([repository()]), [good, ("../evil", b"x", good[2])]),
        "a link": (manifest([repository()]), [(good[0], b"", tarfile.SYMTYPE)]),
        "a hard link": (manifest([repository()]), [(good[0], b"", tarfile.LNKTYPE)]),
        "a device": (manifest([repository()]), [(good[0], b"", tarfile.CHRTYPE)]),
        "a file name that climbs": (manifest([], files=[own(fileName="../../evil")]), [good]),
        "a digest of graft's own that climbs": (manifest([], files=[own(sha256="../x")]), [good]),
        "numbers where names are expected": (manifest([repository(refs=[1])]), [good]),
        "a negative size": (manifest([repository()], contents=[
            {"sha256": sha256(data["good"]), "byteCount": -1}]), [good]),
    }
    with Machine() as machine:
        for name, (listing, members) in cases.items():
            bundle = machine.home / "hostile.tar"
            with tarfile.open(bundle, "w") as archive:
                if listing is not None:
                    members = [("graft-bundle.json", json.dumps(listing).encode(), tarfile.REGTYPE)] + members
                for path, body, kind in members:
                    member = tarfile.TarInfo(path)
                    member.type = kind
                    member.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
                    member.size = len(body) if kind == tarfile.REGTYPE else 0
                    archive.addfile(member, io.BytesIO(body))
            result = machine.graft("import", bundle)
            left = {k: v for k, v in tree(machine.home).items()
                    if k != "hostile.tar" and ".locks" not in k}
            check(f"refused, nothing left: {name}", result.returncode == 1 and "error:" in result.stderr
                  and "hint:" in result.stderr and not left, (result, left))
        machine.fill()
        whole = machine.home / "whole.tar.zst"
        machine.json("export", "hf://acme/tiny", "-o", whole)
        bytes_ = whole.read_bytes()
        with Machine() as other:
            for cut in (0, 1, 40, len(bytes_) // 2, len(bytes_) - 3):
                part = other.home / "cut.tar.zst"
                part.write_bytes(bytes_[:cut])
                result = other.graft("import", part)
                check(f"refused: a bundle cut after {cut} bytes", result.returncode == 1
                      and not content(other), result)
            flipped = bytearray(bytes_)
            flipped[len(flipped) // 2] ^= 1
            part.write_bytes(flipped)
            result = other.graft("import", part)
            check("refused: a bundle with a bit flipped", result.returncode == 1 and not content(other), result)
        blob = machine.hub / "models--acme--tiny/blobs" / sha256(TINY[B]["model.safetensors"])
        blob.write_bytes(b"x" * len(TINY[B]["model.safetensors"]))
        result = machine.graft("export", "hf://acme/tiny", "-o", machine.home / "bad.tar.zst")
        check("a damaged file is not exported", result.returncode == 1 and "repair" in result.stderr
              and not (machine.home / "bad.tar.zst").exists(), result)


def main():
    for part in (round_trip, merging, own_files, hostile):
        part()
    sys.exit(1 if cache.failures else 0)


if __name__ == "__main__":
    main()
