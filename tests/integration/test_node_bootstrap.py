# SPDX-License-Identifier: Apache-2.0
"""rootfs/runtime/node against a socketpair: this test is faasd, the host's node runs the bootstrap."""

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import termios
import time

import pytest

from harness import REPO, wait_until, within

NODE = os.environ.get("FAASD_TEST_NODE", "/usr/bin/node")
BOOTSTRAP = REPO / "rootfs" / "runtime" / "node" / "bootstrap.cjs"
READY, INVOKE, REPLY, ERROR, CHUNK = 1, 2, 3, 4, 6
LEAVING, MORE, HTTP = 1, 1, 2
CHUNK_MAX = 65520

pytestmark = pytest.mark.skipif(not os.path.exists(NODE), reason="node is not installed: scripts/setup test")


class Worker:
    def __init__(self, task, handler="index.handler", blocking=True, **env):
        self.connection, theirs = socket.socketpair()
        self.connection.settimeout(within(20))
        theirs.setblocking(blocking)

        def keep_only_four():
            os.dup2(theirs.fileno(), 3)

        self.process = subprocess.Popen(
            [NODE, BOOTSTRAP], cwd=task, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            close_fds=False, preexec_fn=keep_only_four,
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "TZ": ":UTC", "_HANDLER": handler, "LAMBDA_TASK_ROOT": str(task),
                 "AWS_LAMBDA_FUNCTION_NAME": "fn", "AWS_LAMBDA_FUNCTION_VERSION": "3", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                 "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn", "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[3]ab", **env})
        theirs.close()
        self.last_id = 0

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.connection.recv(min(size - len(data), 1 << 20))
            if not piece:
                return None
            data += piece
        return data

    def frame(self):
        head = self.read(16)
        if head is None:
            return None
        length, kind, reserved, request = struct.unpack("<IHHQ", head)
        assert reserved == 0
        return kind, request, self.read(length)

    def ready(self):
        kind, request, payload = self.frame()
        assert (kind, request) == (READY, 0), payload
        words = payload.decode().split("\0")
        return dict(zip(words[0:-1:2], words[1::2]))

    def send(self, event=b"{}", deadline_ms=0, headers=(), fields=(), request_id="r-1"):
        self.last_id = int.from_bytes(os.urandom(8), "little")
        pairs = [("request_id", request_id), ("method", "POST"), ("path", "/a%20b"), ("query", "x=1&y=%2F"), *fields,
                 *[(f"http.{name}", value) for name, value in headers]]
        packed = "".join(f"{name}\0{value}\0" for name, value in pairs).encode("latin-1")
        event = event if isinstance(event, bytes) else json.dumps(event).encode()
        payload = struct.pack("<QII", deadline_ms, len(packed), len(event)) + packed + event
        self.connection.sendall(struct.pack("<IHHQ", len(payload), INVOKE, 0, self.last_id) + payload)

    def reply(self, is_http=False):
        """(status, fields, body)"""
        kind, request, payload = self.frame()
        assert (kind, request) == (REPLY, self.last_id), payload
        status, fields, body, flags = struct.unpack_from("<IIII", payload)
        assert flags == (HTTP if is_http else 0) and 16 + fields + body == len(payload)
        words = payload[16:16 + fields].decode("latin-1").split("\0")
        return status, list(zip(words[0:-1:2], words[1::2])), payload[16 + fields:]

    def begin(self, is_http=False):
        """The head of a reply that goes on: (status, fields)"""
        kind, request, payload = self.frame()
        assert (kind, request) == (REPLY, self.last_id), payload
        status, fields, body, flags = struct.unpack_from("<IIII", payload)
        assert (body, flags) == (0, MORE | HTTP if is_http else MORE) and 16 + fields == len(payload)
        words = payload[16:].decode("latin-1").split("\0")
        return status, list(zip(words[0:-1:2], words[1::2]))

    def chunk(self):
        kind, request, payload = self.frame()
        assert (kind, request) == (CHUNK, self.last_id), payload
        assert len(payload) <= CHUNK_MAX
        return payload

    def rest(self):
        """Up to the end of the reply."""
        pieces = []
        while piece := self.chunk():
            pieces.append(piece)
        return b"".join(pieces)

    def error(self, at_init=False):
        """{errorType, errorMessage, trace, leaving}"""
        kind, request, payload = self.frame()
        assert (kind, request) == (ERROR, 0 if at_init else self.last_id), payload
        lengths = struct.unpack_from("<IIII", payload)
        texts, at = [], 16
        for length in lengths[:3]:
            texts.append(payload[at:at + length].decode())
            at += length
        assert at == len(payload)
        assert re.fullmatch(r"[!-~]{1,128}", texts[0])
        return {"errorType": texts[0], "errorMessage": texts[1], "trace": json.loads(texts[2]), "leaving": lengths[3] == LEAVING}

    def invoke(self, event=b"{}", **options):
        self.send(event, **options)
        status, fields, body = self.reply()
        assert (status, fields) == (200, [("content-type", "application/json")])
        return json.loads(body)

    def fail(self, event=b"{}", **options):
        self.send(event, **options)
        return self.error()

    def end(self):
        """Closes the connection; its exit status and its log."""
        self.connection.close()
        out = self.process.communicate(timeout=within(20))[0].decode()
        return self.process.returncode, out

    def left(self):
        """It has gone by itself; its exit status and its log."""
        assert self.frame() is None
        return self.end()


@pytest.fixture
def task(tmp_path):
    def write(files):
        for name, text in (files if isinstance(files, dict) else {"index.js": files}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def start(task):
    started = []

    def run(files, handler="index.handler", ready=True, **options):
        worker = Worker(task(files), handler, **options)
        started.append(worker)
        if ready:
            worker.fields = worker.ready()
        return worker

    yield run
    for worker in started:
        worker.connection.close()
        worker.process.kill()
        worker.process.wait()


def handler(body, arguments="event, context"):
    return f"exports.handler = async ({arguments}) => {{ {body} }};"


# ---- life ----


def test_it_says_what_it_is_answers_and_leaves_at_end_of_file(start):
    w = start(handler("return {got: event};"))
    assert re.fullmatch(r"Node v\d+\.\d+\.\d+", w.fields["runtime"])
    assert w.fields["template"] == "node is multi-threaded and is started anew instead"
    assert w.invoke({"a": [1, "ü€😀"]}) == {"got": {"a": [1, "ü€😀"]}}
    assert w.invoke(b"") == {"got": {}}
    assert w.invoke(b"17") == {"got": 17}
    assert w.end()[0] == 0


def test_frames_may_come_in_any_pieces(start):
    w = start(handler("return event;"))
    payload = struct.pack("<QII", 0, 0, 5) + b'"abc"'
    frame = struct.pack("<IHHQ", len(payload), INVOKE, 0, 9) + payload
    w.last_id = 9
    for i in range(len(frame)):
        w.connection.sendall(frame[i:i + 1])
    assert w.reply()[2] == b'"abc"'


@pytest.mark.parametrize("blocking", [True, False])
def test_large_events_and_replies_go_through(start, blocking):
    w = start(handler("return event;"), blocking=blocking)
    text = "ü" * (3 << 20)
    for _ in range(2):
        assert w.invoke(text) == text
    assert w.invoke("small") == "small"


def test_a_socket_that_does_not_block_is_waited_for_in_the_loop(start):
    w = start(handler("return event;"), blocking=False)
    for i in range(3):
        assert w.invoke(i) == i
    assert w.end()[0] == 0


@pytest.mark.parametrize("bad", [
    struct.pack("<IHHQ", 16, 99, 0, 0) + bytes(16),
    struct.pack("<IHHQ", 0xFFFFFFFF, INVOKE, 0, 0),
    struct.pack("<IHHQ", 15, INVOKE, 0, 0) + bytes(15),
    struct.pack("<IHHQ", 16, INVOKE, 0, 0) + struct.pack("<QII", 0, 1, 0),
])
def test_a_broken_frame_ends_the_worker(start, bad):
    w = start(handler("return 1;"))
    w.connection.sendall(bad)
    assert w.left()[0] == 1


# ---- how a handler may answer ----


def test_every_style_of_handler_answers(start):
    w = start("""
        exports.handler = (event, context, callback) => {
          switch (event) {
            case 'callback': callback(null, 1); return;
            case 'later': setTimeout(() => callback(null, 2), 5); return;
            case 'promise': return Promise.resolve(3);
            case 'thenable': return { then(resolve) { resolve(4); } };
            case 'done': context.done(null, 5); return;
            case 'succeed': context.succeed(6); return;
            case 'nothing': return;
            case 'twice': callback(null, 7); callback(null, 8); return;
            case 'both': callback(null, 9); return Promise.resolve(10);
          }
        };""")
    expected = {"callback": 1, "later": 2, "promise": 3, "thenable": 4, "done": 5, "succeed": 6, "nothing": None, "twice": 7, "both": 10}
    for event, answer in expected.items():
        assert w.invoke(event) == answer, event


def test_a_plain_function_without_a_callback_answers_with_what_it_returns(start):
    w = start("exports.handler = (event) => ({ n: event + 1 });")
    assert w.invoke(1) == {"n": 2}


def test_errors_of_every_style_reach_the_caller(start):
    w = start("""
        class Odd extends Error { constructor(m) { super(m); this.name = 'Very Odd'; } }
        exports.handler = (event, context, callback) => {
          switch (event) {
            case 'throw': throw new TypeError('sync');
            case 'reject': return Promise.reject(new RangeError('async'));
            case 'callback': callback(new Error('by callback')); return;
            case 'string': callback('just a text'); return;
            case 'fail': context.fail(new Odd('odd')); return;
            case 'undefined': return Promise.reject(undefined);
            case 'nasty': return Promise.reject({ get stack() { throw 1; }, toString() { throw 2; } });
          }
        };""")
    for event, (kind, message) in {
        "throw": ("TypeError", "sync"), "reject": ("RangeError", "async"), "callback": ("Error", "by callback"),
        "string": ("string", "just a text"), "fail": ("Very_Odd", "odd"), "undefined": ("undefined", "undefined"),
        "nasty": ("object", "[object Object]"),
    }.items():
        got = w.fail(event)
        assert (got["errorType"], got["errorMessage"], got["leaving"]) == (kind, message, False), event
    got = w.fail("throw")
    assert got["trace"][0] == "TypeError: sync" and "/index.js:5:" in got["trace"][1]
    assert not any("runtime/node/" in line for line in got["trace"])
    status, log = w.end()
    assert status == 0
    assert re.search(r'T[\d:.]+Z\tr-1\tERROR\tInvoke Error \t\{"errorType":"TypeError","errorMessage":"sync","stack":\["TypeError: sync"', log)


def test_what_is_behind_an_error_is_told_with_it(start):
    w = start("""
        exports.handler = async (event) => {
          const inner = new TypeError('inner');
          if (event === 'cause') throw new Error('outer', { cause: inner });
          if (event === 'text') throw new Error('outer', { cause: 'just a text' });
          if (event === 'many') throw new AggregateError([inner, new RangeError('two')], 'many');
          if (event === 'circle') { inner.cause = inner; throw inner; }
          if (event === 'object') throw { code: 5, why: 'no error' };
        };""")
    trace = w.fail("cause")["trace"]
    assert trace[0] == "Error: outer" and trace[trace.index("caused by:") + 1] == "TypeError: inner" and "/index.js:3:" in trace[trace.index("caused by:") + 2]
    assert w.fail("text")["trace"][-2:] == ["caused by:", "just a text"]
    trace = w.fail("many")["trace"]
    assert trace.count("caused by:") == 2 and "TypeError: inner" in trace and "RangeError: two" in trace
    assert "caused by:" not in w.fail("circle")["trace"]
    got = w.fail("object")
    assert (got["errorType"], got["errorMessage"]) == ("object", '{"code":5,"why":"no error"}')
    assert '"caused by:","TypeError: inner"' in w.end()[1]


def test_a_long_message_leaves_room_for_the_places(start):
    w = start("exports.handler = async () => { throw new Error(Array.from({ length: 500 }, (_, n) => `line ${n}`).join('\\n')); };")
    got = w.fail("x")
    assert got["errorMessage"].endswith("\nline 499")
    assert got["trace"][0] == "Error: line 0" and got["trace"][20] == "... 480 lines left out ..." and "/index.js:" in got["trace"][21]


def test_a_generator_is_no_reply(start):
    for kind in ("function*", "async function*"):
        got = start(f"exports.handler = {kind} () {{ yield 1; }};").fail("x")
        assert got["errorType"] == "Runtime.MarshalError" and "it is a generator" in got["errorMessage"], kind
    assert start("exports.handler = async () => new Map();").invoke() == {}


def test_a_reply_that_is_no_json_is_a_marshal_error(start):
    w = start("""
        exports.handler = async (event) => {
          if (event === 'bigint') return 10n;
          if (event === 'cycle') { const a = {}; a.a = a; return a; }
          if (event === 'function') return () => 1;
          if (event === 'toJSON') return { toJSON() { throw new Error('no json'); } };
          return { date: new Date(0), u: undefined, nan: NaN };
        };""")
    for event, part in {"bigint": "BigInt", "cycle": "circular", "toJSON": "no json"}.items():
        got = w.fail(event)
        assert got["errorType"] == "Runtime.MarshalError" and part in got["errorMessage"]
    assert w.invoke("function") is None
    assert w.invoke("") == {"date": "1970-01-01T00:00:00.000Z", "nan": None}


def test_an_event_that_is_no_json_is_told(start):
    w = start(handler("return 1;"))
    assert w.fail(b"{nope")["errorType"] == "Runtime.UnmarshalError"
    assert w.invoke() == 1


STREAMER = """
        exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
          if (event === 'fail') throw new Error('at once');
          if (event === 'empty') return stream.end();
          if (event === 'http' || event === 'teapot') stream = awslambda.HttpResponseStream.from(stream, { statusCode: 418, headers: { 'Content-Type': 'text/plain', 'X-A': 'b' }, cookies: ['c=d'] });
          if (event === 'teapot') return stream.end();
          if (event === 'large') { stream.write(Buffer.alloc(200000, 'x')); return stream.end(); }
          if (event === 'head') { stream.write(''); await new Promise((r) => globalThis.go = r); }
          stream.write('one ');
          if (event === 'late') stream.setContentType('text/html');
          if (event === 'break') { await new Promise((r) => setTimeout(r, 5)); throw new TypeError('mid-stream'); }
          if (event === 'destroy') return stream.destroy(new RangeError('given up'));
          if (event === 'behind') { setTimeout(() => stream.write('behind'), 20); throw new Error('first'); }
          await new Promise((r) => setTimeout(r, 5));
          stream.write(Buffer.from('two '));
          stream.end(context.awsRequestId);
        });"""


def test_each_write_of_a_streamed_reply_leaves_at_once(start):
    w = start(STREAMER)
    w.send("plain")
    assert w.begin() == (200, [("content-type", "application/octet-stream")])
    assert [w.chunk(), w.chunk(), w.chunk(), w.chunk()] == [b"one ", b"two ", b"r-1", b""]
    w.send("http")
    assert w.begin(is_http=True) == (418, [("content-type", "text/plain"), ("X-A", "b"), ("set-cookie", "c=d")])
    assert w.rest() == b"one two r-1"
    w.send("large")
    w.begin()
    assert w.rest() == b"x" * 200000


def test_a_stream_to_which_nothing_was_written_is_an_ordinary_reply(start):
    w = start(STREAMER)
    w.send("empty")
    assert w.reply() == (200, [("content-type", "application/octet-stream")], b"")
    w.send("teapot")
    assert w.reply(is_http=True) == (418, [("content-type", "text/plain"), ("X-A", "b"), ("set-cookie", "c=d")], b"")


def test_an_empty_write_sends_the_headers_alone(start):
    w = start(STREAMER)
    w.send("head")
    assert w.begin() == (200, [("content-type", "application/octet-stream")])


def test_a_stream_that_fails_ends_with_the_error(start):
    w = start(STREAMER)
    assert w.fail("fail")["errorMessage"] == "at once"
    for event, kind in ("break", "TypeError"), ("destroy", "RangeError"), ("late", "InvalidStreamingOperation"):
        w.send(event)
        w.begin()
        assert w.chunk() == b"one "
        told = w.error()
        assert (told["errorType"], told["leaving"]) == (kind, False)
    w.send("plain")
    w.begin()
    assert w.rest() == b"one two r-1"


def test_what_is_written_behind_the_end_of_a_stream_goes_nowhere(start):
    w = start(STREAMER)
    w.send("behind")
    w.begin()
    assert w.chunk() == b"one "
    assert w.error()["errorMessage"] == "first"
    for _ in range(10):
        w.send("plain")
        w.begin()
        assert w.rest() == b"one two r-1"


def test_a_caller_that_does_not_read_holds_the_handler_back(start):
    w = start("""
        let written = 0;
        exports.handler = awslambda.streamifyResponse(async (event, stream) => {
          if (event === 'how much') return stream.end(String(written));
          const piece = Buffer.alloc(65536);
          for (let i = 0; i < 200; i++) {
            written += piece.length;
            if (!stream.write(piece)) await new Promise((r) => stream.once('drain', r));
            if (i === 0) console.log('begun');
          }
          console.log(`written ${written}`);
          stream.end();
        });""")
    w.send("go")
    w.begin()
    taken = len(w.chunk())
    unread = lambda: struct.unpack("I", fcntl.ioctl(w.connection, termios.FIONREAD, b"\0" * 4))[0]
    seen = []

    def is_full():
        seen.append(unread())
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    wait_until(is_full, "the socket is full")
    assert taken + seen[-1] < 4 << 20
    assert taken + len(w.rest()) == 200 * 65536


# ---- when it never answers, or worse ----


def test_an_empty_event_loop_answers_at_once(start):
    w = start(handler("if (event === 'never') await new Promise(() => {}); return 1;"))
    got = w.fail("never")
    assert got["errorType"] == "Runtime.NodeJsExit" and "nothing will settle" in got["errorMessage"]
    assert w.invoke() == 1
    assert w.fail("never")["errorType"] == "Runtime.NodeJsExit"


def test_a_callback_waits_for_the_event_loop_unless_told_not_to(start):
    w = start("""
        let timers = 0;
        exports.handler = (event, context, callback) => {
          context.callbackWaitsForEmptyEventLoop = event.waits;
          setTimeout(() => { timers++; }, event.ms);
          callback(null, { get timers() { return timers; } });
        };""")
    assert w.invoke({"waits": True, "ms": 20}) == {"timers": 1}
    assert w.invoke({"waits": False, "ms": 60000}) == {"timers": 1}
    assert w.end()[0] == 0  # the timer that is left does not hold it


@pytest.mark.parametrize("code, kind, message", [
    ("setTimeout(() => { throw new RangeError('late'); }, 5); await new Promise(() => setTimeout(() => {}, 60000));", "Runtime.UncaughtException", "RangeError: late"),
    ("process.nextTick(() => { throw 'text'; }); await new Promise((r) => setTimeout(r, 60000));", "Runtime.UncaughtException", "text"),
    ("Promise.reject(new Error('nobody')); return 'too early';", "Runtime.UnhandledPromiseRejection", "Error: nobody"),
    ("setTimeout(() => Promise.reject(17), 5); await new Promise((r) => setTimeout(r, 60000));", "Runtime.UnhandledPromiseRejection", "17"),
    ("process.exit(7);", "Runtime.ExitError", "RequestId: r-1 Error: Runtime exited with error: exit status 7"),
    ("process.exit();", "Runtime.ExitError", "RequestId: r-1 Error: Runtime exited without providing a reason"),
])
def test_what_leaves_the_process_in_doubt_is_answered_and_ends_it(start, code, kind, message):
    w = start(handler(code))
    got = w.fail()
    assert (got["errorType"], got["errorMessage"], got["leaving"]) == (kind, message, True)
    status, log = w.left()
    assert status == (7 if "exit(7)" in code else 0 if "exit()" in code else 1)
    assert kind in log


def test_an_exception_behind_the_answer_harms_no_other_request(start):
    w = start(handler("if (event === 'late') setTimeout(() => { throw new Error('behind'); }, 30); return 1;"))
    assert w.invoke("late") == 1
    status, log = w.left()  # while it is idle: the next request goes to another worker
    assert status == 1 and "Error: behind" in log


def test_what_was_left_running_goes_on_between_requests(start):
    w = start("""
        const fs = require('fs');
        exports.handler = async (event) => {
          if (event.file) setTimeout(() => fs.writeFileSync(event.file, 'written'), 10);
          return event.n;
        };""")
    path = f"/tmp/faasd-node-{w.process.pid}"
    try:
        assert w.invoke({"file": path, "n": 1}) == 1
        wait_until(lambda: os.path.exists(path), "the timer of the answered request fires")
        assert w.invoke({"n": 2}) == 2
        assert w.invoke({"n": 3}) == 3
    finally:
        os.path.exists(path) and os.unlink(path)
    assert w.end()[0] == 0


def test_an_idle_worker_burns_nothing(start):
    w = start(handler("setInterval(() => {}, 60000).unref(); return 1;"))
    assert w.invoke() == 1

    def ticks():
        stat = open(f"/proc/{w.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(stat[11]) + int(stat[12])

    state = lambda: open(f"/proc/{w.process.pid}/wchan").read()
    wait_until(lambda: "unix_stream" in state() or "wait_for" in state() or "schedule" in state() or state() == "0", "it waits")
    before = ticks()
    time.sleep(0.3)
    assert ticks() - before <= 1


# ---- context and log ----


def test_the_context_has_lambdas_names(start):
    w = start("""
        exports.handler = async (event, context) => ({
          ...context, http: context.http, left: context.getRemainingTimeInMillis(), same: context.http === context.http,
        });""")
    deadline = int(time.time() * 1000) + 60000
    got = w.invoke(deadline_ms=deadline, request_id="abc", headers=[("host", "h"), ("x-a", "1"), ("x-a", "2"), ("cookie", "a=b"),
                                                                    ("cookie", "c=d"), ("__proto__", "p"), ("x-latin", "\xe9")],
                   fields=[("function_arn", "arn:aws:lambda:eu-central-1:1:function:fn:live"), ("client_context", '{"custom":{"k":1}}'), ("new", "x")])
    assert got["awsRequestId"] == "abc"
    assert (got["functionName"], got["functionVersion"], got["memoryLimitInMB"]) == ("fn", "3", "128")
    assert (got["logGroupName"], got["logStreamName"]) == ("/aws/lambda/fn", "2026/01/02/[3]ab")
    assert got["invokedFunctionArn"] == "arn:aws:lambda:eu-central-1:1:function:fn:live"
    assert got["clientContext"] == {"custom": {"k": 1}}
    assert 0 < got["left"] <= 60000 and got["same"]
    assert got["callbackWaitsForEmptyEventLoop"] is True
    assert got["http"] == {"method": "POST", "path": "/a%20b", "query": "x=1&y=%2F", "headers": {
        "host": "h", "x-a": "1,2", "cookie": "a=b; c=d", "__proto__": "p", "x-latin": "\xe9"}}
    again = w.invoke(deadline_ms=1)
    assert again["left"] == 0 and again["invokedFunctionArn"].endswith(":function:fn")
    assert w.invoke()["left"] > 1 << 50


def test_console_dir_is_a_record_as_well(start):
    w = start(handler("console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 }); return 1;"))
    w.invoke()
    assert re.search(r"T[\d:.]+Z\tr-1\tINFO\t\{ a: \[Object\] \}\n", w.end()[1])


def test_the_console_writes_lambdas_format(start):
    w = start(handler("""
        console.log('plain %d', 1, {a: 1}); console.info('i'); console.debug('d'); console.warn('w'); console.error(new Error('e'));
        console.log('two\\nlines\\r\\nthree\\n'); console.log(); process.stdout.write('raw\\n'); console.log('after raw'); return 1;"""))
    assert w.invoke(request_id="id-1") == 1
    assert w.invoke(request_id="id-2") == 1
    lines = w.end()[1].split("\n")
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    want = [rf"{stamp}\tid-1\tINFO\tplain 1 {{ a: 1 }}", rf"{stamp}\tid-1\tINFO\ti", rf"{stamp}\tid-1\tDEBUG\td", rf"{stamp}\tid-1\tWARN\tw",
            rf"{stamp}\tid-1\tERROR\tError: e", r"\t    at .*index\.js.*"]
    for pattern, line in zip(want, lines):
        assert re.fullmatch(pattern, line), line
    text = "\n".join(lines)
    assert re.search(rf"{stamp}\tid-1\tINFO\ttwo\n\tlines\n\tthree\n{stamp}\tid-1\tINFO\t\nraw\n{stamp}\tid-1\tINFO\tafter raw\n{stamp}\tid-2", text)


def test_a_full_log_pipe_loses_no_line(start):
    w = start(handler("for (let i = 0; i < 3000; i++) console.log(`${i} ${'x'.repeat(100)}`); process.stdout.write('end\\n'); console.log('very end'); return 1;"))
    w.send()
    log = b""
    while b"very end" not in log:
        log += os.read(w.process.stdout.fileno(), 4096)
    assert w.reply()[2] == b"1"
    assert log.count(b"\n") == 3002


def test_children_get_neither_the_socket_nor_a_stdin(start):
    w = start(handler("""
        const { execFileSync } = require('child_process');
        const fds = execFileSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] }).trim().split('\\n');
        const at3 = execFileSync('/bin/sh', ['-c', 'readlink /proc/self/fd/3 || echo none'], { encoding: 'utf8' });
        let text = ''; for await (const piece of process.stdin) text += piece;
        return { at3: at3.trim(), text };"""))
    got = w.invoke()
    assert "socket" not in got["at3"] and got["text"] == ""
    assert w.invoke()["text"] == ""


# ---- loading ----


@pytest.mark.parametrize("files, name", [
    ({"index.js": handler("return 1;")}, "index.handler"),
    ({"index.cjs": handler("return 1;")}, "index.handler"),
    ({"index.mjs": "export const handler = async () => 1;"}, "index.handler"),
    ({"index.mjs": "const x = await Promise.resolve(1); export const handler = async () => x;"}, "index.handler"),
    ({"index.js": "export const handler = async () => 1;", "package.json": '{"type":"module"}'}, "index.handler"),
    ({"src/app.js": "export const handler = async () => 1;", "package.json": '{"type":"module"}'}, "src/app.handler"),
    ({"src/app.js": handler("return 1;"), "src/package.json": '{"type":"commonjs"}', "package.json": '{"type":"module"}'}, "src/app.handler"),
    ({"index.js": "exports.api = { v1: { handler: async () => 1 } };"}, "index.api.v1.handler"),
    ({"index.mjs": "export default { handler: async () => 1 };"}, "index.handler"),
    ({"index.mjs": "export default async () => 1;"}, "index.default"),
    ({"dir/index.js": handler("return 1;")}, "dir.handler"),
    ({"index.js": "exports.handler = async () => require('dep').one;", "node_modules/dep/index.js": "exports.one = 1;"}, "index.handler"),
    ({"index.mjs": "import dep from 'dep'; export const handler = async () => dep.one;", "node_modules/dep/index.js": "exports.one = 1;"}, "index.handler"),
    ({"node_modules/pkg/index.js": handler("return 1;")}, "pkg.handler"),
    ({"index": "not javascript", "index.js": handler("return 1;")}, "index.handler"),
    ({"index.js": "class A { constructor() { this.n = 1; } }\nexports.handler = async function () { return new A().n; };"}, "index.handler"),
])
def test_functions_are_found_where_lambda_finds_them(start, files, name):
    assert start(files, name).invoke() == 1


@pytest.mark.parametrize("files, name, kind, message", [
    ({}, "index.handler", "Runtime.ImportModuleError", "Cannot find module 'index'"),
    ({"app.js": ""}, "index.handler", "Runtime.ImportModuleError", "There is: app.js"),
    ({}, "no/where.handler", "Runtime.ImportModuleError", "There is no directory"),
    ({}, "fs.handler", "Runtime.ImportModuleError", "Cannot find module 'fs'"),
    ({"index.js": ""}, "index", "Runtime.MalformedHandlerName", "FILE.FUNCTION"),
    ({"index.js": ""}, "", "Runtime.MalformedHandlerName", "FILE.FUNCTION"),
    ({"index.js": ""}, "../index.handler", "Runtime.MalformedHandlerName", "'../index.handler'"),
    ({"index.js": "exports.main = 1;"}, "index.handler", "Runtime.HandlerNotFound", "index.handler is undefined or not exported. Exported: main"),
    ({"index.js": "for (let i = 0; i < 12; i++) exports['f' + i] = i;"}, "index.handler", "Runtime.HandlerNotFound", "f8, f9 and 2 more"),
    ({"index.js": "exports.handler = 1;"}, "index.handler", "Runtime.HandlerNotFound", "index.handler is not a function"),
    ({"index.mjs": ""}, "index.handler", "Runtime.HandlerNotFound", "Nothing is exported"),
    ({"index.js": "exports.handler = async ( => 1;"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
    ({"index.mjs": "export const handler = async ( => 1;"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
    ({"index.mjs": "import { no } from './b.mjs'; export const handler = 1;", "b.mjs": ""}, "index.handler", "Runtime.UserCodeSyntaxError", "no"),
    ({"index.js": "require('left-pad');"}, "index.handler", "Runtime.ImportModuleError", "Run npm install left-pad in the directory that you deploy"),
    ({"index.mjs": "import '@scope/pkg/sub';"}, "index.handler", "Runtime.ImportModuleError", "npm install @scope/pkg in"),
    ({"index.js": "require('@aws-sdk/client-s3');"}, "index.handler", "Runtime.ImportModuleError", "part of AWS's managed runtime, not of this host"),
    ({"index.js": "require('./lost');"}, "index.handler", "Runtime.ImportModuleError", "Cannot find module './lost'"),
    ({"index.js": "null.x;"}, "index.handler", "TypeError", "Cannot read properties of null"),
    ({"index.js": "JSON.parse('{');"}, "index.handler", "SyntaxError", "JSON"),
    ({"index.js": "throw 'a text';"}, "index.handler", "string", "a text"),
    ({"index.js": "process.exit(3);"}, "index.handler", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
    ({"index.mjs": "await new Promise(() => {});"}, "index.handler", "Runtime.NodeJsExit", "top-level await"),
    ({"index.mjs": "Promise.reject(new Error('x')); await new Promise((r) => setTimeout(r, 60000));"}, "index.handler", "Runtime.UnhandledPromiseRejection", "Error: x"),
    ({"index.js": "", "package.json": "{oops"}, "index.handler", "Runtime.ImportModuleError", "package.json can't be read"),
    ({"index.js": "require('./addon.node');", "addon.node": "no ELF"}, "index.handler", "Runtime.ImportModuleError", "npm rebuild"),
])
def test_a_function_that_cannot_be_loaded_says_why_and_what_to_do(start, files, name, kind, message):
    w = start(files, name, ready=False)
    got = w.error(at_init=True)
    assert got["errorType"] == kind
    assert message in got["errorMessage"]
    status, log = w.left()
    assert status == (3 if "exit(3)" in files.get("index.js", "") else 1)
    assert kind in log


def test_a_name_of_another_major_version_is_refused(start):
    w = start(handler("return 1;"), ready=False, FAASD_RUNTIME_NAME="nodejs12.x")
    got = w.error(at_init=True)
    assert got["errorType"] == "Runtime.InvalidRuntime"
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True).stdout.strip()
    assert f"this host's node is {version}; deploy with runtime node, or name another one under 'runtimes' in the configuration" in got["errorMessage"]
    assert w.left()[0] == 1
    major = version[1:].split(".")[0]
    for name in ("node", "", f"nodejs{major}.x", f"node{major}"):
        assert start(handler("return 1;"), FAASD_RUNTIME_NAME=name).invoke() == 1


def test_state_lives_on_between_requests_and_the_environment_is_the_functions(start):
    w = start("let n = 0; exports.handler = async () => ({ n: ++n, cwd: process.cwd(), main: require.main === module });")
    assert w.invoke()["n"] == 1
    got = w.invoke()
    assert got["n"] == 2 and got["main"] is False


def test_memory_does_not_grow_with_requests_and_a_large_one_is_given_back(start):
    w = start(handler("return event === null ? process.memoryUsage().arrayBuffers : 1;"))
    w.invoke("x" * (5 << 20))
    for _ in range(2000):
        w.invoke(1)
    assert w.invoke(b"null") < 3 << 20


def test_what_the_function_does_to_globals_does_not_reach_the_runtime(start):
    w = start("""
        exports.handler = async (event) => {
          JSON.parse = JSON.stringify = require('fs').writeSync = require('fs').readSync = process.exit = () => { throw new Error('mine now'); };
          process.env.AWS_LAMBDA_FUNCTION_NAME = 'other';
          console.log = () => {};
          return event;
        };""")
    assert w.invoke({"a": 1}) == {"a": 1}
    assert w.invoke({"a": 2}) == {"a": 2}
