"""Mirrors of packages: apt and pip fetch through Copal, and twice without asking twice."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import zipfile

from recipes import running
from site_django import VENV
from stand import expect, free_port, wait_for
from visitor import Visitor

DEB_BYTES, WHEEL_BYTES = 3_000_000, 2_000_000

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        default_type application/octet-stream;
        types {{ text/html html; }}
        index index.html;
    }}
}}
"""


class Mirror:
    """nginx with a Debian archive and an index of Python packages, each with one package made here."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-mirror-"))
        os.chmod(self.folder, 0o755)
        self.files, self.port = self.folder / "files", free_port()
        self.publish("1.0")
        self._index()
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, port=self.port))
        self.process = subprocess.Popen(["nginx", "-p", str(self.folder), "-c", str(conf)])
        wait_for(self.port)

    def publish(self, version):
        """A release of the archive that has the package in this version."""
        tree, pool = self.folder / "tree", self.files / "pool"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        pool.mkdir(parents=True, exist_ok=True)
        control = f"Package: tale\nVersion: {version}\nArchitecture: all\n"
        control += "Maintainer: Ada <ada@example.com>\nDescription: a tale\n"
        (tree / "DEBIAN" / "control").write_text(control)
        (tree / "noise").write_bytes(os.urandom(DEB_BYTES))
        deb = pool / f"tale_{version}_all.deb"
        subprocess.run(
            ["dpkg-deb", "-Znone", "-b", tree, deb], check=True, stdout=subprocess.DEVNULL
        )
        self.deb_sum = hashlib.sha256(deb.read_bytes()).hexdigest()
        lists = self.files / "dists" / "stable" / "main" / "binary-all"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / "Packages").write_text(self._apt_ftparchive("packages", "pool"))
        options = ["Suite=stable", "Codename=stable", "Components=main", "Architectures=all"]
        options = [it for option in options for it in ("-o", f"APT::FTPArchive::Release::{option}")]
        (self.files / "dists" / "stable" / "Release").unlink(missing_ok=True)
        release = self._apt_ftparchive(*options, "release", "dists/stable")
        (self.files / "dists" / "stable" / "Release").write_text(release)

    def _apt_ftparchive(self, *arguments):
        command = ["apt-ftparchive", *arguments]
        return subprocess.run(
            command, cwd=self.files, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def _index(self):
        simple = self.files / "simple" / "tale"
        simple.mkdir(parents=True)
        (self.files / "packages").mkdir()
        wheel, name = self.files / "packages" / "tale-1.0-py3-none-any.whl", "tale-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("tale.bin", os.urandom(WHEEL_BYTES))
            file.writestr(f"{name}/METADATA", "Metadata-Version: 2.1\nName: tale\nVersion: 1.0\n")
            file.writestr(
                f"{name}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            file.writestr(f"{name}/RECORD", "")
        self.wheel_sum = hashlib.sha256(wheel.read_bytes()).hexdigest()
        link = f'<a href="/packages/{wheel.name}#sha256={self.wheel_sum}">{wheel.name}</a>'
        (simple / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")

    def sent(self):
        """The path of each request so far that was answered with a body of a file."""
        # A request is in the log a moment after its answer.
        time.sleep(0.1)
        lines = (self.folder / "access.log").read_text().splitlines()
        parts = [line.split('"') for line in lines]
        return [it[1].split()[1] for it in parts if it[2].split()[0] in ("200", "206")]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


class Apt:
    """apt on a machine that has never been asked for anything, by its own folders."""

    def __init__(self, port):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="copal-apt-"))
        for name in ("state/lists/partial", "cache/archives/partial", "etc/trusted.gpg.d", "parts"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "status").touch()
        sources = self.folder / "sources.list"
        sources.write_text(f"deb [trusted=yes arch=all] http://127.0.0.1:{port} stable main\n")
        options = {
            "Dir::State": "state",
            "Dir::State::status": "status",
            "Dir::Cache": "cache",
            "Dir::Etc::sourcelist": "sources.list",
            "Dir::Etc::sourceparts": "parts",
            "Dir::Etc::parts": "parts",
            "Dir::Etc::main": "none",
            "Dir::Etc::preferencesparts": "parts",
        }
        self.options = [f"-o{key}={self.folder / value}" for key, value in options.items()]
        self.options += [
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
            "-oAcquire::Retries=0",
        ]
        self.options += ["-oAcquire::http::Proxy=DIRECT", "-oAPT::Architecture=amd64"]

    def run(self, *arguments):
        command = ["apt-get", "-q", *self.options, *arguments]
        environment = {key: value for key, value in os.environ.items() if key != "http_proxy"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def sum(self, version):
        deb = self.folder / f"tale_{version}_all.deb"
        return hashlib.sha256(deb.read_bytes()).hexdigest() if deb.exists() else None


@contextlib.contextmanager
def machine(port):
    apt = Apt(port)
    try:
        yield apt
    finally:
        shutil.rmtree(apt.folder)


def run():
    origin = Mirror()
    with running("Mirrors of packages", origin) as copal:
        apt(origin, copal)
        apt_resumes(origin, copal)
        pip(origin, copal)
        ranges_and_conditions(copal)
        a_new_release(origin, copal)


def apt(origin, copal):
    for turn in ("first", "second"):
        before = len(origin.sent())
        with machine(copal.port) as it:
            code, text = it.run("update")
            expect(code == 0 and "Err:" not in text, f"apt-get update, the {turn} machine")
            code, text = it.run("download", "tale")
            good = code == 0 and it.sum("1.0") == origin.deb_sum
            expect(good, f"apt-get download, the {turn} machine: {DEB_BYTES} bytes, whole")
            sent = origin.sent()[before:]
            if turn == "first":
                expect(sent, f"the server sent it in {len(sent)} answers")
                continue
            expect(not sent, f"the server sent nothing again: {sent}")
            code, text = it.run("update")
            expect(
                code == 0 and "Hit:" in text, "apt-get update again is told that nothing has changed"
            )


def apt_resumes(origin, copal):
    """A download that was cut is taken up by Range with If-Range."""
    deb = origin.files / "pool" / "tale_1.0_all.deb"
    with machine(copal.port) as it:
        it.run("update")
        before = len(origin.sent())
        partial = it.folder / "cache" / "archives" / "partial" / deb.name
        partial.write_bytes(deb.read_bytes()[:1_000_000])
        stamp = deb.stat().st_mtime
        os.utime(partial, (stamp, stamp))
        code, text = it.run("-y", "--download-only", "install", "tale:all")
        whole = it.folder / "cache" / "archives" / deb.name
        good = code == 0 and hashlib.sha256(whole.read_bytes()).hexdigest() == origin.deb_sum
        expect(good, "apt-get goes on where a download was cut")
        expect(len(origin.sent()) == before, "from the cache")


def pip(origin, copal):
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith(("PIP_", "HTTP"))
    }
    index = ["--index-url", f"http://127.0.0.1:{copal.port}/simple/", "--disable-pip-version-check"]
    for turn, more in (("first", []), ("second", []), ("third", ["--use-feature=fast-deps"])):
        with tempfile.TemporaryDirectory(prefix="copal-pip-") as folder:
            before = len(origin.sent())
            command = [VENV / "pip", "--isolated", "-q", "download", "--no-cache-dir", *index]
            done = subprocess.run(
                [*command, *more, "-d", folder, "tale"],
                env=environment,
                capture_output=True,
                text=True,
            )
            wheels = list(pathlib.Path(folder).glob("*.whl"))
            good = wheels and hashlib.sha256(wheels[0].read_bytes()).hexdigest() == origin.wheel_sum
            expect(done.returncode == 0 and good, f"pip download, the {turn} time: {' '.join(more)}")
            sent = origin.sent()[before:]
            if turn != "first":
                expect(not sent, f"the server sent nothing again: {sent}")


def ranges_and_conditions(copal):
    visitor, path = Visitor(copal.port), "/packages/tale-1.0-py3-none-any.whl"
    whole = visitor.get(path)
    for wanted, slice_ in (
        ("bytes=0-99", slice(0, 100)),
        ("bytes=-100", slice(-100, None)),
        ("bytes=500-", slice(500, None)),
    ):
        answer = visitor.ask("GET", path, fields={"Range": wanted})
        good = answer.status == 206 and answer.body == whole.body[slice_]
        expect(good, f"{wanted}: {answer}")
    answer = visitor.ask("GET", path, fields={"Range": "bytes=0-99", "If-Range": '"another"'})
    expect(
        answer.status == 200 and answer.body == whole.body,
        f"If-Range of another file: {answer.status}",
    )
    answer = visitor.ask("GET", path, fields={"Range": "bytes=99999999-"})
    expect(answer.status == 416, f"a range beyond the end: {answer.status}")
    for name, field in (("If-Modified-Since", "last-modified"), ("If-None-Match", "etag")):
        answer = visitor.ask("GET", path, fields={name: whole.fields[field]})
        expect(answer.status == 304 and answer.hit, f"{name}: {answer}")
    answer = visitor.ask("HEAD", path)
    good = answer.hit and int(answer.fields["content-length"]) == len(whole.body)
    expect(good, f"HEAD: {answer}")


def a_new_release(origin, copal):
    origin.publish("1.1")
    with machine(copal.port) as it:
        code, _ = it.run("update")
        more, _ = it.run("download", "tale")
        good = code == 0 and more == 0 and it.sum("1.1") == origin.deb_sum
        expect(good, "a new release of the archive is there at once")
