#!/usr/bin/env python3
"""The admin API as programs see it that have only its description: openapi-spec-validator has no
complaint about the document that Copal serves, and schemathesis, which makes up requests from it, sound
ones and others, finds neither a 5xx nor an answer that the document does not have.

    python3 tests/outside/admin_api.py [EXAMPLES]
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from stand import COPAL, FAILED, TARGET, expect, free_port, wait_for

VENV = TARGET / "outside-venv" / "bin"
TOKEN = "all-of-it"
CONFIG = """
[[listen]]
address = "127.0.0.1:{port}"
[admin]
address = "127.0.0.1:{admin}"
token = "{token}"
rate = "1000000/s"
[origins.app]
servers = ["http://127.0.0.1:9"]
[[site]]
hosts = ["*"]
origin = "app"
"""

# All that is about what the document says. That a request is refused whose body its schema refuses is
# one of them; that one is taken which the schema takes is not, for a host may be no site's.
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance,response_headers_conformance,ignored_auth,unsupported_method"
)


def document(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/openapi.json")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def run(*command):
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(it) for it in command], env=environment, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:])
    print(*done.stdout.splitlines()[-8:], sep="\n")
    return done.returncode == 0


def main():
    examples = sys.argv[1] if len(sys.argv) > 1 else "50"
    with tempfile.TemporaryDirectory(prefix="copal-api-") as folder:
        port, admin = free_port(), free_port()
        config = f"{folder}/config.toml"
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(port=port, admin=admin, token=TOKEN))
        with subprocess.Popen([COPAL, "run", config], stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(admin)
                told = f"{folder}/openapi.json"
                with open(told, "w", encoding="utf-8") as file:
                    json.dump(document(admin), file)
                valid = run(VENV / "python", "-m", "openapi_spec_validator", told)
                expect(valid, "the document is valid OpenAPI 3.1")
                sound = run(
                    VENV / "schemathesis", "run", told, "--url", f"http://127.0.0.1:{admin}",
                    "--header", f"Authorization: Bearer {TOKEN}", "--checks", CHECKS,
                    "--max-examples", examples, "--workers", "1",
                    "--suppress-health-check", "all", "--generation-database", "none",
                    "--continue-on-failure",
                )
                expect(sound, "schemathesis finds no 5xx and no answer that the document does not have")
                expect(process.poll() is None, "it is still there")
            finally:
                process.terminate()
    return bool(FAILED)


if __name__ == "__main__":
    sys.exit(main())
