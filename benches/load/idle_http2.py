"""Measures what idle HTTP/2 connections of a Copal cost, in KiB each, in clear and over TLS.

usage: idle_http2.py BINARY [COUNT …], by default 2000 and 8000. As idle_tls.py, with one request on one
stream of each connection. Python's standard library only.
"""

import http.server
import os
import pathlib
import resource
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

# Of those held by one child.
PART = 1000
# The allocator gives back what it has to give within a few seconds.
SETTLE_S = 6
CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
tls = true
[[certificate]]
chain = "{folder}/a.pem"
key = "{folder}/a.key"
[server]
idle_timeout = "10m"
[origins.o]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "o"
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# :method GET, :scheme http, :path /, :authority localhost
HEAD = b"\x82\x86\x84\x01\x09localhost"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("cache-control", "max-age=600")
        self.send_header("content-length", "1024")
        self.end_headers()
        self.wfile.write(b"x" * 1024)

    def log_message(self, *_):
        pass


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def exactly(client, count):
    seen = b""
    while len(seen) < count:
        more = client.recv(count - len(seen))
        if not more:
            raise SystemExit("not answered")
        seen += more
    return seen


def ask(port, is_tls):
    """One connection that has had its response, whole."""
    client = socket.create_connection(("127.0.0.1", port), 30)
    if is_tls:
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2"])
        client = context.wrap_socket(client, server_hostname="localhost")
    client.sendall(PREFACE + frame(4, 0, 0) + frame(4, 1, 0) + frame(1, 5, 1, HEAD))
    while True:
        head = exactly(client, 9)
        exactly(client, int.from_bytes(head[:3], "big"))
        if head[3] == 0 and head[4] & 1:
            return client


def hold(port, count, is_tls):
    """A child: opens so many connections, says so, and holds them until its input ends."""
    held = [ask(port, is_tls) for _ in range(count)]
    print(len(held), flush=True)
    sys.stdin.read()


def rss_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def start(binary, folder, origin):
    pem, key = f"{folder}/a.pem", f"{folder}/a.key"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([*make.split(), "-keyout", key, "-out", pem], check=True, **quiet)
    config = pathlib.Path(folder, "config.toml")
    config.write_text(CONFIG.format(folder=folder, origin=origin))
    proxy = subprocess.Popen([binary, "run", "-c", str(config)], stdout=subprocess.PIPE, text=True)
    ports = [int(proxy.stdout.readline().rsplit(":", 1)[1]) for _ in range(2)]
    return proxy, ports


def measure(proxy, port, count, is_tls):
    before = rss_kib(proxy.pid)
    parts = [min(PART, count - at) for at in range(0, count, PART)]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = []
    for part in parts:
        told = [str(port), str(part), str(int(is_tls))]
        child = subprocess.Popen([sys.executable, __file__, "--hold", *told], **piped)
        child.stdout.readline()
        children.append(child)
    time.sleep(SETTLE_S)
    each = (rss_kib(proxy.pid) - before) / count
    for child in children:
        child.communicate()
    return each


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "--hold":
        return hold(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "1")
    counts = [int(it) for it in sys.argv[2:]] or [2000, 8000]
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    for count in counts:
        for is_tls in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                proxy, ports = start(os.path.abspath(sys.argv[1]), folder, origin.server_port)
                try:
                    ask(ports[is_tls], is_tls).close()
                    each = measure(proxy, ports[is_tls], count, is_tls)
                    how = "over TLS" if is_tls else "in clear"
                    print(f"{count} idle HTTP/2 connections {how}: {each:.1f} KiB each")
                finally:
                    proxy.terminate()
                    proxy.wait()


main()
