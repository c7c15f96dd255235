# SPDX-License-Identifier: Apache-2.0
"""The runtime `provided`: the Lambda Runtime API inside a sandbox, with clients right and wrong. After every failure the next request is served."""

import base64
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time

import pytest

from harness import PROGRAMS, Faasd, brief, wait_until, within

CLIENTS = pathlib.Path(__file__).parent / "runtime_clients"
sys.path.insert(0, str(CLIENTS / "replay"))
import sent_by_clients  # noqa: E402

REPORT = {"do": "report"}


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"init_timeout": f"{brief(2):.0f}s"}) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def deploy(faasd, name, client, *options, check=True):
    return faasd.deploy(name, CLIENTS / client, "--runtime", "provided", *options, check=check)


@pytest.fixture(scope="module")
def puppet(faasd):
    """Does what its event says. One instance, so that each request meets what the last one left."""
    deploy(faasd, "puppet", "puppet", "--max-concurrency", "1", "--memory", "64M", "--timeout", f"{brief(2):.0f}s")
    return faasd


@pytest.fixture
def still_serves(puppet):
    yield
    assert play(puppet, {"hello": 1}).json() == {"hello": 1}


def play(faasd, *steps, name="puppet", headers=None):
    event = steps[0] if len(steps) == 1 and "do" not in steps[0] else list(steps)
    return faasd.invoke(name, json.dumps(event).encode(), headers=headers)


def report(faasd, name="puppet", headers=None):
    reply = play(faasd, REPORT, name=name, headers=headers)
    assert reply.status == 200, reply
    return reply.json()


def log_of(faasd, name="puppet"):
    return faasd.cli("logs", name, "-n", "1000").out


# ---- clients that work ----


def test_the_bootstrap_of_lambdas_documentation_runs_unmodified(faasd):
    deploy(faasd, "bash", "bash", "--handler", "function.handler")
    for text in ("hello", "again"):
        reply = faasd.invoke("bash", json.dumps({"text": text}).encode())
        assert reply.status == 200, reply
        assert reply.body == b"Echoing request: '" + json.dumps({"text": text}).encode() + b"'"
        assert reply.headers["Content-Type"] == "application/octet-stream"
    assert '{"text": "hello"}' in log_of(faasd, "bash")


def test_a_runtime_on_pythons_http_client(faasd):
    deploy(faasd, "httpclient", "http_client", "--handler", "app.main", "--env", "AWS_REGION=eu-central-1", "--env", "OWN=x")
    first = faasd.invoke("httpclient", b'{"a": 1}').json()
    second = faasd.invoke("httpclient", b'{"a": 2}').json()
    assert (first["event"], second["event"]) == ({"a": 1}, {"a": 2})
    assert second["served"] == first["served"] + 1
    error = faasd.invoke("httpclient", b'{"divide": 0}')
    assert (error.status, error.error) == (500, "ZeroDivisionError")
    body = error.json()
    assert body["errorMessage"] == "division by zero" and any("bootstrap" in line for line in body["trace"])
    environment = first["environment"]
    assert environment["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"
    assert environment["_HANDLER"] == "app.main" and environment["LAMBDA_TASK_ROOT"] == "/var/task" == first["cwd"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "httpclient" and environment["OWN"] == "x"
    assert "AWS_EXECUTION_ENV" not in environment


def test_what_next_tells_about_the_event(faasd):
    deploy(faasd, "headers", "http_client", "--env", "AWS_REGION=eu-central-1", "--timeout", "20s")
    before = time.time()
    reply = faasd.invoke("headers", b"[]", headers={"Content-Type": "application/cloudevents+json"})
    told = reply.json()["headers"]
    assert told["lambda-runtime-aws-request-id"] == reply.headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", told["lambda-runtime-aws-request-id"])
    assert before + 19 < int(told["lambda-runtime-deadline-ms"]) / 1000 < time.time() + 21
    assert told["lambda-runtime-invoked-function-arn"] == "arn:aws:lambda:eu-central-1:000000000000:function:headers"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01]", told["lambda-runtime-trace-id"])
    assert told["content-type"] == "application/cloudevents+json"
    assert "lambda-runtime-client-context" not in told
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    context = base64.b64encode(b'{"custom":{"k":"v"}}').decode()
    told = faasd.invoke("headers", b"", headers={"X-Amzn-Trace-Id": trace, "X-Amz-Client-Context": context}).json()["headers"]
    # The trace goes on, with a span of this call's own.
    assert re.fullmatch(r"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=[0-9a-f]{16};Sampled=1", told["lambda-runtime-trace-id"])
    assert told["lambda-runtime-trace-id"] != trace
    assert told["content-type"] == "application/json"
    assert told["lambda-runtime-client-context"] == '{"custom":{"k":"v"}}'


@pytest.fixture(scope="module")
def libcurl(faasd, tmp_path_factory):
    directory = tmp_path_factory.mktemp("libcurl")
    shutil.copy(PROGRAMS / "curl_runtime", directory / "bootstrap")
    faasd.deploy("libcurl", directory, "--runtime", "provided", "--max-concurrency", "1")
    return faasd


def test_a_runtime_on_libcurl(libcurl):
    for event in (b'{"a":1}', b'"text"', b"[" + b"1," * 100000 + b"1]"):
        reply = libcurl.invoke("libcurl", event)
        assert (reply.status, reply.body) == (200, event)
        assert reply.headers["Content-Type"] == "application/json"


def test_a_call_waits_for_no_delayed_acknowledgement(libcurl):
    """Headers and body in two packets cost 40 ms each call (Nagle's algorithm meets a delayed ACK)."""
    durations = sorted(float(libcurl.invoke("libcurl", b'{"a":1}').headers["X-Duration-Seconds"]) for _ in range(15))
    assert durations[7] < within(0.02)


# ---- what the official clients send ----


@pytest.mark.parametrize("client", sorted(sent_by_clients.CLIENTS))
def test_what_an_official_client_sends_is_served(faasd, client):
    name = f"replay-{client}"
    deploy(faasd, name, "replay", "--env", f"CLIENT={client}", "--max-concurrency", "1")
    for event in (b'{"a": "b"}', b"{}", json.dumps("x" * 1_200_000).encode()):
        reply = faasd.invoke(name, event)
        assert (reply.status, reply.body) == (200, event), reply
        assert reply.headers["Content-Type"] == "application/json"
    for _ in range(2):
        reply = faasd.invoke(name, b'{"fail": "Function<ArgumentError>"}')
        assert (reply.status, reply.error) == (500, "Function<ArgumentError>"), reply
        body = reply.json()
        assert (body["errorType"], body["errorMessage"], body["trace"]) == ("Function<ArgumentError>", "boom", ["line 1", "line 2"])
        assert faasd.invoke(name, b"[1]").body == b"[1]"


@pytest.mark.parametrize("chop", [1, 7])
@pytest.mark.parametrize("client", ["go", "ruby", "node-streaming"])
def test_what_it_sends_may_come_in_pieces(faasd, client, chop):
    name = f"chop-{client}-{chop}"
    deploy(faasd, name, "replay", "--env", f"CLIENT={client}", "--env", f"CHOP={chop}")
    assert faasd.invoke(name, b'{"a":1}').body == b'{"a":1}'
    assert faasd.invoke(name, b'{"fail":"Late"}').error == "Late"


@pytest.mark.parametrize("client", [name for name, sent in sent_by_clients.CLIENTS.items() if "init-error" in sent])
def test_an_initialisation_that_fails_says_why_at_the_deploy(faasd, client):
    done = deploy(faasd, f"init-{client}", "replay", "--env", f"CLIENT={client}", "--env", "INIT_FAILS=1", check=False)
    assert done.returncode == 1
    assert "Runtime.ImportModuleError" in done.err and "no module" in done.err


# ---- replies ----


def test_an_event_that_is_empty_or_no_json(puppet):
    assert puppet.invoke("puppet", b"").json() == {}
    assert puppet.invoke("puppet", b"", method="GET").json() == {}
    reply = puppet.invoke("puppet", b'{"a": nonsense}')
    assert (reply.status, reply.error) == (400, "BadRequest")
    assert "byte 7" in reply.json()["errorMessage"]
    assert report(puppet)["said"] == [[202, ""], [202, ""]]


@pytest.mark.parametrize("content", [b"plain text", b"{broken", b"\x00\xff\xfe"])
def test_a_reply_that_is_no_json_is_bytes(puppet, still_serves, content):
    reply = play(puppet, {"do": "response", "base64": base64.b64encode(content).decode()})
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, content, "application/octet-stream")


def prelude(head, body):
    return base64.b64encode(json.dumps(head).encode() + b"\0" * 8 + body).decode()


PRELUDE_TYPE = {"Content-Type": "application/vnd.awslambda.http-integration-response"}


def test_a_prelude_sets_status_headers_and_cookies(puppet, still_serves):
    head = {"statusCode": 418, "headers": {"Content-Type": "text/html", "X-Own": "1", "Content-Length": "7"}, "cookies": ["a=b", "c=d; Path=/"]}
    reply = play(puppet, {"do": "response", "base64": prelude(head, b"<p>tea</p>"), "headers": PRELUDE_TYPE})
    assert (reply.status, reply.body) == (418, b"<p>tea</p>")
    assert reply.headers["Content-Type"] == "text/html" and reply.headers["X-Own"] == "1"
    assert reply.headers.get_all("Set-Cookie") == ["a=b", "c=d; Path=/"]
    reply = play(puppet, {"do": "response", "base64": prelude({"statusCode": 99}, b""), "headers": PRELUDE_TYPE})
    assert (reply.status, reply.error) == (502, "BadReply")


def test_the_longest_reply_and_one_byte_more(puppet, still_serves):
    reply = play(puppet, {"do": "response", "size": 6291556})
    assert reply.status == 200 and len(reply.body) == 6291556
    reply = play(puppet, {"do": "response", "size": 6291557})
    assert (reply.status, reply.error) == (502, "Function.ResponseSizeTooLarge")
    assert "6291556 bytes" in reply.json()["errorMessage"]
    assert [413, "RequestEntityTooLarge"] in report(puppet)["said"]
    assert "Function.ResponseSizeTooLarge" in log_of(puppet)


def test_the_longest_event_comes_back(puppet, still_serves):
    event = json.dumps("e" * (6 * 1024 * 1024 - 2)).encode()
    reply = puppet.invoke("puppet", event)
    assert reply.status == 200 and reply.body == event


def test_an_error_cause_of_a_mebibyte_in_a_header(puppet, still_serves):
    error = {"errorType": "Big", "errorMessage": "cause"}
    reply = play(puppet, {"do": "error", "body": error, "headers": {"Lambda-Runtime-Function-XRay-Error-Cause": "x" * 1024 * 1024}})
    assert (reply.status, reply.error) == (500, "Big")


@pytest.mark.parametrize("given,body,wanted", [
    ("Function<ArgumentError>", {"errorMessage": "x"}, "Function.Unknown"),
    ("unhandled", {"errorMessage": "x"}, "Function.Unknown"),
    ("Runtime.NoSuchHandler", {"errorMessage": "x"}, "Runtime.NoSuchHandler"),
    ("Function.X", {"errorMessage": "x", "errorType": "Mine"}, "Mine"),
    ("Function.Odd", "no object", "Function.Odd"),
])
def test_an_error_gets_a_type_of_known_form(puppet, still_serves, given, body, wanted):
    reply = play(puppet, {"do": "error", "body": body, "headers": {"Lambda-Runtime-Function-Error-Type": given}})
    assert (reply.status, reply.error, reply.json()["errorType"]) == (500, wanted, wanted)


def test_trailers_turn_a_streamed_reply_into_an_error(puppet, still_serves):
    error = base64.b64encode(b'{"errorType":"Late","errorMessage":"midway"}').decode()
    text = ("POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n4\r\npart\r\n0\r\n"
            f"Lambda-Runtime-Function-Error-Type: Function.Late\r\nLambda-Runtime-Function-Error-Body: {error}\r\n\r\n")
    reply = play(puppet, {"do": "raw", "bytes": text})
    assert (reply.status, reply.error, reply.json()["errorMessage"]) == (500, "Late", "midway")


# ---- a runtime that breaks the rules ----


def test_next_again_serves_the_same_event(puppet, still_serves):
    assert play(puppet, {"do": "next"}, {"do": "next", "elsewhere": True}, REPORT).json()["said"][-2:] == [[200, ""], [200, ""]]


def test_answers_out_of_turn_harm_nothing(puppet, still_serves):
    old = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    report(puppet)
    reply = play(puppet, {"do": "response", "id": old}, {"do": "error", "id": old}, {"do": "init-error"}, {"do": "response", "body": "good"},
                 {"do": "response", "body": "second"}, {"do": "error", "body": {}})
    assert (reply.status, reply.json()) == (200, "good")
    wrong_id = [400, "InvalidRequestID"]
    assert report(puppet)["said"] == [[202, ""], wrong_id, wrong_id, [403, "InvalidStateTransition"], [202, ""], wrong_id, wrong_id]


def test_an_answer_before_next_is_refused(faasd):
    steps = [{"do": "response", "body": "early"}, {"do": "error", "body": {}}]
    deploy(faasd, "early", "puppet", "--env", "AT_START=" + json.dumps(steps))
    assert report(faasd, "early")["said"] == [[400, "InvalidRequestID"], [400, "InvalidRequestID"]]


def test_a_response_mode_that_does_not_exist(puppet, still_serves):
    mode = {"Lambda-Runtime-Function-Response-Mode": "buffered"}
    reply = play(puppet, {"do": "response", "body": 1, "headers": mode})
    assert (reply.status, reply.error) == (502, "Runtime.InvalidResponseModeHeader")
    assert [400, "InvalidFunctionResponseMode"] in report(puppet)["said"]


def test_a_response_that_ends_early(puppet, still_serves):
    text = "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
    reply = play(puppet, {"do": "raw", "bytes": text, "half_close": True, "elsewhere": True})
    assert (reply.status, reply.error) == (502, "Runtime.TruncatedResponse")
    assert [400, "TruncatedHTTPRequest"] in report(puppet)["said"]


@pytest.mark.parametrize("text", [
    "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET /2018-06-01/ping HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\x02",
    "GET / HTTP/2.0\r\n\r\n",
])
def test_nonsense_is_refused_and_the_invocation_goes_on(puppet, still_serves, text):
    reply = play(puppet, {"do": "raw", "bytes": text, "elsewhere": True}, {"do": "response", "body": "fine"})
    assert reply.json() == "fine"
    assert any(status in (400, 505) for status, _ in report(puppet)["said"])


def test_paths_that_are_not_there(puppet, still_serves):
    reply = play(puppet, {"do": "get", "path": "/2018-06-01/ping"}, {"do": "get", "path": "/2018-06-01/runtime/restore/next"},
                 {"do": "get", "path": "/2020-01-01/extension/event/next"}, REPORT)
    assert [status for status, _ in reply.json()["said"][-3:]] == [200, 404, 404]


def test_more_connections_than_there_may_be(puppet, still_serves):
    report(puppet)
    for _ in range(3):
        assert play(puppet, {"do": "connect", "count": 100}, {"do": "reconnect"}, {"do": "response", "body": "fine"}).status in (200, 502)
    descriptors = len(os.listdir(f"/proc/{puppet.gateway_pid()}/fd"))
    assert descriptors < 400


# ---- a runtime that ends ----


@pytest.mark.parametrize("step,message", [
    ({"do": "exit", "status": 0}, "Runtime exited without providing a reason"),
    ({"do": "exit", "status": 1}, "Runtime exited with error: exit status 1"),
    ({"do": "exit", "status": 127}, "Runtime exited with error: exit status 127"),
    ({"do": "kill", "signal": "SIGKILL"}, "Runtime exited with error: signal: killed"),
    ({"do": "kill", "signal": "SIGSEGV"}, "Runtime exited with error: signal: segmentation fault"),
])
def test_a_runtime_that_ends_is_started_again_in_its_sandbox(puppet, still_serves, step, message):
    mark = f"mark-{message.split()[-1]}"
    before = play(puppet, {"do": "touch", "name": mark}, {"do": "remember", "name": mark}, REPORT).json()
    reply = play(puppet, {"do": "print", "text": "last words"}, step)
    assert (reply.status, reply.error) == (502, "Runtime.ExitError")
    assert f"RequestId: {reply.headers['X-Request-Id']} Error: {message}" in reply.json()["errorMessage"]
    assert "last words" in reply.json()["errorMessage"]
    after = report(puppet)
    assert mark in after["tmp"], "/tmp is kept"
    assert mark in before["memory"] and mark not in after["memory"] and after["memory"]["served"] == 1, "memory is lost"
    assert "Runtime.ExitError" in log_of(puppet)


def test_after_a_timeout_tmp_is_kept_and_memory_is_lost(puppet, still_serves):
    play(puppet, {"do": "touch", "name": "before-timeout"}, {"do": "remember", "name": "before"}, REPORT)
    reply = play(puppet, {"do": "hang"})
    assert (reply.status, reply.error) == (504, "Timeout")
    after = report(puppet)
    assert "before-timeout" in after["tmp"] and "before" not in after["memory"]
    assert "Task timed out after" in log_of(puppet)


def test_after_out_of_memory_the_sandbox_is_another_one(puppet, still_serves):
    play(puppet, {"do": "touch", "name": "before-oom"}, REPORT)
    reply = play(puppet, {"do": "hog"})
    assert (reply.status, reply.error) == (502, "OutOfMemory")
    assert "64M" in reply.json()["errorMessage"] and "out of memory: the limit 'memory' is 64M" in log_of(puppet)
    assert "before-oom" not in report(puppet)["tmp"]


def test_out_of_memory_says_how_much_was_in_tmp(faasd):
    deploy(faasd, "tmphog", "puppet", "--memory", "48M", "--tmp", "48M", "--max-concurrency", "1")
    reply = play(faasd, {"do": "fill", "bytes": 44 << 20}, name="tmphog")
    assert (reply.status, reply.error) == (502, "OutOfMemory")
    found = re.search(r"of which ([0-9.]+)M in /tmp", reply.json()["errorMessage"])
    assert found and float(found.group(1)) > 20


def test_a_runtime_killed_in_the_middle_of_its_response_is_told_as_that(puppet, still_serves):
    text = "POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
    reply = play(puppet, {"do": "raw", "bytes": text, "silent": True}, {"do": "kill", "signal": "SIGKILL"})
    assert (reply.status, reply.error) == (502, "Runtime.ExitError")


def test_a_runtime_that_ends_after_its_reply_fails_nobody(puppet, still_serves):
    for status in (0, 1):
        assert play(puppet, {"do": "response", "body": "done"}, {"do": "exit", "status": status}).json() == "done"
    error = {"errorType": "Panic", "errorMessage": "p"}
    reply = play(puppet, {"do": "error", "body": error}, {"do": "exit", "status": 1})  # as Go does
    assert (reply.status, reply.error) == (500, "Panic")


def test_a_runtime_that_does_not_ask_again_is_started_again(faasd):
    deploy(faasd, "idler", "puppet", "--timeout", "500ms", "--max-concurrency", "1")
    first = play(faasd, {"do": "remember", "name": "first"}, REPORT, name="idler").json()
    assert play(faasd, {"do": "response", "body": "done"}, {"do": "hang"}, name="idler").json() == "done"
    after = report(faasd, "idler")
    assert after["pid"] != first["pid"] or "first" not in after["memory"]


# ---- initialising ----


@pytest.mark.parametrize("step,kind", [
    ({"do": "exit", "status": 3}, "Runtime.ExitError"),
    ({"do": "kill", "signal": "SIGKILL"}, "Runtime.ExitError"),
    ({"do": "init-error", "body": {"errorType": "Runtime.Mine", "errorMessage": "no luck"}}, "Runtime.Mine"),
])
def test_a_start_that_fails_refuses_the_deploy_with_its_type(faasd, step, kind):
    done = deploy(faasd, "broken", "puppet", "--env", "AT_START=" + json.dumps([step]), check=False)
    assert done.returncode == 1 and kind in done.err


def test_a_bootstrap_that_is_missing_or_not_executable(faasd):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    try:
        (directory / "other").write_text("x")
        done = faasd.deploy("nobootstrap", directory, "--runtime", "provided", check=False)
        assert done.returncode == 1 and "bootstrap" in done.err
        for text, mode in (("#!/bin/sh\n", 0o644), ("#!/no/such/shell\n", 0o755), ("no program\n", 0o755)):
            (directory / "bootstrap").write_text(text)
            (directory / "bootstrap").chmod(mode)
            done = faasd.deploy("nobootstrap", directory, "--runtime", "provided", check=False)
            assert done.returncode == 1 and "bootstrap" in done.err, done.err
            if mode == 0o755:
                assert "Runtime.InvalidEntrypoint" in done.err, done.err
    finally:
        shutil.rmtree(directory)


def test_an_initialisation_that_fails_later_is_repeated_within_the_request(puppet, still_serves):
    """The first request makes the next start fail; that one is repeated inside a request, which is told why, and so on until it goes well."""
    failing = [{"do": "exit", "status": 9}]
    play(puppet, {"at_start": failing, "steps": [{"do": "response"}, {"do": "exit", "status": 0}]})
    reply = play(puppet, REPORT)
    assert (reply.status, reply.error) == (502, "Runtime.ExitError")
    assert "exit status 9" in reply.json()["errorMessage"]
    assert "INIT_REPORT Status: error Error Type: Runtime.ExitError" in log_of(puppet)
    wait_until(lambda: play(puppet, REPORT).error == "Runtime.ExitError" or True, "another")
    stop_instances(puppet, "puppet")


def stop_instances(faasd, name):
    """A new version has new sandboxes: what was planned in /tmp is gone."""
    faasd.cli("config", name, "--env", f"ROUND={time.monotonic_ns()}")


def test_init_error_within_a_request_is_that_requests_error(puppet, still_serves):
    failing = [{"do": "init-error", "body": {"errorType": "Runtime.Mine", "errorMessage": "no luck"}}, {"do": "exit", "status": 1}]
    play(puppet, {"at_start": failing, "steps": [{"do": "response"}, {"do": "exit", "status": 0}]})
    reply = play(puppet, REPORT)
    assert (reply.status, reply.error, reply.json()["errorMessage"]) == (500, "Runtime.Mine", "no luck")
    stop_instances(puppet, "puppet")


def test_an_initialisation_over_init_timeout_is_repeated_under_the_requests_own(faasd):
    """A start that hangs is no obstacle to a deploy; the request in which it hangs again is told its own limit."""
    steps = json.dumps([{"do": "hang"}])
    deploy(faasd, "slowinit", "puppet", "--timeout", "700ms", "--env", "AT_START=" + steps)
    assert "INIT_REPORT Status: timeout" in log_of(faasd, "slowinit")
    reply = play(faasd, REPORT, name="slowinit")
    assert (reply.status, reply.error) == (504, "Timeout")
    assert "700ms" in reply.json()["errorMessage"]
    assert play(faasd, REPORT, name="slowinit").error == "Timeout"


def test_a_start_slower_than_init_timeout_serves_within_the_request(faasd):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-fn-"))
    try:
        shutil.copytree(CLIENTS / "puppet", directory, dirs_exist_ok=True)
        text = (directory / "bootstrap").read_text()
        (directory / "bootstrap").write_text(text.replace("at_start()\nwhile", f"time.sleep({brief(2) + 1})\nat_start()\nwhile"))
        faasd.deploy("lateinit", directory, "--runtime", "provided", "--timeout", f"{within(20):.0f}s", "--max-concurrency", "1")
        first = report(faasd, "lateinit")
        assert first["memory"]["served"] == 1
        assert report(faasd, "lateinit")["memory"]["served"] == 2
    finally:
        shutil.rmtree(directory)


# ---- isolation, concurrency, refusals ----


def test_isolation_fork_starts_the_runtime_for_each_request(faasd):
    deploy(faasd, "forked", "puppet", "--isolation", "fork", "--max-concurrency", "1")
    seen = [play(faasd, {"do": "remember", "name": "me"}, {"do": "connect", "count": 2}, REPORT, name="forked").json() for _ in range(5)]
    assert all(one["memory"]["served"] == 1 for one in seen)


def test_isolation_sandbox_takes_a_new_one_for_each_request(faasd):
    deploy(faasd, "boxed", "puppet", "--isolation", "sandbox", "--max-concurrency", "2")
    seen = [play(faasd, {"do": "touch", "name": "left"}, {"do": "response"}, name="boxed").status for _ in range(3)]
    assert seen == [200, 200, 200]
    after = report(faasd, "boxed")
    assert "left" not in after["tmp"] and after["memory"]["served"] == 1


def test_several_requests_at_once_get_an_instance_each(faasd):
    deploy(faasd, "many", "puppet", "--max-concurrency", "3")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda n: play(faasd, {"n": n}, name="many"), range(24)))
    assert [r.json() for r in replies] == [{"n": n} for n in range(24)]


def test_the_hosts_network_is_refused_because_the_api_would_be_open(faasd):
    done = deploy(faasd, "hostnet", "puppet", "--network", "host", check=False)
    assert done.returncode != 0 and "Runtime API" in done.err


def test_a_slow_caller_holds_up_nobody(puppet, still_serves):
    """The runtime is free when its response is complete, however slowly the caller reads."""
    with puppet.connect() as slow:
        event = json.dumps([{"do": "response", "size": 6000000}]).encode()
        slow.sendall(b"POST /function/puppet HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(event) + event)
        assert slow.recv(1)
        assert play(puppet, {"next": 1}).json() == {"next": 1}
