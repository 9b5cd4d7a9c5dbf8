#!/usr/bin/env python3
"""TLS of clients as other programs see it: curl, Chrome by curl_cffi, headless Chromium, openssl, a
ClientHello of our own, and sslyze.

usage: tls.py [--testssl]: with testssl.sh as well (Debian testssl.sh), which takes some minutes.
"""

import base64
import hashlib
import re
import socket
import sys

from stand import FAILED, check, expect
from tls_hello import GOOD, WEAK_GROUPS, WEAK_SIGNATURES, WEAK_SUITES, answer, client_hello
from tls_scanners import by_sslyze, by_testssl
from tls_stand import NAME, P256, VENV, Stand, run

POST_QUANTUM = "X25519MLKEM768"
# RFC 8446 §6: handshake_failure, protocol_version.
REFUSED, OLD = "alert 40", "alert 70"

CHROME = """
import sys
from curl_cffi import requests
url, ca = sys.argv[1:]
answer = requests.get(url, impersonate="chrome", verify=ca)
print(answer.status_code, answer.http_version)
"""


def curl(stand):
    told = "%{http_code} %{http_version} %{ssl_verify_result}"
    for option, version in (("--http1.1", "1.1"), ("--http2", "2")):
        options = (option, "-o", "/dev/null", "-w", told)
        said = {stand.curl(*options, path=f"/curl{version}") for _ in range(2)}
        line = stand.logged(f"/curl{version}")
        hit = line.get("outcome") == "hit" and line.get("tls_version") == "TLSv1.3"
        expect(said == {f"200 {version} 0"} and hit, f"curl speaks HTTP/{version}, and hits: {said}")
    fields = stand.curl("--http2", "-D", "-", "-o", "/dev/null")
    expect(f"strict-transport-security: max-age={365 * 86400}" in fields, "curl is told of HSTS")


def chrome(stand):
    """The ClientHello of Chrome, byte for byte, by a library that copies it."""
    url = f"https://localhost:{stand.port}/chrome"
    said = run([VENV / "python", "-c", CHROME, url, stand.ca])
    line = stand.logged("/chrome")
    expect(said.startswith("200 ") and line.get("protocol") == "HTTP/2.0", f"Chrome's ClientHello: {said!r}")
    expect(line.get("tls_group") == POST_QUANTUM, f"… agrees on {line.get('tls_group')}, as the log says")
    expect(line.get("sni") == "localhost", f"… for the name {line.get('sni')}")


def public_key_hash(file):
    key = run(["openssl", "x509", "-in", file, "-noout", "-pubkey"])
    der = base64.b64decode("".join(key.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def chromium(stand):
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += [f"--user-data-dir={stand.folder}/chromium", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    known = public_key_hash(stand.folder / "certs" / "a.pem")
    command += [f"--ignore-certificate-errors-spki-list={known}", "--virtual-time-budget=5000"]
    shown = run([*command, "--dump-dom", f"https://{NAME}:{stand.port}/chromium"])
    told = re.search(r"told: ([^<]*)", shown)
    told = told.group(1) if told else shown[-300:]
    expect(told.startswith("/chromium h2, /told.js h2"), f"Chromium has page and script: {told}")
    group = stand.logged("/chromium").get("tls_group")
    expect(group == POST_QUANTUM, f"… after agreeing on {group}")


def names(stand):
    def shown(name, *options):
        told = stand.openssl(*options, name=name)
        subject = re.search(r"subject=CN = (\S+)", told)
        key = re.search(r"Server public key is \d+ bit", told)
        return (subject and subject.group(1), "EC" if key and " 256 " in key.group() else "RSA")

    old = ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256")
    expect(shown(NAME) == (NAME, "EC"), "its name has its certificate, ECDSA before RSA")
    expect(shown(NAME, *old) == (NAME, "RSA"), "who cannot check ECDSA has RSA")
    expect(shown("a.wild.test") == ("wild.test", "EC"), "a wildcard is for the names under it")
    expect(shown("a.b.wild.test") == (NAME, "EC"), "… of one label, else the default is shown")
    expect(shown("other.test") == (NAME, "EC"), "the default is shown for a name that is nobody's")


def resumption(stand):
    """With tickets of both versions and with a session's id, before and after a reload that brings a
    new certificate."""
    kinds = {"TLS 1.3 ticket": ["-tls1_3"], "TLS 1.2 ticket": ["-tls1_2"]}
    kinds["TLS 1.2 session"] = ["-tls1_2", "-no_ticket"]
    files = {kind: stand.folder / f"session{at}" for at, kind in enumerate(kinds)}

    def resumed(kind):
        return "Reused, TLSv1" in stand.openssl(*kinds[kind], "-sess_in", files[kind])

    for kind, options in kinds.items():
        first = stand.openssl(*options, "-sess_out", files[kind])
        fresh = "New, TLSv1" in first and "200 OK" in first
        expect(fresh and resumed(kind), f"{kind}: resumed")
    before = serial(stand)
    stand.certify("a", P256, NAME, f"DNS:{NAME},DNS:localhost,IP:127.0.0.1")
    stand.reload("730d")
    expect(serial(stand) != before, "SIGHUP brings a new certificate")
    for kind in kinds:
        expect(resumed(kind), f"{kind}: resumed after the reload")


def serial(stand):
    told = stand.openssl()
    pem = told[told.index("-----BEGIN") : told.index("-----END")] + "-----END CERTIFICATE-----\n"
    return run(["openssl", "x509", "-noout", "-serial"], input=pem)


def versions(stand):
    for option in ("-tls1", "-tls1_1"):
        told = stand.openssl(option, "-cipher", "ALL:@SECLEVEL=0")
        refused = " alert " in told and "Cipher is (NONE)" in told
        expect(refused, f"openssl {option}: {' '.join(re.findall(r'alert [a-z ]+', told)[:1])}")
    for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        told = stand.openssl(option)
        good = f"New, {version}" in told and "Verify return code: 0 (ok)" in told and "200 OK" in told
        expect(good, f"openssl {option}: an answer, and a chain that it can check")
    for name, version in (("SSL 3.0", 0x0300), ("TLS 1.0", 0x0301), ("TLS 1.1", 0x0302)):
        said = answer(stand.port, client_hello(NAME, version=version))
        expect(said == OLD, f"{name} with all that is good otherwise: {said}")


def weak(stand):
    """The same ClientHello with something good in it is answered, so it is the weak that is refused."""
    everything = tuple(it for suites in WEAK_SUITES.values() for it in suites)
    good = answer(stand.port, client_hello(NAME, everything + GOOD))
    expect(good == f"hello {GOOD[0]:#06x}", f"of all suites the one that is safe: {good}")
    for kind, suites in WEAK_SUITES.items():
        said = answer(stand.port, client_hello(NAME, suites))
        expect(said == REFUSED, f"{len(suites)} suites, {kind}: {said}")
    said = answer(stand.port, client_hello(NAME, groups=WEAK_GROUPS))
    expect(said == REFUSED, f"weak groups: {said}")
    said = answer(stand.port, client_hello(NAME, signatures=WEAK_SIGNATURES))
    expect(said == REFUSED, f"signatures by SHA-1 and MD5: {said}")


def in_clear(stand):
    with socket.create_connection(("127.0.0.1", stand.port), 10) as it:
        it.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        with it.makefile("rb") as answered:
            said = answered.read()
    told = said.startswith(b"HTTP/1.1 400 ") and b"https://" in said
    expect(told, f"HTTP in clear: {said.splitlines()[0]}")


def main():
    if sys.argv[1:] not in ([], ["--testssl"]):
        raise SystemExit(__doc__)
    stand = Stand()
    try:
        for part in (curl, chrome, chromium, names, versions, weak, in_clear, resumption, by_sslyze):
            part(stand)
        if sys.argv[1:]:
            by_testssl(stand)
    finally:
        code, told = stand.stop()
    expect(code == 0 and "panicked" not in told, "Copal ends well")
    check(not FAILED, f"{len(FAILED)} failed")


if __name__ == "__main__":
    main()
