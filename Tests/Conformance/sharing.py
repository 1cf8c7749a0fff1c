"""Caches that several people and several programs share: another user's locks and files, old layouts, no
symbolic links, no right to write; and what `graft doctor` says of each.

GRAFT names the program; the `hf` of this Python's environment is the peer. As root a second user is tried
too; others are told that this part is left out.
"""
import errno
import json
import os
import pathlib
import platform
import shutil
import stat
import struct
import subprocess
import sys

import cache
from _minihub import MiniHub, etag, lay
from cache import A, B, Machine, TINY, check

NOBODY = 65534
REPOSITORY = "models--acme--tiny"


def doctor(machine, *arguments, **more):
    got = subprocess.run([cache.GRAFT, "doctor", "--json", "--timeout", "2", *arguments], text=True,
                         env=machine.environment | more, capture_output=True, timeout=60)
    try:
        answer = json.loads(got.stdout)
    except ValueError:
        answer = {"checks": [], "broken": None}
    return got, {c["name"]: c for c in answer["checks"]}, answer["broken"]


def second_user(hub):
    """Two users of one group, with umask 002 as shared folders have it."""
    if os.geteuid() != 0:
        print("left out: only root can become a second user")
        return
    graft = pathlib.Path(cache.GRAFT).resolve()
    with Machine(hub.url) as m:
        for folder in (m.home, *m.home.rglob("*")):
            os.chown(folder, 0, NOBODY)
            folder.chmod(0o2775)

        def run(user, *command):
            return subprocess.run([str(c) for c in command], env=m.environment, text=True, umask=0o002,
                                  capture_output=True, timeout=120, user=user, group=NOBODY,
                                  extra_groups=[NOBODY])

        # The program may lie where the second user cannot go.
        place = m.home / "bin"
        shutil.copytree(graft.parent / "graft_GraftRegistry.resources",
                        place / "graft_GraftRegistry.resources")
        shutil.copy2(graft, place / "graft")
        program = place / "graft"
        place.chmod(0o755)
        first = run(0, program, "fetch", "hf://acme/tiny", "--revision", "v1")
        check("one user fetches", first.returncode == 0, first)
        locks = [p for p in (m.hub / ".locks").rglob("*.lock")]
        check("locks are for the group too", locks and all(
            stat.S_IMODE(p.stat().st_mode) == 0o664 for p in locks), locks)
        trees = list((m.hub / REPOSITORY / "trees").iterdir())
        check("listings can be read by others", all(p.stat().st_mode & 0o044 == 0o044 for p in trees))
        hub.requests.clear()
        second = run(NOBODY, program, "fetch", "hf://acme/tiny", "--revision", "v1")
        check("another user has it at the price of one request", second.returncode == 0
              and len(hub.requests) == 1, (second, hub.requests))
        third = run(NOBODY, program, "fetch", "hf://acme/tiny")
        check("and adds another commit", third.returncode == 0, third)
        fourth = run(0, program, "cache", "verify")
        check("both verify", fourth.returncode == 0, fourth)
        again = run(0, program, "fetch", "hf://acme/tiny", "--force-download")
        check("the first replaces what the second wrote", again.returncode == 0, again)
        m.agree("hf lists what both wrote")
        freed = run(NOBODY, program, "cache", "rm", A, "--json")
        check("the second removes what the first wrote", freed.returncode == 0
              and json.loads(freed.stdout)["freed"] > 0, freed)
        # Nobody but root may write now.
        for folder in (m.hub, *m.hub.rglob("*"), m.own, *m.own.rglob("*")):
            if not folder.is_symlink():
                folder.chmod(0o755 if folder.is_dir() else 0o644)
                os.chown(folder, 0, 0)
        reader = run(NOBODY, program, "fetch", "hf://acme/tiny", "--offline")
        check("a cache that can only be read is used", reader.returncode == 0, reader)
        online = run(NOBODY, program, "fetch", "hf://acme/tiny")
        check("online too", online.returncode == 0, online)
        wanted = run(NOBODY, program, "fetch", "hf://acme/tiny", "--revision", "v1")
        check("what is missing cannot be put there, and that is said", wanted.returncode == 1
              and "permission denied" in wanted.stderr and "hint:" in wanted.stderr, wanted)
        said = run(NOBODY, program, "doctor", "--offline", "--json")
        notes = {c["name"]: c["state"] for c in json.loads(said.stdout)["checks"]}
        check("doctor notes it", notes["Hub cache"] == "note" and said.returncode == 0, notes)


def old_layouts(hub):
    with Machine(hub.url) as m:
        # Before 1.22 there were no listings, before 1.9 no tag.
        lay(m.hub, "acme/tiny", {B: TINY[B]}, {"main": B}, trees=False)
        offline = m.run(cache.GRAFT, "fetch", "hf://acme/tiny", "--offline", "--json")
        check("without a listing the verdict is that nobody knows", offline.returncode == 0
              and json.loads(offline.stdout)["repositories"][0]["completeness"] == "unknown", offline)
        hub.requests.clear()
        got = m.run(cache.GRAFT, "fetch", "hf://acme/tiny")
        check("online the listing is all that is fetched", got.returncode == 0
              and not [r for r in hub.requests if "/resolve/" in r[1]], hub.requests)
        listing = m.hub / REPOSITORY / "trees" / f"{B}.json"
        check("and kept for the next time", listing.exists())
        bare = m.hub / REPOSITORY / "blobs" / (etag("model.safetensors", TINY[A]["model.safetensors"])
                                              + ".incomplete")
        bare.write_bytes(b"garbage of an old client")
        got = m.run(cache.GRAFT, "fetch", "hf://acme/tiny", "--revision", "v1")
        check("an old client's partial file is not trusted", got.returncode == 0
              and m.graft("verify").returncode == 0, got)
        m.agree("hf agrees")


def without_links(hub):
    with Machine(hub.url, HF_HUB_DISABLE_SYMLINKS="1") as m:
        for revision in ("v1", "main", "v1"):
            got = m.run(cache.GRAFT, "fetch", "hf://acme/tiny", "--revision", revision)
            check(f"graft fetches {revision} without links", got.returncode == 0, got)
        check("no link is made", not [p for p in m.hub.rglob("*") if p.is_symlink()])
        m.agree("hf lists it")
        hub.requests.clear()
        got = m.run(cache.HF, "download", "acme/tiny", "--quiet")
        check("hf has nothing left to fetch", got.returncode == 0
              and not [r for r in hub.requests if r[0] == "GET" and "/resolve/" in r[1]], hub.requests)
        (m.hub / REPOSITORY / "snapshots" / B / "model.safetensors").write_bytes(b"short")
        m.json("repair")
        got = m.run(cache.GRAFT, "fetch", "hf://acme/tiny")
        check("damage is mended there too", got.returncode == 0 and m.graft("verify").returncode == 0, got)


def refusing(*errors):
    """Has the kernel refuse symbolic links from here on, as a file system without them does: {call's number: errno}."""
    import ctypes
    rules = b"".join(
        [struct.pack("HBBI", 0x20, 0, 0, 0)]  # the number of the call
        + [struct.pack("HBBI", 0x15, 0, 1, number) + struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)
           for number, error in errors]
        + [struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)])
    text = ctypes.create_string_buffer(rules, len(rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules) // 8, ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):  # no new privileges; a filter
        raise OSError(ctypes.get_errno(), "seccomp")


def refused_links(hub):
    """A disk that has no symbolic links, as FAT (EPERM) and some network file systems (EOPNOTSUPP) do."""
    numbers = {"x86_64": (88, 266), "aarch64": (36,)}.get(platform.machine())
    if numbers is None:
        print("left out: the numbers of this processor's system calls are not known here")
        return
    for error in (errno.EPERM, errno.EOPNOTSUPP):
        name = errno.errorcode[error]
        with Machine(hub.url) as m:
            def run(*command):
                return m.run(*command, preexec_fn=lambda: refusing(*((n, error) for n in numbers)))

            probe = run(sys.executable, "-c", "import os; os.symlink('a', 'b')")
            check(f"{name}: links are refused", probe.returncode != 0, probe)
            for revision in ("v1", "main", "v1"):
                got = run(cache.GRAFT, "fetch", "hf://acme/tiny", "--revision", revision)
                check(f"{name}: graft fetches {revision}", got.returncode == 0, got)
            check(f"{name}: files lie in the snapshots", not [p for p in m.hub.rglob("*") if p.is_symlink()])
            verified = run(cache.GRAFT, "cache", "verify")
            check(f"{name}: and are right", verified.returncode == 0, verified)
            hub.requests.clear()
            theirs = run(cache.HF, "download", "acme/tiny", "--quiet")
            check(f"{name}: hf has nothing left to fetch", theirs.returncode == 0
                  and not [r for r in hub.requests if r[0] == "GET" and "/resolve/" in r[1]], theirs)
            offline = run(cache.GRAFT, "fetch", "hf://acme/tiny", "--offline")
            check(f"{name}: graft neither", offline.returncode == 0, offline)


def local_folders(hub):
    """The same files and the same bookkeeping, but for the time of the fetch."""
    def seen(folder):
        found = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                body = path.read_bytes()
                name = str(path.relative_to(folder))
                found[name] = body.splitlines()[:2] if name.endswith(".metadata") else body
        return found

    with Machine(hub.url) as m:
        one, two = m.home / "one", m.home / "two"
        got = m.run(cache.GRAFT, "fetch", "hf://acme/tiny", "--local-dir", one)
        theirs = m.run(cache.HF, "download", "acme/tiny", "--local-dir", two)
        check("--local-dir leaves byte for byte what hf leaves", got.returncode == 0
              and theirs.returncode == 0 and seen(one) == seen(two),
              {k for k in seen(one).keys() | seen(two).keys() if seen(one).get(k) != seen(two).get(k)})


def health(hub):
    with Machine(hub.url) as m:
        got, checks, broken = doctor(m)
        check("doctor finds nothing broken", got.returncode == 0 and broken == 0, got)
        wanted = {"graft", "oneDNN", "HDF5", "libcurl", "libarchive", "processor", "sandbox", "hub", "token",
                  "proxy", "certificates", "Hub cache", "Hub cache, locks", "Hub cache, symbolic links",
                  "leftovers"}
        check("and names what it looked at", wanted <= checks.keys(), wanted - checks.keys())
        check("nothing of its trials is left", not list(m.hub.iterdir()), list(m.hub.iterdir()))
        got, checks, _ = doctor(m, HF_TOKEN="hf_topsecret", https_proxy="http://me:pass@127.0.0.1:9")
        check("secrets are not shown", "topsecret" not in got.stdout + got.stderr
              and "pass@" not in got.stdout + got.stderr and "HF_TOKEN" in checks["token"]["found"], got)
        (m.hub / REPOSITORY).mkdir()
        _, checks, _ = doctor(m)
        check("a cache that does not fit together is noted",
              checks["consistency"]["state"] == "note" and "repair" in checks["consistency"]["hint"], checks)
        got, checks, _ = doctor(m, HF_ENDPOINT="http://127.0.0.1:9")
        check("a hub that does not answer is broken", got.returncode == 1
              and checks["hub"]["state"] == "broken" and checks["hub"]["hint"], got)
        got, checks, _ = doctor(m, "--offline", HF_ENDPOINT="http://127.0.0.1:9")
        check("offline it is not asked", got.returncode == 0 and checks["hub"]["state"] == "note", got)
        got, checks, _ = doctor(m, SSL_CERT_FILE="/nowhere")
        check("certificates that are not there are broken", got.returncode == 1
              and checks["certificates"]["state"] == "broken", got)
        (m.home / "file").write_text("")
        got, checks, _ = doctor(m, HF_HUB_CACHE=str(m.home / "file/hub"))
        check("a place that cannot be a folder is broken", got.returncode == 1
              and checks["Hub cache"]["state"] == "broken", got)


def main():
    hub = MiniHub({"acme/tiny": (TINY, {"main": B, "v1": A})})
    for part in (second_user, old_layouts, without_links, refused_links, local_folders, health):
        part(hub)
    hub.close()
    sys.exit(1 if cache.failures else 0)


if __name__ == "__main__":
    main()
