# SPDX-License-Identifier: Apache-2.0
"""AWS's client from npm with AWS_ENDPOINT_URL_LAMBDA as its only setting beside its keys: `make check-sdk SDK=DIR`, where `npm install @aws-sdk/client-lambda` was run in DIR."""

import os
import pathlib
import re
import subprocess

import pytest

from access import create_token
from harness import DEADLINE, Faasd
from lambda_client import REGION, endpoint
from test_lambda_functions import RUNTIME, make_zip

SDK = os.environ.get("FAASD_SDK")
pytestmark = pytest.mark.skipif(not SDK, reason="opt-in: make check-sdk SDK=DIR, where `npm install @aws-sdk/client-lambda` was run")
SCRIPT = pathlib.Path(__file__).parent / "sdk" / "lambda.mjs"
PARTS = re.findall(r"^  async (\w+)\(\) \{$", SCRIPT.read_text(), re.MULTILINE)

PYTHON = """
def handler(event, context):
    if event == "raise":
        raise ValueError("broken")
    return {"said": event, "name": context.function_name}
"""
NODE = "exports.handler = async (event) => ({ said: event });\n"
STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  const asked = event.body ? JSON.parse(event.body) : event;
  if (asked.status) stream = awslambda.HttpResponseStream.from(stream, { statusCode: asked.status, headers: { 'X-A': 'b' } });
  stream.write('one ');
  if (asked.break) throw new RangeError('midway');
  if (asked.hang) await new Promise((r) => setTimeout(r, 1e6));
  stream.end('two');
});
"""
BOOTSTRAP = """#!/bin/sh
API=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while true; do
  EVENT=$(curl -sS -D /tmp/headers "$API/next")
  ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id /tmp/headers | tr -d '[:space:]' | cut -d: -f2)
  curl -sS -o /dev/null "$API/$ID/response" -d "{\\"said\\": $EVENT}"
done
"""


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    directory = tmp_path_factory.mktemp("zips")
    for name, files in {
        "python": {"app.py": PYTHON}, "other": {"app.py": "def handler(event, context):\n    return {'other': event}\n"}, "node": {"index.js": NODE},
        "stream": {"index.js": STREAM}, "bootstrap": {"bootstrap": BOOTSTRAP}, "layer": {"python/extra.py": "WORD = 'from /opt'\n"},
        "layered": {"app.py": "import extra\n\n\ndef handler(event, context):\n    return {'layer': extra.WORD}\n"},
    }.items():
        (directory / f"{name}.zip").write_bytes(make_zip(files))
    return directory


@pytest.fixture(scope="module")
def daemon():
    with Faasd({"failed_credentials": 100000}) as d:
        d.token = create_token(d, "admin")
        yield d
        assert d.process.poll() is None, f"faasd died: {d.log_text()}"


def node_runtime():
    major = subprocess.run(["/usr/bin/node", "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v").split(".")[0]
    return f"nodejs{major}.x"


@pytest.mark.parametrize("part", PARTS)
def test_the_client_from_npm(daemon, zips, part):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ENDPOINT_URL_LAMBDA": endpoint(daemon), "AWS_REGION": REGION,
                   "AWS_ACCESS_KEY_ID": daemon.token["accessKeyId"], "AWS_SECRET_ACCESS_KEY": daemon.token["secretAccessKey"],
                   "FAASD_SDK": SDK, "FAASD_ZIPS": str(zips), "FAASD_PYTHON": RUNTIME, "FAASD_NODE": node_runtime()}
    done = subprocess.run(["/usr/bin/node", SCRIPT, part], env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
