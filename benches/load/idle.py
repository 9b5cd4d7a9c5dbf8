"""Opens keep-alive connections to a server, sends one request on each, and holds them.

usage: idle.py PORT PATH CONNECTIONS. Prints a line once all have been answered and SETTLE_S have
passed; ends when its standard input does. Python's standard library only.
"""

import resource
import socket
import sys
import time

SETTLE_S = 3


def ask(port, path):
    """One connection that has had its response, whole."""
    client = socket.create_connection(("127.0.0.1", port), 5)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    with client.makefile("rb") as reader:
        status = reader.readline()
        length = 0
        for line in iter(reader.readline, b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        whole = status.split()[1] == b"200" and len(reader.read(length)) == length
    if not whole:
        raise SystemExit(f"not answered: {status!r}")
    return client


def main():
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = [ask(port, path) for _ in range(count)]
    time.sleep(SETTLE_S)
    print(len(held), flush=True)
    sys.stdin.read()


main()
