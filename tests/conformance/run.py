#!/usr/bin/env python3
"""Copal before http-cache-tests, the public suite of what RFC 9111 asks of a cache, as a ratchet.

    run.py [--bless | --https] [BINARY]

Each profile has a file of results beside this one, a line for each test: its id, its kind, its
result. A required or optimal test that passes there and not here fails the run. What passes here
and not there is told, and `--bless` writes the files anew. The suite comes from npm into a
temporary folder. Its tests for browsers and for Surrogate-Control are left out. With `--https` its
client speaks TLS with Copal, and the results have to be the same.

Some failures are meant to stay, as this edition is older than RFC 9111: a cache ignores an invalid
Age (§5.1, `age-parse-*`), updates Content-MD5 from a 304 (§3.2), and does not update from a 304
with another strong ETag (§4.3.4). `stale-close-*` wants an answer from a server that hangs up.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "outside"))

from stand import TARGET, free_port, wait_for  # noqa: E402

SUITE = "http-cache-tests@0.4.5"
PROFILES = ("rfc", "cautious")
# More lost tests than this are no accident, and are not run again.
RETRIES_MAX = 10
# The whole suite takes half a minute; its client has no timeout of its own.
SECONDS_MAX = 300

CONFIG = """
profile = "{profile}"
[log]
level = "warn"
[[listen]]
address = "127.0.0.1:0"
{tls}
[origins.suite]
servers = ["http://127.0.0.1:{origin}"]
[[site]]
hosts = ["*"]
origin = "suite"
"""

TLS = """
tls = true
[[certificate]]
chain = "{folder}/it.pem"
key = "{folder}/it.key"
"""

KINDS = """
import suites from './tests/index.mjs'
const tests = suites.flatMap(suite => suite.tests).filter(test => !test.browser_only)
const kinds = tests.map(test => [test.id, test.kind || 'required'])
console.log(JSON.stringify(Object.fromEntries(kinds)))
"""

# The signs that the client prints for one test; any other is a failure of its preparation.
SIGNS = {"✅": "pass", "⛔": "fail", "⚠": "fail"}


class Suite:
    """The package in `folder`, its client of this scheme, and its origin server."""

    def __init__(self, folder, scheme):
        self.scheme = scheme
        npm = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run([*npm, "--silent", "--prefix", folder, SUITE], check=True)
        self.folder = pathlib.Path(folder, "node_modules", "http-cache-tests")
        self.kinds = json.loads(self._node("--input-type=module", "--eval", KINDS))

    def _node(self, *arguments, **variables):
        return subprocess.run(
            ["node", "--no-warnings", *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            timeout=SECONDS_MAX,
        ).stdout

    def _client(self, port, test=""):
        base = {"npm_config_base": f"{self.scheme}://127.0.0.1:{port}"}
        # The certificate is its own authority.
        unverified = {"NODE_TLS_REJECT_UNAUTHORIZED": "0"} if self.scheme == "https" else {}
        return self._node("cli.mjs", **base, **unverified, npm_package_config_id=test)

    @contextlib.contextmanager
    def origin(self):
        port = free_port()
        variables = {"protocol": "http", "port": str(port), "pidfile": "server.pid"}
        environment = {f"npm_config_{name}": value for name, value in variables.items()}
        process = subprocess.Popen(
            ["node", "server/server.mjs"],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
        )
        with stopped(process):
            wait_for(port)
            yield port

    def run_all(self, port):
        """The result of each test, by its id."""
        answers = json.loads(self._client(port))
        return {test: result(kind, answers.get(test)) for test, kind in self.kinds.items()}

    def run_one(self, port, test):
        """The result of one required or optimal test."""
        last = self._client(port, test).strip().splitlines()[-1]
        return SIGNS.get(last[:1], "setup")


def result(kind, answer):
    """A test's answer is true, or the kind of its failure and a message."""
    if answer is None:
        return "missing"
    if answer is not True and answer[0] == "Setup":
        return "setup"
    good, bad = ("yes", "no") if kind == "check" else ("pass", "fail")
    return good if answer is True else bad


@contextlib.contextmanager
def stopped(process):
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def certify(folder):
    """What a listener needs to speak TLS."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=it", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", f"{folder}/it.key", "-out", f"{folder}/it.pem"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return TLS.format(folder=folder)


@contextlib.contextmanager
def copal(binary, profile, scheme, origin, folder):
    config = pathlib.Path(folder, f"{profile}.toml")
    tls = certify(folder) if scheme == "https" else ""
    config.write_text(CONFIG.format(profile=profile, origin=origin, tls=tls))
    command = [binary, "run", "-c", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with stopped(process):
        line = process.stdout.readline()
        if not line.startswith("listening "):
            raise SystemExit(f"copal did not start: {line!r}")
        yield int(line.rsplit(":", 1)[1])


def read(file):
    if not file.exists():
        return {}
    lines = (line.split() for line in file.read_text().splitlines())
    return {test: result for test, _kind, result in lines}


def write(file, kinds, results):
    lines = (f"{test} {kinds[test]} {results[test]}\n" for test in sorted(results))
    file.write_text("".join(lines))


def lost(expected, results):
    was_good = (test for test, was in expected.items() if was == "pass")
    return [test for test in was_good if results.get(test) != "pass"]


def run_again(suite, port, expected, results):
    """Runs each lost test once more, and says so if it passes then."""
    again = [test for test in lost(expected, results) if test in results]
    for test in again if len(again) <= RETRIES_MAX else []:
        first, results[test] = results[test], suite.run_one(port, test)
        if results[test] == "pass":
            print(f"flaky {test}: {first} at first, pass when run again")


def score(kinds, results, kind):
    of_kind = [results[test] for test in results if kinds[test] == kind]
    return f"{kind} {of_kind.count('pass')}/{len(of_kind)}"


def compare(suite, profile, expected, results):
    """Tells what differs from `expected`. True when nothing was lost."""
    gone = lost(expected, results)
    for test in gone:
        kind = suite.kinds.get(test, "not in the suite")
        print(f"LOST  {test} ({kind}): was pass, is {results.get(test)}")
    for test in sorted(results):
        was, now = expected.get(test), results[test]
        if was != now and test not in gone:
            print(f"{'new  ' if now == 'pass' else 'note '} {test}: was {was}, is {now}")
    if results != expected:
        print("other results than before: run.py --bless keeps them")
    scores = ", ".join(score(suite.kinds, results, kind) for kind in ("required", "optimal"))
    print(f"{profile} over {suite.scheme}: {scores}", flush=True)
    return not gone


def judge(suite, profile, binary, origin, folder, bless):
    file = HERE / f"{profile}.txt"
    expected = read(file)
    with copal(binary, profile, suite.scheme, origin, folder) as port:
        results = suite.run_all(port)
        run_again(suite, port, expected, results)
    good = compare(suite, profile, expected, results)
    if bless:
        write(file, suite.kinds, results)
    return good or bless


def binary_of(named):
    built = (str(TARGET / profile / "copal") for profile in ("dist", "release", "debug"))
    for path in named or built:
        if os.access(path, os.X_OK):
            return path
    raise SystemExit("no copal binary: build one, or name it")


def main():
    flags = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    if flags not in ([], ["--bless"], ["--https"]):
        raise SystemExit(__doc__)
    binary = binary_of([argument for argument in sys.argv[1:] if argument not in flags])
    with tempfile.TemporaryDirectory(prefix="copal-conformance-") as folder:
        suite = Suite(folder, "https" if "--https" in flags else "http")
        bless = "--bless" in flags
        with suite.origin() as origin:
            judged = [judge(suite, it, binary, origin, folder, bless) for it in PROFILES]
    sys.exit(0 if all(judged) else 1)


if __name__ == "__main__":
    main()
