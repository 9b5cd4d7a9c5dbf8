#!/usr/bin/env python3
"""The packages, as packaging/release.sh makes them of the binary that is here: what a Debian machine would
get, and that it runs from where it lies, by the configuration that is installed with it."""

import os
import pathlib
import subprocess
import tarfile
import tempfile
import urllib.request

from stand import COPAL, ROOT, TARGET, check, free_port, wait_for

FILES = """
./usr/bin/copal
./etc/copal/config.toml
./etc/logrotate.d/copal
./usr/share/bash-completion/completions/copal
./usr/share/zsh/vendor-completions/_copal
./usr/share/fish/vendor_completions.d/copal.fish
./usr/share/doc/copal/examples/alerts.yml
./usr/share/doc/copal/examples/grafana.json
./usr/share/doc/copal/examples/config.toml.example
./usr/share/man/man1/copal.1.gz
./usr/share/man/man1/copal-purge.1.gz
""".split()


def run(*command, **options):
    done = subprocess.run([str(it) for it in command], capture_output=True, text=True, **options)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:])
    check(done.returncode == 0, " ".join(str(it) for it in command)[:90])
    return done.stdout


def made():
    """The Debian package and the tarball."""
    tools = f"{TARGET / 'outside-venv' / 'bin'}:{os.environ['PATH']}"
    run(ROOT / "packaging" / "release.sh", "--try", env={**os.environ, "COPAL": COPAL, "PATH": tools})
    out = ROOT / "target" / "packaging" / "out"
    run("sha256sum", "--check", "--quiet", "SHA256SUMS", cwd=out)
    return next(out.glob("*.deb")), next(out.glob("*.tar.gz"))


def inspect(package):
    contents = run("dpkg-deb", "--contents", package)
    held = {line.split()[5]: line for line in contents.splitlines()}
    missing = [it for it in FILES if it not in held]
    check(not missing, f"it has what it should: {missing or 'all'}")
    units = [it for it in held if it.endswith("/systemd/system/copal.service")]
    check(len(units) == 1, f"and the unit: {units}")
    foreign = [line for line in held.values() if " root/root " not in line and " 0/0 " not in line]
    check(not foreign, f"all of it is root's: {foreign or 'yes'}")
    depends = run("dpkg-deb", "--field", package, "Depends")
    check("adduser" in depends and "libc6" in depends, f"it depends on {depends.strip()}")


def scripts(package, folder):
    run("dpkg-deb", "--control", package, folder)
    conffiles = (folder / "conffiles").read_text().split()
    check("/etc/copal/config.toml" in conffiles, f"an upgrade asks before it changes {conffiles}")
    for name in ["postinst", "prerm", "postrm"]:
        run("sh", "-n", folder / name)
        text = (folder / name).read_text()
        check("#DEBHELPER#" not in text, f"{name} is whole")
    check("copal.service" in (folder / "postinst").read_text(), "the service is enabled and started")


def runs(package, folder):
    run("dpkg-deb", "--extract", package, folder)
    copal = folder / "usr" / "bin" / "copal"
    config, port, admin = folder / "etc" / "copal" / "config.toml", free_port(), free_port()
    text = config.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:9180", f"127.0.0.1:{admin}").replace("/var/log/copal", str(folder))
    config.write_text(text)
    run(copal, "check", "--strict", config)
    process = subprocess.Popen([copal, "run", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(admin)
        for url, told in [(f"{port}/", b"Copal is here"), (f"{admin}/dashboard", b"<title>Copal")]:
            with urllib.request.urlopen(f"http://127.0.0.1:{url}", timeout=10) as answer:
                check(told in answer.read(), f"it answers at {url}")
    finally:
        process.terminate()
        check(process.wait(timeout=60) == 0, "and ends well")


def tarball(path):
    with tarfile.open(path) as tar:
        names = {it.name.split("/", 1)[-1] for it in tar.getmembers()}
        owners = {(it.uid, it.gid) for it in tar.getmembers()}
    wanted = ["copal", "README.md", "LICENSE-MIT", "packaging/copal.service", "man/copal.1", "completions/_copal"]
    missing = [it for it in wanted if it not in names]
    check(not missing and owners == {(0, 0)}, f"the tarball has what it should: {missing or 'all'}")


def main():
    package, archive = made()
    inspect(package)
    with tempfile.TemporaryDirectory(prefix="copal-package-") as folder:
        folder = pathlib.Path(folder)
        scripts(package, folder / "control")
        runs(package, folder / "root")
    tarball(archive)


if __name__ == "__main__":
    main()
