"""What the suites in this folder share: an nginx origin, a Copal before it, and clients.

Python's standard library only. Everything listens on loopback, on free ports, in a temporary
folder, and is stopped by its process id.
"""

import contextlib
import hashlib
import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPAL = os.environ.get("COPAL", str(TARGET / "dist" / "copal"))

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    sendfile on; keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder}/files;
        location / {{ add_header Cache-Control "max-age=3600"; }}
        location /private/ {{ alias {folder}/files/; add_header Cache-Control "private"; }}
        location /stale/ {{ alias {folder}/files/; add_header Cache-Control "max-age=1"; }}
    }}
}}
"""


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


class Nginx:
    """An origin with the files it is given, by name and length in bytes."""

    def __init__(self, files):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-nginx-"))
        (self.folder / "files").mkdir()
        self.sums = {name: self._write(name, length) for name, length in files.items()}
        self.port = free_port()
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, port=self.port))
        os.chmod(self.folder, 0o755)
        self.process = subprocess.Popen(["nginx", "-p", str(self.folder), "-c", str(conf)])
        wait_for(self.port)

    def _write(self, name, length):
        digest, block = hashlib.sha256(), os.urandom(1024)
        with open(self.folder / "files" / name, "wb") as file:
            for start in range(0, length, 1024 * 1024):
                # Each MiB begins with its number, so that no two are alike.
                piece = (start.to_bytes(8, "big") + block * 1024)[: min(length - start, 1024 * 1024)]
                file.write(piece)
                digest.update(piece)
        return digest.hexdigest()

    def requests(self, path):
        """How often the access log names this path."""
        time.sleep(0.1)
        lines = (self.folder / "access.log").read_text().splitlines()
        return sum(f" {path} HTTP/" in line for line in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Copal:
    """The dist binary before `origin`, run with flags."""

    def __init__(self, origin, *flags):
        command = [COPAL, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        self.start([*command, "--origin", f"http://127.0.0.1:{origin.port}", *flags])

    def start(self, command, **options):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
        self.port, self.admin = (self._port() for _ in range(2))

    def _port(self):
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            raise SystemExit(f"copal did not start: {line!r}")
        return int(line.rsplit(":", 1)[1])

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("copal is gone")

    def purge(self, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin}/api/v1/purge", data=body.encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=60)


def get(port, path, fields=None):
    """Status, fields and SHA-256 of the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers=fields or {})
    response = connection.getresponse()
    digest = hashlib.sha256()
    while piece := response.read(1 << 20):
        digest.update(piece)
    connection.close()
    fields = {name.lower(): value for name, value in response.getheaders()}
    return response.status, fields, digest.hexdigest()


def check(fact, what):
    print(("ok    " if fact else "FAIL  ") + what, flush=True)
    if not fact:
        raise SystemExit(1)


FAILED = []


def expect(fact, what):
    """As `check`, but what follows is told as well; `FAILED` has what did not hold."""
    print(("ok    " if fact else "FAIL  ") + what, flush=True)
    if not fact:
        FAILED.append(what)
    return fact
