"""A file that is cut short while graft has it mapped: an error that names it, and not a crash.

The file is opened first; what it is compared with comes from a server, which cuts the file before it answers.
GRAFT names the program; needs NumPy and safetensors.
"""
import http.server
import os
import pathlib
import subprocess
import tempfile
import threading

import numpy as np
from safetensors.numpy import save_file

from _graft import GRAFT, report


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="graft-inplace-"))
    weights = {"a": np.arange(2_000_000, dtype=np.float32)}
    for how, cut in (("truncated", lambda path: os.truncate(path, 4096)),
                     ("overwritten by a shorter file", lambda path: path.write_bytes(b"short"))):
        for name in ("mapped.safetensors", "steering\x1b[31m.safetensors"):
            path, other = folder / name, folder / "other.safetensors"
            save_file(weights, path)
            save_file({"a": weights["a"] + 1}, other)

            class Server(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"

                def do_GET(self, body=True):
                    cut(path)
                    data = other.read_bytes()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    if body:
                        self.wfile.write(data)

                def do_HEAD(self):
                    self.do_GET(body=False)

                def log_message(self, *_):
                    pass

            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            run = subprocess.run(
                [GRAFT, "diff", str(path), f"http://127.0.0.1:{server.server_port}/{how[:3]}{len(name)}/other.safetensors"],
                capture_output=True, text=True, env=os.environ | {"GRAFT_CACHE": str(folder / "cache")}, timeout=120)
            server.shutdown()
            report(run.returncode == 1 and run.stderr.count("error:") == 1
                   and f"cannot read `{folder}/{name.replace(chr(27), '?')}`" in run.stderr
                   and "hint: " in run.stderr and "\x1b" not in run.stderr,
                   f"a mapped file that is {how} is named: {name!r}", "" if run.returncode == 1 else run)
    report.finish()


if __name__ == "__main__":
    main()
