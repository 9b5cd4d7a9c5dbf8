#!/usr/bin/env python3
"""What operators are given, as the programs that read it see it: promtool has no complaint about
/metrics, the stanza of docs/operations.md, packaging/alerts.yml and the expressions of
packaging/grafana.json, and systemd none about the unit in packaging/."""

import http.client
import json
import pathlib
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stand import COPAL, ROOT, check, free_port, wait_for

OPEN_METRICS = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.2"

# All that has metrics of its own: a limit, a breaker, a name, a TCP listener, a server that is down.
CONFIG = """
[[listen]]
address = "127.0.0.1:{port}"
[[listen]]
address = "127.0.0.1:{tcp}"
protocol = "tcp"
origin = "dead"
[admin]
address = "127.0.0.1:{admin}"
[[limit]]
name = "all"
rate = "1000/s"
[origins.app]
servers = ["http://localhost:{origin}"]
breaker = {{ errors = 0.5 }}
[origins.dead]
servers = ["tcp://127.0.0.1:9"]
[[site]]
hosts = ["a.test"]
origin = "app"
limit = ["all"]
"""


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Cache-Control", "max-age=60")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


def get(port, path, **fields):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=fields)
    response = connection.getresponse()
    return response, response.read()


def promtool(text):
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    return ran.returncode, (ran.stdout + ran.stderr).decode()


def metrics():
    origin = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    port, tcp, admin = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="copal-operations-") as folder:
        file = pathlib.Path(folder) / "config.toml"
        ports = {"port": port, "tcp": tcp, "admin": admin, "origin": origin.server_port}
        file.write_text(CONFIG.format(**ports))
        copal = subprocess.Popen([COPAL, "run", "-c", str(file)], stderr=subprocess.DEVNULL)
        try:
            wait_for(admin)
            for _ in range(3):
                get(port, "/a", Host="a.test")
            response, text = get(admin, "/metrics")
            check(response.getheader("Content-Type").startswith("text/plain; version=0.0.4"), "Prometheus's text")
            code, said = promtool(text)
            check(code == 0 and not said.strip(), f"promtool has no complaint: {said.strip() or 'none'}")
            response, text = get(admin, "/metrics", Accept=OPEN_METRICS)
            kind = response.getheader("Content-Type")
            check(kind.startswith("application/openmetrics-text"), f"OpenMetrics on request: {kind}")
            check(text.endswith(b"# EOF\n"), "which ends as it must")
        finally:
            copal.terminate()
            copal.wait(timeout=60)


def promtool_takes(what, text, *arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text)
        file.flush()
        ran = subprocess.run(["promtool", "check", *arguments, file.name], capture_output=True, text=True)
        check(ran.returncode == 0, f"promtool takes {what}: {(ran.stdout + ran.stderr).strip()}")


def stanza():
    """As the page has it: what is changed there is what is tested."""
    page = (ROOT / "docs" / "operations.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```yaml\n")[1:]]
    found = [block for block in blocks if block.startswith("scrape_configs:")]
    check(len(found) == 1, "the page has one stanza for Prometheus")
    promtool_takes("it", found[0], "config", "--syntax-only")


def expressions(panels):
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from expressions(panel.get("panels", []))


def rules():
    """Those of the dashboard as rules too, since these are what promtool reads."""
    promtool_takes("the alerts", (ROOT / "packaging" / "alerts.yml").read_text(), "rules")
    dashboard = json.loads((ROOT / "packaging" / "grafana.json").read_text())
    found = list(expressions(dashboard["panels"]))
    check(len(found) > 30, f"the dashboard asks for {len(found)} figures")
    filled = [it.replace("$__rate_interval", "5m").replace("$instance", ".*") for it in found]
    check(not any("$" in it for it in filled), "all its variables are known")
    recorded = [{"record": f"copal:panel:{at}", "expr": it} for at, it in enumerate(filled)]
    # JSON is YAML.
    promtool_takes("them", json.dumps({"groups": [{"name": "copal", "rules": recorded}]}), "rules")


def unit():
    """With this binary in place of the installed one, which systemd would miss."""
    text = (ROOT / "packaging" / "copal.service").read_text().replace("/usr/bin/copal", COPAL)
    with tempfile.TemporaryDirectory(prefix="copal-unit-") as folder:
        file = pathlib.Path(folder) / "copal.service"
        file.write_text(text)
        ran = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True)
        said = (ran.stdout + ran.stderr).strip()
        ours = [line for line in said.splitlines() if "copal" in line]
        check(not ours, f"systemd has no complaint about the unit: {ours or 'none'}")
        security = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(file)]
        ran = subprocess.run(security, capture_output=True, text=True)
        rated = (ran.stdout.strip().splitlines() or [ran.stderr.strip()])[-1]
        check(ran.returncode == 0, f"and little is exposed: {rated}")


if __name__ == "__main__":
    metrics()
    stanza()
    rules()
    unit()
