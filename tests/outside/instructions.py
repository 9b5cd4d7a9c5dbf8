#!/usr/bin/env python3
"""Instructions per request, counted by callgrind, beside the figures in benches/instructions.txt.

    python3 tests/outside/instructions.py [--bless]

Times differ from machine to machine and from run to run; counts of instructions hardly do. So this
is where a change shows that makes a hit, a 304, a pass or a miss dearer. It fails when a figure is
off by more than 3 %, up or down; with --bless it keeps what was found, for a change that means it.

One client asks for 1 KiB over one connection, one request after the other. The dist binary runs
under valgrind twice for each figure, with a few requests and with many more; the difference is what
these cost in user mode, without the start and the end. What moves by itself is held still: there is
one worker thread, jemalloc keeps what was freed, and neither client nor origin says a word before
all threads of the binary are asleep, so that each word wakes it anew. What is left are a few works
of the store's upkeep that fall into one run and not into the other: hence the many.
"""

import email.utils
import os
import pathlib
import re
import socket
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from stand import COPAL, ROOT, Copal

FIGURES = ROOT / "benches" / "instructions.txt"
TOLERANCE_PERCENT = 3
# In both runs; they fill the store and open a connection to the origin.
FEW = 500

ENVIRONMENT = {
    "COPAL_LOG": "warn",
    "TOKIO_WORKER_THREADS": "1",
    "_RJEM_MALLOC_CONF": "background_thread:false,dirty_decay_ms:-1,experimental_tcache_gc:false",
    # Valgrind counts each byte of `rep movsb` as an instruction: memcpy shall do without it.
    "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=100000000",
}

CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[origins.app]
servers = ["http://127.0.0.1:{port}"]
[[site]]
hosts = ["*"]
[[site.route]]
path = "/*"
origin = "app"
[[site.route]]
path = "/pass"
origin = "app"
cache = {{ enabled = false }}
"""

BODY = b"x" * 1024
TAG = '"6543-400"'


class Kind(NamedTuple):
    """What is asked for, how often beyond the few, and what the answer must say."""

    name: str
    many: int
    # `%` is another number in each request.
    path: str
    field: str
    status: int
    told: str


KINDS = (
    Kind("hit", 8000, "/kept", "", 200, "copal; hit"),
    Kind("304", 8000, "/kept", f"If-None-Match: {TAG}\r\n", 304, "copal; hit"),
    Kind("pass", 2000, "/pass", "", 200, "copal; fwd=bypass"),
    Kind("miss", 5000, "/kept/%", "", 200, "copal; fwd=uri-miss; stored"),
)


class Stream:
    """A connection, read by whole messages of HTTP/1.1."""

    def __init__(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.unread = connection, b""

    def head(self):
        """All of the next head, or nothing when the peer has gone."""
        while b"\r\n\r\n" not in self.unread:
            if not self.more():
                return b""
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        return head

    def skip(self, length):
        while len(self.unread) < length:
            if not self.more():
                raise SystemExit("copal has broken off")
        self.unread = self.unread[length:]

    def more(self):
        piece = self.connection.recv(65536)
        self.unread += piece
        return piece


class Origin:
    """A server that sends each answer in one piece, in a thread of its own."""

    def __init__(self):
        self.proxy = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = Stream(connection)
        while stream.head():
            self.proxy.rest()
            connection.sendall(self.answer())

    @staticmethod
    def answer():
        now = email.utils.formatdate(usegmt=True)
        lines = (
            "HTTP/1.1 200 OK",
            "Server: origin",
            f"Date: {now}",
            "Content-Type: text/plain",
            f"Content-Length: {len(BODY)}",
            "Last-Modified: Mon, 02 Jun 2025 10:00:00 GMT",
            f"ETag: {TAG}",
            "Cache-Control: max-age=3600",
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + BODY


class Counted(Copal):
    """The dist binary under callgrind, whose count is written when it ends."""

    def __init__(self, origin, folder):
        self.out, config = folder / "callgrind.out", folder / "config.toml"
        config.write_text(CONFIG.format(port=origin.port))
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={self.out}"]
        self.start([*valgrind, COPAL, "run", "-c", str(config)], env=os.environ | ENVIRONMENT)
        origin.proxy = self

    def rest(self):
        """Waits until each of its threads is asleep."""
        while not all(self.states()):
            time.sleep(0.0001)

    def states(self):
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            # The state stands behind the name, which is in brackets and may hold anything.
            yield (task / "stat").read_text().rpartition(")")[2].split()[0] == "S"

    def instructions(self):
        """From its beginning to its end, which this is."""
        if self.stop() != 0:
            raise SystemExit("copal did not end with 0")
        total = re.search(r"^totals: (\d+)$", self.out.read_text(), re.MULTILINE)
        return int(total.group(1))


def ask(copal, kind, count):
    """So many requests over one connection, each answered as it should be."""
    with socket.create_connection(("127.0.0.1", copal.port)) as connection:
        stream = Stream(connection)
        for number in range(count):
            path = kind.path.replace("%", str(number))
            request = f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n{kind.field}\r\n"
            copal.rest()
            connection.sendall(request.encode())
            head = stream.head().decode()
            if number > 0 and not is_as_told(head, kind):
                raise SystemExit(f"{kind.name}, request {number}: {head}")
            if " 304 " not in head.partition("\r\n")[0]:
                stream.skip(len(BODY))


def is_as_told(head, kind):
    told = f"cache-status: {kind.told}".lower()
    return head.startswith(f"HTTP/1.1 {kind.status} ") and told in head.lower()


def spent(origin, kind, count):
    """All instructions of a run with so many requests."""
    with tempfile.TemporaryDirectory(prefix="copal-instructions-") as folder:
        copal = Counted(origin, pathlib.Path(folder))
        try:
            ask(copal, kind, count)
            return copal.instructions()
        finally:
            copal.process.kill()


def measured():
    origin = Origin()
    figures = {}
    for kind in KINDS:
        few, all_ = (spent(origin, kind, count) for count in (FEW, FEW + kind.many))
        figures[kind.name] = round((all_ - few) / kind.many)
    return figures


def kept():
    lines = [line.split() for line in FIGURES.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in lines if line and line[0] != "#"}


def keep(figures):
    comments = [line for line in FIGURES.read_text().splitlines() if line.startswith("#")]
    lines = [f"{name} {count}" for name, count in figures.items()]
    FIGURES.write_text("\n".join([*comments, *lines]) + "\n")


def main():
    before, now = kept(), measured()
    off = []
    print(f"{'':6}{'kept':>9}{'found':>9}  change")
    for name, count in now.items():
        percent = 100 * (count / before[name] - 1) if name in before else 0
        print(f"{name:6}{before.get(name, 0):9,}{count:9,}  {percent:+.1f} %")
        if name not in before or abs(percent) > TOLERANCE_PERCENT:
            off.append(name)
    if "--bless" in sys.argv[1:]:
        keep(now)
    elif off:
        raise SystemExit(
            f"{', '.join(off)}: off by more than {TOLERANCE_PERCENT} %. If that is meant, keep it with "
            "--bless and say why in the commit."
        )


if __name__ == "__main__":
    main()
