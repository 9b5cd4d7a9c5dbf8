#!/usr/bin/env python3
"""What TLS costs Copal beside hitch and nginx, in one run: processor time of the server, user and system
with all its processes, for a full handshake, and for a 1 KiB hit over connections that are kept.

usage: benches/tls.py [SECONDS [ROUNDS]], by default 4 and 3. COPAL=PATH is the binary; target/dist/copal
if not given.

Needs openssl, nginx, wrk, hitch, all of Debian. All have the same certificate (ECDSA, P-256), two workers, and
clients that offer X25519. The clients of handshakes are `openssl s_time`, which closes as soon as it has one
and resumes nothing; hitch has a server behind it, with which it connects for each. A hit with hitch is one
of Copal's in clear behind it, both counted. The servers take turns in each round; of the rounds the least
is told, and by how much the most was above it.
"""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPAL = os.environ.get("COPAL", str(TARGET / "dist" / "copal"))
CLIENTS = 3
CONNECTIONS = 64
TICKS = os.sysconf("SC_CLK_TCK")
# Who is compared with whom, and how dear Copal may be beside it.
WANTED = {"handshake TLS 1.3": ("hitch", 1.2), "handshake TLS 1.2": ("hitch", 1.2), "hit 1 KiB": ("nginx", 1.0)}

NGINX = """
user root; daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
    proxy_cache_path {folder}/cache keys_zone=it:10m inactive=1h;
    server {{
        listen 127.0.0.1:{origin} backlog=4096;
        location / {{ add_header Cache-Control "max-age=3600"; return 200 "{body}"; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {folder}/it.pem; ssl_certificate_key {folder}/it.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ proxy_cache it; proxy_pass http://127.0.0.1:{origin}; }}
    }}
}}
"""

COPAL_CONFIG = """
[log]
level = "warn"
[[listen]]
address = "127.0.0.1:{port}"
tls = true
[[listen]]
address = "127.0.0.1:{plain}"
[[certificate]]
chain = "{folder}/it.pem"
key = "{folder}/it.key"
[origins.o]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "o"
"""


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Server:
    """A process, and those that it has begun."""

    def __init__(self, port, command):
        self.port = port
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([str(it) for it in command], **quiet)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"does not start: {' '.join(map(str, command))}")

    def cpu_seconds(self):
        """Of all of them, so far."""
        ticks, own = 0, {self.process.pid}
        for stat in sorted(pathlib.Path("/proc").glob("[0-9]*/stat"), key=lambda it: int(it.parent.name)):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            number = int(stat.parent.name)
            if number in own or int(fields[1]) in own:
                own.add(number)
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def stop(self):
        self.process.terminate()
        self.process.wait()


def certify(folder):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", f"{folder}/it.key", "-out", f"{folder}/it.pem"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    both = (folder / "it.key").read_text() + (folder / "it.pem").read_text()
    (folder / "both.pem").write_text(both)


def start(folder, servers):
    """Copal, nginx and hitch, by name."""
    ports = {name: free_port() for name in ("copal", "plain", "nginx", "origin", "hitch")}
    given = {"folder": folder, "origin": ports["origin"], "plain": ports["plain"], "body": "x" * 1024}
    (folder / "nginx.conf").write_text(NGINX.format(port=ports["nginx"], **given))
    (folder / "copal.toml").write_text(COPAL_CONFIG.format(port=ports["copal"], **given))
    nginx = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    # As root it refuses to run.
    hitch = ["hitch", *(["--user=nobody"] if os.geteuid() == 0 else []), "--workers=2", "--backlog=4096"]
    hitch += [f"--frontend=[127.0.0.1]:{ports['hitch']}", f"--backend=[127.0.0.1]:{ports['plain']}"]
    hitch += ["--tls-protos=TLSv1.2 TLSv1.3", folder / "both.pem"]
    servers["nginx"] = Server(ports["nginx"], nginx)
    servers["copal"] = Server(ports["copal"], [COPAL, "run", "-c", folder / "copal.toml"])
    servers["hitch"] = Server(ports["hitch"], hitch)


def handshakes(version):
    def run(port, seconds):
        command = ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", version]
        command += ["-time", str(seconds)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        clients = [subprocess.Popen(command, **pipes) for _ in range(CLIENTS)]
        said = [client.communicate()[0] for client in clients]
        return sum(int(re.search(r"(\d+) connections in \d+ real", it).group(1)) for it in said)

    return run


def hits(port, seconds):
    url = f"https://127.0.0.1:{port}/1k"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(said)
    return int(re.search(r"(\d+) requests in", said).group(1))


WORKLOADS = {
    "handshake TLS 1.3": handshakes("-tls1_3"),
    "handshake TLS 1.2": handshakes("-tls1_2"),
    "hit 1 KiB": hits,
}


def measure(servers, name, workload, seconds):
    """Microseconds for each, and how many a second."""
    counted = [servers[name]]
    if name == "hitch" and workload is hits:
        counted.append(servers["copal"])
    before = sum(it.cpu_seconds() for it in counted)
    done = workload(servers[name].port, seconds)
    # What is still to be done for those that have just ended.
    time.sleep(0.2)
    return (sum(it.cpu_seconds() for it in counted) - before) / done * 1e6, done / seconds


def table(found):
    print("| Workload | Server | A second | CPU µs | Worst | Copal beside it |")
    print("|---|---|--:|--:|--:|--:|")
    good = True
    for workload, (beside, limit) in WANTED.items():
        least = {name: min(it) for (of, name), it in found.items() if of == workload}
        for name, (cpu, rate) in least.items():
            worst = max(found[workload, name])[0] / cpu - 1
            ratio = least["copal"][0] / cpu
            said = "" if name == "copal" else f"{ratio:.2f}"
            if name == beside:
                good &= ratio <= limit
                said += f" (wanted ≤ {limit})"
            print(f"| {workload} | {name} | {rate:,.0f} | {cpu:.1f} | +{worst:.0%} | {said} |")
    return good


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-tls-", dir="/dev/shm"))
    servers, found = {}, {}
    try:
        certify(folder)
        start(folder, servers)
        for _ in range(rounds):
            for workload, run in WORKLOADS.items():
                for name in servers:
                    figures = measure(servers, name, run, seconds)
                    found.setdefault((workload, name), []).append(figures)
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(folder)
    sys.exit(0 if table(found) else 1)


if __name__ == "__main__":
    main()
