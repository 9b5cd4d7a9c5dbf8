#!/usr/bin/env python3
"""What a newcomer waits for: the README's two commands in a fresh clone, with empty caches.

Usage: benches/first_evening.py

Clones this repository's HEAD into a temporary folder, with a cargo home of its own, so that all
crates are fetched and built. Tells when the demo showed its first hit, when it had ended, and when
the tests had. On a machine with nothing else to do, or the figures say little.
"""

import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIRST_HIT = "a hit: from memory"
WANTED = {"first hit": 120, "demo and tests": 240}


def run(clone, command, env, marks, began):
    """Runs a command of the README; notes when its first hit is seen."""
    process = subprocess.Popen(command, cwd=clone, env=env, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if FIRST_HIT in line:
            marks.setdefault("first hit", time.monotonic() - began)
    if process.wait() != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        clone, home = pathlib.Path(folder, "copal"), pathlib.Path(folder, "home")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        env = {key: value for key, value in os.environ.items() if key != "CARGO_TARGET_DIR"}
        env["CARGO_HOME"] = str(home)
        marks, began = {}, time.monotonic()
        run(clone, ["cargo", "run", "--", "demo", "--once"], env, marks, began)
        marks["demo"] = time.monotonic() - began
        run(clone, ["cargo", "test"], env, marks, began)
        marks["demo and tests"] = time.monotonic() - began
    for name, seconds in marks.items():
        wanted = f"   wanted: {WANTED[name]} s" if name in WANTED else ""
        print(f"{name:<16} {seconds:6.1f} s{wanted}")


if __name__ == "__main__":
    main()
