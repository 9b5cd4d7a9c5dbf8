#!/usr/bin/env python3
"""`copal tcp` before a real redis-server and a real PostgreSQL, 1 GiB both ways at once, and a
thousand connections."""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from stand import COPAL, check, free_port, wait_for

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CONNECTIONS = 1000


class Tunnel:
    """The dist binary before these servers, `host:port` each."""

    def __init__(self, *servers):
        command = [COPAL, "tcp", "127.0.0.1:0", *servers]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening tcp "):
            raise SystemExit(f"copal did not start: {line!r}")
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=60)


class Redis:
    """A server that keeps nothing on disk."""

    def __init__(self):
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="copal-redis-")
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", self.folder]
        command += ["--maxclients", str(2 * CONNECTIONS), "--loglevel", "warning"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Postgres:
    """A cluster of its own, in whose database `postgres` everybody is trusted."""

    def __init__(self):
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="copal-postgres-")
        # It does not run as root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.folder, self.user)
        # Debian has versions side by side, and none of them on the path.
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        data = f"{self.folder}/data"
        init = [f"{programs}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
        options = {"user": self.user, "cwd": self.folder, "stdout": subprocess.DEVNULL}
        subprocess.run(init, check=True, **options)
        command = [f"{programs}/postgres", "-D", data, "-p", str(self.port), "-k", self.folder]
        command += ["-h", "127.0.0.1", "-F", "-c", "log_min_messages=panic"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        wait_for(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def say(client, *words):
    """One command and its reply, as redis writes them on the wire."""
    parts = [f"${len(word)}\r\n".encode() + word + b"\r\n" for word in words]
    client.sendall(f"*{len(words)}\r\n".encode() + b"".join(parts))
    reader = client.makefile("rb")
    line = reader.readline()
    if not line.startswith(b"$"):
        return line.strip()
    return reader.read(int(line[1:]) + 2)[:-2]


def a_session(tunnel):
    value = os.urandom(3 * MIB)
    with tunnel.connect() as client:
        replies = [say(client, b"PING"), say(client, b"SET", b"key", value)]
        same = say(client, b"GET", b"key") == value
        client.shutdown(socket.SHUT_WR)
        ended = client.recv(1) == b""
    check(replies == [b"+PONG", b"+OK"] and same and ended, "a redis session: PING, SET, GET, end")


def a_benchmark(tunnel):
    command = ["redis-benchmark", "-p", str(tunnel.port), "-c", "50", "-n", "50000", "--csv"]
    done = subprocess.run([*command, "-t", "set,get"], capture_output=True, text=True, timeout=120)
    rates = [line.split(",")[:2] for line in done.stdout.splitlines() if "ET" in line]
    good = done.returncode == 0 and len(rates) == 2 and "rror" not in done.stderr
    check(good, f"redis-benchmark over 50 connections, requests/s: {rates}")


def a_thousand_connections(tunnel):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(tunnel.connect()) for _ in range(CONNECTIONS)]
        for client in clients:
            client.sendall(b"*1\r\n$4\r\nPING\r\n")
        good = sum(client.recv(7) == b"+PONG\r\n" for client in clients)
        listed = say(clients[0], b"CLIENT", b"LIST").count(b"\n")
    check(good == CONNECTIONS, f"{good} of {CONNECTIONS} connections at once were answered")
    check(listed == CONNECTIONS, f"redis sees {listed} of them")


def ask_postgres(tunnel, program, *arguments):
    """What a client program of PostgreSQL says that comes in through the tunnel."""
    command = [program, "-h", "127.0.0.1", "-p", str(tunnel.port), "-U", "postgres", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def a_database(tunnel):
    table = "create table t as select n, md5(n::text) from generate_series(1, 100000) n"
    # Both ways: out as text, and what came out in again.
    script = [table, "create table u (like t)", "\\copy t to 't.csv'", "\\copy u from 't.csv'"]
    script.append("select count(*) from t join u using (n, md5)")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        words = [word for line in script for word in ("-c", line)]
        done = ask_postgres(tunnel, "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "postgres", *words)
    same = done.stdout.split()[-1:] == ["100000"]
    check(same, f"psql: 100,000 rows go out, in and are the same {done.stderr.strip()}")


def a_benchmark_of_transactions(tunnel):
    ask_postgres(tunnel, "pgbench", "-iq", "postgres")
    # With `-C` each transaction has a connection of its own.
    for name, flags in (("kept", []), ("new", ["-C"])):
        count = ["-c", "20", "-j", "2", "-t", "50", *flags, "postgres"]
        done = ask_postgres(tunnel, "pgbench", "-n", *count)
        rate = re.search(r"tps = (\S+)", done.stdout)
        good = done.returncode == 0 and "processed: 1000/1000" in done.stdout
        what = f"pgbench: 1,000 transactions of 20 clients over {name} connections"
        check(good, f"{what}, {rate and rate.group(1)} a second {done.stderr.strip()[-200:]}")


def send_all(end, seed, sums):
    """1 GiB whose MiBs each begin with their number, then the end of this half."""
    digest, block = hashlib.sha256(), hashlib.sha256(seed).digest() * (MIB // 32)
    for number in range(GIB // MIB):
        piece = number.to_bytes(8, "big") + block[8:]
        digest.update(piece)
        end.sendall(piece)
    end.shutdown(socket.SHUT_WR)
    sums[seed] = digest.hexdigest()


def take_all(end, name, sums):
    digest, piece = hashlib.sha256(), bytearray(MIB)
    while count := end.recv_into(piece):
        digest.update(memoryview(piece)[:count])
    sums[name] = digest.hexdigest()


def a_gigabyte_each_way():
    with socket.create_server(("127.0.0.1", 0)) as server:
        tunnel = Tunnel(f"127.0.0.1:{server.getsockname()[1]}")
        try:
            near = tunnel.connect()
            far, _ = server.accept()
            far.settimeout(60)
            sums = {}
            jobs = [(send_all, near, b"up"), (send_all, far, b"down")]
            jobs += [(take_all, far, "up"), (take_all, near, "down")]
            threads = [threading.Thread(target=it[0], args=(*it[1:], sums)) for it in jobs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            same = len(sums) == 4 and sums[b"up"] == sums["up"] and sums[b"down"] == sums["down"]
            check(same, "1 GiB each way at once arrives as it was sent")
            near.close()
            far.close()
        finally:
            code = tunnel.stop()
    check(code == 0, "and the exit code is 0")


def before_redis():
    redis = Redis()
    tunnel = Tunnel(f"127.0.0.1:{redis.port}")
    try:
        a_session(tunnel)
        a_benchmark(tunnel)
        a_thousand_connections(tunnel)
        check(tunnel.stop() == 0, "SIGTERM: the exit code is 0")
    finally:
        tunnel.process.kill()
        redis.stop()


def before_postgres():
    postgres = Postgres()
    tunnel = Tunnel(f"127.0.0.1:{postgres.port}")
    try:
        a_database(tunnel)
        a_benchmark_of_transactions(tunnel)
        check(tunnel.stop() == 0, "SIGTERM: the exit code is 0")
    finally:
        tunnel.process.kill()
        postgres.stop()


def main():
    a_gigabyte_each_way()
    before_redis()
    before_postgres()


if __name__ == "__main__":
    main()
