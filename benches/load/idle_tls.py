"""Measures what idle TLS connections of a Copal cost, in KiB each.

usage: idle_tls.py BINARY [COUNT …], by default 2000 and 8000. It starts an origin, and the binary with a
certificate made by openssl; each connection has one response and is then left alone until it is parked.
The connections are held by child processes, so that none needs more descriptors than it may have.
Python's standard library only.
"""

import http.server
import os
import pathlib
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

# Of those held by one child.
PART = 1000
# Parked after a second; the allocator gives back what it has to give within a few.
SETTLE_S = 6
CONFIG = """
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


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("cache-control", "max-age=600")
        self.send_header("content-length", "1024")
        self.end_headers()
        self.wfile.write(b"x" * 1024)

    def log_message(self, *_):
        pass


def ask(port, context):
    """One connection that has had its response, whole."""
    client = socket.create_connection(("127.0.0.1", port), 30)
    client = context.wrap_socket(client, server_hostname="localhost")
    client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    seen = b""
    while not seen.endswith(b"x" * 1024):
        more = client.recv(4096)
        if not more:
            raise SystemExit("not answered")
        seen += more
    return client


def hold(port, count):
    """A child: opens so many connections, says so, and holds them until its input ends."""
    context = ssl._create_unverified_context()
    held = [ask(port, context) for _ in range(count)]
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
    port = int(proxy.stdout.readline().rsplit(":", 1)[1])
    return proxy, port


def measure(proxy, port, count):
    before = rss_kib(proxy.pid)
    parts = [min(PART, count - at) for at in range(0, count, PART)]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = []
    for part in parts:
        child = subprocess.Popen([sys.executable, __file__, "--hold", str(port), str(part)], **piped)
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
        return hold(int(sys.argv[2]), int(sys.argv[3]))
    counts = [int(it) for it in sys.argv[2:]] or [2000, 8000]
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            proxy, port = start(os.path.abspath(sys.argv[1]), folder, origin.server_port)
            try:
                ask(port, ssl._create_unverified_context()).close()
                print(f"{count} idle TLS connections: {measure(proxy, port, count):.1f} KiB each")
            finally:
                proxy.terminate()
                proxy.wait()


main()
