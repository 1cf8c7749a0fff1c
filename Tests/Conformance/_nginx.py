"""nginx as a Hub: its API's answers and its files lie in a folder, and nginx sends them. No code of ours answers."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

import _minihub


def install(*packages):
    """Debian packages whose program of that name is missing, by apt-get."""
    programs = {"nginx": "nginx", "aria2": "aria2c", "curl": "curl"}
    missing = [p for p in packages if not (shutil.which(programs[p]) or shutil.which(f"/usr/sbin/{programs[p]}"))]
    if not missing:
        return
    print("installing with apt-get: " + " ".join(missing), file=sys.stderr)
    root = [] if os.geteuid() == 0 else ["sudo"]
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True)
    # Installed, and not started: a server of our own is run below.
    names = ["nginx-light" if p == "nginx" else p for p in missing]
    subprocess.run([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
                    "--no-install-recommends", *names], check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Repositories as files; `start` serves them on a port for each limit."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.root = self.folder / "root"
        self.root.mkdir(parents=True)
        self.etags, self.commits, self.process = {}, {}, None

    def add(self, name, commit, files):
        """A repository of {path: bytes}."""
        entries = []
        for path, data in files.items():
            place = self.root / name / "resolve" / commit / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            entries.append(_minihub.entry(path, data))
            self._name(name, commit, path, _minihub.etag(path, data))
        self._describe(name, commit, entries)

    def add_large(self, name, commit, path, size):
        """A repository of one file of `size` random bytes, which is never held in memory; returns its SHA-256."""
        place = self.root / name / "resolve" / commit / path
        place.parent.mkdir(parents=True, exist_ok=True)
        whole, chance = hashlib.sha256(), random.Random(3)
        with open(place, "wb") as out:
            for start in range(0, size, 1 << 20):
                block = chance.randbytes(min(1 << 20, size - start))
                whole.update(block)
                out.write(block)
        digest = whole.hexdigest()
        self._name(name, commit, path, digest)
        self._describe(name, commit, [{
            "type": "file", "path": path, "size": size, "oid": hashlib.sha1(digest.encode()).hexdigest(),
            "lfs": {"oid": digest, "size": size, "pointerSize": 130}}])
        return digest

    def _name(self, name, commit, path, etag):
        for revision in (commit, "main"):
            self.etags[f"/{name}/resolve/{revision}/{path}"] = etag

    def _describe(self, name, commit, entries):
        api = self.root / "api" / "models" / name
        (api / "revision").mkdir(parents=True)
        (api / "tree").mkdir()
        for revision in (commit, "main"):
            (api / "revision" / revision).write_text(json.dumps({"id": name, "sha": commit}))
        (api / "tree" / commit).write_text(json.dumps(entries))
        (self.root / name / "resolve" / "main").symlink_to(commit)
        self.commits[name] = commit

    def start(self, limits=(None,)):
        """Addresses, one for each limit: megabytes a second for each connection, or none."""
        ports = [free_port() for _ in limits]
        etags = "".join(f'"{path}" \'"{etag}"\';\n' for path, etag in self.etags.items())
        commits = "".join(f'"~^/{name}/" "{commit}";\n' for name, commit in self.commits.items())
        servers = "".join(f"""
            server {{
                listen 127.0.0.1:{port};
                root {self.root};
                etag off;
                {f"limit_rate {limit * 1000}k;" if limit else ""}
                location /api/ {{ default_type application/json; }}
                location / {{
                    default_type application/octet-stream;
                    add_header X-Repo-Commit $commit;
                    add_header ETag $blob;
                }}
            }}""" for port, limit in zip(ports, limits))
        (self.folder / "nginx.conf").write_text(f"""
            daemon off; worker_processes 1; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
            {"user root;" if os.geteuid() == 0 else ""}
            events {{ worker_connections 1024; }}
            http {{
                log_format bytes '$request_method $request_uri $status $body_bytes_sent';
                access_log {self.folder}/access.log bytes;
                client_body_temp_path {self.folder}/t1; proxy_temp_path {self.folder}/t2;
                fastcgi_temp_path {self.folder}/t3; uwsgi_temp_path {self.folder}/t4; scgi_temp_path {self.folder}/t5;
                sendfile on; tcp_nopush on; keepalive_requests 100000;
                map_hash_bucket_size 512; map_hash_max_size 65536;
                map $uri $blob {{ default ""; {etags} }}
                map $uri $commit {{ default ""; {commits} }}
                {servers}
            }}""")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([program, "-c", str(self.folder / "nginx.conf")],
                                        stderr=subprocess.DEVNULL)
        for port in ports:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if self.process.poll() is not None:
                        raise SystemExit((self.folder / "error.log").read_text())
                    time.sleep(0.05)
        return [f"http://127.0.0.1:{port}" for port in ports]

    def requests(self):
        """What was asked so far: method, address, status, bytes of the body; in the order of their ends."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [(m, u, int(s), int(b)) for m, u, s, b in (line.split(" ") for line in lines)]

    def sent(self):
        """Bytes of files sent so far, once all that was asked has ended."""
        time.sleep(0.3)
        return sum(bytes for method, address, _, bytes in self.requests()
                   if method == "GET" and "/resolve/" in address)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)
