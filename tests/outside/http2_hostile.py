#!/usr/bin/env python3
"""Hostile HTTP/2 clients at length, in clear and over TLS: how each ends, how much memory it costs at most,
and what a bystander notices of it.

usage: http2_hostile.py [NAME …], by default all. Needs openssl for a certificate; the binary is that of
COPAL. tests/journeys/http2_hostile.rs has a sample of each in seconds.
"""

import http.client
import http.server
import pathlib
import resource
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

from stand import COPAL, FAILED, expect

MEMORY_MAX_MIB = 48
# A bystander's hit takes no longer, on a machine that is busy with the attack too.
HIT_MAX_S = 2.0
# Longer than each deadline of the configuration.
WAIT_S = 8
LARGE = 4 << 20
CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
tls = true
[[certificate]]
chain = "{folder}/a.pem"
key = "{folder}/a.key"
[log]
level = "error"
[server]
header_timeout = "2s"
send_timeout = "3s"
body_timeout = "2s"
idle_timeout = "20s"
[origins.o]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "o"
"""

DATA, HEADERS, PRIORITY, RST, SETTINGS, PING, GOAWAY, UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALM = 11


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        Origin.asked += 1
        if self.path.startswith("/slow"):
            time.sleep(0.2)
        body = b"x" * (LARGE if "large" in self.path else 1024)
        kept = "max-age=600" if self.path.startswith("/kept") else "no-store"
        self.send_response(200)
        self.send_header("cache-control", kept)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def do_POST(self):
        Origin.asked += 1
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        self.send_response(200)
        self.send_header("cache-control", "no-store")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, *_):
        pass


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    value = value.encode()
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest, size = len(value) - 127, b"\x7f"
    while rest >= 128:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    return size + bytes([rest]) + value


def block(method, path, fields=()):
    names = [(":method", method), (":scheme", "http"), (":authority", "localhost"), (":path", path), *fields]
    return b"".join(b"\0" + text(name) + text(value) for name, value in names)


def get(stream, path, fields=()):
    return frame(HEADERS, 5, stream, block("GET", path, fields))


def post(stream, path, fields=()):
    return frame(HEADERS, 4, stream, block("POST", path, fields))


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def update(stream, more):
    return frame(UPDATE, 0, stream, struct.pack(">I", more))


def reset(stream):
    return frame(RST, 0, stream, struct.pack(">I", 8))


class Client:
    """One connection. Nothing is answered by itself."""

    def __init__(self, stand, begin=True, with_settings=(), narrow=False):
        self.socket = socket.socket()
        if narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", stand.port))
        if stand.is_tls:
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.unread, self.goaway, self.resets, self.ended, self.is_open = b"", None, 0, 0, True
        if begin:
            self.send(PREFACE + settings(*with_settings) + frame(SETTINGS, 1, 0))

    def send(self, data, wait_s=2):
        """False once the other side takes no more."""
        try:
            self.socket.settimeout(wait_s)
            self.socket.sendall(data)
            return self.is_open
        except (OSError, ssl.SSLError):
            self.is_open = False
            return False

    def read(self, wait_s):
        """Takes in what comes within a time; false at the end."""
        try:
            self.socket.settimeout(max(wait_s, 0.001))
            more = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            more = b""
        if not more:
            self.is_open = False
            return False
        self.unread += more
        while len(self.unread) >= 9:
            length = int.from_bytes(self.unread[:3], "big")
            if len(self.unread) < 9 + length:
                break
            kind, flags = self.unread[3], self.unread[4]
            payload, self.unread = self.unread[9 : 9 + length], self.unread[9 + length :]
            if kind == GOAWAY:
                self.goaway = int.from_bytes(payload[4:8], "big")
            self.resets += kind == RST
            self.ended += kind in (DATA, HEADERS) and flags & 1
        return True

    def is_gone(self, wait_s=WAIT_S):
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            if not self.read(until - time.monotonic()):
                return True
        return False

    def close(self):
        self.socket.close()


class Stand:
    """Copal before an origin, seen by one of its two listeners."""

    def __init__(self, folder, is_tls):
        self.is_tls, self.server = is_tls, Server(("127.0.0.1", 0), Origin)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        config = pathlib.Path(folder, "config.toml")
        config.write_text(CONFIG.format(folder=folder, origin=self.server.server_port))
        self.proxy = subprocess.Popen([COPAL, "run", "-c", str(config)], stdout=subprocess.PIPE, text=True)
        ports = [int(self.proxy.stdout.readline().rsplit(":", 1)[1]) for _ in range(2)]
        self.clear, self.port = ports[0], ports[is_tls]
        for path in ("/kept", "/kept-large"):
            self.hit(path)
        self.peak_kib, self.slowest_s, self.failed, self.watches = 0, 0.0, 0, True
        self.before_kib = self.rss_kib()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.proxy.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def established(self, ports):
        """How many of the clients at these ports Copal still has a connection of."""
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        ends = [(it.split()[1], it.split()[2], it.split()[3]) for it in lines]
        own = f":{self.port:04X}"
        return sum(
            local.endswith(own) and state == "01" and int(peer.split(":")[1], 16) in ports
            for local, peer, state in ends
        )

    def hit(self, path="/kept"):
        client = http.client.HTTPConnection("127.0.0.1", self.clear, timeout=10)
        client.request("GET", path)
        body = client.getresponse().read()
        client.close()
        return len(body)

    def watch(self):
        """The bystander, and the memory at its peak."""
        while self.watches:
            self.peak_kib = max(self.peak_kib, self.rss_kib())
            begin = time.monotonic()
            try:
                self.failed += self.hit() != 1024
            except OSError:
                self.failed += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
            time.sleep(0.05)

    def end(self):
        self.watches = False
        self.watcher.join()
        self.proxy.terminate()
        self.proxy.wait()
        self.server.shutdown()
        return (self.peak_kib - self.before_kib) / 1024


def flood(stand, make, clients=4, rounds=400, reads=True, batch=100):
    """The same again and again, by several at once. Whether all are gone, and with which codes."""
    all_of_them = [Client(stand) for _ in range(clients)]
    for client in all_of_them:
        client.send(post(1, "/upload"))
    for turn in range(rounds):
        going = [it for it in all_of_them if it.is_open]
        if not going:
            break
        for client in going:
            client.send(b"".join(make(turn * batch + number) for number in range(batch)))
            if reads:
                client.read(0.001)
    gone = all(it.is_gone() for it in all_of_them)
    codes = {it.goaway for it in all_of_them}
    [it.close() for it in all_of_them]
    return gone and (not reads or codes <= {CALM, None, 1}), f"gone {gone}, codes {codes}"


def flood_of(make, **more):
    return lambda stand: flood(stand, make, **more)


def paced_resets(stand):
    before, client, stream = Origin.asked, Client(stand), 1
    begin = time.monotonic()
    while client.is_open and time.monotonic() - begin < 15:
        streams = range(stream, stream + 40, 2)
        stream += 40
        client.send(b"".join(get(it, "/slow") for it in streams))
        time.sleep(0.005)
        client.send(b"".join(reset(it) for it in streams))
        client.read(0.001)
    asked = Origin.asked - before
    return not client.is_open and asked < 500, f"the origin saw {asked}"


def silent(*sent, settings_first=True):
    def attack(stand):
        clients = [Client(stand, begin=settings_first) for _ in range(200)]
        for client in clients:
            client.send(b"".join(sent))
        gone = sum(it.is_gone() for it in clients)
        return gone == len(clients), f"{gone} of {len(clients)} closed"

    return attack


def drip(stand):
    client = Client(stand)
    client.send(frame(HEADERS, 1, 1, block("GET", "/kept")))
    begin = time.monotonic()
    while client.is_open and time.monotonic() - begin < WAIT_S:
        client.send(frame(CONTINUATION, 0, 1, b""))
        client.read(0.25)
    return not client.is_open, f"after {time.monotonic() - begin:.1f} s"


def bomb(stand):
    large = "x" * 3967
    fields = block("GET", "/kept") + b"\x40\x01y\x7f\x80\x1e" + large.encode() + b"\xbe" * 10_000
    clients = [Client(stand) for _ in range(20)]
    for client in clients:
        client.send(frame(HEADERS, 5, 1, fields))
    gone = sum(it.is_gone() for it in clients)
    return gone == 20, f"{gone} of 20 gone"


def crumbs(stand):
    before, clients = Origin.asked, [Client(stand) for _ in range(20)]
    for client in clients:
        fields = block("GET", "/new", [("cookie", "a=b")] * 10_000)
        parts = [fields[at : at + 16_000] for at in range(0, len(fields), 16_000)]
        client.send(frame(HEADERS, 1, 1, parts[0]))
        for part in parts[1:]:
            client.send(frame(CONTINUATION, 4 * (part is parts[-1]), 1, part))
    gone = sum(it.is_gone() for it in clients)
    return gone == 20 and Origin.asked == before, f"{gone} of 20 gone"


def unread(path, windows, whole, narrow=False, clients=20):
    """Clients with 100 streams each that read nothing, or nothing of bodies. Of what is not stored each
    stream has an exchange with the origin, which costs its 20 KiB over HTTP/1 too: so there are fewer."""

    def attack(stand):
        opened = [Client(stand, with_settings=[(4, windows)], narrow=narrow) for _ in range(clients)]
        for client in opened:
            client.send(update(0, 2**30))
            client.send(b"".join(get(2 * it + 1, path) for it in range(100)))
        time.sleep(WAIT_S)
        if whole:
            gone = sum(it.is_gone(1) or it.resets > 0 for it in opened)
        else:
            # Nobody looks: who reads is no reader of nothing any more.
            until = time.monotonic() + 3 * WAIT_S
            ports = {it.socket.getsockname()[1] for it in opened}
            while time.monotonic() < until and stand.established(ports):
                time.sleep(0.2)
            gone = clients - stand.established(ports)
        [it.close() for it in opened]
        return gone == clients, f"{gone} of {clients} given up"

    return attack


def never_sent(stand):
    clients = [Client(stand) for _ in range(10)]
    for client in clients:
        client.send(b"".join(post(2 * it + 1, "/upload") for it in range(100)))
    until = time.monotonic() + 3 * WAIT_S
    while time.monotonic() < until and any(it.resets < 100 for it in clients):
        ready, _, _ = select.select([it.socket for it in clients], [], [], 1)
        [it.read(0.01) for it in clients if it.socket in ready or stand.is_tls]
    ended = sum(it.resets for it in clients)
    return ended == 1000, f"{ended} of 1000 streams ended"


def unread_uploads(stand):
    """As much as the windows have room for, in single bytes, for an origin that waits for more."""
    clients = [Client(stand) for _ in range(20)]
    for client in clients:
        client.send(b"".join(post(2 * it + 1, "/upload", [("content-length", "1000000")]) for it in range(20)))
        for stream in range(1, 41, 2):
            client.send(frame(DATA, 0, stream, b"x") * 3000)
        client.read(0.001)
    time.sleep(1)
    open_ones = sum(it.is_open for it in clients)
    [it.close() for it in clients]
    return open_ones == 20, f"{open_ones} of 20 go on"


def thousand(stand):
    client = Client(stand)
    client.send(update(0, 2**30))
    client.send(b"".join(get(2 * it + 1, "/slow") for it in range(1000)))
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and client.resets + client.ended < 1000:
        client.read(0.2)
    refused, answered = client.resets, client.ended
    return refused + answered >= 1000 and answered >= 100, f"{answered} answered, {refused} refused"


def reconnect(stand):
    begin, count = time.monotonic(), 0
    while time.monotonic() - begin < 5:
        client = Client(stand)
        client.send(get(1, "/kept"))
        client.close()
        count += 1
    return True, f"{count} connections"


def idle(stand):
    clients = [Client(stand) for _ in range(1000)]
    for client in clients:
        client.send(get(1, "/kept"))
    time.sleep(3)
    grown = (stand.rss_kib() - stand.before_kib) / 1000
    [it.close() for it in clients]
    return grown < (34 if stand.is_tls else 24), f"{grown:.1f} KiB each"


OPEN = frame(HEADERS, 1, 1, block("GET", "/kept"))
ATTACKS = {
    "rapid-reset": flood_of(lambda it: get(2 * it + 3, "/slow") + reset(2 * it + 3)),
    "paced-resets": paced_resets,
    "update-by-nothing": flood_of(lambda it: get(2 * it + 3, "/slow") + update(2 * it + 3, 0)),
    "update-too-large": flood_of(lambda it: get(2 * it + 3, "/slow") + update(2 * it + 3, 2**31 - 1)),
    "data-after-end": flood_of(lambda it: get(2 * it + 3, "/slow") + frame(DATA, 1, 2 * it + 3, b"x")),
    "more-than-length": flood_of(
        lambda it: post(2 * it + 3, "/slow", [("content-length", "1")]) + frame(DATA, 1, 2 * it + 3, b"xyz")
    ),
    "continuation-fields": flood_of(
        lambda it: (frame(HEADERS, 1, 3, block("GET", "/kept")) if it == 0 else b"")
        + frame(CONTINUATION, 0, 3, b"\0\1x" + text("y" * 500))
    ),
    "continuation-empty": flood_of(
        lambda it: (frame(HEADERS, 1, 3, block("GET", "/kept")) if it == 0 else b"") + frame(CONTINUATION, 0, 3)
    ),
    "continuation-drip": drip,
    "open-head": silent(OPEN),
    "half-a-preface": silent(PREFACE[:12], settings_first=False),
    "no-settings": silent(PREFACE, settings_first=False),
    "no-acknowledgement": silent(PREFACE + settings(), settings_first=False),
    "settings": flood_of(lambda it: settings()),
    "settings-unread": flood_of(lambda it: settings(), reads=False),
    "table-flips": flood_of(lambda it: settings((1, it % 2 * 4096))),
    "window-flips": flood_of(lambda it: settings((4, it % 2 * 65_535))),
    "pings": flood_of(lambda it: frame(PING, 0, 0, bytes(8))),
    "pings-unread": flood_of(lambda it: frame(PING, 0, 0, bytes(8)), reads=False),
    "window-updates": flood_of(lambda it: update(0, 1)),
    "priorities": flood_of(lambda it: frame(PRIORITY, 0, 2 * it + 3, bytes(5))),
    "unknown": flood_of(lambda it: frame(0x42, 0, 0, b"x")),
    "goaways": flood_of(lambda it: frame(GOAWAY, 0, 0, bytes(8))),
    "empty-data": flood_of(lambda it: frame(DATA, 0, 1)),
    "padding": flood_of(lambda it: frame(DATA, 8, 1, b"\xffx" + bytes(255))),
    "bomb": bomb,
    "crumbs": crumbs,
    "no-window-stored": unread("/kept-large", 0, True),
    "no-window-unstored": unread("/large", 0, True, clients=10),
    "stalled-socket-stored": unread("/kept-large", 2**31 - 1, False, narrow=True),
    "stalled-socket-unstored": unread("/large", 2**31 - 1, False, narrow=True, clients=10),
    "uploads-never-sent": never_sent,
    "uploads-unread": unread_uploads,
    "a-thousand-at-once": thousand,
    "reconnecting": reconnect,
    "idle": idle,
}


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    names = sys.argv[1:] or list(ATTACKS)
    with tempfile.TemporaryDirectory() as folder:
        pem, key = f"{folder}/a.pem", f"{folder}/a.key"
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*make.split(), "-keyout", key, "-out", pem], check=True, **quiet)
        for name in names:
            for is_tls in (False, True):
                stand = Stand(folder, is_tls)
                begin = time.monotonic()
                is_good, seen = ATTACKS[name](stand)
                took_s = time.monotonic() - begin
                grown = stand.end()
                is_good = is_good and grown <= MEMORY_MAX_MIB
                is_good = is_good and not stand.failed and stand.slowest_s < HIT_MAX_S
                how = "TLS" if is_tls else "h2c"
                bystander = f"bystander {stand.slowest_s * 1000:.0f} ms"
                expect(is_good, f"{name} {how}: {seen}; {grown:+.1f} MiB, {bystander}, {took_s:.1f} s")
    if FAILED:
        raise SystemExit(1)


main()
