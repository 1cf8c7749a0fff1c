"""`graft serve` with few descriptors under idle connections, slow and endless heads, resets and floods: other clients are
answered meanwhile, and it never ends. Uses Debian's wrk and slowhttptest where they are installed, in a network namespace of
its own where one can be made.

GRAFT names the program; BEFORE=1 reports figures of a program that may fail, and checks nothing.
"""
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from _minihub import environment, lay

GRAFT = os.environ["GRAFT"]
BEFORE = os.environ.get("BEFORE") == "1"
COMMIT = "a" * 40
failures = []


def enter_namespace():
    """Starts this script again where the loopback device is nobody else's."""
    if os.environ.get("GRAFT_FLOOD") or not shutil.which("ip") or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True).returncode == 0:
        os.environ["GRAFT_FLOOD"] = "namespace"
        os.execvp("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable, *sys.argv])


def check(what, holds, detail=""):
    print(("ok   " if holds else "FAIL ") + what + ("" if holds else f": {detail}"), flush=True)
    if not holds:
        failures.append(what)


def note(what, value):
    print(f"     {what}: {value}", flush=True)


class Server:
    """`graft serve` with a hard limit of descriptors."""

    def __init__(self, cache, home, files=1024, arguments=()):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        self.errors = open(home / "serve.err", "w")
        self.process = subprocess.Popen([GRAFT, "serve", "--port", "0", "--cache-dir", str(cache), *arguments],
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True, preexec_fn=limit,
                                        env=environment(home / "server"))
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.rsplit(":", 1)[1])

    def alive(self):
        return self.process.poll() is None

    def status(self, name):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(l for l in text.splitlines() if l.startswith(name)).split()[1])

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, target="/acme/tiny/resolve/main/config.json", timeout=10):
        """The seconds until an answer of the right content; nil where there is none."""
        start = time.monotonic()
        try:
            # From another address than the flood's.
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=("127.0.0.2", 0))
            connection.request("GET", target)
            answer = connection.getresponse()
            data = answer.read()
            connection.close()
            return time.monotonic() - start if answer.status == 200 and data else None
        except (OSError, http.client.HTTPException):
            return None


def connect(port):
    stream = socket.create_connection(("127.0.0.1", port), timeout=5)
    return stream


def idle(server, count=3000):
    """Connections that are kept open and send nothing, or the start of a head."""
    streams, refused = [], 0
    for number in range(count):
        try:
            stream = connect(server.port)
            if number % 2:
                stream.send(b"GET /x HTTP/1.1\r\nX-a: ")
            streams.append(stream)
        except OSError:
            refused += 1
            if refused > 20:
                break
    times = [server.ask() for _ in range(20)]
    answered = [t for t in times if t is not None]
    check(f"{count} idle connections at 1024 descriptors: others are answered",
          len(answered) == 20 and server.alive(), (len(answered), server.alive(), refused))
    if answered:
        note("slowest of 20 answers meanwhile, ms", round(max(answered) * 1000, 1))
    if server.alive():
        note("memory with them, MB", server.status("VmRSS") // 1024)
        before = server.processor_seconds()
        time.sleep(1)
        spent = server.processor_seconds() - before
        note("processor seconds in one second of idleness", round(spent, 2))
        check("and they cost no processor time", spent < 0.2, spent)
    for stream in streams:
        stream.close()


def endless(server):
    """Heads without end, from several clients at the same time."""
    sent = []

    def flood(start, piece):
        count = 0
        try:
            stream = connect(server.port)
            stream.settimeout(5)
            stream.sendall(start)
            while count < 200 << 20:
                count += stream.send(piece)
        except OSError:
            pass
        sent.append(count)

    kinds = [(b"GET /", b"A" * 65536), (b"GET / HTTP/1.1\r\nX: ", b"A" * 65536),
             (b"GET / HTTP/1.1\r\n", b"X: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 2048), (b"\r\n", b"\r\n" * 32768)]
    threads = [threading.Thread(target=flood, args=kind) for kind in kinds * 2]
    for thread in threads:
        thread.start()
    times = [server.ask() for _ in range(10)]
    for thread in threads:
        thread.join()
    after = server.ask()
    check("endless heads: others are answered meanwhile and afterwards",
          all(t is not None for t in times) and after is not None, (times, after, server.alive()))
    check("and they are cut off", max(sent) < 64 << 20, [n >> 20 for n in sent])
    if server.alive():
        note("memory afterwards, MB", server.status("VmRSS") // 1024)


def resets(server):
    """Clients that reset the connection in the middle of an answer."""
    before = len(os.listdir(f"/proc/{server.process.pid}/fd")) if server.alive() else 0
    for _ in range(300):
        try:
            stream = connect(server.port)
            stream.send(b"GET /acme/tiny/resolve/main/model.safetensors HTTP/1.1\r\nHost: x\r\n\r\n")
            stream.recv(100)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.close()
        except OSError:
            break
    time.sleep(1)
    after = len(os.listdir(f"/proc/{server.process.pid}/fd")) if server.alive() else 10_000
    check("300 resets in the middle of an answer leave no descriptor open",
          server.ask() is not None and after <= before + 5, (before, after))


def slow(server, kind):
    """slowhttptest: slow heads (-H), slow bodies (-B), slow readers (-X)."""
    if not shutil.which("slowhttptest"):
        return print("     slowhttptest is not installed", flush=True)
    options = {"heads": ["-H"], "bodies": ["-B", "-t", "POST"], "readers": ["-X", "-w", "10", "-y", "20", "-z", "5"]}[kind]
    target = "/acme/tiny/resolve/main/model.safetensors" if kind == "readers" else "/api/models/acme/tiny/paths-info/main"
    tool = subprocess.Popen(["slowhttptest", *options, "-c", "1500", "-r", "500", "-i", "5", "-l", "8", "-p", "3",
                             "-u", server.url + target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(3)
    times = []
    while tool.poll() is None and len(times) < 12:
        times.append(server.ask())
        time.sleep(0.3)
    tool.terminate()
    tool.wait()
    answered = [t for t in times if t is not None]
    check(f"1500 slow {kind} of slowhttptest: others are answered", len(answered) == len(times) > 0 and server.alive(),
          (len(answered), len(times), server.alive()))
    if answered:
        note("slowest answer meanwhile, ms", round(max(answered) * 1000, 1))


def load(server):
    """wrk: requests per second of a small file and of an API answer, and bytes per second of a large one."""
    if not shutil.which("wrk"):
        return print("     wrk is not installed", flush=True)
    for name, target, connections in (("small file", "/acme/tiny/resolve/main/config.json", 64),
                                      ("small file", "/acme/tiny/resolve/main/config.json", 1000),
                                      ("API", "/api/models/acme/tiny/revision/main", 64),
                                      ("3 MB file", "/acme/tiny/resolve/main/model.safetensors", 16)):
        done = subprocess.run(["wrk", "-t2", f"-c{connections}", "-d4s", "--timeout", "10s", "--latency", server.url + target],
                              text=True, capture_output=True)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        moved = re.search(r"Transfer/sec:\s+(\S+)", done.stdout)
        worst = re.search(r"99%\s+(\S+)", done.stdout)
        errors = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        note(f"wrk, {connections} connections, {name}",
             f"{rate[1] if rate else '?'} requests/s, {moved[1] if moved else '?'}/s, 99 % in {worst[1] if worst else '?'}")
        # More connections than one address may have: some are turned away with 503.
        check(f"wrk with {connections} connections gets answers",
              rate is not None and float(rate[1]) > 50 and server.alive() and (errors is None or connections > 200), done.stdout)
    if server.alive():
        note("memory afterwards, MB", server.status("VmRSS") // 1024)


def listing(server):
    """Many paths in one question, as cases/hub asks."""
    body = "&".join(f"paths=nope/{n:05}.txt" for n in range(10_000))
    fields = {"Content-Type": "application/x-www-form-urlencoded"}
    times = []
    for _ in range(3):
        start = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/api/models/acme/many/paths-info/main", body, fields)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        times.append(time.monotonic() - start)
    check("10,000 paths are looked up", answer.status == 200, answer.status)
    note("10,000 paths among 5,000 files, s, first and best", f"{times[0]:.3f}, {min(times):.3f}")


def stop(server, log):
    """SIGTERM lets a running answer end, and the process then ends with 0."""
    stream = connect(server.port)
    stream.send(b"GET /acme/tiny/resolve/main/model.safetensors HTTP/1.1\r\nHost: x\r\n\r\n")
    received = len(stream.recv(1000))
    # Answered once, so that the server knows it: a connection that it accepts after the signal is told 503.
    quiet = connect(server.port)
    quiet.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    quiet.settimeout(10)
    answer = b""
    while not answer.endswith(b"}"):
        answer += quiet.recv(1000) or b"}"
    time.sleep(0.2)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    stream.settimeout(10)
    closed = quiet.recv(10) == b""
    while piece := stream.recv(1 << 16):
        received += len(piece)
    code = server.process.wait(timeout=20)
    check("SIGTERM: the running answer ends whole, idle connections are closed, and the status is 0",
          received > 3_000_000 and closed and code == 0, (received, closed, code))
    if log:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        check("the access log has a line per request, with status and bytes",
              len(lines) > 100 and all({"time", "client", "method", "path", "status", "bytes", "milliseconds"} <= set(l)
                                       for l in lines if "lost" not in l), lines[-1:])


def main():
    enter_namespace()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    print("     on the loopback device of " + ("a network namespace" if os.environ.get("GRAFT_FLOOD") else "this machine"))
    home = pathlib.Path(tempfile.mkdtemp(prefix="graft-flood-"))
    cache = home / "served" / "hub"
    lay(cache, "acme/tiny", {COMMIT: {"config.json": b'{"model_type": "bert"}', "model.safetensors": os.urandom(3_000_000)}},
        {"main": COMMIT})
    lay(cache, "acme/many", {COMMIT: {f"d{n % 10}/f{n:05}.txt": b"%d" % n for n in range(5000)}}, {"main": COMMIT})
    log = home / "access.log"
    arguments = [] if BEFORE else ["--access-log", str(log)]
    server = Server(cache, home, arguments=arguments)
    stages = [("listing", lambda: listing(server)), ("load", lambda: load(server)), ("resets", lambda: resets(server)),
              ("endless", lambda: endless(server)), ("heads", lambda: slow(server, "heads")),
              ("bodies", lambda: slow(server, "bodies")), ("readers", lambda: slow(server, "readers")),
              ("idle", lambda: idle(server))]
    try:
        for name, stage in stages:
            if not server.alive() or BEFORE and server.ask() is None:
                print(f"     the server is {'stuck' if server.alive() else 'dead'} before `{name}`: started again", flush=True)
                server.process.kill()
                server = Server(cache, home, arguments=arguments)
            stage()
        if not BEFORE:
            check("the server is alive after all of it", server.alive())
            stop(server, log)
    finally:
        server.process.kill()
        server.process.wait()
        shutil.rmtree(home, ignore_errors=True)
    sys.exit(1 if failures and not BEFORE else 0)


if __name__ == "__main__":
    main()
