#!/usr/bin/env python3
"""Copal before three servers under 200 clients: steady, one of them killed and back, flapping, reloads.

    python3 tests/outside/origins.py [SECONDS]

The clients ask on and on, for SECONDS (60) in all, for what no cache may keep. Not one request may
fail: there is always a server that can answer. Counts by second and server are printed.
"""

import asyncio
import collections
import contextlib
import itertools
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from stand import COPAL, Copal, check, wait_for

CLIENTS = 200
# Between the requests of one client.
PAUSE_SECONDS = 0.1
NAMES = ("one", "two", "three")

CONFIG = """
[[listen]]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
[origins.app]
servers = [{servers}]
balance = "round-robin"
slow_start = "{slow_start}s"
idle_max = {clients}
health = {{ kind = "tcp", interval = "300ms" }}
ejection = {{ base = "500ms" }}
[[site]]
hosts = ["*"]
origin = "app"
"""


class Origin(asyncio.Protocol):
    """A server that answers every GET with its name, run in a process of its own by `--serve`."""

    def __init__(self, name):
        head = "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
        self.answer = f"{head}Content-Length: {len(name)}\r\n\r\n{name}".encode()
        self.unread = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        *requests, self.unread = (self.unread + data).split(b"\r\n\r\n")
        self.transport.write(self.answer * len(requests))

    @staticmethod
    async def serve(port, name):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Origin(name), "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


class Server:
    """The process of an origin, and its port, which stays ours while nobody listens."""

    def __init__(self, name):
        self.name, self.process = name, None
        self.held = socket.socket()
        self.held.bind(("127.0.0.1", 0))
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = self.held.getsockname()[1]
        self.revive()
        wait_for(self.port)

    def revive(self):
        command = [sys.executable, __file__, "--serve", str(self.port), self.name]
        self.process = subprocess.Popen(command)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Balancer(Copal):
    """The binary before servers that a reload may change."""

    def __init__(self, servers, slow_start):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-origins-"))
        self.file, self.slow_start = self.folder / "config.toml", slow_start
        self.configure(servers)
        self.start([COPAL, "run", "-c", str(self.file)])

    def configure(self, servers):
        urls = ", ".join(f'"http://127.0.0.1:{it.port}"' for it in servers)
        values = {"servers": urls, "slow_start": self.slow_start, "clients": CLIENTS}
        self.file.write_text(CONFIG.format(**values))

    def reload(self, servers):
        self.configure(servers)
        url = f"http://127.0.0.1:{self.admin}/api/v1/reload"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):
            pass

    def total(self, name):
        """The sum of a family's samples."""
        url = f"http://127.0.0.1:{self.admin}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(it) for it in re.findall(rf"^{name}\{{.*\}} (\S+)$", text, re.MULTILINE))


class Crowd:
    """200 clients and what they got, by second and server."""

    def __init__(self, port):
        self.port, self.began = port, time.monotonic()
        self.seconds = collections.defaultdict(collections.Counter)
        self.failed, self.stopped = [], False
        self.clients = [asyncio.create_task(self.client(it)) for it in range(CLIENTS)]

    def now(self):
        return time.monotonic() - self.began

    async def client(self, number):
        """Asks first when all others do, so that each server has as many connections as it may need."""
        requests = itertools.count()
        while not self.stopped:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError as error:
                return self.fail("connect", repr(error))
            with contextlib.closing(writer):
                while await self.request(reader, writer, f"/{number}/{next(requests)}"):
                    await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE_SECONDS)

    async def request(self, reader, writer, path):
        """Whether another may follow on the same connection."""
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode().lower()
            length = int(re.search(r"\r\ncontent-length: (\d+)", head).group(1))
            body = (await reader.readexactly(length)).decode()
        except (OSError, EOFError, ValueError, AttributeError, asyncio.TimeoutError) as error:
            self.fail(path, repr(error))
            return False
        if not head.startswith("http/1.1 200") or body not in NAMES:
            self.fail(path, head.split("\r\n", 1)[0])
        else:
            self.seconds[int(self.now())][body] += 1
        return not self.stopped and "\r\nconnection: close" not in head

    def fail(self, path, why):
        self.failed.append(f"{self.now():.1f} s {path} {why}")

    async def until(self, second):
        await asyncio.sleep(max(0, second - self.now()))

    def share(self, name, first, last):
        """Of the answers from this second to that one, both included."""
        counts = [self.seconds[it] for it in range(first, last + 1)]
        return sum(it[name] for it in counts) / max(1, sum(it.total() for it in counts))

    def has_no_failure(self, what):
        answers = sum(it.total() for it in self.seconds.values())
        check(not self.failed, f"{what}: {answers} answers, failed: {self.failed[:3]}")

    async def end(self):
        self.stopped = True
        await asyncio.gather(*self.clients)

    def show(self):
        print("      second " + " ".join(f"{name:>6}" for name in NAMES))
        for second in range(int(self.now())):
            print(f"      {second:6} " + " ".join(f"{self.seconds[second][it]:6}" for it in NAMES))


async def steadily(crowd, copal, until):
    await crowd.until(2)
    names = [f"copal_origin_{it}_total" for it in ("requests", "reused", "connects")]
    before = [copal.total(it) for it in names]
    await crowd.until(until)
    requests, reused, connects = (copal.total(it) - was for it, was in zip(names, before))
    share = reused / max(1, requests)
    fact = share > 0.99 and connects < 0.01 * requests
    check(fact, f"under a steady load {100 * share:.2f} % of {requests:.0f} connections are reused")
    crowd.has_no_failure("steadily")


async def killed_and_restarted(crowd, server, slow_start, until):
    killed = int(crowd.now()) + 1
    await crowd.until(killed)
    server.kill()
    # The ramp and a while beyond it are seen whole before `until`.
    await crowd.until(until - slow_start - 5)
    gone = crowd.share(server.name, killed + 1, int(crowd.now()) - 1)
    check(gone == 0, f"{server.name} is killed at {killed} s and answers nobody")
    server.revive()
    while not crowd.seconds[int(crowd.now())][server.name]:
        await asyncio.sleep(0.01)
    back = int(crowd.now())
    await crowd.until(until)
    ramp = [crowd.share(server.name, it, it) for it in range(back, back + slow_start + 1)]
    told = " ".join(f"{100 * it:.0f}" for it in ramp)
    rises = ramp[0] < 0.15 and ramp[0] < ramp[len(ramp) // 2] < ramp[-1]
    check(rises, f"it is back at {back} s and begins slowly: {told} % by second")
    whole = crowd.share(server.name, back + slow_start + 1, until - 1)
    check(0.30 < whole < 0.36, f"and then has its share: {100 * whole:.1f} %")
    crowd.has_no_failure("killed and restarted")


async def flapping(crowd, server, until):
    times = 0
    while crowd.now() < until - 1:
        server.kill()
        await asyncio.sleep(0.4)
        server.revive()
        await asyncio.sleep(0.6)
        times += 1
    await crowd.until(until)
    crowd.has_no_failure(f"killed and restarted {times} times in a row")


async def reloading(crowd, copal, servers, until):
    loop, times = asyncio.get_running_loop(), 0
    while crowd.now() < until:
        listed = servers if times % 2 else servers[:2]
        await loop.run_in_executor(None, copal.reload, listed)
        await asyncio.sleep(0.2)
        times += 1
    crowd.has_no_failure(f"taken off the list and put back by {times} reloads")


async def story(copal, servers, seconds, slow_start):
    crowd = Crowd(copal.port)
    try:
        await steadily(crowd, copal, int(0.2 * seconds))
        await killed_and_restarted(crowd, servers[2], slow_start, int(0.7 * seconds))
        await flapping(crowd, servers[2], int(0.85 * seconds))
        await reloading(crowd, copal, servers, seconds)
        await crowd.end()
        crowd.has_no_failure("in all")
    finally:
        crowd.show()


def main(seconds):
    servers = [Server(name) for name in NAMES]
    slow_start = max(3, seconds // 8)
    copal = Balancer(servers, slow_start)
    try:
        asyncio.run(story(copal, servers, seconds, slow_start))
        check(copal.stop() == 0, "SIGTERM: the exit code is 0")
    finally:
        copal.process.kill()
        for it in servers:
            it.kill()
        shutil.rmtree(copal.folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(Origin.serve(int(sys.argv[2]), sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
