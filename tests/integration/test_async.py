# SPDX-License-Identifier: Apache-2.0
"""Asynchronous calls: accepted, run, tried again, told of, cancelled, driven again; their bounds, and who may ask."""

import json
import re
import sqlite3
import threading
import time

import pytest

from harness import Faasd, wait_until

ECHO = "#!/bin/sh\ncat\n"
BAD = "#!/bin/sh\necho oops >&2\nexit 3\n"
NAMES = "#!/bin/sh\nprintf '%s %s' \"$FAASD_REQUEST_ID\" \"$(cat)\"\n"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ENDED = ("succeeded", "failed", "cancelled", "expired")
CONFIG = {"async": {"retry_min": "20ms", "retry_max": "100ms"}}


@pytest.fixture(scope="module")
def faasd():
    with Faasd(config=CONFIG) as daemon:
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def queue(faasd, name, body=b"{}", path="", headers=None):
    reply = faasd.request("POST", f"/async-function/{name}{path}", body=body, headers=headers)
    assert reply.status == 202, reply
    return reply.json()["id"]


def status_of(faasd, call):
    reply = faasd.control("GET", f"/v1/calls/{call}")
    assert reply.status == 200, reply
    return reply.json()


def wait_ended(faasd, call):
    return wait_until(lambda: (lambda s: s if s["status"] in ENDED else None)(status_of(faasd, call)), f"{call} has ended")


def totals(faasd):
    return faasd.control("GET", "/v1/calls").json()


# -- one call --

def test_a_call_is_accepted_with_its_id_and_its_result_is_the_functions_reply(faasd):
    faasd.deploy_script("names", NAMES)
    reply = faasd.request("POST", "/async-function/names", body=b"event", headers={"X-Mine": "1"})
    assert reply.status == 202
    call = reply.json()["id"]
    assert re.fullmatch(UUID, call)
    assert reply.headers["Location"] == f"/async-function/names/{call}"
    assert reply.headers["X-Call-Id"] == reply.headers["X-Request-Id"] == call
    assert wait_ended(faasd, call)["status"] == "succeeded"
    result = faasd.request("GET", reply.headers["Location"])
    assert (result.status, result.body) == (200, f"{call} event".encode())
    assert result.headers["X-Call-Id"] == call and result.headers["X-Call-Status"] == "succeeded"
    assert result.headers["X-Request-Id"] != call
    head = faasd.request("HEAD", reply.headers["Location"])
    assert (head.status, head.body) == (200, b"")
    shown = faasd.request("GET", reply.headers["Location"] + "?status=1").json()
    assert shown == status_of(faasd, call)
    assert shown["function"] == "names" and shown["attempts"] == 1 and shown["statusCode"] == 200


def test_method_path_query_and_fields_are_those_of_the_request(faasd):
    faasd.deploy_script("cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                        "printf '%s %s %s %s %s %s' $REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $HTTP_X_MINE $CONTENT_LENGTH; cat\n",
                        "--contract", "cgi")
    call = queue(faasd, "cgi", b"body", "/a/b?c=d", {"X-Mine": "yes"})
    direct = faasd.request("POST", "/function/cgi/a/b?c=d", b"body", {"X-Mine": "yes"})
    wait_ended(faasd, call)
    result = faasd.request("GET", f"/async-function/cgi/{call}")
    assert result.body == direct.body == b"POST /function/cgi /a/b c=d yes 4body"
    assert result.headers["Content-Type"] == "text/plain"


def test_a_chunked_body_is_stored_whole(faasd):
    faasd.deploy_script("echo", ECHO)
    with faasd.connect() as sock:
        sock.sendall(b"POST /async-function/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        sock.sendall(b"3\r\nabc\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n0\r\n\r\n")
        reply = sock.makefile("rb").read()
    call = json.loads(reply.split(b"\r\n\r\n", 1)[1])["id"]
    wait_ended(faasd, call)
    assert faasd.request("GET", f"/async-function/echo/{call}").body == b"abc" + b"x" * 0x4000


def test_what_cannot_be_accepted_is_refused_at_once(faasd):
    faasd.deploy_script("echo", ECHO)
    gone = faasd.request("POST", "/async-function/nobody", b"{}")
    assert (gone.status, gone.error) == (404, "ResourceNotFound")
    assert faasd.request("POST", "/async-function/echo:9", b"{}").status == 404
    assert faasd.request("POST", "/async-function/a%20b", b"{}").status == 400
    for method, path in [("GET", "echo"), ("PUT", "echo"), ("DELETE", "echo/x"), ("PUT", "echo/x")]:
        refused = faasd.request(method, f"/async-function/{path}")
        assert refused.status == 405 and "POST" in refused.headers["Allow"], refused
    assert faasd.request("OPTIONS", "/async-function/echo").status == 204
    large = faasd.request("POST", "/async-function/echo", b"x" * ((1 << 20) + 1))
    assert (large.status, large.error) == (413, "RequestTooLarge") and "async.body" in large.body.decode()
    for key in ("", "k" * 256):
        bad = faasd.request("POST", "/async-function/echo", b"", {"Idempotency-Key": key})
        assert (bad.status, bad.error) == (400, "BadRequest"), bad


def test_a_result_is_its_functions_own_and_ids_are_not_guessed(faasd):
    faasd.deploy_script("echo", ECHO)
    faasd.deploy_script("other", ECHO)
    call = queue(faasd, "echo")
    wait_ended(faasd, call)
    for path in (f"/async-function/other/{call}", "/async-function/echo/6e6178e2-c5d6-4f39-91a3-66d065d0a3c4", "/async-function/echo/x",
                 f"/async-function/echo/{call}/", f"/async-function/echo/{call.upper()}"):
        reply = faasd.request("GET", path)
        assert (reply.status, reply.error) == (404, "ResourceNotFound"), path
    assert faasd.request("GET", f"/v1/calls/{call}").status == 401  # over TCP, without a credential
    assert faasd.control("GET", "/v1/calls/nonsense").status == 404


def test_calls_and_results_are_behind_the_functions_auth(faasd):
    faasd.deploy_script("guarded", ECHO, "--auth", "admin")
    assert faasd.request("POST", "/async-function/guarded", b"{}").status == 401
    accepted = faasd.control("POST", "/async-function/guarded", b"secret")
    assert accepted.status == 202
    call = accepted.json()["id"]
    wait_ended(faasd, call)
    assert faasd.request("GET", f"/async-function/guarded/{call}").status == 401
    assert faasd.control("GET", f"/async-function/guarded/{call}").body == b"secret"


def test_before_it_has_ended_the_result_is_202_and_says_how_far_it_is(faasd):
    faasd.deploy_script("later", BAD, "--async-backoff", "1h", "--async-max-age", "1d")
    call = queue(faasd, "later")
    wait_until(lambda: status_of(faasd, call)["attempts"] == 1, "its first attempt is over")
    reply = faasd.request("GET", f"/async-function/later/{call}")
    assert reply.status == 202 and reply.headers["X-Call-Status"] == "queued"
    shown = reply.json()
    assert shown["status"] == "queued" and shown["errorType"] == "FunctionError" and "oops" in shown["errorMessage"]
    assert 3500 < shown["nextAttemptSeconds"] <= 3600
    assert faasd.control("POST", f"/v1/calls/{call}/cancel").json()["status"] == "cancelled"
    gone = faasd.request("GET", f"/async-function/later/{call}")
    assert (gone.status, gone.error, gone.headers["X-Call-Status"]) == (410, "Cancelled", "cancelled")


# -- failing --

def test_a_failure_is_tried_again_twice_and_then_kept(faasd):
    faasd.deploy_script("bad", BAD, "--async-backoff", "10ms")
    call = queue(faasd, "bad")
    shown = wait_ended(faasd, call)
    assert (shown["status"], shown["attempts"], shown["statusCode"]) == ("failed", 3, 500)
    result = faasd.request("GET", f"/async-function/bad/{call}")
    assert (result.status, result.error) == (500, "FunctionError")
    assert result.json()["requestId"] == call and "oops" in result.json()["errorMessage"]
    lines = faasd.cli("logs", "bad", "--id", call).out
    assert lines.count("oops") >= 3, lines


def test_a_reply_of_5xx_is_a_failure_and_404_is_not(faasd):
    script = "#!/bin/sh\nprintf 'Status: %s X\\n\\nmine' $(cat)\n"
    faasd.deploy_script("says", script, "--contract", "cgi", "--async-retries", "1", "--async-backoff", "5ms")
    failed, good = queue(faasd, "says", b"503"), queue(faasd, "says", b"404")
    shown = wait_ended(faasd, failed)
    assert (shown["status"], shown["attempts"], shown["statusCode"]) == ("failed", 2, 503)
    assert wait_ended(faasd, good)["status"] == "succeeded"
    result = faasd.request("GET", f"/async-function/says/{failed}")
    assert (result.status, result.body, result.error) == (503, b"mine", None)
    assert faasd.request("GET", f"/async-function/says/{good}").status == 404


def test_a_function_that_has_gone_fails_its_calls_and_redrive_brings_them_back(faasd):
    faasd.deploy_script("brief", BAD, "--async-backoff", "300ms")
    call = queue(faasd, "brief")
    wait_until(lambda: status_of(faasd, call)["attempts"] == 1, "its first attempt is over")
    faasd.cli("rm", "brief")
    shown = wait_ended(faasd, call)
    assert (shown["status"], shown["errorType"]) == ("failed", "ResourceNotFound")
    faasd.deploy_script("brief", ECHO)
    assert faasd.control("POST", f"/v1/calls/{call}/redrive").json() == {"id": call, "status": "queued"}
    assert wait_ended(faasd, call)["status"] == "succeeded"
    assert status_of(faasd, call)["attempts"] == 1
    again = faasd.control("POST", f"/v1/calls/{call}/redrive")
    assert (again.status, again.error) == (409, "Conflict")


def test_a_call_that_would_be_too_old_expires(faasd):
    faasd.deploy_script("slowly", BAD, "--async-backoff", "1h", "--async-max-age", "1h")
    call = queue(faasd, "slowly")
    assert wait_ended(faasd, call)["status"] == "expired"
    # the last attempt's reply is the result
    result = faasd.request("GET", f"/async-function/slowly/{call}")
    assert (result.status, result.headers["X-Call-Status"]) == (500, "expired")


def test_throttles_are_no_attempts():
    with Faasd(config={**CONFIG, "queue_timeout": "50ms"}) as faasd:
        faasd.deploy_script("one", "#!/bin/sh\nsleep 0.7\n", "--max-concurrency", "1", "--queue", "1", "--async-retries", "0")
        blocker = threading.Thread(target=lambda: faasd.invoke("one"))
        blocker.start()
        wait_until(lambda: faasd.describe("one")["counts"]["busy"] == 1, "it is busy")
        call = queue(faasd, "one")
        throttled = wait_until(lambda: (lambda s: s if s.get("errorType") else None)(status_of(faasd, call)), "it was throttled")
        assert (throttled["errorType"], throttled["attempts"]) == ("TooManyRequests", 0)
        shown = wait_ended(faasd, call)
        assert (shown["status"], shown["attempts"]) == ("succeeded", 1)
        blocker.join()


# -- destinations --

def test_destinations_are_called_with_lambdas_record(faasd):
    faasd.deploy_script("sink", ECHO)
    faasd.deploy_script("works", "#!/bin/sh\nprintf '{\"done\":true}'\n", "--on-success", "sink", "--on-failure", "nobody")
    faasd.deploy_script("fails", BAD, "--async-backoff", "1ms", "--on-success", "nobody", "--on-failure", "sink:$LATEST")
    before = totals(faasd)["succeeded_kept"]
    good, bad = queue(faasd, "works", b'{"n":1}'), queue(faasd, "fails", b"no json \xff")
    assert wait_ended(faasd, good)["status"] == "succeeded" and wait_ended(faasd, bad)["status"] == "failed"
    old = queue(faasd, "works:1", b"{}", "/x?y")
    wait_until(lambda: totals(faasd)["succeeded_kept"] == before + 5, "all records were delivered")

    rows = sqlite3.connect(f"file:{faasd.root}/state/db/calls.db?mode=ro", uri=True).execute(
        "SELECT result FROM ended WHERE function = 'sink' ORDER BY seq DESC LIMIT 3").fetchall()
    records = {r["requestContext"]["requestId"]: r for r in (json.loads(row[0]) for row in rows)}
    ok, ko = records[good], records[bad]
    assert ok["version"] == "1.0" and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ok["timestamp"])
    assert ok["requestContext"] == {"requestId": good, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:works:$LATEST",
                                    "condition": "Success", "approximateInvokeCount": 1}
    assert ok["requestPayload"] == {"n": 1} and ok["responsePayload"] == {"done": True}
    assert ok["responseContext"]["executedVersion"] == "$LATEST" and records[old]["responseContext"]["executedVersion"] == "1"
    assert records[old]["requestContext"]["functionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:works:1"
    assert ok["responseContext"]["statusCode"] == 200 and "functionError" not in ok["responseContext"]
    assert ko["requestContext"]["condition"] == "RetriesExhausted" and ko["requestContext"]["approximateInvokeCount"] == 3
    assert ko["requestPayload"] == "no json \ufffd" and ko["responseContext"]["functionError"] == "Unhandled"
    assert ko["responsePayload"]["errorType"] == "Runtime.ExitError"


def test_a_function_that_is_its_own_destination_comes_to_an_end(faasd):
    faasd.deploy_script("snake", ECHO, "--on-success", "snake")
    before = totals(faasd)["succeeded_kept"]
    queue(faasd, "snake")
    wait_until(lambda: "destinations have followed one another" in faasd.log_text(), "the end was logged")
    wait_until(lambda: totals(faasd)["queued"] + totals(faasd)["running"] == 0, "nothing is left")
    assert totals(faasd)["succeeded_kept"] == before + 17


# -- keys, cancelling --

def test_an_idempotency_key_makes_one_call_of_many_requests(faasd):
    faasd.deploy_script("echo", ECHO)
    ids = []
    threads = [threading.Thread(target=lambda: ids.append(queue(faasd, "echo", b"same", headers={"Idempotency-Key": "k 1"}))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 12 and len(set(ids)) == 1
    wait_ended(faasd, ids[0])
    again = faasd.request("POST", "/async-function/echo", b"same", {"Idempotency-Key": "k 1"})
    assert again.json()["id"] == ids[0] and again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Call-Id"] == ids[0] and again.headers["Location"].endswith(ids[0])
    other = faasd.request("POST", "/async-function/echo", b"different", {"Idempotency-Key": "k 1"})
    assert (other.status, other.error) == (422, "IdempotencyMismatch")
    faasd.deploy_script("other", ECHO)
    assert queue(faasd, "other", b"same", headers={"Idempotency-Key": "k 1"}) != ids[0]


def test_a_running_call_that_is_cancelled_is_not_run_again(faasd):
    faasd.deploy_script("long", "#!/bin/sh\nsleep 0.5\nexit 1\n", "--async-backoff", "1ms", "--async-retries", "50")
    call = queue(faasd, "long")
    wait_until(lambda: status_of(faasd, call)["status"] == "running", "it runs")
    assert faasd.control("POST", f"/v1/calls/{call}/cancel").json() == {"id": call, "status": "running", "cancelling": True}
    shown = wait_ended(faasd, call)
    assert shown["status"] == "cancelled" and shown["attempts"] <= 2
    assert faasd.control("POST", f"/v1/calls/{call}/cancel").status == 409


# -- the command line --

def test_the_command_line_queues_waits_cancels_and_redrives(faasd):
    faasd.deploy_script("echo", ECHO)
    faasd.deploy_script("bad", BAD, "--async-backoff", "10ms")
    call = faasd.cli("invoke", "echo", "--async", "-d", "text").out.strip()
    assert re.fullmatch(UUID, call)
    done = faasd.cli("result", call, "--wait")
    assert done.out == "text"
    assert json.loads(faasd.cli("result", call, "--json").out)["status"] == "succeeded"
    assert json.loads(faasd.cli("invoke", "echo", "--async", "--json").out).keys() == {"id"}
    failed = faasd.cli("invoke", "bad", "--async").out.strip()
    done = faasd.cli("result", failed, "--wait", check=False)
    assert done.returncode == 1 and "oops" in done.err and done.out == ""
    assert faasd.cli("invocation", "redrive", failed).out == f"{failed} queued\n"
    faasd.deploy_script("waits", BAD, "--async-backoff", "1h", "--async-max-age", "1d")
    waits = faasd.cli("invoke", "waits", "--async").out.strip()
    wait_until(lambda: status_of(faasd, waits)["attempts"] == 1, "its first attempt is over")
    done = faasd.cli("result", waits, check=False)
    assert done.returncode == 75 and "queued" in done.err
    assert json.loads(faasd.cli("invocation", "cancel", waits, "--json").out)["status"] == "cancelled"
    done = faasd.cli("result", waits, check=False)
    assert done.returncode == 1 and "cancelled" in done.err
    done = faasd.cli("invocation", "cancel", waits, check=False)
    assert done.returncode == 1 and "ended" in done.err


@pytest.mark.parametrize("args,status,words", [
    (["result", "nonsense"], 2, "is no call's id"),
    (["result", "6e6178e2-c5d6-4f39-91a3-66d065d0a3c4"], 3, "no such call"),
    (["invocation"], 2, "cancel"),
    (["invocation", "eat", "x"], 2, "not 'eat'"),
    (["invocation", "cancel"], 2, "ID"),
    (["invocation", "redrive", "6e6178e2-c5d6-4f39-91a3-66d065d0a3c4"], 3, "no such call"),
    (["invoke", "nobody", "--async"], 3, "nobody"),
    (["invoke", "echo", "--async", "--logs"], 2, "--async"),
    (["invoke", "echo", "--json"], 2, "--async"),
])
def test_wrong_command_lines_say_so(faasd, args, status, words):
    done = faasd.cli(*args, check=False)
    assert done.returncode == status and words in done.err, (done.returncode, done.err)


# -- together --

def test_requests_are_served_while_many_calls_wait_and_calls_while_requests_come(faasd):
    faasd.deploy_script("busy", "#!/bin/sh\nsleep 0.05\necho $(cat)\n", "--max-concurrency", "2")
    calls = [queue(faasd, "busy", str(i).encode()) for i in range(120)]
    for _ in range(5):
        began = time.monotonic()
        assert faasd.invoke("busy", b"now").status == 200
        assert time.monotonic() - began < 2  # a few places in the queue, not a hundred
    assert status_of(faasd, calls[-1])["status"] == "queued"
    # as many clients as keep both instances busy and the queue filled: calls go on
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            faasd.invoke("busy", b"again")
    clients = [threading.Thread(target=ask) for _ in range(6)]
    for client in clients:
        client.start()
    before = totals(faasd)["queued"]
    wait_until(lambda: totals(faasd)["queued"] < before - 4, "calls go on")
    stop.set()
    for client in clients:
        client.join()
    for call in calls:
        assert wait_ended(faasd, call)["status"] == "succeeded"
        assert faasd.request("GET", f"/async-function/busy/{call}").status == 200


def test_no_more_run_at_once_than_async_concurrency(faasd):
    faasd.deploy_script("single", "#!/bin/sh\nsleep 0.05\n", "--max-concurrency", "4", "--async-concurrency", "1")
    calls = [queue(faasd, "single") for _ in range(8)]
    most = 0
    while totals(faasd)["queued"] + totals(faasd)["running"]:
        most = max(most, faasd.describe("single")["counts"]["busy"])
    assert most == 1
    assert all(status_of(faasd, call)["status"] == "succeeded" for call in calls)


def test_large_events_go_through_the_window():
    with Faasd(config={"async": {"body": "8M", "result": "4M", "bytes": "1G"}, "request_bytes": "8M"}) as faasd:
        faasd.deploy_script("size", "#!/bin/sh\nwc -c\n", "--max-concurrency", "3")
        calls = [queue(faasd, "size", b"x" * (6 << 20)) for _ in range(20)]
        for call in calls:
            assert wait_ended(faasd, call)["status"] == "succeeded"
            assert int(faasd.request("GET", f"/async-function/size/{call}").body) == 6 << 20
        faasd.deploy_script("echo", ECHO)
        large = queue(faasd, "echo", b"y" * (5 << 20))
        wait_ended(faasd, large)
        gone = faasd.request("GET", f"/async-function/echo/{large}")
        assert (gone.status, gone.error) == (410, "ResultTooLarge") and "async.result" in gone.body.decode()


def test_bounds_are_named_and_old_results_make_room():
    bounds = {"calls": 3, "bytes": "64K", "results": "4K", "failed": "4K"}
    with Faasd(config={"async": bounds}) as faasd:
        faasd.deploy_script("never", BAD, "--async-backoff", "1h", "--async-max-age", "1d")
        faasd.deploy_script("echo", ECHO)
        waiting = [queue(faasd, "never") for _ in range(3)]
        full = faasd.request("POST", "/async-function/echo", b"{}")
        assert (full.status, full.error, full.headers["Retry-After"]) == (429, "TooManyRequests", "1")
        assert "async.calls" in full.body.decode()
        for call in waiting:
            wait_until(lambda: status_of(faasd, call)["attempts"] == 1, "its first attempt is over")
            assert faasd.control("POST", f"/v1/calls/{call}/cancel").status == 200
        large = faasd.request("POST", "/async-function/echo", b"x" * 65536)
        assert (large.status, large.error) == (429, "TooManyRequests") and "async.bytes" in large.body.decode()
        first = queue(faasd, "echo")
        wait_ended(faasd, first)
        for _ in range(20):
            wait_ended(faasd, queue(faasd, "echo", b"z" * 200))
        wait_until(lambda: totals(faasd)["succeeded_bytes"] <= 4096, "results were given up")
        assert faasd.control("GET", f"/v1/calls/{first}").status == 404
        wait_until(lambda: totals(faasd)["failed_bytes"] <= 4096, "dead letters were given up")


def test_brief_errors_are_brief_in_results_too():
    with Faasd(config={"errors": "brief"}) as faasd:
        faasd.deploy_script("bad", BAD, "--async-retries", "0")
        call = queue(faasd, "bad")
        wait_ended(faasd, call)
        result = faasd.request("GET", f"/async-function/bad/{call}")
        assert result.status == 500 and result.json().keys() == {"errorType", "requestId"}
        assert "oops" not in json.dumps(faasd.request("GET", f"/async-function/bad/{call}?status=1").json())
        assert "oops" in faasd.control("GET", f"/v1/calls/{call}/result").body.decode()
