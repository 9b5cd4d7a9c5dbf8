#!/usr/bin/env python3
"""Copal with the recipes of docs/recipes.md before real programs, one after the other.

Run as `python3 tests/outside/sites.py [NAME …]`; each site is a file of its own.
"""

import signal
import sys
import time

import site_django
import site_events
import site_mirrors
import site_registry
import site_wordpress
from stand import FAILED, expect

SITES = {
    "wordpress": site_wordpress,
    "django": site_django,
    "events": site_events,
    "mirrors": site_mirrors,
    "registry": site_registry,
}


def main(names):
    if not (site_django.VENV / "gunicorn").exists():
        raise SystemExit("tests/outside/install.sh has to be run first")
    # So that what was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name in names or SITES:
        began = time.monotonic()
        print(f"-- {name}", flush=True)
        try:
            SITES[name].run()
        except (Exception, SystemExit) as error:
            expect(False, f"{name} is told to its end: {error!r}")
        print(f"-- {name}: {time.monotonic() - began:.0f} s", flush=True)
    if FAILED:
        print(f"{len(FAILED)} failed:", *FAILED, sep="\n  ")
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
