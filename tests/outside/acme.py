#!/usr/bin/env python3
"""Certificates by ACME from a real CA, Let's Encrypt's own pebble, which refuses one nonce in twenty:
both challenges, an address, several Copals on one folder, a CA that goes away and forgets us, renewal."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request

from stand import COPAL, check, free_port, wait_for

LIFETIME = 15
CONFIG = """
[[listen]]
address = "127.0.0.1:{http}"
[[listen]]
address = "127.0.0.1:{https}"
tls = true
[admin]
address = "127.0.0.1:{admin}"
[acme]
domains = {domains}
email = "ops@shop.example"
directory = "https://localhost:{ca}/dir"
roots = "{root}"
storage = "{storage}"
retry = "1s"
{lines}
[[site]]
hosts = ["*"]
[[site.route]]
path = "/*"
answer = {{ status = 200, body = "page" }}
"""


class Dns:
    """Says that every name is this machine."""

    def __init__(self):
        self.port = free_port()
        command = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.port}", "-defaultIPv6", ""]
        command += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Pebble:
    """A CA that asks at these ports. It forgets everything when it is stopped."""

    def __init__(self, folder, dns, http, https):
        self.folder, self.dns, self.port, self.admin = folder, dns, free_port(), free_port()
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subject += ["-addext", "basicConstraints=critical,CA:false", "-addext", "extendedKeyUsage=serverAuth"]
        root = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        root += ["-keyout", folder / "root.key", "-out", folder / "root.pem", "-subj", "/CN=root"]
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        subprocess.run([str(it) for it in root], **quiet)
        leaf = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        leaf += ["-CA", folder / "root.pem", "-CAkey", folder / "root.key"]
        leaf += ["-keyout", folder / "ca.key", "-out", folder / "ca.pem", *subject]
        subprocess.run([str(it) for it in leaf], **quiet)
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.admin}",
            "certificate": str(folder / "ca.pem"),
            "privateKey": str(folder / "ca.key"),
            "httpPort": http,
            "tlsPort": https,
            "certificateValidityPeriod": LIFETIME,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self.start()

    def start(self):
        command = ["pebble", "-config", self.folder / "pebble.json", "-dnsserver", f"127.0.0.1:{self.dns.port}"]
        environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
        log = open(self.folder / "pebble.log", "ab")
        self.process = subprocess.Popen([str(it) for it in command], stdout=log, stderr=log, env=environment)
        wait_for(self.port)

    def root(self):
        """The certificate that vouches for all that this CA signs."""
        context = ssl.create_default_context(cafile=str(self.folder / "root.pem"))
        url = f"https://localhost:{self.admin}/roots/0"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return answer.read().decode()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Copal:
    """The dist binary with certificates for these names, kept in this folder."""

    def __init__(self, folder, pebble, http, https, domains, lines="", storage=None):
        self.http, self.https, self.admin = http, https, free_port()
        storage = storage or tempfile.mkdtemp(prefix="state-", dir=folder)
        file = pathlib.Path(storage).with_suffix(f".{self.admin}.toml")
        text = CONFIG.format(
            http=http, https=https, admin=self.admin, domains=json.dumps(domains), ca=pebble.port,
            root=folder / "root.pem", storage=storage, lines=lines,
        )
        file.write_text(text)
        self.log = open(file.with_suffix(".log"), "ab")
        command = [COPAL, "run", "-c", str(file)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)
        wait_for(self.admin)
        wait_for(self.https)

    def shown(self, name):
        """The certificate that is shown for a name; `None` if none is."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.https), 5) as tcp:
            with context.wrap_socket(tcp, server_hostname=name) as tls:
                return tls.getpeercert(binary_form=True)
        return None

    def is_trusted(self, name, root):
        """Whether a client that knows the CA takes what it is shown, and gets a page."""
        context = ssl.create_default_context(cadata=root)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.https), 5) as tcp:
            with context.wrap_socket(tcp, server_hostname=name) as tls:
                tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                return tls.recv(12) == b"HTTP/1.1 200"
        return False

    def orders(self, result):
        url = f"http://127.0.0.1:{self.admin}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        lines = [it for it in lines if it.startswith("copal_acme_orders") and f'result="{result}"' in it]
        return sum(float(it.rsplit(" ", 1)[1]) for it in lines)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def within(seconds, fact):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if fact():
            return True
        time.sleep(0.1)
    return False


def challenges(folder, pebble, http, https):
    for kind, names in (("http-01", ["a.example", "127.0.0.1"]), ("tls-alpn-01", ["b.example"])):
        copal = Copal(folder, pebble, http, https, names, f'challenges = ["{kind}"]')
        root = pebble.root()
        for name in names:
            had = within(15, lambda: copal.is_trusted(name, root))
            check(had, f"{name} has a certificate by {kind}, and clients take it")
        check(copal.orders("issued") == len(names), f"one order a name by {kind}")
        copal.stop()


def several(folder, pebble, http, https):
    """Two on one folder, of which the CA can ask only the second. Then the CA goes, and forgets."""
    storage = folder / "shared"
    storage.mkdir()
    proof = 'challenges = ["http-01"]'
    first = Copal(folder, pebble, free_port(), free_port(), ["c.example"], proof, storage)
    second = Copal(folder, pebble, http, https, ["c.example"], proof, storage)
    root = pebble.root()
    both = lambda: first.is_trusted("c.example", root) and second.is_trusted("c.example", root)
    check(within(20, both), "both of two on one folder serve")
    before = first.shown("c.example")
    check(before == second.shown("c.example"), "they serve one certificate")
    check(first.orders("issued") + second.orders("issued") == 1, "it was ordered once")

    pebble.stop()
    first.stop()
    first = Copal(folder, pebble, first.http, first.https, ["c.example"], proof, storage)
    check(first.shown("c.example") == before, "a restart serves at once while the CA is away")
    away = lambda: first.orders("unreachable") + second.orders("unreachable") >= 2
    check(within(LIFETIME, away), "a CA that is away is asked again, and that is counted")
    tried = first.orders("unreachable") + second.orders("unreachable")
    check(tried < 12, f"it is not stormed: {tried:.0f} tries")

    pebble.start()
    root = pebble.root()
    check(within(20, both), "back, it has forgotten our account; a new one is made, and the name renewed")
    check(first.shown("c.example") == second.shown("c.example") != before, "both serve the new one")
    renewed = first.shown("c.example")
    again = lambda: first.shown("c.example") not in (None, renewed)
    check(within(LIFETIME, again), "it is renewed again before it expires")
    first.stop()
    second.stop()


def main():
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-acme-"))
    http, https = free_port(), free_port()
    dns = Dns()
    pebble = Pebble(folder, dns, http, https)
    try:
        challenges(folder, pebble, http, https)
        several(folder, pebble, http, https)
    except SystemExit:
        for log in sorted(folder.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text()[-6000:]}")
        raise
    finally:
        pebble.stop()
        dns.stop()
        shutil.rmtree(folder)
    print(f"ok    all of it in {time.monotonic() - began:.0f} s")


main()
