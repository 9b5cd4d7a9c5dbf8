#!/usr/bin/env python3
"""Thousands of TLS handshakes that are begun and left, and what clients notice of them.

usage: tls_flood.py [HANDSHAKES], by default 5000. Needs openssl for a certificate; the binary is that of
COPAL. Half of the handshakes stop after the ClientHello, the others within it.
"""

import http.server
import pathlib
import resource
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from stand import COPAL, check

MEASURE_S = 4
DEADLINE_S = 10
# A quiet p99 below this is as good as none: the machine's own hiccups are larger.
FLOOR_S = 0.002
CONFIG = """
[[listen]]
address = "127.0.0.1:0"
tls = true
[[certificate]]
chain = "{folder}/a.pem"
key = "{folder}/a.key"
[tls]
handshake_timeout = "{deadline}s"
handshakes_max = 16384
[origins.o]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "o"
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("cache-control", "max-age=600")
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *_):
        pass


def client_hello():
    """The first flight of a client, as its library writes it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def start(folder, origin):
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    files = ["-keyout", f"{folder}/a.key", "-out", f"{folder}/a.pem"]
    subprocess.run([*make.split(), *files], check=True, **quiet)
    config = pathlib.Path(folder, "config.toml")
    config.write_text(CONFIG.format(folder=folder, origin=origin, deadline=DEADLINE_S))
    proxy = subprocess.Popen([COPAL, "run", "-c", str(config)], stdout=subprocess.PIPE, text=True)
    return proxy, int(proxy.stdout.readline().rsplit(":", 1)[1])


def connect(port):
    plain = socket.create_connection(("127.0.0.1", port), 30)
    return ssl._create_unverified_context().wrap_socket(plain, server_hostname="localhost")


def p99_of_hits(client, seconds):
    """In seconds, over one connection that is kept."""
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        seen = b""
        while not seen.endswith(b"page"):
            seen += client.recv(4096)
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) * 99 // 100]


def begin(port, count):
    hello = client_hello()
    begun = []
    for number in range(count):
        it = socket.create_connection(("127.0.0.1", port), 30)
        it.sendall(hello if number % 2 else hello[: len(hello) // 2])
        begun.append(it)
    return begun


def ended(begun):
    """How many of them the proxy has ended."""
    poll = select.poll()
    by_number = {it.fileno(): it for it in begun}
    for number in by_number:
        poll.register(number, select.POLLIN | select.POLLHUP | select.POLLRDHUP)
    over = 0
    for _, events in poll.poll(0):
        over += bool(events & (select.POLLHUP | select.POLLRDHUP))
    return over


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        proxy, port = start(folder, origin.server_port)
        try:
            client = connect(port)
            quiet = p99_of_hits(client, MEASURE_S)
            began = time.monotonic()
            begun = begin(port, count)
            flooded = p99_of_hits(client, MEASURE_S)
            fresh = connect(port)
            p99_of_hits(fresh, 0.1)
            print(f"p99 of hits: quiet {quiet * 1000:.2f} ms, beside {count} handshakes {flooded * 1000:.2f} ms")
            check(flooded <= max(2 * quiet, FLOOR_S), "hits are as quick as before, within twice")
            while ended(begun) < count and time.monotonic() < began + DEADLINE_S + 20:
                time.sleep(0.2)
            check(ended(begun) == count, f"all {count} are cut by their deadline")
        finally:
            proxy.terminate()
            proxy.wait()


main()
