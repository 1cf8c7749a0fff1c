"""`graft fetch` and `graft serve` against servers and clients that are not ours: nginx, aria2, curl, olah, hf, transformers.

olah comes into a virtual environment of its own (its pins are not those of the other peers) and is run in three ways:
as a server of git repositories, as a caching proxy before `graft serve`, and from that cache with nothing behind it.
nginx, aria2 and curl are installed by apt-get where they are missing. CONFORMANCE=all takes 1 GB instead of 200 MB.
GRAFT names the program.
"""
import concurrent.futures
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import _minihub
from _minihub import environment, lay
from _nginx import Nginx, free_port, install

GRAFT = os.environ["GRAFT"]
HF = str(pathlib.Path(sys.executable).parent / "hf")
WHOLE = os.environ.get("CONFORMANCE") == "all"
COMMIT = "9" * 40
failures = []
chance = random.Random(17)
FILES = {"config.json": b'{"hidden_size": 8, "model_type": "bert"}\n', "sub/sp ace+.txt": b"x" * 5000,
         "model.safetensors": chance.randbytes(12_000_000), "README.md": b"# tiny\n"}


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {str(detail)[:1500]}"), flush=True)
    if not holds:
        failures.append(what)


def run(command, variables, timeout=300):
    done = subprocess.run(command, env=variables, text=True, capture_output=True, timeout=timeout)
    return done.returncode, done.stdout.strip(), done.stderr.strip()[-800:]


def same(folder, files):
    folder = pathlib.Path(folder)
    return all((folder / p).is_file() and (folder / p).read_bytes() == d for p, d in files.items())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def peak(command, variables):
    """The code of a program, what it says, and the most memory it held, in bytes."""
    process = subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    most = 0
    while process.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            most = max([most, *(int(l.split()[1]) * 1024 for l in status.splitlines() if l.startswith("VmHWM"))])
        except OSError:
            pass
        time.sleep(0.005)
    out, err = process.communicate()
    return process.returncode, out.strip(), err.strip(), most


def from_nginx(home):
    size = 10 ** 9 if WHOLE else 2 * 10 ** 8
    nginx = Nginx(home / "nginx")
    nginx.add("acme/tiny", COMMIT, FILES)
    sha256 = nginx.add_large("acme/big", COMMIT, "model.safetensors", size)
    plain, limited = nginx.start(limits=[None, 8])
    try:
        code, out, err = run([GRAFT, "fetch", "hf://acme/tiny"], environment(home / "a", plain))
        check("a repository from nginx", code == 0 and same(out, FILES), err)
        code, out, err, most = peak([GRAFT, "fetch", "hf://acme/big"], environment(home / "b", plain))
        check(f"{size // 10 ** 6} MB from nginx in {most // 10 ** 6} MB of memory", code == 0
              and digest(f"{out}/model.safetensors") == sha256 and most < 100 * 10 ** 6, (err, most))
        url = f"{plain}/acme/big/resolve/{COMMIT}/model.safetensors"
        theirs = {"aria2": ["aria2c", "-x8", "-s8", "-q", "-d", str(home), "-o", "aria2.bin", url],
                  "curl": ["curl", "-s", "-f", "-o", str(home / "curl.bin"), url]}
        for name, command in theirs.items():
            run(command, environment(home / "c"))
            check(f"the bytes are {name}'s", digest(home / f"{name}.bin") == sha256)
            (home / f"{name}.bin").unlink()
        # As an address, with nginx's own weak rules of ETags and ranges.
        code, out, err = run([GRAFT, "fetch", f"{url}#sha256={sha256}"], environment(home / "d"))
        check("and as an address", code == 0 and digest(out) == sha256, err)
        before = nginx.sent()
        process = subprocess.Popen([GRAFT, "fetch", "hf://acme/tiny"], env=environment(home / "e", limited),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
        code, out, err = run([GRAFT, "fetch", "hf://acme/tiny"], environment(home / "e", limited))
        again = nginx.sent() - before - sum(map(len, FILES.values()))
        check(f"killed and resumed from nginx, {again} bytes sent twice", code == 0 and same(out, FILES), err)
    finally:
        nginx.stop()
        shutil.rmtree(home / "b", ignore_errors=True)
        shutil.rmtree(home / "d", ignore_errors=True)


def together(home):
    """hf and graft on one cache and one blob at the same time."""
    hub = _minihub.MiniHub({"acme/tiny": ({COMMIT: FILES}, {"main": COMMIT})})
    variables = environment(home, hub.url)
    commands = [[GRAFT, "fetch", "hf://acme/tiny"], [HF, "download", "acme/tiny", "-q"]] * 3
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda command: run(command, variables), commands))
    check("three of hf and three of graft at once on one cache", all(r[0] == 0 and same(r[1].splitlines()[-1], FILES)
                                                                     for r in results), results)
    left = list((home / "hf/hub/models--acme--tiny").rglob("*.incomplete")) + list(home.rglob("*.tmp"))
    check("nothing half-written is left", not left, left)
    listed = run([HF, "cache", "ls", "--format", "json"], variables)
    check("hf cache ls sees one sound repository", listed[0] == 0 and "acme/tiny" in listed[1]
          and "warning" not in listed[2].lower(), listed)
    hub.close()


class Served:
    """`graft serve` on a cache of known content."""

    def __init__(self, home):
        lay(home / "served", "acme/tiny", {COMMIT: FILES}, {"main": COMMIT})
        self.process = subprocess.Popen([GRAFT, "serve", "--port", "0", "--cache-dir", str(home / "served")], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(home / "s"))
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)


class Olah:
    """olah with arguments; ready once it answers."""

    def __init__(self, program, home, arguments, port, path):
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(home / f"olah-{port}.log", "w")
        self.process = subprocess.Popen([program, "--log-path", str(home / f"olah-{port}"), *arguments], cwd=home,
                                        env=environment(home / "olah"), stdout=self.log, stderr=self.log)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url + path, timeout=5).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit((home / f"olah-{port}.log").read_text()[-1500:])
                time.sleep(0.1)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def olah_program():
    """olah in a virtual environment of its own inside that of the other peers, made once."""
    place = pathlib.Path(sys.prefix) / "olah"
    program = place / "bin" / "olah-cli"
    if not program.exists():
        print(f"installing olah into {place}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", "olah"], check=True)
    return str(program)


def git_repositories(root):
    """A work tree as olah serves it, with the weights in LFS as git-lfs would leave them; returns the commit."""
    folder = root / "models" / "acme" / "tiny"
    folder.mkdir(parents=True)
    for path, data in FILES.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".safetensors"):
            sha256 = _minihub.sha256(data)
            stored = folder / ".git" / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
            place.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n")
        else:
            place.write_bytes(data)
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main",
           "-c", "core.autocrlf=false"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "tiny"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], check=True)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(FILES["model.safetensors"])
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def with_olah(home):
    program = olah_program()
    # (a) A server of git repositories, which knows no ranges.
    commit = git_repositories(home / "git")
    port = free_port()
    (home / "a.toml").write_text(f"""
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{home}/a-repos"
mirrors-path = ["{home}/git"]
hf-scheme = "http"
hf-netloc = "127.0.0.1:9"
hf-lfs-netloc = "127.0.0.1:9"
[accessibility]
offline = true
""")
    server = Olah(program, home, ["-c", str(home / "a.toml")], port, "/api/models/acme/tiny/revision/main")
    try:
        for reference, commits in (("hf://acme/tiny", commit), ("hf://acme/tiny@v1", commit)):
            code, out, err = run([GRAFT, "fetch", reference], environment(home / f"a{reference[-1]}", server.url))
            check(f"olah of git repositories -> graft: {reference}", code == 0 and same(out, FILES)
                  and out.endswith(commits), (code, out, err))
        code, out, err = run([GRAFT, "fetch", "hf://acme/tiny/none.txt"], environment(home / "ax", server.url))
        check("what it has not is explained", code == 1 and "error:" in err, err)
    finally:
        server.close()
    # (b) A caching proxy before graft serve.
    served = Served(home)
    port = free_port()
    base = ["--host", "127.0.0.1", "--port", str(port), "--hf-scheme", "http", "--hf-netloc", f"127.0.0.1:{served.port}",
            "--hf-lfs-netloc", f"127.0.0.1:{served.port}", "--repos-path", str(home / "b-repos")]
    server = Olah(program, home, base, port, "/api/models/acme/tiny/revision/main")
    try:
        code, out, err = run([HF, "download", "acme/tiny", "-q"], environment(home / "b1", server.url))
        check("graft serve -> olah -> hf", code == 0 and same(out.splitlines()[-1], FILES), (out, err))
        code, out, err = run([GRAFT, "fetch", "hf://acme/tiny"], environment(home / "b2", server.url))
        check("graft serve -> olah -> graft", code == 0 and same(out, FILES), (out, err))
        code, out, err = run([HF, "cache", "verify", "acme/tiny"], environment(home / "b2", server.url))
        check("hf verifies what graft fetched through it", code == 0, (out, err))
    finally:
        server.close()
        served.close()
    # (c) Its cache alone, nothing behind it.
    (home / "c.toml").write_text(f"""
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{home}/b-repos"
hf-scheme = "http"
hf-netloc = "127.0.0.1:{served.port}"
hf-lfs-netloc = "127.0.0.1:{served.port}"
[accessibility]
offline = true
""")
    server = Olah(program, home, ["-c", str(home / "c.toml")], port, "/api/models/acme/tiny/revision/main")
    try:
        variables = environment(home / "c", server.url)
        process = subprocess.Popen([GRAFT, "fetch", "hf://acme/tiny", "--limit-rate", "6MB"], env=variables,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        process.kill()
        process.wait()
        kept = sum(len(lines.split(b"\n")) - 2 for lines in
                   (p.read_bytes() for p in (home / "c").rglob("*.journal")))
        code, out, err = run([GRAFT, "fetch", "hf://acme/tiny"], variables)
        check(f"olah's cache with nothing behind it -> graft, killed and resumed ({kept} pieces kept)",
              code == 0 and same(out, FILES), (out, err))
    finally:
        server.close()


def loaders(home):
    """transformers loads a model that graft serves."""
    # BERT needs nothing of torchvision, whose operators may be those of another build of torch.
    make = """
import sys, torch
sys.modules["torchvision"] = None
from transformers import BertConfig, BertModel
torch.manual_seed(1)
BertModel(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                     intermediate_size=20)).save_pretrained(sys.argv[1])
"""
    load = """
import sys, torch
sys.modules["torchvision"] = None
from transformers import AutoConfig, AutoModel
where = sys.argv[1]
config = AutoConfig.from_pretrained(where)
model = AutoModel.from_pretrained(where).eval()
print(config.hidden_size, model(torch.tensor([[1, 2, 3]])).last_hidden_state.double().sum().item())
"""
    local = {k: v for k, v in environment(home / "m").items()} | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    made = run([sys.executable, "-c", make, str(home / "model")], local)
    if made[0]:
        return check("transformers makes a model", False, made)
    files = {p.name: p.read_bytes() for p in (home / "model").iterdir()}
    lay(home / "served", "acme/bert", {COMMIT: files}, {"main": COMMIT})
    served = Served(home)
    try:
        reference = run([sys.executable, "-c", load, str(home / "model")], local)
        remote = environment(home / "l", served.url) | {"TRANSFORMERS_VERBOSITY": "error"}
        found = run([sys.executable, "-c", load, "acme/bert"], remote)
        check("AutoConfig and AutoModel.from_pretrained from graft serve, the same numbers",
              found[0] == 0 and reference[0] == 0 and found[1] == reference[1] and found[1].startswith("16 "),
              (reference, found))
        mine = environment(home / "g", served.url)
        fetched = run([GRAFT, "fetch", "hf://acme/bert"], mine)
        offline = run([sys.executable, "-c", load, "acme/bert"], mine | {"HF_HUB_OFFLINE": "1"})
        check("and offline from the cache that graft filled", fetched[0] == 0 and offline[1] == reference[1],
              (fetched, offline))
    finally:
        served.close()


def main():
    install("nginx", "aria2", "curl")
    with tempfile.TemporaryDirectory(prefix="graft-foreign-") as root:
        for group in (from_nginx, together, with_olah, loaders):
            home = pathlib.Path(root) / group.__name__
            home.mkdir()
            group(home)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
