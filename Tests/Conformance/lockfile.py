"""`graft lock` and `graft fetch --locked`: what was locked comes to the byte, also after the branch moved,
and nothing else comes. Python's `hf` fills the cache too, and says what a commit's files are.

GRAFT names the program; the `hf` of this Python's environment is the peer.
"""
import json
import pathlib
import sys

import cache
from _minihub import MiniHub, git_blob, sha256
from cache import A, B, Machine, TINY, check


def fetch(machine, *arguments):
    return machine.run(cache.GRAFT, "fetch", *arguments, cwd=machine.home)


def lock(machine, *arguments):
    return machine.run(cache.GRAFT, "lock", *arguments, cwd=machine.home)


def refused(what, result, *words):
    check(what, result.returncode == 1 and "error:" in result.stderr and "hint:" in result.stderr
          and all(w in result.stderr for w in words), result)


def main():
    refs = {"main": A, "v1": A}
    hub = MiniHub({"acme/tiny": (TINY, refs)})
    address = f"{hub.url}/acme/tiny/resolve/{B}/model.safetensors"
    single = "hf://acme/tiny/config.json"
    with Machine(hub.url) as one:
        result = lock(one, "hf://acme/tiny", single, address, "--json")
        check("three references are locked", result.returncode == 0
              and len(json.loads(result.stdout)["added"]) == 3, result)
        path = one.home / "graft.lock"
        text = path.read_text()
        locked = json.loads(text)["references"]
        files = locked["hf://acme/tiny"]["files"]
        check("the commit, and path, size and SHA-256 of each file",
              locked["hf://acme/tiny"]["commit"] == A and {
                  p: (f["bytes"], f["sha256"]) for p, f in files.items()} == {
                  p: (len(d), sha256(d)) for p, d in TINY[A].items()}, files)
        check("what git calls it, and where it was",
              files["config.json"]["gitSHA1"] == git_blob(TINY[A]["config.json"])
              and files["config.json"]["url"] == f"{hub.url}/acme/tiny/resolve/{A}/config.json", files)
        lock(one)
        check("locking again without a change changes nothing", path.read_text() == text)

        refs["main"] = B
        with Machine(hub.url) as two:
            (two.home / "graft.lock").write_text(text)
            hub.requests.clear()
            got = fetch(two, "--locked", "--json")
            answer = json.loads(got.stdout or "{}")
            check("everything that is locked is fetched, at the commit that was locked",
                  got.returncode == 0 and [r["commit"] for r in answer["repositories"]] == [A, A]
                  and len(answer["files"]) == 1, got)
            check("the hub is asked for no branch and no listing",
                  not [r for r in hub.requests if r[1].startswith("/api/")], hub.requests)
            snapshot = two.hub / "models--acme--tiny/snapshots" / A
            check("the files are those", {str(p.relative_to(snapshot)): p.read_bytes()
                  for p in snapshot.rglob("*") if p.is_file()} == TINY[A])
            theirs, warnings = two.seen_by_hf()
            check("hf lists what came without a warning", theirs and not warnings, (theirs, warnings))
            hub.requests.clear()
            got = fetch(two, "--locked", "--offline")
            check("again: no request", got.returncode == 0 and not hub.requests, (got, hub.requests))
            refused("a reference that is not locked", fetch(two, "--locked", "hf://acme/other"), "graft lock")
            refused("a branch that is not the locked one",
                    fetch(two, "--locked", "hf://acme/tiny", "--revision", "v1"), A)
            check("the locked commit by its name",
                  fetch(two, "--locked", "hf://acme/tiny", "--revision", A).returncode == 0)
            blob = two.hub / "models--acme--tiny/blobs" / git_blob(TINY[A]["config.json"])
            blob.write_bytes(b'{"a": 9}\n')
            refused("a cached file of the same size that was changed",
                    fetch(two, "--locked", "hf://acme/tiny"), "repair")
        for name, change in {
            "another digest": lambda f: f.update(sha256="0" * 64),
            "another size": lambda f: f.update(bytes=f["bytes"] + 1),
        }.items():
            for reference in ("hf://acme/tiny", address):
                with Machine(hub.url) as three:
                    wrong = json.loads(text)
                    entry = wrong["references"][reference]["files"]
                    change(entry["model.safetensors"])
                    (three.home / "graft.lock").write_text(json.dumps(wrong))
                    got = fetch(three, "--locked", reference)
                    check(f"{name} is refused: {reference[:12]}", got.returncode == 1
                          and "expected" in got.stderr, got)
                    left = [p for p in three.hub.rglob("*") if p.name == "model.safetensors"]
                    check("and cannot be reached", not left, left)
        for name, body in {"nothing": "", "no JSON": "{", "no lock": "{}", "a later format":
                           '{"format": 9, "references": {}}', "a path that climbs": text.replace(
                               '"config.json"', '"../../x"'), "no digest": text.replace(
                               sha256(TINY[A]["config.json"]), "x")}.items():
            with Machine(hub.url) as four:
                (four.home / "graft.lock").write_text(body)
                refused(f"a lock file with {name}", fetch(four, "--locked"))
        with Machine(hub.url) as five:
            refused("no lock file", fetch(five, "--locked"), "graft lock")
            refused("a path cannot be locked", lock(five, str(path)))
            refused("and nothing can be renewed", lock(five))

        before = json.loads(path.read_text())["references"]["hf://acme/tiny"]["commit"]
        changed = json.loads(lock(one, "--json").stdout)
        after = json.loads(path.read_text())["references"]["hf://acme/tiny"]["commit"]
        check("locking anew follows the branch", (before, after) == (A, B)
              and "hf://acme/tiny" in changed["changed"] and address in changed["unchanged"], changed)
        lock(one, "hf://acme/tiny", "--include", "*.json")
        kept = json.loads(path.read_text())["references"]["hf://acme/tiny"]
        check("patterns are kept", list(kept["files"]) == ["config.json"]
              and kept["include"] == ["*.json"], kept)
        refs["main"] = A
        lock(one)
        kept = json.loads(path.read_text())["references"]["hf://acme/tiny"]
        check("and used when it is locked anew", list(kept["files"]) == ["config.json"]
              and kept["commit"] == A, kept)
        lock(one, "--remove", address)
        check("references can be taken out", address not in json.loads(path.read_text())["references"])
        got = one.run(cache.HF, "download", "acme/tiny", "--revision", A, "--quiet")
        theirs = pathlib.Path(got.stdout.strip())
        check("what hf downloads of the commit is what is locked", all(
            sha256((theirs / p).read_bytes()) == f["sha256"] for p, f in files.items()), got)
    hub.close()
    sys.exit(1 if cache.failures else 0)


if __name__ == "__main__":
    main()
