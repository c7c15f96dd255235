# SPDX-License-Identifier: Apache-2.0
"""The front door under hostile bytes, on a raw socket. A request that is refused gets one reply, its connection closes, and the good request pipelined
behind it (the canary) never runs. A request that is accepted is followed by its canary's reply on the same connection."""

import contextlib
import http.client
import json
import pathlib
import re
import resource
import socket
import threading
import time

import pytest

from harness import HELLO, Faasd, descriptor_limit, limit_descriptors, receive_all, wait_until
from wire import Replies, send_all

CANARY = b'POST /function/canary HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'
K = 1024
M = 1024 * 1024


@pytest.fixture(scope="module")
def front():
    with Faasd() as daemon:
        daemon.deploy("canary", HELLO, "--runtime", "native")
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.deploy_script("cat", "#!/bin/sh\nexec cat\n")
        daemon.invoke("canary", b"{}")
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def canary_runs(front):
    return front.describe("canary")["counters"]["succeeded"]


def converse(front, data, finish=True, methods=()):
    """Sends everything, then reads until the other side closes. finish: our side is shut, so that a connection that is kept also ends."""
    with front.connect() as sock:
        send_all(sock, data)
        if finish:
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        return Replies(receive_all(sock), methods)


def assert_refused(front, request, *statuses):
    before = canary_runs(front)
    # Our side stays open: that the connection ends is the server's doing.
    replies = converse(front, request + CANARY, finish=False)
    assert len(replies.all) == 1, replies.all
    status, headers, body = replies.all[0]
    assert status in statuses, (status, body)
    assert headers["connection"] == "close"
    error = json.loads(body)
    assert error["errorType"] == headers["x-faasd-error"]
    assert error["requestId"] == headers["x-request-id"]
    assert error["errorMessage"]
    assert canary_runs(front) == before, "the request behind a refused one ran"


def assert_accepted(front, request, status, methods=()):
    replies = converse(front, request + CANARY, methods=methods)
    final = [s for s in replies.statuses if s >= 200]
    assert final == [status, 200], replies.all
    return replies


def post(*lines, body=b"", target=b"/function/hello", version=b"HTTP/1.1", host=True):
    head = [b"POST " + target + b" " + version] + ([b"Host: localhost"] if host else []) + list(lines)
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def get(*lines, target=b"/function/hello", method=b"GET", host=b"Host: localhost", version=b"HTTP/1.1"):
    head = [method + b" " + target + b" " + version] + ([host] if host else []) + list(lines)
    return b"\r\n".join(head) + b"\r\n\r\n"


def chunked(body, *lines):
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


# -- refused: id, bytes, the statuses that are right --

REFUSED = [
    # H1: both framings
    ("H1 length then chunked", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    ("H1 chunked then length", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    # H2: two lengths
    ("H2 different lengths", post(b"Content-Length: 2", b"Content-Length: 3", body=b"{} "), 400),
    ("H2 the same length twice", post(b"Content-Length: 2", b"Content-Length: 2", body=b"{}"), 400),
    ("H2 a list of lengths", post(b"Content-Length: 2, 2", body=b"{}"), 400),
    # H3: lengths that are no numbers
    *[(f"H3 length {bad!r}", post(b"Content-Length: " + bad, body=b"{}"), 400)
      for bad in (b"+2", b"-0", b"-2", b"0x2", b"2_0", b"2 2", b"", b"2.0", b"two", b"\xb2", b"2;q=1")],
    ("H3 length 2^64", post(b"Content-Length: 18446744073709551616"), 400, 413),
    ("H3 length 2^64 + 2", post(b"Content-Length: 18446744073709551618", body=b"{}"), 400, 413),
    ("H3 length of 300 digits", post(b"Content-Length: " + b"9" * 300), 400, 413),
    # H4: codings
    *[(f"H4 coding {bad!r}", post(b"Transfer-Encoding: " + bad, body=b"0\r\n\r\n"), 400, 501)
      for bad in (b"xchunked", b"chunked, identity", b"identity, chunked", b"gzip, chunked", b",chunked", b"\x0bchunked", b"chunked;q=1", b"identity",
                  b"chunked, chunked", b"", b"chunked\x00", b'"chunked"')],
    ("H4 coding twice", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, 501),
    ("H4 coding folded", post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    ("H4 blank before the colon", post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    # H5
    ("H5 coding in HTTP/1.0", post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"HTTP/1.0"), 400),
    # H6: chunk sizes
    *[(f"H6 chunk size {bad!r}", chunked(bad + b"\r\n{}\r\n0\r\n\r\n"), 400)
      for bad in (b"0x2", b"+2", b"-2", b"2_", b" 2", b"2 ", b"\t2", b"", b"g", b"00000000000000002", b"8000000000000000", b"ffffffffffffffff", b"2\x00")],
    # H7: what stands around chunks
    ("H7 chunk extension of 1 MiB", chunked(b"2;" + b"x" * M + b"\r\n{}\r\n0\r\n\r\n"), 400),
    ("H7 bare LF behind the size", chunked(b"2\n{}\r\n0\r\n\r\n"), 400),
    ("H7 bare LF in an extension", chunked(b"2;a\nb\r\n{}\r\n0\r\n\r\n"), 400),
    ("H7 CR in an extension", chunked(b"2;a\rb\r\n{}\r\n0\r\n\r\n"), 400),
    ("H7 no CRLF behind the data", chunked(b"2\r\n{}0\r\n\r\n"), 400),
    ("H7 bare LF behind the data", chunked(b"2\r\n{}\n0\r\n\r\n"), 400),
    ("H7 more data than the size", chunked(b"2\r\n{} }\r\n0\r\n\r\n"), 400),
    # H8: trailers
    ("H8 trailers of 1 MiB", chunked(b"0\r\n" + b"X: " + b"y" * M + b"\r\n\r\n"), 431),
    ("H8 a trailer without a colon", chunked(b"0\r\nnonsense\r\n\r\n"), 400),
    ("H8 a bare LF in trailers", chunked(b"0\r\nX: y\n\r\n"), 400),
    # H9: lines and names
    ("H9 bare LF behind a field", b"GET /function/hello HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400),
    ("H9 bare LF throughout", b"GET /function/hello HTTP/1.1\nHost: localhost\n\n", 400),
    ("H9 bare CR in a value", get(b"X: a\rb"), 400),
    ("H9 NUL in a value", get(b"X: a\x00b"), 400),
    ("H9 DEL in a value", get(b"X: a\x7fb"), 400),
    ("H9 escape in a value", get(b"X: \x1b[2J"), 400),
    ("H9 folded line", get(b"X: a", b" b"), 400),
    ("H9 folded first line", b"GET /function/hello HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    ("H9 empty name", get(b": x"), 400),
    ("H9 no colon", get(b"nonsense"), 400),
    ("H9 blank in a name", get(b"X Y: z"), 400),
    ("H9 bracket in a name", get(b"X(Y): z"), 400),
    ("H9 8-bit name", get(b"X\xe9: z"), 400),
    ("H9 NUL in a name", get(b"X\x00: z"), 400),
    # H10: request lines
    ("H10 tab", b"GET\t/function/hello\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H10 two blanks", b"GET  /function/hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H10 blank behind the version", b"GET /function/hello HTTP/1.1 \r\nHost: a\r\n\r\n", 400, 505),
    ("H10 blank in the target", b"GET /function/hello x HTTP/1.1\r\nHost: a\r\n\r\n", 400, 505),
    ("H10 HTTP/1.10", get(version=b"HTTP/1.10"), 400, 505),
    ("H10 HTTP/1.2", get(version=b"HTTP/1.2"), 400, 505),
    ("H10 HTTP/2.0", get(version=b"HTTP/2.0"), 400, 505),
    ("H10 lower-case http", get(version=b"http/1.1"), 400, 505),
    ("H10 no version", b"GET /function/hello\r\nHost: a\r\n\r\n", 400),
    ("H10 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 501, 505),
    ("H10 no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("H10 fragment", get(target=b"/function/hello#x"), 400),
    ("H10 relative target", get(target=b"function/hello"), 400),
    ("H10 absolute target for another host", get(target=b"http://other/function/hello"), 400),
    ("H10 absolute target with userinfo", get(target=b"http://u@localhost/function/hello"), 400),
    ("H10 https target", get(target=b"https://localhost/function/hello"), 400),
    ("H10 star with GET", get(target=b"*"), 400),
    ("H10 CONNECT", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", 400, 405, 501),
    ("H10 TRACE", get(method=b"TRACE"), 405, 501),
    ("H10 a method with a bracket", get(method=b"G{T"), 400),
    ("H10 a method of 4 KiB", get(method=b"G" * 4 * K), 400, 501),
    ("H10 control byte in the target", get(target=b"/function/hello\x01"), 400),
    ("H10 8-bit target", get(target=b"/function/h\xc3\xa9"), 400),
    # H11: Host
    ("H11 none", get(host=b""), 400),
    ("H11 two", get(b"Host: localhost"), 400),
    ("H11 empty", get(host=b"Host: "), 400),
    ("H11 userinfo", get(host=b"Host: u@localhost"), 400),
    ("H11 path", get(host=b"Host: localhost/x"), 400),
    ("H11 bad port", get(host=b"Host: localhost:x"), 400),
    ("H11 port out of range", get(host=b"Host: localhost:65536"), 400),
    ("H11 open bracket", get(host=b"Host: [::1"), 400),
    ("H11 list", get(host=b"Host: localhost, other"), 400),
    # H12: targets that are refused whole
    ("H12 encoded NUL", get(target=b"/function/hello%00"), 400),
    ("H12 broken escape", get(target=b"/function/hello/%zz"), 400),
    ("H12 cut escape", get(target=b"/function/hello/%2"), 400),
    ("H12 backslash", get(target=b"\\function\\hello"), 400),
    ("H12 path of 64 KiB", get(target=b"/function/hello/" + b"x" * 64 * K), 414),
    # H13: heads that are too large
    ("H13 10,000 fields", get(*[b"X%d: y" % i for i in range(10000)]), 431),
    ("H13 129 fields", get(*[b"X%d: y" % i for i in range(128)]), 431),
    ("H13 one field of 1 MiB", get(b"X: " + b"y" * M), 431),
    ("H13 64 KiB in all", get(*[b"X%d: " % i + b"y" * 1000 for i in range(66)]), 431),
    ("H13 a name of 64 KiB", get(b"X" * 64 * K + b": y"), 431),
    # H14: bodies over the limit
    ("H14 length over the limit", post(b"Content-Length: %d" % (6 * M + 1)), 413),
    ("H14 chunks over the limit", chunked(b"700000\r\n" + b"x" * 7 * M + b"\r\n0\r\n\r\n"), 413),
    ("H14 a chunk that says it is over the limit", chunked(b"80000000\r\n"), 413),
    ("H14 a later chunk that says so", chunked(b"2\r\n{}\r\n600000\r\n"), 413),
    ("H14 many chunks over the limit", chunked((b"10000\r\n" + b"x" * 65536 + b"\r\n") * 100 + b"0\r\n\r\n"), 413),
    # H15: expectations
    ("H15 unknown expectation", post(b"Content-Length: 2", b"Expect: 200-ok", body=b"{}"), 417),
    ("H15 a list of expectations", post(b"Content-Length: 2", b"Expect: 100-continue, x", body=b"{}"), 417),
    # H25: other protocols
    ("H25 TLS", bytes.fromhex("16030100c4010000c00303") + bytes(range(128, 256)) + b"\r\n\r\n", 400),
    ("H25 random", bytes((i * 97 + 13) % 256 for i in range(600)), 400),
    ("H25 SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400, 501),
    ("H25 SMTP", b"EHLO example.org\r\n", 400),
]


@pytest.mark.parametrize("request_bytes, statuses", [pytest.param(row[1], row[2:], id=row[0]) for row in REFUSED])
def test_a_refused_request_closes_and_what_is_behind_it_does_not_run(front, request_bytes, statuses):
    assert_refused(front, request_bytes, *statuses)


# -- accepted: the connection goes on, framing intact --

ACCEPTED = [
    ("no body", get(), 200),
    ("lower-case names", b"GET /function/hello HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
    ("blanks around a value", get(b"X:  \t y \t "), 200),
    ("8-bit value", get(b"X: \xe9\xff"), 200),
    ("empty value", get(b"X:"), 200),
    ("an empty line first", b"\r\n" + get(), 200),
    ("128 fields", get(*[b"X%d: y" % i for i in range(127)]), 200),
    ("60 KiB of fields", get(*[b"X%d: " % i + b"y" * 1000 for i in range(59)]), 200),
    ("absolute target", get(target=b"http://localhost/function/hello"), 200),
    ("length 0", post(b"Content-Length: 0"), 200),
    ("length", post(b"Content-Length: 2", body=b"{}"), 200),
    ("chunked", chunked(b"2\r\n{}\r\n0\r\n\r\n"), 200),
    ("chunked in upper case", post(b"Transfer-Encoding: Chunked", body=b"2\r\n{}\r\n0\r\n\r\n"), 200),
    ("chunks of one byte", chunked(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), 200),
    ("chunk extensions", chunked(b"2;a=b;c\r\n{}\r\n0;d\r\n\r\n"), 200),
    ("H8 framing in trailers is dropped", chunked(b"2\r\n{}\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: x\r\nHost: evil\r\n\r\n"), 200),
    ("H12 encoded dots stay in the path", get(target=b"/function/hello/%2e%2e/%2e%2e/v1/system"), 200),
    ("H12 encoded CRLF stays in the path", get(target=b"/function/hello/%0d%0aX:%20y"), 200),
    ("H12 two slashes", get(target=b"/function/hello//x"), 200),
    ("H12 a name that is none", get(target=b"/function/..%2fv1"), 400),
    ("H12 dots before the name", get(target=b"/function/../v1/system"), 400),
    ("H12 the prefix in two slashes", get(target=b"//function/hello"), 404),
    ("H12 overlong UTF-8", get(target=b"/function/%c0%ae%c0%ae/"), 400),
    ("H15 Expect with its body", post(b"Content-Length: 2", b"Expect: 100-continue", body=b"{}"), 200),
    ("H15 Expect without a body", get(b"Expect: 100-continue"), 200),
    ("H15 Expect with length 0", post(b"Content-Length: 0", b"Expect: 100-continue"), 200),
    ("H23 h2c upgrade", get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), 200),
    ("H23 websocket", get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
                          b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 200),
    ("unknown function", get(target=b"/function/missing"), 404),
    ("unknown function with a body", post(b"Content-Length: 30", body=CANARY[:30], target=b"/function/missing"), 404),
    ("unknown function with a chunked body", post(b"Transfer-Encoding: chunked", body=b"1e\r\n" + CANARY[:30] + b"\r\n0\r\n\r\n",
                                                  target=b"/function/missing"), 404),
    ("unknown version", get(target=b"/function/hello:77"), 404),
    ("$LATEST", get(target=b"/function/hello:$LATEST"), 200),
    ("unknown path", get(target=b"/nothing"), 404),
    ("wrong method", get(target=b"/healthz", method=b"DELETE"), 405),
    ("a method of its own", get(method=b"PURGE"), 200),
    ("OPTIONS of everything", get(target=b"*", method=b"OPTIONS"), 204),
    ("control over TCP", get(target=b"/v1/functions"), 401),
    ("control over TCP with a foreign name", get(target=b"/v1/functions", host=b"Host: evil.example"), 421),
    ("control over TCP from a page", get(b"Origin: http://evil.example", target=b"/v1/functions"), 403),
    ("control over TCP by deploy", b"PUT /v1/functions/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nGET ", 401),
]


@pytest.mark.parametrize("request_bytes, status", [pytest.param(*row[1:], id=row[0]) for row in ACCEPTED])
def test_an_accepted_request_leaves_the_connection_to_the_next(front, request_bytes, status):
    assert_accepted(front, request_bytes, status)


@pytest.mark.row("H22")
def test_head_has_the_length_and_no_body(front):
    replies = assert_accepted(front, get(method=b"HEAD"), 200, methods=["HEAD"])
    assert int(replies.all[0][1]["content-length"]) > 0


@pytest.mark.row("H22")
def test_head_of_an_error_has_no_body(front):
    assert_accepted(front, get(method=b"HEAD", target=b"/function/missing"), 404, methods=["HEAD"])


def test_old_clients_are_closed_unless_they_ask(front):
    replies = converse(front, get(version=b"HTTP/1.0") + CANARY, finish=False)
    assert replies.statuses == [200] and replies.all[0][1]["connection"] == "close"
    replies = assert_accepted(front, get(b"Connection: keep-alive", version=b"HTTP/1.0"), 200)
    assert replies.all[0][1]["connection"] == "keep-alive"


def test_connection_close_is_honoured(front):
    before = canary_runs(front)
    replies = converse(front, get(b"Connection: close") + CANARY, finish=False)
    assert replies.statuses == [200] and canary_runs(front) == before


@pytest.mark.row("H16")
@pytest.mark.parametrize("count", [1, 2, 50, 1000])
def test_pipelined_requests_are_answered_in_order(front, count):
    requests = b"".join(post(b"Content-Length: %d" % len(b), body=b)
                        for b in (json.dumps({"name": f"n{i}"}).encode() for i in range(count)))
    replies = converse(front, requests)
    assert [json.loads(body)["message"] for _, _, body in replies.all] == [f"hello n{i}" for i in range(count)]


@pytest.mark.row("H16")
def test_a_bad_request_among_pipelined_ones_ends_the_row(front):
    before = canary_runs(front)
    replies = converse(front, get() * 3 + get(b"bad line") + CANARY * 3, finish=False)
    assert replies.statuses == [200, 200, 200, 400]
    assert canary_runs(front) == before


def without_variable_parts(replies):
    drop = ("x-request-id", "x-duration-seconds", "server-timing", "x-faasd-start")
    return [(s, {k: v for k, v in h.items() if k not in drop}, re.sub(rb'"requestId":"[^"]*"', b"", b)) for s, h, b in replies.all]


@pytest.mark.parametrize("request_bytes", [
    pytest.param(get(), id="GET"),
    pytest.param(post(b"Content-Length: 14", body=b'{"name":"you"}'), id="length"),
    pytest.param(chunked(b'7\r\n{"name"\r\n7;x\r\n:"you"}\r\n0\r\nT: v\r\n\r\n'), id="chunked"),
    pytest.param(post(b"Content-Length: 4", body=b"GET ", target=b"/function/missing"), id="unknown function"),
    pytest.param(get() + get(target=b"/nothing") + get(b"Connection: close"), id="pipelined"),
    pytest.param(post(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), id="ambiguous"),
    pytest.param(get(b"bad line"), id="bad line"),
])
@pytest.mark.row("H21")
def test_a_request_cut_at_any_byte_gets_the_same_reply(front, request_bytes):
    whole = without_variable_parts(converse(front, request_bytes))
    assert whole
    for cut in range(1, len(request_bytes)):
        with front.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            send_all(sock, request_bytes[:cut])
            time.sleep(0.0005)  # mostly enough for two reads at the other end; the reply must be the same either way
            send_all(sock, request_bytes[cut:])
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert without_variable_parts(Replies(receive_all(sock))) == whole, cut


@pytest.mark.parametrize("size", [0, 1, 16 * K, 100 * K, M, 6 * M])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_go_through_unchanged(front, size, framing):
    body = bytes(i * 7 % 251 for i in range(min(size, 5021))) * (size // min(size, 5021) + 1 if size else 0)
    body = body[:size]
    if framing == "length":
        request = post(b"Content-Length: %d" % size, body=body, target=b"/function/cat")
    else:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[i:i + 50000] for i in range(0, size, 50000)))
        request = post(b"Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n", target=b"/function/cat")
    replies = converse(front, request + CANARY)
    assert replies.statuses == [200, 200]
    assert replies.all[0][2] == body


@pytest.mark.row("H15")
def test_continue_comes_once_and_before_the_body(front):
    with front.connect() as sock:
        sock.sendall(post(b"Content-Length: 2", b"Expect: 100-continue"))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}" + CANARY)
        sock.shutdown(socket.SHUT_WR)
        assert Replies(receive_all(sock)).statuses == [200, 200]


@pytest.mark.row("H15")
def test_continue_is_not_said_before_a_refusal(front):
    for request, status in ((post(b"Content-Length: 9999999", b"Expect: 100-continue"), 413),
                            (post(b"Content-Length: 2", b"Expect: 100-continue", target=b"/function/missing"), 404)):
        assert converse(front, request, finish=False).statuses == [status]


def test_a_client_that_shuts_its_side_down_gets_its_reply(front):
    assert converse(front, post(b"Content-Length: 2", body=b"{}")).statuses == [200]


@pytest.mark.row("H20")
def test_a_client_that_leaves_harms_nobody(front):
    front.deploy_script("slow", "#!/bin/sh\nsleep 0.3\necho done\n")
    before = front.describe("slow")["counters"]["succeeded"]
    for reset in (False, True):
        sock = front.connect()
        sock.sendall(get(target=b"/function/slow"))
        wait_until(lambda: front.describe("slow")["counts"]["busy"] == 1, "it runs")
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
        wait_until(lambda: front.describe("slow")["counts"]["busy"] == 0, "it ends all the same")
    assert front.describe("slow")["counters"]["succeeded"] == before + 2
    assert front.invoke("slow").body == b"done\n"


def test_the_sockets_differ_in_what_they_open(front):
    assert front.control("GET", "/v1/functions").status == 200
    refused = front.request("GET", "/v1/functions", socket_path=front.invoke_path)
    assert refused.status == 403 and "control.sock" in refused.json()["errorMessage"]
    assert front.request("POST", "/function/hello", b"{}", socket_path=front.invoke_path).status == 200
    assert front.request("POST", "/function/hello", b"{}", socket_path=front.control_path).status == 200
    assert front.request("GET", "/healthz", socket_path=front.invoke_path).status == 200


@pytest.mark.parametrize("listener", ["invoke", "control"])
def test_nobody_hands_the_gateway_a_descriptor(front, listener):
    """Whoever drops the last one closes it, and a close may wait for as long as its maker said (SO_LINGER). Refused from Linux 6.16 on."""
    ours, theirs = socket.socketpair()
    try:
        theirs.setsockopt(socket.SOL_SOCKET, 83, 0)  # SO_PASSRIGHTS
        refused = pytest.raises(PermissionError)
    except OSError:
        refused = contextlib.nullcontext()
    with ours, theirs, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(getattr(front, f"{listener}_path")))
        with refused:
            socket.send_fds(client, [b"GET /healthz HTTP/1.1\r\n"], [ours.fileno()])


def test_auth_of_a_function_follows_the_listener(front):
    front.deploy("guarded", HELLO, "--runtime", "native", "--auth", "admin")
    assert front.invoke("guarded", b"{}").status == 401
    assert "WWW-Authenticate" in front.invoke("guarded", b"{}").headers
    assert front.request("POST", "/function/guarded", b"{}", socket_path=front.invoke_path).status == 401
    assert front.request("POST", "/function/guarded", b"{}", socket_path=front.control_path).status == 200


def test_every_reply_names_its_request(front):
    ids = {front.invoke("hello", b"{}").headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", i) for i in ids)


# -- deadlines and limits: a daemon that has short ones --

@pytest.fixture(scope="module")
def strict():
    config = {"header_deadline": "700ms", "body_deadline": "700ms", "idle_deadline": "700ms", "connections": 40,
              "body_memory": "8M", "request_bytes": "16M"}
    with Faasd(config) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        daemon.deploy_script("big", "#!/bin/sh\nexec head -c 6000000 /dev/zero\n")
        yield daemon
        assert daemon.process.poll() is None, f"faasd died: {daemon.log_text()}"


def drip(sock, data, pause=0.05):
    try:
        for i in range(len(data)):
            sock.sendall(data[i:i + 1])
            time.sleep(pause)
    except OSError:
        pass


@pytest.mark.row("H17")
def test_a_slow_head_is_told_so_at_the_deadline(strict):
    with strict.connect() as sock:
        started = time.monotonic()
        writer = threading.Thread(target=drip, args=(sock, get(b"X: " + b"y" * 200)))
        writer.start()
        replies = Replies(receive_all(sock))
        took = time.monotonic() - started
        writer.join()
    assert replies.statuses == [408] and "header_deadline" in json.loads(replies.all[0][2])["errorMessage"]
    assert 0.6 < took < 3, "no byte moves the deadline"


@pytest.mark.row("H18")
def test_a_slow_body_is_told_so(strict):
    for action in (lambda s: None, lambda s: drip(s, b"x" * 60)):
        with strict.connect() as sock:
            sock.sendall(post(b"Content-Length: 5000"))
            writer = threading.Thread(target=action, args=(sock,))
            writer.start()
            replies = Replies(receive_all(sock))
            writer.join()
        assert replies.statuses == [408] and "body_deadline" in json.loads(replies.all[0][2])["errorMessage"]


@pytest.mark.row("H18")
def test_an_idle_connection_is_closed_silently(strict):
    with strict.connect() as sock:
        assert receive_all(sock) == b""
    with strict.connect() as sock:
        sock.sendall(get())
        assert Replies(receive_all(sock)).statuses == [200]


@pytest.mark.row("H18")
def test_a_reply_that_nobody_reads_is_given_up(strict):
    with strict.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(get(target=b"/function/big"))
        wait_until(lambda: strict.describe("big")["counters"]["succeeded"] == 1, "it ran")
        wait_until(lambda: strict.system()["connections"] == 1, "only the asking connection is left")


@pytest.mark.row("H13")
def test_bodies_together_are_bounded(strict):
    body = b"x" * 12 * M
    replies = converse(strict, post(b"Content-Length: %d" % len(body), body=body), finish=False)
    assert replies.statuses == [503] and "body_memory" in json.loads(replies.all[0][2])["errorMessage"]
    assert strict.invoke("hello", b"{}").status == 200


@pytest.mark.row("H13")
def test_replies_that_nobody_reads_leave_no_room_for_more_and_what_is_kept_is_whole():
    with Faasd({"body_memory": "8M", "body_deadline": "30s"}) as faasd:
        faasd.deploy_script("big", "#!/bin/sh\nexec head -c 6000000 /dev/zero\n")
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", faasd.port))
            slow.sendall(get(target=b"/function/big"))
            wait_until(lambda: faasd.describe("big")["counters"]["succeeded"] == 1, "it ran")
            refused = faasd.invoke("big")
            assert refused.status == 502 and refused.error == "BadReply" and "'body_memory' (8M" in refused.json()["errorMessage"]
            slow.shutdown(socket.SHUT_WR)
            replies = Replies(receive_all(slow))
            assert replies.statuses == [200] and replies.all[0][2] == bytes(6000000)
        reply = faasd.invoke("big")
        assert reply.status == 200 and reply.body == bytes(6000000)


@pytest.mark.row("H19")
def test_the_longest_idle_connection_gives_way(strict):
    sockets = []
    for _ in range(39):
        sockets.append(strict.connect())
    extra = [strict.connect() for _ in range(10)]
    for sock in extra:
        sock.sendall(get())
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    sockets[0].settimeout(5)
    assert sockets[0].recv(1) == b""
    for sock in sockets + extra:
        sock.close()


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@pytest.mark.row("H19")
def test_running_out_of_descriptors_pauses_without_spinning_and_recovers():
    with Faasd({"header_deadline": "60s"}) as daemon:
        # The deleter's sandbox of the start comes with descriptors too: this test is about connections.
        marker = daemon.root / "state" / "trash" / "marker"
        marker.mkdir()
        wait_until(lambda: not marker.exists() and not daemon.sandbox_pids(), "the trash is emptied")
        gateway = daemon.gateway_pid()
        held = len(list(pathlib.Path(f"/proc/{gateway}/fd").iterdir()))
        before = descriptor_limit(gateway)
        limit_descriptors(gateway, held + 4)
        sockets = []
        for _ in range(12):
            sock = daemon.connect()
            sock.sendall(b"GET /function/hello HTTP/1.1\r\n")  # not idle: none of them can be given up
            sockets.append(sock)
        ticks = cpu_ticks(gateway)
        time.sleep(1)
        assert cpu_ticks(gateway) - ticks < 25, "the gateway spins while it can't accept"
        limit_descriptors(gateway, before)
        started = time.monotonic()
        assert daemon.request("GET", "/healthz").status == 200
        assert time.monotonic() - started < 1
        for sock in sockets:
            sock.close()


def test_connections_leave_descriptors_to_sandboxes():
    def few_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with Faasd({"header_deadline": "60s", "connections": 5000}, popen={"preexec_fn": few_descriptors}) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native", "--keep-warm", "1ms")
        wait_until(lambda: not daemon.instances("hello"), "no instance is warm")
        client = daemon.connect()
        flood = []
        for _ in range(300):
            sock = daemon.connect()
            send_all(sock, b"GET /function/hello HTTP/1.1\r\n")
            flood.append(sock)
        flood[-1].settimeout(10)
        assert receive_all(flood[-1]).startswith(b"HTTP/1.1 503 ")
        # `client` was idle, and gave way to the flood; a slow one that leaves makes room for the next.
        flood[0].close()
        client.close()

        def cold_start():
            try:
                return daemon.invoke("hello", b"{}").status == 200
            except (http.client.HTTPException, OSError):
                return False  # turned away: the place is not free yet

        wait_until(cold_start, "a cold start in the middle of a flood")
        for sock in flood:
            sock.close()


@pytest.mark.row("H17")
def test_many_slow_heads_do_not_disturb_a_good_client():
    with Faasd({"header_deadline": "5s"}) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native")
        slow = []
        for _ in range(400):
            sock = daemon.connect()
            sock.sendall(b"GET /function/hello HTTP/1.1\r\nX: ")
            slow.append(sock)
        worst = 0
        for _ in range(50):
            for sock in slow[:40]:
                send_all(sock, b"y")
            started = time.monotonic()
            assert daemon.invoke("hello", b"{}").status == 200
            worst = max(worst, time.monotonic() - started)
        assert worst < 1
        for sock in slow:
            sock.settimeout(10)
            assert receive_all(sock).startswith(b"HTTP/1.1 408 ")
            sock.close()
        wait_until(lambda: daemon.system()["connections"] == 1, "all of them are gone")


def test_healthz_and_new_requests_while_draining():
    with Faasd({"drain": "10s"}) as daemon:
        daemon.deploy_script("slow", "#!/bin/sh\nsleep 1\necho done\n")
        busy, waiting = daemon.connect(), daemon.connect()
        busy.sendall(get(target=b"/function/slow") + get(target=b"/function/slow"))
        waiting.sendall(b"GET /healthz HTTP/1.1\r\n")  # half a request: this connection is not idle
        wait_until(lambda: daemon.describe("slow")["counts"]["busy"] == 1, "it runs")
        idle = daemon.connect()
        idle.sendall(get(target=b"/healthz"))
        assert idle.recv(1000).startswith(b"HTTP/1.1 200 ")
        daemon.process.terminate()
        assert idle.recv(1) == b"", "idle connections are closed at once"
        waiting.sendall(b"Host: localhost\r\n\r\n")
        replies = Replies(receive_all(waiting))
        assert replies.statuses == [503] and replies.all[0][1]["x-faasd-error"] == "NoCapacity"
        replies = Replies(receive_all(busy))
        assert replies.statuses == [200] and replies.all[0][2] == b"done\n"
        assert replies.all[0][1]["connection"] == "close"
        assert daemon.stop() == 0


# -- the control API's streams --

def test_logs_follow_and_end_with_their_reader(front):
    front.deploy_script("talks", "#!/bin/sh\necho \"said $(cat)\" >&2\n")
    front.invoke("talks", b"one")
    wait_until(lambda: b"said one" in front.control("GET", "/v1/functions/talks/logs").body, "the first line is there")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(front.control_path)
        sock.sendall(b"GET /v1/functions/talks/logs?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while b"said one" not in data:
            data += sock.recv(65536)
        front.invoke("talks", b"two")
        while b"said two" not in data:
            data += sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)
        data += receive_all(sock)
    status, headers, body = Replies(data).all[0]
    assert status == 200 and headers["content-type"] == "application/x-ndjson"
    messages = [json.loads(line)["message"] for line in body.splitlines()]
    assert messages == ["said one", "said two"]


def test_the_query_of_logs_is_checked(front):
    assert front.control("GET", "/v1/functions/cat/logs?since=yesterday").status == 400
    assert front.control("GET", "/v1/functions/cat/logs?lines=-1").status == 400
    assert front.control("GET", "/v1/functions/missing/logs").status == 404


def test_system_tells_where_it_listens(front):
    system = front.system()
    assert f"{front.host}:{front.port}" in system["listen"]
    assert f"unix:{front.control_path}" in system["listen"]
    assert {f["name"] for f in system["functions"]} >= {"canary", "hello", "cat"}
    assert system["counters"]["succeeded"] > 0 and system["uptime_seconds"] > 0


def test_a_shell_needs_its_upgrade(front):
    reply = front.control("POST", "/v1/functions/hello/shell")
    assert reply.status == 426 and reply.headers["Upgrade"] == "faasd-shell"
    assert front.control("POST", "/v1/functions/missing/shell", headers={"Upgrade": "faasd-shell"}).status == 404


def test_a_shell_is_a_terminal_in_the_sandbox(front):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(front.control_path)
        sock.sendall(b"POST /v1/functions/hello/shell?rows=33&cols=99 HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: Upgrade\r\nUpgrade: faasd-shell\r\nContent-Length: 0\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        assert data.startswith(b"HTTP/1.1 101 "), data
        sock.sendall(b"stty size; echo $((6*7)) $FAASD_FUNCTION_NAME; ls /var/task; id -un; exit\n")
        data += receive_all(sock)
    assert b"33 99" in data
    assert b"42 hello" in data
    assert b"faas" in data
