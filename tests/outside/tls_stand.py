"""What tls.py stands on: an authority with its certificates, a small origin, Copal before both with TLS
and a log in JSON, and the other programs asked as their users ask them."""

import http.server
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from stand import COPAL, TARGET

VENV = TARGET / "outside-venv" / "bin"
NAME = "shop.test"
P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
RSA = ["-newkey", "rsa:2048"]
SECONDS_MAX = 30

CONFIG = """
[[listen]]
address = "127.0.0.1:0"
tls = true
[[certificate]]
folder = "{folder}/certs"
[log]
access = "{folder}/access.log"
format = "json"
[origins.o]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "o"
hsts = "{hsts}"
"""

# What a browser runs tells by which protocol each part has come.
PAGE = b"<!doctype html><title>page</title><p id=it>nothing ran</p><script src=/told.js></script>"
SCRIPT = b"""
addEventListener("load", () => {
    const parts = ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
    const told = parts.map(part => new URL(part.name).pathname + " " + part.nextHopProtocol)
    document.getElementById("it").textContent = "told: " + told.join(", ")
})
"""


class Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = SCRIPT if self.path == "/told.js" else PAGE
        kind = "text/javascript" if self.path == "/told.js" else "text/html"
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=600")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def run(command, **options):
    """What a program prints, its errors after that."""
    options.setdefault("input", "")
    ran = subprocess.run(
        [str(it) for it in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        **options,
    )
    return ran.stdout


class Stand:
    """The folder of one run, and in it Copal with the certificates `a` (ECDSA, the default) and `b`
    (RSA) for shop.test, and `c` for the names under wild.test."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-tls-"))
        (self.folder / "certs").mkdir()
        self.ca = self.folder / "ca.pem"
        self._authority()
        self.certify("a", P256, NAME, f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")
        self.certify("b", RSA, NAME, f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")
        self.certify("c", P256, "wild.test", "DNS:*.wild.test")
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()
        self.config("365d")
        command = [COPAL, "run", "-c", str(self.folder / "config.toml")]
        self.errors = open(self.folder / "errors", "w")
        self.copal = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.copal.stdout.readline()
        if not line.startswith("listening "):
            raise SystemExit(f"copal did not start: {(self.folder / 'errors').read_text()}")
        self.port = int(line.rsplit(":", 1)[1])
        self.address = f"127.0.0.1:{self.port}"

    def _authority(self):
        command = ["openssl", "req", "-x509", *P256, "-nodes", "-days", "3650", "-subj", "/CN=authority"]
        command += ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        command += ["-keyout", self.folder / "ca.key", "-out", self.ca]
        run(command, check=True)

    def certify(self, name, kind, subject, names):
        """A new pair under this name. The key comes to its place just after the certificate."""
        new = self.folder / name
        command = ["openssl", "req", "-x509", *kind, "-nodes", "-days", "90", "-subj", f"/CN={subject}"]
        command += ["-CA", self.ca, "-CAkey", self.folder / "ca.key", "-addext", f"subjectAltName={names}"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-addext", "keyUsage=critical,digitalSignature"]
        command += ["-addext", "extendedKeyUsage=serverAuth"]
        # Nobody asks there, but scanners miss it.
        command += ["-addext", "crlDistributionPoints=URI:http://127.0.0.1:1/crl"]
        run([*command, "-keyout", f"{new}.key", "-out", f"{new}.pem"], check=True)
        for kind in ("pem", "key"):
            pathlib.Path(f"{new}.{kind}").replace(self.folder / "certs" / f"{name}.{kind}")

    def config(self, hsts):
        text = CONFIG.format(folder=self.folder, origin=self.origin.server_port, hsts=hsts)
        (self.folder / "config.toml").write_text(text)

    def reload(self, hsts):
        """By SIGHUP; until the answers say so."""
        self.config(hsts)
        self.copal.send_signal(signal.SIGHUP)
        wanted, deadline = f"max-age={int(hsts[:-1]) * 86400}", time.monotonic() + 10
        while wanted not in self.curl("-D", "-", "-o", "/dev/null"):
            if time.monotonic() > deadline:
                raise SystemExit("SIGHUP changed nothing within 10 s")
            time.sleep(0.05)

    def curl(self, *options, path="/"):
        url = f"https://{NAME}:{self.port}{path}"
        to = f"{NAME}:{self.port}:127.0.0.1"
        return run(["curl", "-sS", "--cacert", self.ca, "--resolve", to, *options, url])

    def openssl(self, *options, name=NAME):
        """What s_client tells of one handshake, and of one request after it."""
        command = ["openssl", "s_client", "-connect", self.address, "-servername", name]
        command += ["-CAfile", self.ca, "-ign_eof", *options]
        request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        return run(command, input=request)

    def logged(self, path):
        """The line of the last request for this path, which is written a moment after its answer."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            # The last line may be half written.
            lines = (self.folder / "access.log").read_text().split("\n")[:-1]
            found = [it for it in map(json.loads, lines) if it["target"] == path]
            if found:
                return found[-1]
            time.sleep(0.05)
        return {}

    def stop(self):
        self.copal.terminate()
        code = self.copal.wait(timeout=60)
        self.origin.shutdown()
        self.errors.close()
        told = (self.folder / "errors").read_text()
        shutil.rmtree(self.folder)
        return code, told
