#!/usr/bin/env python3
"""Purges in a full cache: how long does the call take, and who else has to wait?

usage: purge.py [--objects N] [--hot N] [--clients N] [--seconds N]

Starts Copal ($COPAL, or target/dist/copal) before an origin of its own and fills it with small
objects of five tags: one that all have, some that a hundredth, a thousandth and a ten-thousandth of them
have, and one of its own. Printed is what the index of tags costs for an object. Then clients ask for a
few hot ones, each for the next as soon as it has one, in windows of some seconds: one without a purge,
and one each in the middle of which something is purged: a tag that a hundredth have, everything softly, a
tag that all have, and, filled again, everything. Printed for each window:

  call        how long the purge took, as its caller sees it, and what it answered
  hits        how many there were, and their times: median, p99, p99.9, worst
  others      what was no hit: the hot objects again, once each

and after the hard ones, how long it took until the memory had been given back. The clients are one
thread that shares the machine's processors with Copal, so compare the windows with each other.
Python's standard library only.
"""

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPAL = os.environ.get("COPAL", str(TARGET / "dist" / "copal"))

BODY = b"x" * 100
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: max-age=86400\r\n"
    b'ETag: "1"\r\nxkey: ' % len(BODY)
)
FILL_CLIENTS = 64
MEMORY = "6GiB"
HEAD_END = b"\r\n\r\n"


def answers(requests):
    """The same for all, but for the tags, which are by the number in the path."""
    for request in requests.split(HEAD_END)[:-1]:
        number = int(request[len(b"GET /"):request.index(b" HTTP")])
        tags = (number % 100, number % 1000, number % 10_000, number)
        yield b"%sall s%d k%d l%d p%d%s%s" % (HEAD, *tags, HEAD_END, BODY)


def serve(listener):
    """Answers whatever comes."""
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ)
                    continue
                with contextlib.suppress(OSError):
                    if data := key.fileobj.recv(65536):
                        key.fileobj.sendall(b"".join(answers(data)))
                        continue
                selector.unregister(key.fileobj)
                key.fileobj.close()


class Client:
    """One connection with one request under way."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began, self.received = 0.0, b""

    def ask(self, number):
        self.began, self.received = time.perf_counter(), b""
        self.socket.sendall(b"GET /%d HTTP/1.1\r\nHost: purge.test\r\n\r\n" % number)

    def read(self):
        """Takes what has come; gives whether that is all."""
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("copal has closed a connection")
        self.received += data
        return self.received.endswith(BODY)

    def is_hit(self):
        head = self.received.partition(HEAD_END)[0]
        return b"copal; hit" in head


def load(port, clients, numbers, until):
    """Asks for one number after the other; gives the times of hits, and how many others there were."""
    hits, others, numbers = [], 0, iter(numbers)
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            client = Client(port)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask(next(numbers))
        while selector.get_map():
            for key, _ in selector.select():
                client = key.data
                if not client.read():
                    continue
                now = time.perf_counter()
                if client.is_hit():
                    hits.append(now - client.began)
                else:
                    others += 1
                number = next(numbers, None) if now < until else None
                if number is None:
                    selector.unregister(client.socket)
                    client.socket.close()
                else:
                    client.ask(number)
    return hits, others


class Admin:
    """The admin listener of a running Copal."""

    def __init__(self, port):
        self.port = port

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.connect()
        began = time.perf_counter()
        connection.request(method, path, body)
        answer = connection.getresponse().read()
        took = time.perf_counter() - began
        connection.close()
        return json.loads(answer), took

    def store(self):
        return self.ask("GET", "/api/v1/status")[0]["store"]

    def purge(self, what):
        answer, took = self.ask("POST", "/api/v1/purge", json.dumps(what))
        print(f"  call    {took * 1000:8.2f} ms  {json.dumps(answer)}", flush=True)


def cycle(count):
    while True:
        yield from range(count)


def window(port, options, purge=None):
    """Load for some seconds, with a purge in the middle; gives the p99 of its hits."""
    timer = threading.Timer(options.seconds / 2, purge) if purge else None
    if timer:
        timer.start()
    until = time.perf_counter() + options.seconds
    hits, others = load(port, options.clients, cycle(options.hot), until)
    if timer:
        timer.join()
    hits.sort()
    at = lambda share: hits[min(int(len(hits) * share), len(hits) - 1)] * 1000
    print(
        f"  hits    {len(hits)}  median {at(0.5):.2f} ms  p99 {at(0.99):.2f} ms"
        f"  p99.9 {at(0.999):.2f} ms  worst {at(1):.2f} ms\n  others  {others}",
        flush=True,
    )
    return at(0.99)


def memory_bytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


@contextlib.contextmanager
def copal_before(origin_port):
    """The process, its port, and its admin listener's."""
    command = [COPAL, "run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    command += ["--memory", MEMORY, "--origin", f"http://127.0.0.1:{origin_port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ports = [process.stdout.readline().rpartition(":")[2] for _ in range(2)]
            if not all(ports):
                raise SystemExit("copal does not start")
            yield process, int(ports[0]), Admin(int(ports[1]))
        finally:
            process.kill()


def fill(port, options, process, admin):
    began = time.perf_counter()
    load(port, FILL_CLIENTS, range(options.objects), float("inf"))
    took, store = time.perf_counter() - began, admin.store()
    rss = memory_bytes(process)
    print(f"filled with {store['objects']} objects, {store['bytes'] >> 20} MiB, {rss >> 20} MiB")
    print(f"resident, in {took:.0f} s; {store['tags']} tags, whose index has "
          f"{store['tag_index_bytes'] / max(store['objects'], 1):.1f} bytes for an object")


def wait_for_memory(options, process, admin):
    purged_at = time.perf_counter() - options.seconds / 2
    much = options.objects * 100
    while admin.store()["bytes"] > much and time.perf_counter() < purged_at + 60:
        time.sleep(0.1)
    waited, left = time.perf_counter() - purged_at, admin.store()
    print(f"  memory  {left['objects']} objects, {left['bytes'] >> 20} MiB and "
          f"{memory_bytes(process) >> 20} MiB resident {waited:.1f} s after the call")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--hot", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    origin = multiprocessing.Process(target=serve, args=(listener,), daemon=True)
    origin.start()
    with copal_before(listener.getsockname()[1]) as (process, port, admin):
        fill(port, options, process, admin)
        print("without a purge")
        calm = window(port, options)
        print("hard purge of a tag that a hundredth have")
        some = window(port, options, lambda: admin.purge({"tags": ["s7"]}))
        print("soft purge of everything")
        soft = window(port, options, lambda: admin.purge({"all": True, "soft": True}))
        print("hard purge of a tag that all have")
        tag = window(port, options, lambda: admin.purge({"tags": ["all"]}))
        wait_for_memory(options, process, admin)
        fill(port, options, process, admin)
        print("hard purge of everything")
        hard = window(port, options, lambda: admin.purge({"all": True}))
        wait_for_memory(options, process, admin)
        print("p99 beside that without a purge: "
              f"tag {some / calm:.2f}, soft {soft / calm:.2f}, tag of all {tag / calm:.2f}, hard {hard / calm:.2f}")
    origin.kill()


if __name__ == "__main__":
    sys.exit(main())
