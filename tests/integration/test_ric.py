# SPDX-License-Identifier: Apache-2.0
"""Node's official runtime interface client, unmodified, against faasd's Runtime API: `make check-ric RIC=DIR`, where `npm install aws-lambda-ric` was run in DIR."""

import concurrent.futures
import json
import os
import pathlib
import shutil

import pytest

from harness import within

RIC = os.environ.get("FAASD_RIC")
pytestmark = pytest.mark.skipif(not RIC, reason="opt-in: make check-ric RIC=DIR, where `npm install aws-lambda-ric` was run")

BOOTSTRAP = """#!/bin/sh
exec node node_modules/aws-lambda-ric/bin/index.mjs "$_HANDLER"
"""

HANDLERS = """
let calls = 0;
exports.echo = async (event, context) => {
  calls++;
  console.log("called");
  return { event, calls, id: context.awsRequestId, arn: context.invokedFunctionArn, left: context.getRemainingTimeInMillis() };
};
exports.callback = (event, context, callback) => callback(null, event);
exports.fails = async () => { throw new TypeError("no such thing"); };
exports.rejects = async () => { setTimeout(() => Promise.reject(new Error("nobody waits")), 1); await new Promise(() => {}); };
exports.exits = async () => process.exit(7);
exports.streams = awslambda.streamifyResponse(async (event, stream) => {
  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { "Content-Type": "text/plain", "X-Own": "yes" } });
  stream.write("one ");
  stream.write("two");
  stream.end();
});
exports.breaks = awslambda.streamifyResponse(async (event, stream) => {
  stream.write("part");
  await new Promise((resolve) => setTimeout(resolve, 50));
  throw new RangeError("midway");
});
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ric")
    packages = directory / "node_modules"
    source = pathlib.Path(RIC) / "node_modules"
    for package in json.loads((source / ".package-lock.json").read_text())["packages"]:
        name = package.removeprefix("node_modules/")
        if not (packages / name).exists():
            shutil.copytree(source / name, packages / name, symlinks=True, ignore=shutil.ignore_patterns("deps", "obj.target", "*.a", "*.o"))
    (directory / "bootstrap").write_text(BOOTSTRAP)
    (directory / "bootstrap").chmod(0o755)
    (directory / "index.js").write_text(HANDLERS)
    print("aws-lambda-ric", json.loads((packages / "aws-lambda-ric" / "package.json").read_text())["version"])
    return directory


def deploy(faasd, code, handler, check=True):
    return faasd.deploy(f"ric-{handler}", code, "--runtime", "provided", "--handler", f"index.{handler}", "--memory", "256M",
                        "--timeout", f"{within(10):.0f}s", check=check)


def test_async_and_callback_handlers(faasd, code):
    deploy(faasd, code, "echo")
    deploy(faasd, code, "callback")
    for n in (1, 2):
        reply = faasd.invoke("ric-echo", json.dumps({"n": n}).encode())
        assert reply.status == 200, reply
        body = reply.json()
        assert body["event"] == {"n": n} and body["id"] == reply.headers["X-Request-Id"]
        assert body["arn"].endswith(":function:ric-echo") and 0 < body["left"] <= within(10) * 1000
    assert faasd.invoke("ric-callback", b'"x"').body == b'"x"'
    large = json.dumps("x" * 2_000_000).encode()
    assert faasd.invoke("ric-callback", large).body == large
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert {r.status for r in pool.map(lambda _: faasd.invoke("ric-echo", b"{}"), range(20))} == {200}


def test_errors_rejections_and_exits(faasd, code):
    for handler, status, kind in (("fails", 500, "TypeError"), ("rejects", 500, "Runtime.UnhandledPromiseRejection"),
                                  ("exits", 502, "Runtime.ExitError")):
        deploy(faasd, code, handler)
        for _ in range(2):
            reply = faasd.invoke(f"ric-{handler}", b"{}")
            assert (reply.status, reply.error) == (status, kind), reply
    assert faasd.invoke("ric-fails", b"{}").json()["trace"][0].startswith("TypeError: no such thing")


def test_streams_with_a_prelude(faasd, code):
    deploy(faasd, code, "streams")
    for _ in range(3):
        reply = faasd.invoke("ric-streams", b"{}")
        assert (reply.status, reply.body, reply.headers["X-Own"]) == (201, b"one two", "yes"), reply


def test_a_stream_that_breaks_is_an_error(faasd, code):
    deploy(faasd, code, "breaks")
    for _ in range(2):
        reply = faasd.invoke("ric-breaks", b"{}")
        assert (reply.status, reply.error) == (500, "RangeError"), reply


def test_a_handler_that_does_not_exist_refuses_the_deploy(faasd, code):
    done = deploy(faasd, code, "missing", check=False)
    assert done.returncode == 1 and "Runtime.HandlerNotFound" in done.err, done.err
