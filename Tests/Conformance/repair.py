"""`graft cache repair` on caches that were damaged in every way: what it leaves, Python's `hf` lists
without a warning and verifies; what it took, both fetch anew.

GRAFT names the program; the `hf` of this Python's environment is the peer.
"""
import fcntl
import os
import pathlib
import shutil
import sys

import cache
from _minihub import MiniHub, etag, lay, sha256
from cache import A, B, D, Machine, TINY, check

REPOSITORY = "models--acme--tiny"
WEIGHTS = sha256(TINY[B]["model.safetensors"])


def dangling_link(folder):
    (folder / "blobs" / WEIGHTS).unlink()


def all_links(folder):
    for blob in (folder / "blobs").iterdir():
        blob.unlink()


def ref_without_snapshot(folder):
    (folder / "refs/gone").write_text("e" * 40)


def ref_of_nonsense(folder):
    (folder / "refs/odd").write_text("not a commit\n")


def empty_ref(folder):
    (folder / "refs/empty").write_text("")


def temporary_ref(folder):
    (folder / "refs/main.0a1b2c3d.tmp").write_text(B)


def orphan_blob(folder):
    (folder / "blobs" / ("f" * 64)).write_bytes(b"nobody's")


def leftovers(folder):
    (folder / "blobs" / f"{WEIGHTS}.01234567.incomplete").write_bytes(b"half")
    (folder / "trees/tmpabc.tmp").write_text("{")


def wrong_bytes(folder):
    blob = folder / "blobs" / WEIGHTS
    blob.write_bytes(b"x" * blob.stat().st_size)


def truncated(folder):
    (folder / "blobs" / WEIGHTS).write_bytes(b"short")


def edited_text(folder):
    (folder / "blobs" / etag("config.json", TINY[B]["config.json"])).write_bytes(b'{"edited": 1}')


def broken_listing(folder):
    (folder / f"trees/{B}.json").write_text('{"format_version": 1, "files": {"x":')


def stray_snapshot(folder):
    (folder / "snapshots/notes.txt").write_text("hello")


def empty_snapshot(folder):
    (folder / "snapshots" / ("e" * 40)).mkdir()


def pipe_in_snapshot(folder):
    os.mkfifo(folder / "snapshots" / B / "pipe")


def no_snapshots(folder):
    shutil.rmtree(folder / "snapshots")


def link_in_circle(folder):
    (folder / "snapshots" / B / "loop").symlink_to("loop")


DAMAGES = [dangling_link, all_links, ref_without_snapshot, ref_of_nonsense, empty_ref, temporary_ref,
           orphan_blob, leftovers, wrong_bytes, truncated, edited_text, broken_listing, stray_snapshot,
           empty_snapshot, pipe_in_snapshot, no_snapshots, link_in_circle]


def whole_hub(hub, links=True):
    for damage in DAMAGES:
        with Machine(hub.url) as machine:
            folder = lay(machine.hub, "acme/tiny", TINY, {"main": B, "v1": A}, links=links)
            lay(machine.hub, "gpt2", {D: {"config.json": b"{}"}}, {"main": D})
            damage(folder)
            name = damage.__name__.replace("_", " ")
            before = sorted(str(p) for p in machine.home.rglob("*"))
            dry = machine.json("repair", "--dry-run")
            check(f"{name}: found, and a dry run touches nothing", dry.get("flaws")
                  and sorted(str(p) for p in machine.home.rglob("*")) == before, dry)
            done = machine.json("repair")
            check(f"{name}: mended", done.get("repaired", 0) > 0, done)
            again = machine.json("repair")
            check(f"{name}: nothing is left to mend", not again["flaws"], again)
            machine.agree(f"{name}: hf lists what is left without a warning")
            for revision in ("main", "v1"):
                got = machine.run(cache.HF, "download", "acme/tiny", "--revision", revision, "--quiet")
                verified = machine.hf("verify", "acme/tiny", "--revision", revision,
                                      "--fail-on-missing-files", "--fail-on-extra-files")
                check(f"{name}: hf fetches {revision} anew and verifies it",
                      got.returncode == 0 and verified.returncode == 0, (got, verified))


def with_graft(hub):
    with Machine(hub.url) as machine:
        machine.run(cache.GRAFT, "fetch", "hf://acme/tiny")
        wrong_bytes(machine.hub / REPOSITORY)
        check("hf and a size alone do not notice the damage",
              machine.run(cache.HF, "download", "acme/tiny", "--quiet").returncode == 0)
        quick = machine.json("repair", "--no-hash", "--dry-run")
        check("without hashing it is not found", not quick["flaws"], quick)
        machine.json("repair")
        hub.requests.clear()
        got = machine.run(cache.GRAFT, "fetch", "hf://acme/tiny")
        wanted = [r for r in hub.requests if "/resolve/" in r[1]]
        check("graft fetches the one file anew", got.returncode == 0
              and {r[1].rsplit("/", 1)[1] for r in wanted} == {"model.safetensors"}, wanted)
        check("and it is right", machine.graft("verify").returncode == 0)


def in_use(hub):
    with Machine(hub.url) as machine:
        folder = lay(machine.hub, "acme/tiny", TINY, {"main": B})
        ref_without_snapshot(folder)
        locks = machine.hub / ".locks" / REPOSITORY
        locks.mkdir(parents=True)
        with open(locks / f"{WEIGHTS}.lock", "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            result = machine.json("repair")
            check("a repository that is being fetched is left alone",
                  result["inUse"] == ["hf://acme/tiny"] and (folder / "refs/gone").exists(), result)
        machine.json("repair")
        check("and mended afterwards", not (folder / "refs/gone").exists())


def own(hub):
    with Machine(hub.url) as machine:
        addresses = [f"{hub.url}/acme/tiny/resolve/{c}/model.safetensors" for c in (A, B)]
        paths = [pathlib.Path(machine.run(cache.GRAFT, "fetch", a).stdout.strip()) for a in addresses]
        paths[0].write_bytes(b"x" * paths[0].stat().st_size)
        paths[1].unlink()
        machine.graft("pin", "hf://acme/tiny")
        (machine.own / "refs/nonsense.json").write_text("{")
        (machine.own / "pins.json").write_text("[")
        (machine.own / "known/nonsense.json").write_text("?")
        (machine.own / "plans").mkdir()
        (machine.own / "plans/cpu.json").write_text("{")
        (machine.own / "partial" / "99999999-abc.tmp").write_bytes(b"half")
        (machine.own / "blobs/sha256" / ("e" * 64)).mkdir()
        lost = machine.own / "blobs/sha256" / ("e" * 64) / "lost.bin"
        lost.write_bytes(b"lost")
        os.utime(lost, (0, 0))
        kinds = {}
        for flaw in machine.json("repair")["flaws"]:
            kinds[flaw["kind"]] = kinds.get(flaw["kind"], 0) + 1
        check("every damage of graft's own cache is found", kinds == {
            "damaged": 1, "missingContent": 1, "brokenRecord": 4, "partial": 1, "orphanContent": 1}, kinds)
        check("and mended", not machine.json("repair")["flaws"], machine.json("repair"))
        for address in addresses:
            got = machine.run(cache.GRAFT, "fetch", address)
            check("what was lost comes back", got.returncode == 0, got)
        check("and verifies", machine.graft("verify").returncode == 0)


def main():
    hub = MiniHub({"acme/tiny": (TINY, {"main": B, "v1": A})})
    whole_hub(hub)
    with_graft(hub)
    in_use(hub)
    own(hub)
    hub.close()
    sys.exit(1 if cache.failures else 0)


if __name__ == "__main__":
    main()
