#!/usr/bin/env python3
"""The dashboard in Debian's Chromium, as an operator uses it: signs in, watches numbers move under load,
explains a page, purges it, drains a server; axe-core finds no fault that counts.

    python3 tests/outside/dashboard.py [FOLDER]

FOLDER gets pictures: phone and desktop, light and dark. Node.js drives the browser by playwright-core.
"""

import contextlib
import http.client
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stand import COPAL, ROOT, TARGET, check, free_port, wait_for

TOKEN = "all-of-it"
READ = "only-to-look"
CONFIG = """
[[listen]]
address = "127.0.0.1:{port}"
[admin]
address = "127.0.0.1:{admin}"
token = "{token}"
tokens = [{{ name = "screen", token = "{read}", scopes = ["read"] }}]
[store]
memory = "64MiB"
[origins.shop]
servers = ["http://127.0.0.1:{first}", "http://127.0.0.1:{second}"]
[origins.api]
servers = ["http://localhost:{first}"]
[[site]]
hosts = ["shop.test"]
origin = "shop"
[[site]]
hosts = ["api.test"]
origin = "api"
"""


class Shop(BaseHTTPRequestHandler):
    """Pages of several lifetimes, slow and failing ones, and what may not be stored."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        time.sleep(random.uniform(0.002, 0.03))
        status = 503 if self.path.startswith("/broken") else 200
        body = b"x" * random.randrange(500, 9000)
        fields = {"/cart": "private", "/news": "max-age=1, stale-while-revalidate=60"}
        fields = [it for path, it in fields.items() if self.path.startswith(path)] or ["max-age=60"]
        self.send_response(status)
        self.send_header("Cache-Control", "no-store" if status == 503 else fields[0])
        self.send_header("Surrogate-Key", "shop " + self.path.split("/")[1])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Visitors:
    """Many clients of the kind that a shop has, until the end."""

    def __init__(self, port, count):
        self.port, self.is_over = port, threading.Event()
        self.threads = [threading.Thread(target=self.visit, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def visit(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.is_over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                host, path = self.wanted()
                connection.request("GET", path, headers={"Host": host})
                connection.getresponse().read()
            time.sleep(random.uniform(0.002, 0.02))

    @staticmethod
    def wanted():
        kind = random.random()
        if kind < 0.55:
            return "shop.test", f"/product/{int(random.paretovariate(0.8)) % 200}"
        if kind < 0.7:
            return "shop.test", "/news"
        if kind < 0.9:
            return "api.test", f"/v1/items?page={random.randrange(400)}"
        return random.choice([("shop.test", "/cart"), ("shop.test", "/broken"), ("api.test", "/v1/prices")])

    def stop(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(timeout=15)


def modules():
    """Where playwright-core and axe-core are; npm brings them once."""
    folder = TARGET / "outside-npm"
    if not (folder / "node_modules" / "axe-core").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        wanted = ["playwright-core@1", "axe-core@4"]
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *wanted], cwd=folder, check=True)
    return folder


def main():
    subprocess.run(["node", str(ROOT / "tests" / "outside" / "dashboard_figures.mjs")], check=True)
    pictures = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
    shops = [ThreadingHTTPServer(("127.0.0.1", 0), Shop) for _ in range(2)]
    for shop in shops:
        threading.Thread(target=shop.serve_forever, daemon=True).start()
    port, admin = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="copal-dashboard-") as folder:
        file = pathlib.Path(folder) / "config.toml"
        first, second = (it.server_port for it in shops)
        file.write_text(CONFIG.format(
            port=port, admin=admin, token=TOKEN, read=READ, first=first, second=second,
        ))
        copal = subprocess.Popen([COPAL, "run", str(file)], stderr=subprocess.DEVNULL)
        try:
            wait_for(admin)
            visitors = Visitors(port, 12)
            facts = {
                "URL": f"http://127.0.0.1:{admin}/dashboard", "TOKEN": TOKEN, "READ": READ,
                "SERVER": f"127.0.0.1:{second}", "PICTURES": str(pictures or ""),
            }
            script = ROOT / "tests" / "outside" / "dashboard.mjs"
            # The script's imports are looked for from where it stands.
            browser = modules() / "dashboard.mjs"
            browser.write_text(script.read_text())
            ran = subprocess.run(["node", str(browser)], env={**os.environ, **facts}, timeout=300)
            visitors.stop()
            check(ran.returncode == 0, "the browser's story ended well")
            check(copal.poll() is None, "and Copal is still there")
        finally:
            copal.terminate()
            copal.wait(timeout=60)


if __name__ == "__main__":
    main()
