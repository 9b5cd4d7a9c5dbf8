"""A Copal run with a recipe of docs/recipes.md, so that what the page says is what is tested.

Of a recipe only the addresses are changed: those of one Copal and one server.
"""

import contextlib
import pathlib
import re
import shutil
import tempfile

from stand import COPAL, ROOT, Copal, expect, free_port

RECIPES = ROOT / "docs" / "recipes.md"
ADMIN = '\n[admin]\naddress = "127.0.0.1:0"\n'


def fenced(heading, language="toml"):
    """The first block in a language under a heading."""
    for section in re.split(r"^## ", RECIPES.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        block = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if title == heading and block:
            return block.group(1)
    raise SystemExit(f"docs/recipes.md has no {language} under {heading}")


def localised(recipe, port, server_port):
    """The recipe with addresses of ours."""
    recipe, found = re.subn(r"127\.0\.0\.1:8080\b", f"127.0.0.1:{port}", recipe)
    if not found:
        raise SystemExit("a recipe does not name Copal's address as 127.0.0.1:8080")
    return re.sub(r"127\.0\.0\.1:(8000|5000)\b", f"127.0.0.1:{server_port}", recipe)


class Site(Copal):
    """The dist binary with a recipe, on a port of ours before a server on this machine."""

    def __init__(self, heading, server_port, port):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-site-"))
        file = self.folder / "config.toml"
        file.write_text(localised(fenced(heading), port, server_port) + ADMIN)
        self.start([COPAL, "run", "-c", str(file)])

    def close(self):
        if process := getattr(self, "process", None):
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running(heading, origin, port=None):
    """Copal with a recipe before an origin; both are gone afterwards, however the story ends."""
    try:
        copal = Site(heading, origin.port, port or free_port())
        try:
            yield copal
            expect(copal.stop() == 0, "copal ends with 0")
        finally:
            copal.close()
    finally:
        origin.stop()
