# SPDX-License-Identifier: Apache-2.0
"""Replies that are passed on as they come: by which functions, to whom, how they end, and what becomes of clients that are slow or gone."""

import json
import pathlib
import re
import socket

import pytest

from harness import PROGRAMS, Faasd, brief, is_sanitized, receive_all, wait_until
from stream_client import Stream, begin

CLIENTS = pathlib.Path(__file__).parent / "runtime_clients"
BLOCK = 65536


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"stream_bytes": "40M"}) as daemon:
        program = PROGRAMS / "streamer"
        daemon.deploy("native", program, "--runtime", "native", "--stream", "--timeout", f"{brief(2):.0f}s")
        daemon.deploy("buffered", program, "--runtime", "native", "--timeout", f"{brief(2):.0f}s")
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def record_of(faasd, stream):
    def ended():
        reply = faasd.control("GET", f"/v1/invocations/{stream.fields['x-request-id']}")
        found = reply.json()
        return found if reply.status == 200 and found.get("status") in ("succeeded", "failed") else None

    return wait_until(ended, "the record is there")


def errors(faasd, name):
    return faasd.cli("logs", name, "-n", "100").out


# ---- who gets a stream ----


def test_each_piece_of_a_native_reply_arrives_while_the_function_goes_on(faasd):
    stream = begin(faasd, "native/hang")
    assert stream.status == 200
    assert stream.fields["transfer-encoding"] == "chunked" and "content-length" not in stream.fields
    assert (stream.fields["content-type"], stream.fields["x-kind"]) == ("text/plain", "stream")
    assert stream.fields["x-faasd-start"] in ("cold", "warm") and stream.fields["x-faasd-version"] == "1"
    assert stream.chunk() == b"one "
    stream.close()


def test_the_whole_of_a_stream_arrives_and_the_connection_stays(faasd):
    stream = begin(faasd, "native", body=b"x")
    assert stream.rest() == (b"one two three", True)
    again = begin(faasd, "native?201", sock=stream.sock)
    assert (again.status, again.rest()) == (201, (b"one two three", True))
    assert record_of(faasd, again)["http_status"] == 201
    again.close()


def test_without_the_setting_the_same_reply_goes_out_whole(faasd):
    reply = faasd.invoke("buffered")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"one two three", "13")
    assert reply.headers["content-type"] == "text/plain" and "transfer-encoding" not in reply.headers
    assert faasd.invoke("buffered", path="/break").error == "MidStream"
    long = faasd.invoke("buffered", path="/large")
    assert (long.status, long.error) == (502, "BadReply")
    assert "the reply is longer than the limit 'reply_bytes' (6M)" in long.json()["errorMessage"]
    assert faasd.invoke("buffered").body == b"one two three"


def test_a_reply_that_comes_whole_has_its_length_also_where_streams_are_passed_on(faasd):
    reply = faasd.invoke("native", path="/whole")
    assert (reply.body, reply.headers["content-length"]) == (b"whole", "5")


def test_asynchronous_calls_keep_the_whole(faasd):
    accepted = faasd.request("POST", "/async-function/native", body=b"")
    call = accepted.json()["id"]
    reply = wait_until(lambda: (r := faasd.control("GET", f"/v1/calls/{call}/result")).status == 200 and r, "it has ended")
    assert reply.body == b"one two three"


def test_http_1_0_gets_the_bytes_and_the_end_of_the_connection(faasd):
    stream = begin(faasd, "native", version="1.0")
    assert "transfer-encoding" not in stream.fields and stream.fields["connection"] == "close"
    assert stream.input.read() == b"one two three"


def test_head_gets_the_head_alone_and_the_connection_stays(faasd):
    stream = begin(faasd, "native", method="HEAD")
    assert (stream.status, stream.fields["x-kind"]) == (200, "stream")
    assert begin(faasd, "native", sock=stream.sock).rest() == (b"one two three", True)


def test_a_status_without_a_body_has_none(faasd):
    stream = begin(faasd, "native?204")
    assert stream.status == 204 and "transfer-encoding" not in stream.fields
    assert begin(faasd, "native", sock=stream.sock).rest() == (b"one two three", True)


# ---- how streams end ----


def test_a_failure_before_the_first_byte_is_an_error_like_any_other(faasd):
    reply = faasd.invoke("native", path="/fail")
    assert (reply.status, reply.error) == (500, "AtOnce")


@pytest.mark.parametrize("path, outcome, kind", [
    ("break", "function_error", "MidStream"),
    ("late", "function_error", "HeadersSent"),
    ("crash", "crashed", "FunctionCrashed"),
    ("hang", "timed_out", "Timeout"),
])
def test_a_stream_that_fails_is_cut_and_its_record_says_why(faasd, path, outcome, kind):
    stream = begin(faasd, f"native/{path}")
    assert stream.rest() == (b"one ", False)
    record = record_of(faasd, stream)
    assert (record["status"], record["outcome"], record["http_status"]) == ("failed", outcome, 200)
    assert record["error"]["errorType"] == kind
    assert begin(faasd, "native").rest() == (b"one two three", True)


def test_http_1_0_is_told_of_a_cut_by_a_reset(faasd):
    stream = begin(faasd, "native/break", version="1.0")
    with pytest.raises(ConnectionResetError):
        stream.input.read()


def test_a_stream_over_the_limit_is_cut(faasd):
    faasd.cli("config", "native", "--timeout", "60s")
    stream = begin(faasd, "native/endless")
    data, complete = stream.rest()
    faasd.cli("config", "native", "--timeout", f"{brief(2):.0f}s")
    assert not complete and 39 << 20 < len(data) <= 40 << 20
    record = record_of(faasd, stream)
    assert (record["outcome"], record["error"]["errorType"]) == ("crashed", "BadReply")
    assert record["error"]["errorMessage"] == "the stream is longer than the limit 'stream_bytes' (40M)"


def test_the_access_log_counts_what_was_sent():
    with Faasd({"access_log": "access.log"}) as daemon:
        daemon.deploy("native", PROGRAMS / "streamer", "--runtime", "native", "--stream")
        whole, cut = begin(daemon, "native"), begin(daemon, "native/break")
        assert whole.rest()[1] and not cut.rest()[1]

        def lines():
            path = next(iter(daemon.root.rglob("access.log*")), None)
            found = [json.loads(line) for line in path.read_text().splitlines()] if path else []
            return {line["id"]: line for line in found if line["target"].startswith("/function")}

        wait_until(lambda: len(lines()) == 2, "both are logged")
        got = lines()
        assert [(got[s.fields["x-request-id"]]["status"], got[s.fields["x-request-id"]]["bytes"], got[s.fields["x-request-id"]].get("error"))
                for s in (whole, cut)] == [(200, 13, None), (200, 4, "MidStream")]


def test_faasd_invoke_prints_what_came_and_says_where_the_reason_stands(faasd):
    faasd.deploy_script("half", "#!/bin/sh\necho one; exit 3\n", "--stream")
    done = faasd.cli("invoke", "half", check=False)
    assert (done.returncode, done.out) == (1, "one\n")
    assert "closed the connection in the middle of its reply" in done.err
    why = re.search(r"why: faasd why (\S+)", done.err)
    assert "exited with status 3" in faasd.cli("why", why.group(1)).out


# ---- slow clients, and those that leave ----


def peak_memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) << 10


def grew_little(faasd, before):
    return is_sanitized() or peak_memory(faasd.gateway_pid()) - before < 2 << 20


def test_a_client_that_does_not_read_slows_the_function_and_costs_little_memory(faasd):
    before = peak_memory(faasd.gateway_pid())
    stream = begin(faasd, "native/endless", small=True)
    record = record_of(faasd, stream)
    assert (record["outcome"], record["error"]["errorType"]) == ("timed_out", "Timeout")
    assert grew_little(faasd, before)
    stream.close()


def test_a_slow_client_gets_every_byte(faasd):
    before = peak_memory(faasd.gateway_pid())
    faasd.cli("config", "native", "--timeout", "60s")
    stream = begin(faasd, "native/large", small=True)
    data, complete = stream.rest()
    assert complete and data == b"one " + bytes(512 * BLOCK)
    assert grew_little(faasd, before)
    faasd.cli("config", "native", "--timeout", f"{brief(2):.0f}s")


def test_a_client_that_leaves_does_not_end_the_function(faasd):
    faasd.cli("config", "native", "--timeout", "60s")
    stream = begin(faasd, "native/large", small=True)
    stream.close()
    record = record_of(faasd, stream)
    assert (record["status"], record["http_status"]) == ("succeeded", 200)
    faasd.cli("config", "native", "--timeout", f"{brief(2):.0f}s")


def test_a_client_that_stands_still_is_given_up_after_body_deadline():
    with Faasd({"body_deadline": f"{brief(1):.0f}s"}) as daemon:
        daemon.deploy("native", PROGRAMS / "streamer", "--runtime", "native", "--stream", "--timeout", "60s")
        stream = begin(daemon, "native/large", small=True)
        record = record_of(daemon, stream)  # the rest is dropped, the function comes to its end long before its timeout
        assert record["status"] == "succeeded"
        assert len(receive_all(stream.sock)) < 30 << 20


def test_a_client_that_has_only_shut_its_side_down_gets_the_whole(faasd):
    stream = Stream(faasd, "native")
    stream.sock.shutdown(socket.SHUT_WR)
    stream.head()
    assert stream.rest() == (b"one two three", True)


def test_draining_waits_for_a_stream_to_its_deadline():
    with Faasd({"drain": f"{brief(1):.0f}s"}) as daemon:
        daemon.deploy("native", PROGRAMS / "streamer", "--runtime", "native", "--stream", "--timeout", "60s")
        stream = begin(daemon, "native/hang")
        assert stream.chunk() == b"one "
        assert daemon.stop() == 0
        assert stream.rest() == (b"", False)
        assert "the drain's deadline has passed" in daemon.log_text()


# ---- exec ----


def exec_function(faasd, name, text, *options):
    faasd.deploy_script(name, "#!/bin/sh\n" + text, "--stream", "--timeout", f"{brief(2):.0f}s", *options)


def test_stdout_of_a_program_is_passed_on_as_it_comes(faasd):
    exec_function(faasd, "lines", "echo one; exec sleep 1000", "--content-type", "text/plain")
    stream = begin(faasd, "lines")
    assert (stream.status, stream.fields["content-type"], stream.chunk()) == (200, "text/plain", b"one\n")
    assert stream.rest() == (b"", False)
    assert record_of(faasd, stream)["error"]["errorType"] == "Timeout"


def test_a_program_that_fails_behind_its_first_byte_is_cut_and_before_it_is_an_error(faasd):
    exec_function(faasd, "fails", "cat; echo why >&2; exit 3")
    stream = begin(faasd, "fails", body=b"some")
    assert stream.rest() == (b"some", False)
    record = record_of(faasd, stream)
    assert record["error"]["errorType"] == "FunctionError" and "exited with status 3" in record["error"]["errorMessage"]
    reply = faasd.invoke("fails")
    assert (reply.status, reply.error) == (500, "FunctionError")


def test_a_program_that_says_nothing_has_an_empty_reply(faasd):
    exec_function(faasd, "silent", "true")
    reply = faasd.invoke("silent")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")


def test_a_cgi_head_comes_first_in_whatever_pieces(faasd):
    exec_function(faasd, "cgi", r"""printf 'Content-Ty'; sleep 0.05; printf 'pe: text/plain\r\nStatus: 201 Made\r\n\r\n'; printf body; exec sleep 1000""",
                  "--contract", "cgi")
    stream = begin(faasd, "cgi")
    assert (stream.status, stream.fields["content-type"], stream.chunk()) == (201, "text/plain", b"body")
    stream.close()


@pytest.mark.parametrize("head, message", [
    ("printf 'no colon\\n\\nbody'", "has no ':'"),
    ("head -c 200000 /dev/zero | tr '\\\\0' x", "no empty line ends the CGI header within its first 128 KiB"),
    ("printf 'Content-Type: text/plain\\n'", "no empty line ends the CGI header"),
])
def test_a_bad_cgi_head_is_a_bad_reply(faasd, head, message):
    exec_function(faasd, "bad-cgi", head, "--contract", "cgi")
    reply = faasd.invoke("bad-cgi")
    assert (reply.status, reply.error) == (502, "BadReply")
    assert message in reply.json()["errorMessage"]


def test_a_program_that_floods_gets_its_pace_from_the_client(faasd):
    exec_function(faasd, "flood", f"head -c {30 << 20} /dev/zero", "--timeout", "60s")
    before = peak_memory(faasd.gateway_pid())
    stream = begin(faasd, "flood", small=True)
    assert stream.rest() == (bytes(30 << 20), True)
    assert grew_little(faasd, before)


def test_a_reply_by_file_goes_out_whole(faasd):
    exec_function(faasd, "files", 'printf whole > "$res"', "--contract", "files")
    reply = faasd.invoke("files")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"whole", "5")


# ---- provided ----


@pytest.fixture(scope="module")
def provided(faasd):
    faasd.deploy("runtime", CLIENTS / "streamer", "--runtime", "provided", "--stream", "--timeout", f"{brief(2):.0f}s")
    faasd.deploy("runtime-whole", CLIENTS / "streamer", "--runtime", "provided", "--timeout", f"{brief(2):.0f}s")
    return faasd


def play(faasd, name="runtime", **event):
    return begin(faasd, name, body=json.dumps(event).encode())


def test_a_streamed_response_is_passed_on_as_it_comes(provided):
    stream = play(provided, pieces=["one"], hang=1, type="text/event-stream")
    assert (stream.status, stream.fields["content-type"], stream.chunk()) == (200, "text/event-stream", b"one")
    assert stream.rest() == (b"", False)
    assert record_of(provided, stream)["error"]["errorType"] == "Timeout"
    whole = play(provided, pieces=["one", "two"])
    assert (whole.fields["content-type"], whole.rest()) == ("application/octet-stream", (b"onetwo", True))


def test_the_head_goes_out_when_its_prelude_is_complete(provided):
    prelude = {"statusCode": 418, "headers": {"Content-Type": "text/tea", "X-A": "b"}, "cookies": ["c=d"]}
    stream = play(provided, prelude=prelude, hang=1)
    assert (stream.status, stream.fields["content-type"], stream.fields["x-a"], stream.fields["set-cookie"]) == (418, "text/tea", "b", "c=d")
    stream.close()
    assert play(provided, prelude=prelude, with_head="first ", pieces=["second"]).rest() == (b"first second", True)
    assert play(provided, prelude=prelude).rest() == (b"", True)


@pytest.mark.parametrize("raw, message", [
    ("[]" + "\0" * 8, "not an object with a statusCode"),
    ("{nope" + "\0" * 8, "is not JSON"),
    ('{"statusCode":200}', "ended within its prelude"),
    ("x" * 150000, "within its first 128 KiB"),
])
def test_a_bad_prelude_is_a_bad_reply(provided, raw, message):
    reply = provided.invoke("runtime", json.dumps({"raw_prelude": raw, "pieces": ["body"] if "\0" in raw else []}).encode())
    assert (reply.status, reply.error) == (502, "BadReply")
    assert message in reply.json()["errorMessage"]
    assert play(provided, pieces=["ok"]).rest() == (b"ok", True)


def test_trailers_with_an_error_cut_the_stream(provided):
    error = {"errorType": "Function.Broken", "errorMessage": "half way"}
    stream = play(provided, pieces=["one"], error=error)
    assert stream.rest() == (b"one", False)
    told = record_of(provided, stream)["error"]
    assert (told["errorType"], told["errorMessage"]) == ("Function.Broken", "half way")
    reply = provided.invoke("runtime", json.dumps({"error": error}).encode())
    assert (reply.status, reply.error) == (500, "Function.Broken")


def test_a_runtime_that_dies_in_its_response_cuts_the_stream(provided):
    # More than the sockets hold: its beginning was passed on before the end of its process can be heard.
    stream = play(provided, blocks=200, exit=1)
    data, complete = stream.rest()
    assert not complete and 0 < len(data) <= 200 * BLOCK and not data.strip(b"x")
    assert record_of(provided, stream)["outcome"] == "crashed"
    assert play(provided, pieces=["ok"]).rest() == (b"ok", True)


def test_a_second_response_is_refused(provided):
    assert play(provided, pieces=["one"], again=1).rest() == (b"one", True)
    wait_until(lambda: 'again 400' in errors(provided, "runtime"), "the runtime is told")
    assert "InvalidRequestID" in errors(provided, "runtime")


def test_a_response_over_the_limit_is_cut_and_the_runtime_told(provided):
    stream = play(provided, blocks=700)
    data, complete = stream.rest()
    assert not complete and len(data) <= 40 << 20
    assert record_of(provided, stream)["error"]["errorType"] == "Function.ResponseSizeTooLarge"
    wait_until(lambda: "answered 413" in errors(provided, "runtime"), "the runtime is told")
    assert f"Exceeded maximum allowed payload size ({40 << 20} bytes)." in errors(provided, "runtime")


def test_a_runtime_gets_its_pace_from_the_client(provided):
    provided.cli("config", "runtime", "--timeout", "60s")
    before = peak_memory(provided.gateway_pid())
    stream = begin(provided, "runtime", body=json.dumps({"blocks": 400}).encode(), small=True)
    data, complete = stream.rest()
    assert complete and data == b"x" * 400 * BLOCK
    assert grew_little(provided, before)
    provided.cli("config", "runtime", "--timeout", f"{brief(2):.0f}s")


def test_nobody_who_has_not_asked_gets_a_stream_whatever_the_runtime_says(provided):
    reply = provided.invoke("runtime-whole", json.dumps({"pieces": ["one", "two"]}).encode())
    assert (reply.body, reply.headers["content-length"]) == (b"onetwo", "6")


# ---- node ----


def test_each_write_of_a_node_function_arrives(faasd, tmp_path):
    (tmp_path / "index.mjs").write_text("""
        export const handler = awslambda.streamifyResponse(async (event, stream) => {
          stream = awslambda.HttpResponseStream.from(stream, { statusCode: 202, headers: { 'Content-Type': 'text/plain' } });
          stream.write('one');
          if (event.hang) await new Promise((r) => setTimeout(r, 1e6));
          if (event.blocks) for (let i = 0; i < event.blocks; i++)
            if (!stream.write(Buffer.alloc(65536))) await new Promise((r) => stream.once('drain', r));
          stream.end('two');
        });""")
    faasd.deploy("node", tmp_path, "--runtime", "node", "--stream", "--timeout", f"{brief(5):.0f}s")
    stream = begin(faasd, "node", body=b'{"hang":1}')
    assert (stream.status, stream.fields["content-type"], stream.chunk()) == (202, "text/plain", b"one")
    stream.close()
    assert begin(faasd, "node").rest() == (b"onetwo", True)
    before = peak_memory(faasd.gateway_pid())
    assert begin(faasd, "node", body=b'{"blocks":300}', small=True).rest() == (b"one" + bytes(300 * BLOCK) + b"two", True)
    assert grew_little(faasd, before)
