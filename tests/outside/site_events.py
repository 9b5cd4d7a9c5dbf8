"""Server-sent events: one by one, each client its own, never kept, and ended when the client goes."""

import concurrent.futures
import http.client
import pathlib
import subprocess
import time

from event_server import PAUSE_SECONDS, SAYS
from recipes import running
from site_django import VENV
from stand import expect, free_port, wait_for
from visitor import Visitor

# How long a stream may outlive its client.
GONE_SECONDS = 10
HERE = pathlib.Path(__file__).resolve().parent


class Events:
    """An EventSource before a path: the next event with the time it took to come."""

    def __init__(self, port, path, name, **fields):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        fields = {"Accept": "text/event-stream", "X-Name": name, **fields}
        self.connection.request("GET", path, headers=fields)
        self.response = self.connection.getresponse()
        self.how = self.response.headers.get("cache-status", "no Cache-Status")

    def next(self):
        """Name, number and seconds on the way of the next event."""
        while not (line := self.response.readline()).startswith(b"data:"):
            if not line:
                raise SystemExit("the stream has ended")
        name, number, sent = line.decode().split()[1:]
        return name, int(number), time.time() - float(sent)

    def close(self):
        # The response holds the socket.
        self.response.close()
        self.connection.close()


class Gunicorn:
    """The application that tells events, with a thread for each stream."""

    def __init__(self):
        self.port = free_port()
        command = [VENV / "gunicorn", "-b", f"127.0.0.1:{self.port}", "--threads", "40"]
        command += ["--log-level", "error", "--chdir", str(HERE), "event_server:application"]
        self.process = subprocess.Popen(command)
        wait_for(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run():
    with running("Event streams", Gunicorn()) as copal:
        for path in SAYS:
            one_by_one(copal, path)
            two_at_once(copal, path)
        a_herd(copal)
        reconnect(copal)
        gone(copal)


def one_by_one(copal, path):
    events = Events(copal.port, path, "ada")
    told = [events.next() for _ in range(5)]
    events.close()
    slowest = max(it[2] for it in told)
    good = [it[:2] for it in told] == [("ada", n) for n in range(5)]
    # All five at once would make the first one wait for four pauses.
    expect(
        good and slowest < 2 * PAUSE_SECONDS,
        f"{path}: one by one, within {1000 * slowest:.0f} ms: {events.how}",
    )
    expect("stored" not in events.how and "hit" not in events.how, f"{path}: it is not kept")


def two_at_once(copal, path):
    first = Events(copal.port, f"{path}?two", "bea")
    first.next()
    second = Events(copal.port, f"{path}?two", "cyd")
    told = [(first.next()[0], *second.next()[:2]) for _ in range(3)]
    good = told == [("bea", "cyd", n) for n in range(3)]
    expect(good, f"{path}: a second client has its own, from the start: {second.how}")
    for it in (first, second):
        it.close()


def a_herd(copal):
    """Eight at once on a cold URL, for whom one fetch might have been shared."""

    def follow(name):
        began = time.monotonic()
        events = Events(copal.port, "/silent?herd", name)
        told = [events.next() for _ in range(2)]
        events.close()
        return [it[:2] for it in told] == [(name, 0), (name, 1)], time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(follow, [f"herd{n}" for n in range(8)]))
    expect(
        all(it[0] for it in ends),
        f"8 at once have their own, within {max(it[1] for it in ends):.1f} s",
    )


def reconnect(copal):
    events = Events(copal.port, "/no-cache", "dot", **{"Last-Event-ID": "41"})
    expect(events.next()[1] == 42, f"a client that comes again goes on where it was: {events.how}")
    events.close()


def gone(copal):
    """The server sees that its client has gone: a stream that nobody reads is not read to its end."""
    for path in SAYS:
        name = f"eve{path}"
        events = Events(copal.port, f"{path}?gone", name)
        events.next()
        there = name in streams(copal)
        events.close()
        began = time.monotonic()
        while name in streams(copal) and time.monotonic() - began < GONE_SECONDS:
            time.sleep(0.1)
        took = time.monotonic() - began
        expect(
            there and took < GONE_SECONDS,
            f"{path}: {took:.1f} s after the client goes, so does the stream",
        )


def streams(copal):
    return Visitor(copal.port).get("/open").text.split()
