"""What the scanners that operators and their auditors use say: sslyze, testssl.sh."""

import json
import subprocess

from stand import expect
from tls_stand import NAME, VENV, run

TESTSSL_SECONDS_MAX = 900
# What testssl.sh does not like and we mean. Where no suite is weak the client had better choose, which
# knows what its processor is quick at, as Mozilla's "intermediate" has it; and a name under .test has
# no DNS.
MEANT = {"cipher_order", "DNS_CAArecord"}
# About the openssl that it uses.
OF_ITSELF = {"engine_problem"}
RESUMPTION = {"sessionresumption_ticket", "sessionresumption_ID"}
TRIES_MAX = 4


def by_sslyze(stand):
    """Mozilla's "intermediate" is the measure: versions, suites, curves, the certificate and its chain,
    HSTS, and the attacks that have names."""
    file = stand.folder / "sslyze.json"
    command = [VENV / "sslyze", stand.address, "--sni", NAME, "--certinfo_ca_file", stand.ca]
    command += ["--mozilla_config", "intermediate", "--resum", "--json_out", file]
    said = run(command)
    told = said[said.find("COMPLIANCE AGAINST") :].strip()
    expect("OK - Compliant" in told, "sslyze: all is as Mozilla has it")
    if "OK - Compliant" not in told:
        print(told)
    results = json.loads(file.read_text())["server_scan_results"][0]["scan_result"]
    ran = {name: it["result"] for name, it in results.items() if it["status"] == "COMPLETED"}
    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        accepted = ran[f"{version}_cipher_suites"]["accepted_cipher_suites"]
        expect(accepted == [], f"sslyze: no suite by {version}")
    expect(not ran["heartbleed"]["is_vulnerable_to_heartbleed"], "sslyze: no Heartbleed")
    renegotiation = ran["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    expect(not renegotiation, "sslyze: clients cannot renegotiate")
    # It takes only an old ticket that is used on and on for a ticket that is good, and we give a new one
    # each time (RFC 5077 §3.3), so that it does not see those; openssl does.
    resumed = ran["session_resumption"]["session_id_resumption_result"]
    expect(resumed == "FULLY_SUPPORTED", f"sslyze: sessions are resumed: {resumed}")


def testssl(stand, *sections):
    """Its findings, about these sections or about all."""
    file = stand.folder / "testssl.json"
    file.unlink(missing_ok=True)
    command = ["testssl", *sections, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", stand.ca]
    command += ["--jsonfile", file, "--ip", "127.0.0.1", f"{NAME}:{stand.port}"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([str(it) for it in command], timeout=TESTSSL_SECONDS_MAX, **quiet)
    return json.loads(file.read_text())


def by_testssl(stand):
    found = testssl(stand)
    bad = [it for it in found if it["severity"] not in ("OK", "INFO")]
    bad = [it for it in bad if it["id"].split()[0] not in MEANT | OF_ITSELF | RESUMPTION]
    for it in bad:
        print(f"      {it['severity']} {it['id']}: {it['finding']}")
    expect(len(found) > 100 and not bad, f"testssl.sh: {len(found)} findings, none of them bad")
    # Its openssl is told to leave at once, on a busy machine before it has read a ticket of TLS 1.3,
    # which it then cannot use.
    resumed = set()
    for _ in range(TRIES_MAX):
        resumed |= {it["id"] for it in found if it["id"] in RESUMPTION and it["finding"] == "supported"}
        if resumed == RESUMPTION:
            break
        found = testssl(stand, "--server-defaults")
    expect(resumed == RESUMPTION, "testssl.sh: sessions are resumed by ticket and by id")
