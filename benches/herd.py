#!/usr/bin/env python3
"""A herd on one cold URL: does one request reach the origin, and who gets how much when?

usage: herd.py [--clients N] [--bytes N] [--every-ms N] [--rounds N]

Starts Copal ($COPAL, or target/dist/copal) before an origin of its own. One client asks, and
once the origin has its request, all others ask the same. Then the origin sends the head, and after
a pause the body, byte by byte. Printed for each round, which has its own URL:

  origin requests   must be 1; the exit status is 1 otherwise, or when a client has not its all
  first byte        of the response of each follower, after the leader's: median, p99, worst
  last byte         likewise

Arrival times are the kernel's (SO_TIMESTAMPNS), so this program's slowness is not in them; that it
and the origin share the machine's processors with Copal is. Python's standard library only.
"""

import argparse
import contextlib
import os
import pathlib
import resource
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPAL = os.environ.get("COPAL", str(TARGET / "dist" / "copal"))

SO_TIMESTAMPNS = 35
# For the requests of all followers to have been read and to wait.
GATHER_S = 0.5
# Between head and body: the first bytes must be read before more come, for the kernel notes the
# time of the latest when it joins what waits in a socket.
PAUSE_S = 0.5
DEADLINE_S = 30


class Origin(threading.Thread):
    """Answers each request, from `go` on, with a body that comes byte by byte."""

    def __init__(self, length, every_s):
        super().__init__(daemon=True)
        self.length, self.every_s = length, every_s
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.requests = []
        self.arrived, self.go = threading.Event(), threading.Event()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError):
            while request := reader.readline():
                while reader.readline() not in (b"\r\n", b""):
                    pass
                self.requests.append(request)
                self.arrived.set()
                self.go.wait()
                self.drip(connection)

    def drip(self, connection):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {self.length}\r\nCache-Control: max-age=60\r\n\r\n"
        connection.sendall(head.encode())
        time.sleep(PAUSE_S)
        for _ in range(self.length):
            connection.sendall(b"x")
            time.sleep(self.every_s)


class Client:
    """One raw connection with one request, and the kernel's times of its answer."""

    def __init__(self, port, path):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: herd\r\n\r\n".encode())
        self.received = b""
        self.first = self.last = None

    def read(self, most):
        """Takes up to `most` bytes; gives whether there were any."""
        data, ancillary, _, _ = self.socket.recvmsg(most, 64)
        for level, kind, value in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = struct.unpack("qq", value[:16])
                self.last = seconds * 1000 + nanoseconds / 1e6
        self.first = self.first or self.last
        self.received += data
        return data != b""

    def finish(self, length):
        """Reads on to the end of the body; gives whether all of it came."""
        with contextlib.suppress(OSError):
            while not self.is_whole(length) and self.read(65536):
                pass
        self.socket.close()
        return self.is_whole(length)

    def is_whole(self, length):
        head, end, body = self.received.partition(b"\r\n\r\n")
        return end != b"" and head.startswith(b"HTTP/1.1 200 ") and body == b"x" * length


def await_first_bytes(clients):
    """Reads one byte of each as soon as it comes, and no more, so that the herd costs this program
    little while the body drips."""
    deadline = time.monotonic() + DEADLINE_S
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                with contextlib.suppress(OSError):
                    key.data.read(1)
                selector.unregister(key.fileobj)


def behind(clients, moment):
    """How far the followers are behind the leader, in words."""
    leader, *followers = (getattr(client, moment) for client in clients)
    late = sorted(time - leader for time in followers)
    p99 = late[int(len(late) * 0.99)]
    return f"median {statistics.median(late):6.2f} ms  p99 {p99:6.2f} ms  worst {late[-1]:6.2f} ms"


def herd(port, origin, path, count):
    """One round; gives whether all went well."""
    origin.requests.clear()
    origin.arrived.clear()
    origin.go.clear()
    clients = [Client(port, path)]
    if not origin.arrived.wait(DEADLINE_S):
        raise SystemExit("no request came to the origin")
    clients += [Client(port, path) for _ in range(count - 1)]
    time.sleep(GATHER_S)
    origin.go.set()
    await_first_bytes(clients)
    finished = [client.finish(origin.length) for client in clients]
    print(f"origin requests {len(origin.requests)}, finished {sum(finished)} of {count}")
    if not all(finished):
        return False
    print(f"  first byte  {behind(clients, 'first')}")
    print(f"  last byte   {behind(clients, 'last')}", flush=True)
    return len(origin.requests) == 1


@contextlib.contextmanager
def copal_before(origin):
    """The port of a Copal that fetches from `origin`."""
    command = [COPAL, "run", "--listen", "127.0.0.1:0", "--origin", origin.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit("copal does not start")
            yield int(line.rpartition(":")[2])
        finally:
            process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=100)
    parser.add_argument("--every-ms", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.clients < 2:
        parser.error("a herd has two clients at least")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    origin = Origin(options.bytes, options.every_ms / 1000)
    origin.start()
    with copal_before(origin) as port:
        rounds = [herd(port, origin, f"/{n}", options.clients) for n in range(options.rounds)]
    sys.exit(0 if all(rounds) else 1)


if __name__ == "__main__":
    main()
