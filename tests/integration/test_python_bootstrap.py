# SPDX-License-Identifier: Apache-2.0
"""The Python bootstrap by itself (rootfs/runtime/python), over a socketpair: contract with handlers, errors, logs, templates."""

import ast
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import tempfile
import textwrap

import pytest

from harness import wait_until
from python_worker import BOOTSTRAP, ERROR, INTERPRETERS, READY, SAME_ROOT, Worker

REQUEST_ID = "4f1c7b1e-0d5a-4c57-9c39-0a1f6f0f3b11"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes a mount namespace")


@pytest.fixture(params=INTERPRETERS, ids=lambda path: os.path.basename(os.path.realpath(path)))
def interpreter(request):
    return request.param


@pytest.fixture
def start(tmp_path, interpreter):
    """start(source or {file: source}) -> a worker in a task directory of its own."""
    workers = []

    def run(files, **options):
        task = tmp_path / f"f{len(workers)}" / "task"
        for name, source in ({"app.py": files} if isinstance(files, str) else files).items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source) if isinstance(source, bytes) else path.write_text(textwrap.dedent(source))
        options.setdefault("interpreter", interpreter)
        worker = Worker(task, **options)
        worker.task = task
        workers.append(worker)
        return worker

    yield run
    for worker in workers:
        worker.kill()


@pytest.fixture
def serve(start):
    """A worker that has said READY."""

    def run(files, **options):
        worker = start(files, **options)
        worker.said = worker.ready()
        return worker

    return run


@pytest.fixture
def template(serve):
    def run(files, **options):
        worker = serve(files, FAASD_TEMPLATE="yes", **options)
        assert worker.said["template"] == "yes", worker.said
        return worker

    return run


# -- the contract with handlers --


def test_the_sources_are_python_3_9():
    for path in BOOTSTRAP.parent.glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))


def test_a_handler_gets_event_and_context_and_answers_json(serve):
    worker = serve("def handler(event, context):\n    return {'got': event, 'id': context.aws_request_id}\n")
    assert re.match(r"CPython 3\.\d+\.\d+$", worker.said["runtime"])
    assert "template" not in worker.said
    assert worker.call({"a": [1, 2.5, None, "ä"]}) == {"got": {"a": [1, 2.5, None, "ä"]}, "id": REQUEST_ID}
    assert worker.call(b"") == {"got": {}, "id": REQUEST_ID}
    assert worker.close() == 0


@pytest.mark.parametrize("handler,file", [("app.main", "app.py"), ("pkg/app.main", "pkg/app.py"), ("pkg.app.main", "pkg/app.py"), ("my-app.main",
    "my-app.py")])
def test_handlers_are_named_by_module_and_function(serve, handler, file):
    assert serve({file: "def main(event, context):\n    return __name__\n"}, handler=handler).call() == handler.replace("/", ".")[:-5]


@pytest.mark.parametrize("source,expected", [
    ("def handler(event):\n    return ['one', event]\n", ["one", 5]),
    ("def handler(event, context=None):\n    return context is not None\n", True),
    ("def handler(*arguments):\n    return len(arguments)\n", 2),
    ("handler = lambda event: event + 1\n", 6),
    ("class Call:\n    def __call__(self, event):\n        return ['object', event]\nhandler = Call()\n", ["object", 5]),
    ("class Call:\n    def __call__(self, event, context):\n        return context.function_name\nhandler = Call()\n", "example"),
    ("class A:\n    def method(self, event):\n        return event * 2\nhandler = A().method\n", 10),
    ("class A:\n    @classmethod\n    def method(cls, event, context):\n        return context.function_version\nhandler = A.method\n", "7"),
    ("import functools\ndef f(a, event, context):\n    return [a, event]\nhandler = functools.partial(f, 1)\n", [1, 5]),
    ("async def handler(event, context):\n    return event\n", 5),
    ("import asyncio\nasync def work(event):\n    await asyncio.sleep(0)\n    return event\ndef handler(event):\n    return work(event)\n", 5),
])
def test_kinds_of_handlers(serve, source, expected):
    assert serve(source).call(5) == expected


def test_async_handlers_share_one_event_loop(serve):
    worker = serve("""
        import asyncio
        seen = []
        async def handler(event, context):
            seen.append(id(asyncio.get_running_loop()))
            return len(set(seen))
        """)
    assert [worker.call(), worker.call(), worker.call()] == [1, 1, 1]


def test_the_context_has_lambdas_names(serve):
    worker = serve("""
        def handler(event, context):
            names = ["aws_request_id", "function_name", "function_version", "invoked_function_arn", "memory_limit_in_mb", "log_group_name",
                "log_stream_name"]
            context.mine = 1
            return {**{n: getattr(context, n) for n in names}, "http": context.http, "path": context.http.path,
                "left": context.get_remaining_time_in_millis(),
                    "identity": context.identity.cognito_identity_id, "client": context.client_context and [context.client_context.custom,
                        context.client_context.client.app_title],
                    "mine": context.mine, "repr": repr(context), "nothing": hasattr(context, "nothing")}
        """)
    fields = [("function_arn", "arn:aws:lambda:eu-west-1:000000000000:function:example:prod"), ("client_context",
        '{"custom":{"a":1},"client":{"app_title":"t"}}'),
              ("http.host", "h"), ("http.x-a", "1"), ("http.x-a", "2"), ("http.cookie", "a=1"), ("http.cookie", "b=2"), ("http.x-latin", "\xe9")]
    said = worker.invoke({}, fields).json()
    assert said["aws_request_id"] == REQUEST_ID
    assert (said["function_name"], said["function_version"], said["memory_limit_in_mb"]) == ("example", "7", "128")
    assert said["invoked_function_arn"] == "arn:aws:lambda:eu-west-1:000000000000:function:example:prod"
    assert (said["log_group_name"], said["log_stream_name"]) == ("/aws/lambda/example", "2026/01/02/[7]0123")
    assert said["http"] == {"method": "POST", "path": "", "query": "", "headers": {"host": "h", "x-a": "1,2", "cookie": "a=1; b=2", "x-latin": "\xe9"}}
    assert 0 < said["left"] <= 30000
    assert said["identity"] is None and said["client"] == [{"a": 1}, "t"] and said["mine"] == 1 and said["nothing"] is False
    assert "example" in said["repr"]
    without = worker.invoke({}, deadline_ms=0).json()
    assert without["left"] > 10 ** 9 and without["client"] is None
    assert without["invoked_function_arn"] == "arn:aws:lambda:us-east-1:000000000000:function:example"
    assert worker.invoke({}, deadline_ms=1).json()["left"] == 0


@pytest.mark.parametrize("expression,body", [
    ("None", b"null"), ("'hi'", b'"hi"'), ("{'b': 1, 'a': [True, 1.5]}", b'{"b": 1, "a": [true, 1.5]}'), ("'\\u00e4\\u20ac'", '"ä€"'.encode()),
        ("(1, 2)", b"[1, 2]"),
    ("{1: 2}", b'{"1": 2}'), ("'\\ud800'", b'"\\ud800"'), ("__import__('decimal').Decimal('12')", b"12"), ("[__import__('decimal').Decimal('0.1')]",
        b"[0.1]"),
])
def test_replies_are_written_as_lambda_writes_them(serve, expression, body):
    assert serve(f"def handler(event):\n    return {expression}\n").invoke({}).body == body


@pytest.mark.parametrize("expression,words", [
    ("b'abc'", ["bytes", "base64"]), ("object()", ["object"]), ("{1, 2}", ["set"]), ("{(1, 2): 3}", ["tuple"]), ("float('nan')", ["JSON"]),
        ("[float('inf')]", ["JSON"]),
    ("(x for x in 'a')", ["generator"]), ("__import__('datetime').datetime(2026, 1, 2)", ["datetime.datetime"]), ("LOOP", ["Circular"]), ("DEEP",
        ["recursion"]),
    ("__import__('decimal').Decimal('NaN')", ["JSON"]),
])
def test_a_reply_that_is_no_json_is_a_marshal_error_that_names_it(serve, expression, words):
    worker = serve(f"""
        LOOP = []
        LOOP.append(LOOP)
        DEEP = []
        for _ in range(100000):
            DEEP = [DEEP]
        def handler(event):
            return {expression} if event else 'fine'
        """)
    for _ in range(2):
        kind, message, _ = worker.invoke(1).error
        assert kind == "Runtime.MarshalError"
        assert all(word.lower() in message.lower() for word in words), message
        assert worker.call(0) == "fine"


@pytest.mark.parametrize("event", [b"{", b"nonsense", b"{}x", b"\xff", b'{"a":}', b"[" * 200000, b"   "])
def test_an_event_that_is_no_json_is_an_error_of_its_own(serve, event):
    worker = serve("def handler(event):\n    return event\n")
    kind, message, _ = worker.invoke(event).error
    assert kind == "Runtime.UnmarshalError" and "unmarshal" in message
    assert worker.call(b' \n{"a": 1} \t') == {"a": 1}


@pytest.mark.parametrize("size", [0, 65536 - 100, 65536, 65537, 1000003, 6 << 20])
def test_events_and_replies_of_any_size(serve, size):
    assert serve("def handler(event):\n    return [len(event), event]\n").call("x" * size) == [size, "x" * size]


def test_frames_may_come_in_pieces_and_close_together(serve):
    worker = serve("def handler(event):\n    return event\n")
    real = worker.connection
    sent = []

    class Recorder:
        def sendall(self, data):
            sent.append(data)

    worker.connection = Recorder()
    for event in (1, "two", [3]):
        worker.send_invoke(event)
    worker.connection = real
    stream = b"".join(sent)
    for byte in stream[:100]:
        real.sendall(bytes([byte]))
    real.sendall(stream[100:])
    assert [worker.read().json() for _ in range(3)] == [1, "two", [3]]


@pytest.mark.parametrize("frame", [
    struct.pack("<IHHQ", 0, 9, 0, 1), struct.pack("<IHHQ", 0, READY, 0, 0), struct.pack("<IHHQ", 2 ** 31, 2, 0, 1), struct.pack("<IHHQ", 16, 2, 1,
        1) + bytes(16),
    struct.pack("<IHHQ", 16, 2, 0, 1) + struct.pack("<QII", 0, 1, 0), struct.pack("<IHHQ", 3, 2, 0, 1) + b"abc", struct.pack("<IHHQ", 40, 5, 0,
        0) + bytes(40),
])
def test_a_frame_that_is_not_understood_ends_the_worker(serve, frame):
    worker = serve("def handler(event):\n    return event\n")
    worker.connection.sendall(frame)
    assert worker.wait() == 1
    assert "faasd:" in worker.log()


def test_the_end_of_the_stream_ends_the_worker(serve):
    source = "import threading, time, atexit\natexit.register(time.sleep, 1000)\nthreading.Thread(target=time.sleep, args=(1000,)).start()\ndef handler(event):\n    pass\n"
    assert serve(source).close() == 0
    worker = serve(source)
    worker.connection.sendall(b"\x10\0\0")
    worker.connection.shutdown(socket.SHUT_WR)
    assert worker.wait() == 1


def test_without_a_socket_it_says_what_it_is():
    done = subprocess.run(["/usr/bin/python3", BOOTSTRAP], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 2 and b"faasd deploy" in done.stderr


# -- errors of a handler --


def test_an_exception_is_told_as_lambda_tells_it(serve):
    worker = serve({"app.py": """
        import helper
        def handler(event, context):
            return deeper(event)
        def deeper(event):
            return helper.fail(event)
        """, "helper.py": "def fail(event):\n    raise ValueError('no such customer: ä')\n"})
    kind, message, trace = worker.invoke({}).error
    assert (kind, message) == ("ValueError", "no such customer: ä")
    assert trace == [f'  File "{worker.task}/app.py", line 4, in handler\n    return deeper(event)\n',
                     f'  File "{worker.task}/app.py", line 6, in deeper\n    return helper.fail(event)\n',
                     f'  File "{worker.task}/helper.py", line 2, in fail\n    raise ValueError(\'no such customer: ä\')\n']
    log = worker.log()
    assert log == "[ERROR] ValueError: no such customer: ä\nTraceback (most recent call last):\n" + "".join(trace)


def test_a_trace_begins_in_the_functions_code_and_goes_on_outside(serve):
    kind, _, trace = serve("import json\ndef handler(event):\n    return json.loads('{')\n").invoke({}).error
    assert kind == "JSONDecodeError"
    assert "app.py" in trace[0] and "json" in trace[-1] and len(trace) >= 3
    kind, message, trace = serve("def handler():\n    pass\n").invoke({}).error
    assert kind == "TypeError" and "positional argument" in message and trace == []


def test_the_log_tells_the_cause_as_well(serve):
    worker = serve("def handler(event):\n    try:\n        {}['key']\n    except KeyError as e:\n        raise RuntimeError('outer') from e\n")
    assert worker.invoke({}).error[:2] == ("RuntimeError", "outer")
    log = worker.log()
    assert log.index("KeyError: 'key'") < log.index("direct cause") < log.index("[ERROR] RuntimeError: outer")


@pytest.mark.parametrize("handler,kind,message", [
    ("def handler():\n    pass", "TypeError", "handler() takes 0 positional arguments but 2 were given: a handler is called with (event, context), or"),
    ("def handler(a, b, c):\n    pass", "TypeError", "missing 1 required positional argument: 'c': a handler is called with (event, context), or"),
    ("def handler(a, b):\n    raise TypeError('an argument')", "TypeError", "an argument"),
    ("def handler(event):\n    yield 1", "Runtime.MarshalError", "type generator is not JSON serializable: the handler has a `yield`"),
    ("async def handler(event):\n    yield 1", "Runtime.MarshalError", "type async_generator is not JSON serializable: the handler has a `yield`"),
])
def test_a_handler_that_can_not_be_called_or_yields_says_what_one_looks_like(serve, handler, kind, message):
    got, said, _ = serve(f"{handler}\n").invoke(1).error
    assert got == kind and message in said
    if message == "an argument":
        assert said == message


def test_an_exception_group_names_its_parts(serve):
    worker = serve("""
        class Group(Exception):  # as ExceptionGroup, which older Pythons don't have
            def __init__(self, text, exceptions):
                super().__init__(text)
                self.exceptions = exceptions
        def handler(event):
            raise Group("many", (ValueError("a"), KeyError("b")) if event else [1])
        """)
    assert worker.invoke(1).error[1] == "many; ValueError: a; KeyError: 'b'"
    assert worker.invoke(0).error[1] == "many"


@pytest.mark.parametrize("statement,kind,words", [
    ("import sys; sys.exit(3)", "Runtime.ExitError", "sys.exit(3)"), ("exit(4)", "Runtime.ExitError", "sys.exit(4)"), ("raise SystemExit",
        "Runtime.ExitError", "sys.exit()"), ("raise KeyboardInterrupt",
        "KeyboardInterrupt", ""),
    ("raise type('Ünicode error', (Exception,), {})('x')", "_nicode_error", "x"), ("raise type('E' * 1000, (Exception,), {})('x')", "E" * 128, "x"),
    ("raise ValueError('y' * 10000000)", "ValueError", "yyy"), ("raise ValueError('\\ud800')", "ValueError", "\\ud800"),
    ("f = lambda: f(); f()", "RecursionError", "recursion"), ("raise type('', (Exception,), {})()", "Error", ""),
    ("class E(Exception):\n        def __str__(self): raise Exception\n    raise E", "E", "without a text"),
        ("import asyncio; raise asyncio.CancelledError", "CancelledError", ""),
    ("bytearray(1 << 60)", "MemoryError", ""),
])
def test_errors_of_every_kind_leave_the_next_request_unharmed(serve, statement, kind, words):
    worker = serve(f"def handler(event):\n    if not event:\n        return 'fine'\n    {statement}\n")
    got, message, trace = worker.invoke(1).error
    assert got == kind and words in message
    assert trace and "app.py" in trace[0] and len(trace) <= 101
    assert worker.call(0) == "fine"


def test_an_exit_behind_pythons_back_ends_the_worker(serve):
    worker = serve("import os\ndef handler(event):\n    os._exit(7)\n")
    worker.send_invoke({})
    with pytest.raises(EOFError):
        worker.read()
    assert worker.wait() == 7


def test_a_crash_in_native_code_shows_where_it_came_from(serve):
    worker = serve("import os, signal\ndef poke(event):\n    os.kill(os.getpid(), signal.SIGSEGV)\ndef handler(event):\n    poke(event)\n")
    worker.send_invoke({})
    with pytest.raises(EOFError):
        worker.read()
    assert worker.wait() == -signal.SIGSEGV
    assert re.search(r'app\.py", line 3 in poke', worker.log())


def test_a_forked_child_that_comes_back_does_not_answer(serve):
    worker = serve("""
        import os
        def handler(event):
            pid = os.fork()
            if pid == 0:
                if event == "raise":
                    raise ValueError("in the child")
                return "child"
            return ["parent", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
        """)
    for event in ("return", "raise", "return"):
        assert worker.call(event) == ["parent", 1]
    assert "os._exit" in worker.log()
    assert worker.close() == 0


def test_handlers_do_not_reach_the_socket_by_its_number(serve):
    worker = serve("""
        import os, subprocess, sys
        def handler(event):
            try:
                os.write(3, b"garbage")
            except OSError as error:
                closed = error.errno
            os.closerange(3, 100)
            child = subprocess.run([sys.executable, "-c", "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"], capture_output=True,
                text=True, close_fds=False)
            return [closed, child.stdout.strip()]
        """)
    for _ in range(2):
        assert worker.call() == [9, "[0, 1, 2, 3]"]  # EBADF; 3 is the directory


# -- init --


def test_a_syntax_error_names_file_and_line(start):
    worker = start("def handler(event):\n    return (\n\nx = = 1\n")
    kind, message, trace = worker.init_error()
    assert kind == "Runtime.UserCodeSyntaxError"
    assert "app.py" in message and re.search(r"line \d", message) and "'app'" in message
    assert "[ERROR] Runtime.UserCodeSyntaxError" in worker.log()


@pytest.mark.parametrize("handler", ["app", "", ".handler", "app.", "a..b"])
def test_a_bad_handler_string(start, handler):
    kind, message, _ = start("", handler=handler).init_error()
    assert kind == "Runtime.MalformedHandlerName" and f"'{handler}'" in message and "app.handler" in message


def test_a_handler_that_does_not_exist(start):
    kind, message, _ = start("def lambda_handler(e, c):\n    pass\n").init_error()
    assert kind == "Runtime.HandlerNotFound"
    assert message.startswith("Handler 'handler' missing on module 'app'") and "lambda_handler" in message
    kind, message, _ = start("handler = 5\n").init_error()
    assert kind == "Runtime.HandlerNotFound" and "int" in message
    kind, message, _ = start("", handler="sys.exit").init_error()
    assert kind == "Runtime.BuiltInModuleConflict"


def test_a_module_that_does_not_exist(start):
    kind, message, _ = start({"main.py": "", "other.py": ""}).init_error()
    assert kind == "Runtime.ImportModuleError"
    assert message.startswith("Unable to import module 'app': No module named 'app'") and "main.py" in message and "app.py" in message
    _, message, _ = start("def handler(e): pass\n", handler="app.py").init_error()
    assert "app.handler" in message or "defines handler" in message


def test_exceptions_and_exits_of_init_code(start):
    kind, message, trace = start("x = 1\ndef f():\n    raise RuntimeError('no model')\nf()\n").init_error()
    assert (kind, message) == ("RuntimeError", "no model")
    assert [line.split(", ")[1] for line in trace] == ["line 4", "line 3"]
    kind, message, trace = start("import sys\nsys.exit('stop')\n").init_error()
    assert kind == "Runtime.ExitError" and "stop" in message and "app.py" in trace[0]
    worker = start("import os\nos._exit(5)\n")
    with pytest.raises(EOFError):
        worker.read()
    assert worker.wait() == 5


def advice(start, name, files=None, **options):
    worker = start({"app.py": f"import {name}\ndef handler(event): pass\n", **(files or {})}, **options)
    kind, message, trace = worker.init_error()
    assert kind == "Runtime.ImportModuleError"
    assert trace and f'File "{worker.task}/app.py", line 1' in trace[0]
    assert message in worker.log()
    return message


NO_BOTO3 = """
import sys
class No:
    def find_spec(self, name, path=None, target=None):
        if name == "boto3":
            raise ModuleNotFoundError("No module named 'boto3'", name=name)
sys.meta_path.insert(0, No())
"""


def test_a_module_of_awss_runtime(start, interpreter):
    assert "awslambdaric is part of AWS's managed runtime" in advice(start, "awslambdaric")
    # also true on a host that has boto3
    kind, message, _ = start({"app.py": "import first\nimport boto3\n", "first.py": NO_BOTO3}).init_error()
    assert kind == "Runtime.ImportModuleError"
    # what Debian installs is seen by Debian's Python only
    install = "install python3-boto3, or " if interpreter.startswith("/usr/bin/") else ""
    said = "Unable to import module 'app': No module named 'boto3': boto3 is part of AWS's managed runtime, not of this host: "
    assert message == f"{said}{install}put it in the archive (pip install boto3 -t DIR)"


def test_no_package_of_the_host_is_advised_to_who_does_not_see_the_hosts(start, interpreter):
    site = f"venv/lib/python{interpreter_version(interpreter)}/site-packages"
    files = {"app.py": "import first\nimport boto3\n", "first.py": NO_BOTO3, f"{site}/own.py": "", "venv/pyvenv.cfg": "include-system-site-packages = false\n"}
    _, message, _ = start(files, FAASD_VENV="venv").init_error()
    assert "not of this host: put it in the archive (pip install boto3 -t DIR)" in message


def test_requirements_that_nobody_installed(start):
    message = advice(start, "nosuchpackage", {"requirements.txt": "# ours\nrequests>=2\nNoSuchPackage[extra]==1.0\n"})
    assert "No module named 'nosuchpackage'" in message and "NoSuchPackage" in message and "pip install -r requirements.txt -t" in message
    message = advice(start, "nosuchpackage", {"requirements.txt": "requests\n"})
    assert "pip install nosuchpackage -t" in message


def test_a_virtual_environment_that_is_not_named(start, interpreter):
    version = interpreter_version(interpreter)
    message = advice(start, "inside", {f"venv/lib/python{version}/site-packages/inside.py": ""})
    assert "--venv" in message and "venv/lib" in message


def interpreter_version(interpreter):
    return subprocess.check_output([interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True).strip()


def elf(machine):
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, {"x86_64": 62, "aarch64": 183}[machine]) + bytes(44)


@pytest.mark.parametrize("init", ["import wheel._fast\n",
    "try:\n    import wheel._fast\nexcept ImportError as e:\n    raise ImportError('a page of advice') from e\n"])
def test_a_compiled_wheel_for_another_python(start, interpreter, init):
    machine = os.uname().machine
    message = advice(start, "wheel", {"wheel/__init__.py": init, f"wheel/_fast.cpython-37m-{machine}-linux-gnu.so": elf(machine)})
    assert f"wheel/_fast.cpython-37m-{machine}-linux-gnu.so' is compiled for CPython 3.7, " in message
    assert f"runs on CPython {interpreter_version(interpreter)} on {machine}" in message
    assert "--python-version" in message and "--runtime python3.7" in message


def test_a_compiled_module_beside_the_handler_is_advised_by_its_name(start):
    message = advice(start, "fast", {f"fast.cpython-37m-{os.uname().machine}-linux-gnu.so": elf(os.uname().machine)})
    assert re.search(r"pip install --only-binary=:all: .* fast -t DIR", message)


def test_a_compiled_wheel_for_another_processor(start):
    other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    message = advice(start, "wheel", {"wheel/__init__.py": "import wheel._fast\n", "wheel/_fast.so": elf(other)})
    assert f"compiled for {other}" in message and os.uname().machine in message and "manylinux" in message


def test_a_python_that_is_too_old_is_named(start):
    as_if = "import sys; sys.version_info = (3, 8, 18); __file__ = sys.argv[1]; exec(open(__file__).read())"
    for entry in ("python", "python3.8"):
        kind, message, _ = start("def handler(event): pass\n", flags=("-S", "-c", as_if), FAASD_RUNTIME_ENTRY=entry).init_error()
        assert kind == "Runtime.InvalidRuntime"
        assert re.search(rf"^the runtime {entry} is \S+ on this host, and that is CPython 3\.8\.18, which is too old for faasd: name a Python 3\.9 or newer in `runtimes`",
                         message), message


# -- where modules come from --


def test_the_path_begins_with_the_function_and_nothing_heavy_is_loaded(serve, interpreter):
    # a virtual environment without the host's packages: their .pth files may import anything
    worker = serve({"app.py": "import sys\ndef handler(event):\n    return [sys.path, sorted(sys.modules)]\n",
        f"venv/lib/python{interpreter_version(interpreter)}/site-packages/x.py": "",
                    "venv/pyvenv.cfg": "include-system-site-packages = false\n"}, FAASD_VENV="venv")
    path, modules = worker.call()
    assert path[0] == str(worker.task)
    assert not [p for p in path if "runtime/python" in p], "the bootstrap's own directory is no place to import from"
    heavy = {"json", "re", "logging", "traceback", "asyncio", "ctypes", "socket", "threading", "typing", "enum"}
    assert not heavy & set(modules), "a start pays for what no function asked for"


def test_files_named_as_the_bootstraps_modules_are_the_functions(serve):
    names = ["errors", "context", "handler", "frames", "worker", "values", "child", "template", "paths", "logs", "clean", "advice", "faasd", "bootstrap"]
    files = {f"{name}.py": f"value = 'own {name}'\n" for name in names}
    files["app.py"] = f"modules = [__import__(name) for name in {names}]\ndef handler(event):\n    1 / event\n    return [m.value for m in modules]\n"
    worker = serve(files)
    assert worker.call(1) == [f"own {name}" for name in names]
    assert worker.invoke(0).error[0] == "ZeroDivisionError"
    kind, _, _ = serve("def handler(event):\n    import frames\n").invoke({}).error
    assert kind == "ModuleNotFoundError"


def test_site_or_no_site_gives_the_same(serve):
    source = "import sys\ndef handler(event):\n    return sys.path\n"
    plain = [p for p in serve(source, flags=()).call()[1:] if os.path.isdir(p)]
    without = [p for p in serve(source, flags=("-S",)).call()[1:] if os.path.isdir(p)]
    assert without == plain


def test_pythonpath_of_the_function_holds(serve):
    worker = serve({"app.py": "import extra\ndef handler(event):\n    return extra.x\n", "lib/extra.py": "x = 5\n"}, PYTHONPATH="lib")
    assert worker.call() == 5


def test_a_virtual_environment(serve, start, interpreter, tmp_path):
    version = interpreter_version(interpreter)
    site = f"venv/lib/python{version}/site-packages"
    files = {"app.py": "import inside, linked, sys\ndef handler(event):\n    return [inside.x, linked.y, [p for p in sys.path if p.endswith('-packages')]]\n",
             f"{site}/inside.py": "x = 1\n", f"{site}/more.pth": "elsewhere\n", f"{site}/elsewhere/linked.py": "y = 2\n",
             "venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\n"}
    worker = serve(files, FAASD_VENV="venv")
    x, y, packages = worker.call()
    assert (x, y) == (1, 2)
    assert packages == [f"{worker.task}/{site}"]
    files["venv/pyvenv.cfg"] = "include-system-site-packages = true\n"
    worker = serve(files, FAASD_VENV="venv")
    assert worker.call()[2][0] == f"{worker.task}/{site}"
    kind, message, _ = start({"app.py": "", "venv/lib/python3.4/site-packages/x.py": ""}, FAASD_VENV="venv").init_error()
    assert kind == "Runtime.InvalidVirtualEnvironment" and "python3.4" in message and f"CPython {version}" in message
    kind, message, _ = start({"app.py": ""}, FAASD_VENV="nothing").init_error()
    assert "no virtual environment" in message and "-m venv" in message


def test_imports_come_ahead_and_are_told(serve):
    source = "import sys\nbefore = 'colorsys' in sys.modules\nimport json, mine, wave as w\nfrom html import parser\ndef handler(event):\n    return before\n"
    worker = serve({"app.py": source, "mine.py": "import glob\n"}, FAASD_IMPORTS="colorsys, no_such_thing,html")
    assert worker.call() is True
    assert "no_such_thing" in worker.log()
    assert worker.said["imports"].split(",") == ["colorsys", "html", "json", "glob", "wave"]
    many = "".join(f"import m{i}\n" for i in range(400))
    names = serve({"app.py": "import sys\nsys.path.append(__file__[:-6] + 'x/site-packages')\n" + many + "def handler(e): pass\n",
                   **{f"x/site-packages/m{i}.py": "" for i in range(400)}}).said["imports"]
    assert names.startswith("m0,m1,") and 900 < len(names) <= 1000 and not names.endswith(",")


# -- the log --


def test_print_comes_line_by_line_and_before_the_reply(serve):
    worker = serve("import sys\ndef handler(event):\n    print('one')\n    print('two', end='')\n    print('three', file=sys.stderr, end='')\n    print('\\ud800')\n")
    assert worker.call() is None
    assert worker.log() == "one\ntwo\\ud800\nthree" or worker.log() == "one\ntwothree\\ud800\n"
    lines = serve("import sys, os\ndef handler(event):\n    print('line')\n    sys.stdout.buffer.raw.close() if event else None\n    os.kill(os.getpid(), 9)\n")
    lines.send_invoke(0)
    assert lines.wait() == -9
    assert lines.log() == "line\n"


def test_a_handler_that_closes_its_streams_still_answers(serve):
    worker = serve("import sys\ndef handler(event):\n    if event:\n        raise ValueError('x')\n    sys.stdout.close(); sys.stderr.close()\n    return 1\n")
    assert worker.call(0) == 1
    assert worker.invoke(1).error[0] == "ValueError"


def test_logging_has_lambdas_format(serve):
    worker = serve("""
        import logging
        logging.getLogger().setLevel(logging.INFO)
        logging.warning("at import")
        log = logging.getLogger("mine")
        def handler(event, context):
            log.info("hello %s", "world")
            log.error("two\\nlines")
            logging.debug("too low")
            logging.basicConfig(level=logging.DEBUG)
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception("failed")
        """)
    worker.call()
    lines = worker.log().splitlines()
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.match(rf"\[WARNING\]\t{time}\t\tat import$", lines[0])
    assert re.match(rf"\[INFO\]\t{time}\t{REQUEST_ID}\thello world$", lines[1])
    assert re.match(rf"\[ERROR\]\t{time}\t{REQUEST_ID}\ttwo$", lines[2]) and lines[3] == "lines"
    assert lines[4].endswith("\tfailed") and lines[5] == "Traceback (most recent call last):" and lines[-1] == "ZeroDivisionError: division by zero"


def test_logging_that_was_there_before_is_set_up_as_well(serve):
    worker = serve("import logging\nlogging.warning('x')\ndef handler(event):\n    return [len(logging.root.handlers), type(logging.__spec__.loader).__name__]\n", FAASD_IMPORTS="logging")
    assert worker.call() == [1, "SourceFileLoader"]
    assert worker.log().startswith("[WARNING]\t")


# -- templates --


COUNTER = "import os\nstate = []\ndef handler(event):\n    state.append(event)\n    return [len(state), os.getpid()]\n"


def test_a_template_forks_children_that_share_nothing(template):
    worker = template(COUNTER)
    one, two = worker.fork(), worker.fork()
    assert (one.ready.kind, one.ready.request, one.ready.payload) == (READY, 0, b"")
    first, second = one.call(), two.call()
    assert first[0] == second[0] == 1 and first[1] != second[1] != worker.process.pid
    assert one.call() == [2, first[1]]
    one.close(), two.close()
    assert worker.close() == 0


def test_children_outlive_their_template(template):
    worker = template(COUNTER)
    child = worker.fork()
    assert worker.close() == 0
    assert child.call()[0] == 1
    child.close()


def test_a_childs_output_goes_to_its_own_pipe(template):
    worker = template("import sys\nprint('init')\nprint('half', end='')\ndef handler(event):\n    print('out', event)\n    print('err', file=sys.stderr)\n    open('/dev/stderr', 'a').write('again\\n')\n")
    children = [worker.fork(), worker.fork()]
    for number, child in enumerate(children):
        child.call(number)
    assert [child.close() for child in children] == ["out 0\nerr\nagain\n", "out 1\nerr\nagain\n"]
    assert worker.log() == "init\nhalf"


def test_a_child_writes_itself_into_its_groups_first(template, tmp_path):
    worker = template(COUNTER)
    files = [open(tmp_path / name, "wb") for name in ("a", "b", "c")]
    worker.fork(join=[f.fileno() for f in files]).close()
    assert [(tmp_path / name).read_bytes() for name in ("a", "b", "c")] == [b"0"] * 3
    with open("/proc/version") as unwritable:
        child = worker.fork(join=[unwritable.fileno()])
    kind, message, _ = child.ready.error
    assert kind == "ForkFailed" and "cgroup 1" in message
    assert worker.fork().call()[0] == 1


def test_a_child_is_shut_off_from_its_siblings(template):
    worker = template("""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        def handler(event):
            status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
            try:
                os.kill(event["victim"], 0)
                kill = 0
            except OSError as error:
                kill = error.errno
            return {"caps": [status[k] for k in ("CapPrm", "CapEff", "CapInh", "CapAmb")], "dumpable": libc.prctl(3, 0, 0, 0, 0), "kill": kill,
                "sid": os.getsid(0) == os.getpid(),
                    "fds": sorted(map(int, os.listdir("/proc/self/fd"))), "landlock": libc.syscall(444, None, 0, 1), "pid": os.getpid(),
                        "cwd": os.getcwd(), "stdin": os.readlink("/proc/self/fd/0")}
        """)
    one, two = worker.fork(), worker.fork()
    victim = two.call({"victim": 1})["pid"]
    said = one.call({"victim": victim})
    assert said["caps"] == ["0000000000000000"] * 4
    assert said["dumpable"] == 0 and said["sid"] is True
    assert said["fds"][:3] == [0, 1, 2] and len(said["fds"]) == 5  # the socket, and the directory itself
    assert said["stdin"] == "/dev/null" and said["cwd"] == str(worker.task)
    if said["landlock"] < 6:
        pytest.skip(f"the kernel's Landlock has ABI {said['landlock']}: no scopes before 6")
    assert said["kill"] == 1, "EPERM"


def test_what_init_left_to_a_process_is_put_right(template):
    worker = template("""
        import os, signal
        os.umask(0o077)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, lambda *a: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.setitimer(signal.ITIMER_REAL, 1000)
        def handler(event):
            old = os.umask(0)
            return [old, str(signal.getsignal(signal.SIGUSR1)), callable(signal.getsignal(signal.SIGUSR2)), len(signal.pthread_sigmask(signal.SIG_BLOCK,
                ())),
                    signal.getitimer(signal.ITIMER_REAL)[0], str(signal.getsignal(signal.SIGCHLD)), os.waitstatus_to_exitcode(os.system("exit 3"))]
        """)
    umask, ignored, kept, mask, timer, child_end, status = worker.fork().call()
    assert (umask, kept, mask, timer, status) == (0o022, True, 0, 0.0, 3)
    assert "SIG_DFL" in ignored or ignored == "0"
    assert "SIG_DFL" in child_end or child_end == "0"


def test_randomness_is_fresh_in_every_child(template):
    worker = template("""
        import os, random, secrets, ssl, tempfile, uuid
        random.seed(5); random.random(); uuid.uuid1(); ssl.RAND_bytes(1); next(tempfile._get_candidate_names())
        def handler(event):
            return [random.random(), secrets.token_hex(8), str(uuid.uuid4()), str(uuid.uuid1()), uuid.getnode(), ssl.RAND_bytes(8).hex(),
                next(tempfile._get_candidate_names()), os.urandom(8).hex()]
        """)
    rows = []
    for _ in range(50):
        child = worker.fork(random=bytes(32))  # the kernel's own randomness is enough
        rows.append(child.call())
        child.close()
    for column in zip(*rows):
        assert len(set(column)) == 50


@pytest.mark.parametrize("used_in_init", ["import uuid; first = uuid.uuid1(); node = uuid.getnode()", "from uuid import uuid1; first = uuid1()",
                                          "import _uuid; first = _uuid.generate_time_safe()", "import uuid", "first = 1"])
def test_time_based_uuids_of_children_differ_however_they_began(template, used_in_init):
    """Made as fast as they can be, so that the clocks of several stand at the same tick or nearly so."""
    worker = template(f"""
        {used_in_init}
        def handler(event):
            import uuid
            return [str(uuid.uuid1()) for _ in range(20)]
        """)
    children = [worker.fork(random=bytes(32)) for _ in range(50)]
    for child in children:
        child.send_invoke({})
    made = [child.read().json() for child in children]
    for child in children:
        child.close()
    assert len({text for of_one in made for text in of_one}) == 50 * 20
    if "uuid1" in used_in_init:
        assert len({text[-12:] for of_one in made for text in of_one}) == 50, "a node for each"


def test_the_clocks_of_newer_uuids_are_set_back_as_well(template):
    worker = template("""
        import uuid
        uuid._last_timestamp_v6, uuid._last_timestamp_v7, uuid._last_counter_v7 = 6, 7, 8
        def handler(event):
            return [uuid._last_timestamp_v6, uuid._last_timestamp_v7, uuid._last_counter_v7, uuid._last_timestamp]
        """)
    assert worker.fork().call() == [None, None, 0, None]


def test_numpys_global_generator_is_fresh_as_well(template):
    worker = template({"app.py": "import numpy.random\ndef handler(event):\n    return numpy.random.seeds\n",
                       "numpy/__init__.py": "", "numpy/random.py": "seeds = []\ndef seed(values):\n    seeds.append(values)\n"})
    one, two = worker.fork().call(), worker.fork().call()
    assert one != two and len(one) == 1 and len(one[0]) == 8 and all(0 <= n < 2 ** 32 for n in one[0])


def test_hooks_run_in_each_child_in_their_order(template, serve):
    source = """
        import os, faasd
        seen = []
        @faasd.after_fork
        def first():
            seen.append(["first", os.getpid()])
        faasd.after_fork(lambda: seen.append(["second", os.getpid()]))
        os.register_at_fork(after_in_child=lambda: seen.append(["at_fork", os.getpid()]))
        def handler(event):
            return [seen, os.getpid()]
        """
    for _ in range(2):
        seen, pid = template(source).fork().call()
        assert seen == [["at_fork", pid], ["first", pid], ["second", pid]]
    assert serve(source).call()[0] == []


def test_a_hook_that_fails_ends_its_instance_and_says_why(template):
    worker = template("import faasd\n@faasd.after_fork\ndef hook():\n    raise RuntimeError('no database')\ndef handler(event): pass\n")
    for _ in range(2):
        child = worker.fork()
        assert (child.ready.kind, child.ready.request) == (ERROR, 0)
        kind, message, trace = child.ready.error
        assert (kind, message) == ("RuntimeError", "no database") and "in hook" in trace[0]
        assert "[ERROR] RuntimeError: no database" in child.read_log()
    assert worker.close() == 0


def test_an_after_fork_hook_must_be_a_function(start):
    kind, message, _ = start("import faasd\nfaasd.after_fork(5)\n").init_error()
    assert kind == "TypeError" and "int" in message


@pytest.mark.parametrize("source,reason", [
    ("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), name='ticker', daemon=True).start()",
        r"2 threads are running after init: ticker$"),
    ("import os\nf = open('/dev/zero')", r"descriptor \d+ is open after init: /dev/zero$"),
    ("import socket\ns = socket.socket()", r"descriptor \d+ is open after init: socket:\[\d+\]$"),
    ("import asyncio\nloop = asyncio.new_event_loop()", r"descriptor \d+ is open after init: "),
    ("import mmap\nm = mmap.mmap(-1, 4096)", r"writable memory is shared after init: "),
    ("import os\nopen(os.environ['TMPDIR'] + '/model', 'w').close()", r"init left files in .*tmp: model$"),
])
def test_what_can_not_be_forked_says_why_and_serves_by_itself(serve, source, reason):
    worker = serve(source + "\n" + COUNTER, FAASD_TEMPLATE="yes")
    assert re.search(reason, worker.said["template"]), worker.said
    assert [worker.call()[0], worker.call()[0]] == [1, 2]
    assert worker.close() == 0


def test_a_file_that_init_closed_is_no_hindrance(template):
    assert template("import os, subprocess\nopen('/dev/zero').read(1)\nsubprocess.run(['true'])\n" + COUNTER).fork().call()[0] == 1


def test_a_random_device_that_init_left_open_is_each_childs_own(template):
    worker = template("""
        import fcntl, os
        plain, null = open("/dev/urandom", "rb", buffering=0), os.open("/dev/null", os.O_WRONLY | os.O_NONBLOCK)
        os.set_inheritable(null, True)
        def handler(event):
            owner = fcntl.fcntl(plain, fcntl.F_GETOWN)
            fcntl.fcntl(plain, fcntl.F_SETOWN, os.getpid())
            flags = fcntl.fcntl(null, fcntl.F_GETFL)
            fcntl.fcntl(null, fcntl.F_SETFL, 0)
            return {"owner": owner, "flags": flags & (os.O_ACCMODE | os.O_NONBLOCK), "inherited": [os.get_inheritable(f) for f in (plain.fileno(), null)],
                    "target": os.readlink(f"/proc/self/fd/{plain.fileno()}"), "read": plain.read(8).hex(), "open": len(os.listdir("/proc/self/fd"))}
        """)
    first, second = worker.fork().call(), worker.fork().call()
    assert first.pop("read") != second.pop("read")
    assert first == second == {"owner": 0, "flags": os.O_WRONLY | os.O_NONBLOCK, "inherited": [False, True], "target": "/dev/urandom", "open": first["open"]}


def test_a_file_that_is_only_called_like_a_device_is_not_forked(serve, tmp_path):
    worker = serve(f"f = open('{tmp_path}/null', 'w')\n" + COUNTER, FAASD_TEMPLATE="yes")
    assert re.search(r"descriptor \d+ is open after init: .*/null$", worker.said["template"]), worker.said


def test_async_handlers_fork(template):
    worker = template("import os, asyncio\nasync def handler(event):\n    await asyncio.sleep(0)\n    return os.getpid()\n")
    children = [worker.fork() for _ in range(3)]
    pids = [child.call() for child in children]
    assert len(set(pids)) == 3 and [child.call() for child in children] == pids


@pytest.mark.parametrize("send", [
    lambda w: w.connection.sendall(struct.pack("<IHHQ", 40, 5, 0, 0) + bytes(40)),  # no descriptor
    lambda w: w.fork(payload=bytes(39)), lambda w: w.fork(payload=struct.pack("<II32s", SAME_ROOT, 1, bytes(32))), lambda w: (w.fork(), w.send_invoke({})),
    lambda w: w.connection.sendmsg([struct.pack("<IHHQII32s", 40, 5, 0, 0, SAME_ROOT, 0, bytes(32))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
        struct.pack("i", 0))]),
    lambda w: w.fork(join=[0] * 8), lambda w: (w.connection.sendall(b"\x28\0"), w.connection.shutdown(socket.SHUT_WR)),
])
def test_a_template_ends_on_anything_but_a_whole_order(template, send):
    worker = template(COUNTER)
    try:
        send(worker)
    except EOFError:
        pass
    assert worker.wait() == 1
    assert "faasd: Broken: " in worker.log()


def test_a_template_whose_first_frame_is_a_request_serves_by_itself(template):
    worker = template(COUNTER)
    assert [worker.call()[0], worker.call("x" * 200000)[0]] == [1, 2]
    assert worker.close() == 0


def test_a_fork_that_the_kernel_refuses_is_told(template):
    worker = template("import os\ndef refuse():\n    raise OSError(11, 'Resource temporarily unavailable')\nos.fork, fork = refuse, os.fork\n" + COUNTER)
    for _ in range(2):
        kind, message, _ = worker.fork().ready.error
        assert kind == "ForkFailed" and "unavailable" in message
    assert worker.close() == 0


def test_ended_children_do_not_pile_up(template):
    worker = template(COUNTER)
    children = pathlib.Path(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children")

    def left_by_another():
        child = worker.fork()
        child.call()
        child.close()
        return children.read_text().split()

    for _ in range(20):
        left_by_another()
    # The last one of a slot is waited for when that is used again, and so is one that was still ending then.
    wait_until(lambda: 1 <= len(left_by_another()) <= 2, "none but the last")


def proportional_memory(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))


def test_a_child_costs_little_memory(template):
    worker = template("import json, logging\n" + COUNTER)
    children = [worker.fork() for _ in range(40)]
    pids = [child.call()[1] for child in children]
    sizes = [proportional_memory(pid) for pid in pids]
    for child in children:
        child.close()
    assert sum(sizes) / len(sizes) <= 3 * 1024


# -- a slot: a root of its own --

SLOTS = """
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir /run/task
mount --bind "$LAMBDA_TASK_ROOT" /run/task
export LAMBDA_TASK_ROOT=/run/task
for n in 0 1; do
    mkdir -p /run/slots/$n/tmp /run/slots/$n/proc /run/slots/$n/run/task
    mount --bind /run/task /run/slots/$n/run/task
    mount --rbind /proc /run/slots/$n/proc
    mount -t tmpfs -o nr_inodes=20k none /run/slots/$n/tmp
done
exec "$@"
"""


@AS_ROOT
def test_a_slot_is_entered_and_its_tmp_emptied(template):
    worker = template("""
        import os
        def handler(event):
            found = sorted(os.listdir("/tmp"))
            os.makedirs("/tmp/a/b/c")
            open("/tmp/a/b/c/file", "w").close()
            os.symlink("/proc", "/tmp/link")
            os.mkfifo("/tmp/fifo")
            try:
                os.chroot("/tmp")
                escaped = True
            except PermissionError:
                escaped = False
            return [found, os.getcwd(), sorted(os.listdir("/")), os.listdir("/run"), escaped]
        """, wrapper=("unshare", "-m", "sh", "-c", SLOTS, "slots"))
    for slot in (0, 1, 0, 1):
        child = worker.fork(slot=slot)
        assert child.call() == [[], "/run/task", ["proc", "run", "tmp"], ["task"], False]
        child.close()
    child = worker.fork(slot=7)
    kind, message, _ = child.ready.error
    assert kind == "ForkFailed" and "/run/slots/7" in message and "No such file" in message


@pytest.fixture
def tree():
    """A directory that anybody may enter; whatever a failing test leaves in it is more than shutil can remove."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-tree-"))
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def test_a_tree_of_any_shape_is_removed(tree):
    program = f"""
import os, sys
sys.path.insert(0, {str(BOOTSTRAP.parent)!r})
import clean
root = {str(tree)!r}
for wide in range(20):
    os.makedirs(f"{{root}}/w{{wide}}/x/y")
    open(f"{{root}}/w{{wide}}/x/file", "w").close()
os.symlink("/etc", root + "/link")
os.symlink("nowhere", root + "/w0/x/dangling")
os.mkfifo(root + "/fifo")
for path in ("/w1/x/y", "/w1/x", "/w2", "/w3/x"):
    os.chmod(root + path, 0)
deep = os.open(root, os.O_RDONLY)
for _ in range(5000):
    os.mkdir("d", dir_fd=deep)
    below = os.open("d", os.O_RDONLY, dir_fd=deep)
    os.close(deep)
    deep = below
before = len(os.listdir("/proc/self/fd"))
clean.empty(root)
assert os.listdir(root) == [] and len(os.listdir("/proc/self/fd")) == before
"""
    user = {}
    if os.geteuid() == 0:  # root is not stopped by modes
        os.chown(tree, 65534, 65534)
        user = {"user": 65534, "group": 65534, "extra_groups": []}
    subprocess.run(["/usr/bin/python3", "-B", "-c", program], check=True, **user)
    assert os.path.exists("/etc/passwd")
