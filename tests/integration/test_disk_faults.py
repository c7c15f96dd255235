# SPDX-License-Identifier: Apache-2.0
"""A disk that fails under one write or one flush after the other: the client is told, what was acknowledged is there, and faasd goes on."""

import contextlib
import json
import subprocess

import pytest

from harness import Faasd, wait_until

ANSWERS = {("ENOSPC", "pwrite64"): (507,), ("ENOSPC", "fdatasync"): (507,), ("EIO", "pwrite64"): (500, 503), ("EIO", "fdatasync"): (500, 503)}
WRITES = 5  # of an operation at most: the log's frames, its header, the index


@contextlib.contextmanager
def failing(faasd, call, error, number):
    """Each thread of the gateway finds its `number`th `call` failing with `error`."""
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}", "-p", str(faasd.gateway_pid())],
                              stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in tracer.stderr.readline()
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def enqueue(faasd, kept):
    reply = faasd.request("POST", "/async-function/echo", b"{}")
    if reply.status == 202:
        kept["calls"].append(reply.json()["id"])
    return reply


def create_token(faasd, kept):
    reply = faasd.control("POST", "/v1/tokens", json.dumps({"scopes": ["read"]}))
    if reply.status < 300:
        kept["tokens"].append(reply.json()["id"])
    return reply


class Refused:
    # What a command line that failed was told.

    def __init__(self, done):
        self.body = done.err
        self.status = 507 if "full" in done.err else 500
        self.error = "told" if done.err.startswith("faasd secret") else None

    def json(self):
        return {"errorMessage": self.body}


def set_secret(faasd, kept):
    name = f"s{len(kept['secrets'])}"
    done = faasd.cli("secret", "set", name, input=b"value", check=False)
    reply = Refused(done)
    if done.returncode == 0:
        reply.status = 200
        kept["secrets"].append(name)
    return reply


def change(faasd, kept):
    reply = faasd.control("PATCH", "/v1/functions/changed", json.dumps({"description": f"number {len(kept['changes'])}"}))
    if reply.status < 300:
        kept["changes"].append(f"number {len(kept['changes'])}")
    return reply


OPERATIONS = (enqueue, create_token, set_secret, change)


def check_kept(faasd, kept):
    for call in kept["calls"]:
        wait_until(lambda: faasd.control("GET", f"/v1/calls/{call}").json()["status"] == "succeeded", f"{call} ran")
    tokens = {t["id"] for t in faasd.control("GET", "/v1/tokens").json()["tokens"]}
    assert set(kept["tokens"]) <= tokens
    assert set(kept["secrets"]) <= {s["name"] for s in faasd.control("GET", "/v1/secrets").json()["secrets"]}
    assert faasd.describe("changed")["settings"]["description"] == kept["changes"][-1]


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_what_a_failing_disk_did_not_take_is_not_acknowledged(error):
    kept = {"calls": [], "tokens": [], "secrets": [], "changes": []}
    refused = []
    with Faasd(config={"async": {"retry_min": "20ms", "retry_max": "50ms"}}) as faasd:
        faasd.deploy_script("echo", "#!/bin/sh\ncat\n")
        faasd.deploy_script("changed", "#!/bin/sh\n")
        for operation in OPERATIONS:
            assert operation(faasd, kept).status < 300
        for call in ("pwrite64", "fdatasync"):
            for number in range(1, WRITES + 1):
                with failing(faasd, call, error, number):
                    replies = [operation(faasd, kept) for operation in OPERATIONS]
                for reply in replies:
                    if reply.status >= 300:
                        refused.append(reply.status)
                        assert reply.status in ANSWERS[error, call], (call, number, reply, reply.body)
                        assert reply.error and reply.json()["errorMessage"]
                for operation in OPERATIONS:
                    again = operation(faasd, kept)
                    assert again.status < 300, (call, number, operation, again.body)
        assert len(refused) > 4, "something was refused"
        check_kept(faasd, kept)
        assert faasd.stop() == 0
        faasd.start()
        check_kept(faasd, kept)
