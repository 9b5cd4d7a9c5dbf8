#!/usr/bin/env python3
"""Copal under load: a thousand connections, a slow reader of 1 GiB, and SIGTERM amid it all."""

import re
import socket
import subprocess
import threading
import time

from stand import Copal, Nginx, check

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SECONDS = 30


def wrk(port, connections, seconds, path):
    url = f"http://127.0.0.1:{port}{path}"
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def a_thousand_connections(copal):
    out = wrk(copal.port, 1000, SECONDS, "/1k")
    rate = re.search(r"Requests/sec:\s+(\S+)", out).group(1)
    clean = "Socket errors" not in out and "Non-2xx" not in out
    check(clean, f"1,000 connections for {SECONDS} s, {rate} requests/s, no error")


def a_slow_reader_costs_no_memory(copal):
    before = copal.rss_bytes()
    with socket.create_connection(("127.0.0.1", copal.port)) as client:
        client.sendall(b"GET /private/1g HTTP/1.1\r\nHost: a\r\n\r\n")
        read, most = 0, 0
        end = time.monotonic() + 3
        while time.monotonic() < end:
            read += len(client.recv(64 * KIB))
            most = max(most, copal.rss_bytes() - before)
            time.sleep(0.002)
    check(read > MIB, f"read {read // MIB} MiB of 1 GiB slowly")
    check(most < 2 * MIB, f"resident memory grew by {most // KIB} KiB at most")


class Counted(threading.Thread):
    """Requests over one kept connection, a new one where the proxy says so, until refused."""

    def __init__(self, port):
        super().__init__()
        self.port, self.good, self.failed = port, 0, []

    def run(self):
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", self.port), 5)
            except ConnectionRefusedError:
                return
            except OSError as error:
                # A connection that was never accepted has no request to lose.
                if not isinstance(error, ConnectionResetError):
                    self.failed.append(repr(error))
                return
            with client:
                if not self.requests(client):
                    return

    def requests(self, client):
        reader = client.makefile("rb")
        while True:
            try:
                client.sendall(b"GET /private/1k HTTP/1.1\r\nHost: a\r\n\r\n")
                head = reader.readline()
                fields = {}
                while (line := reader.readline()) not in (b"\r\n", b""):
                    name, value = line.decode().split(":", 1)
                    fields[name.lower()] = value.strip()
                body = reader.read(int(fields["content-length"]))
            except (OSError, KeyError) as error:
                self.failed.append(repr(error))
                return False
            if not head.startswith(b"HTTP/1.1 200") or len(body) != KIB:
                self.failed.append(repr(head))
                return False
            self.good += 1
            if fields.get("connection") == "close":
                return True


def sigterm_under_load(copal):
    clients = [Counted(copal.port) for _ in range(50)]
    for client in clients:
        client.start()
    time.sleep(1)
    code = copal.stop()
    for client in clients:
        client.join()
    failed = [it for client in clients for it in client.failed]
    good = sum(client.good for client in clients)
    check(good > 0 and not failed, f"SIGTERM under load: {good} good, failed: {failed[:3]}")
    check(code == 0, "and the exit code is 0")


def main():
    origin = Nginx({"1k": KIB, "1g": GIB})
    copal = Copal(origin)
    try:
        a_thousand_connections(copal)
        a_slow_reader_costs_no_memory(copal)
        sigterm_under_load(copal)
    finally:
        copal.process.kill()
        origin.stop()


if __name__ == "__main__":
    main()
