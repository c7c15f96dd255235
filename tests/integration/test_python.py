# SPDX-License-Identifier: Apache-2.0
"""Functions of the runtime python, seen from a client; what concerns the bootstrap alone is in test_python_bootstrap.py."""

import base64
import io
import json
import os
import pathlib
import re
import struct
import sys
import tempfile
import textwrap
import venv

import pytest

from harness import EXAMPLES, Faasd, brief, wait_until


@pytest.fixture(params=["on", "off"])
def way(request):
    """Forked from a template, or every instance by itself: what a function sees is the same."""
    return request.param


@pytest.fixture
def deploy(faasd, tmp_path):
    def run(name, files, *options, check=True):
        directory = tmp_path / name
        for file, source in ({"app.py": files} if isinstance(files, str) else files).items():
            path = directory / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source) if isinstance(source, bytes) else path.write_text(textwrap.dedent(source))
        return faasd.deploy(name, directory, "--runtime", "python", "--handler", "app.handler", *options, check=check)

    return run


def call(faasd, name, event=None):
    reply = faasd.invoke(name, json.dumps(event).encode() if event is not None else b"")
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json"
    return reply.json()


def lines_of(faasd, name, request_id):
    """What a request wrote, once all of it has reached the log."""
    return [line.split(" ", 2)[2] for line in faasd.cli("logs", name, "--id", request_id).out.splitlines()]


def test_a_function_answers_and_knows_its_request(faasd, deploy, way):
    done = deploy("answers", """
        def handler(event, context):
            return {"event": event, "id": context.aws_request_id, "name": context.function_name, "memory": context.memory_limit_in_mb,
                "left": context.get_remaining_time_in_millis(),
                    "http": context.http}
        """, "--template", way, "--memory", "96M", "--timeout", "7s")
    assert re.search(r"CPython 3\.\d+\.\d+", done.out)
    reply = faasd.invoke("answers", b'{"a": 1}', path="/some/where?x=1", headers={"X-Thing": "a"})
    said = reply.json()
    assert said["event"] == {"a": 1} and said["id"] == reply.headers["X-Request-Id"]
    assert (said["name"], said["memory"]) == ("answers", "96") and 0 < said["left"] <= 7000
    assert (said["http"]["method"], said["http"]["path"], said["http"]["query"], said["http"]["headers"]["x-thing"]) == ("POST", "/some/where", "x=1",
        "a")
    assert call(faasd, "answers")["event"] == {}
    assert faasd.invoke("answers", b"{nonsense").status == 400


def test_print_and_logging_reach_the_log_with_the_requests_id(faasd, deploy, way):
    deploy("prints", """
        import logging, sys
        logging.root.setLevel("INFO")
        def handler(event):
            print("one")
            print("two", file=sys.stderr)
            logging.info("three\\nfour")
            print("five", end="")
        """, "--template", way)
    for _ in range(2):
        request_id = faasd.invoke("prints").headers["X-Request-Id"]
        lines = wait_until(lambda: len(lines_of(faasd, "prints", request_id)) >= 5 and lines_of(faasd, "prints", request_id), "the log")
        assert lines[:2] == ["one", "two"]
        assert re.match(rf"\[INFO\]\t\S+Z\t{request_id}\tthree$", lines[2]) and lines[3:] == ["four", "five"]


def test_errors_leave_the_next_request_unharmed(faasd, deploy, way):
    deploy("fails", """
        import os, sys, time
        def deeper():
            raise ValueError("no such customer")
        def handler(event):
            if event == "raise":
                deeper()
            if event == "exit":
                sys.exit(3)
            if event == "_exit":
                os._exit(3)
            if event == "signal":
                os.kill(os.getpid(), 11)
            if event == "hang":
                time.sleep(1000)
            if event == "bytes":
                return b"x"
            if event == "long":
                return "x" * (6 << 20)
            if event == "memory":
                return len(bytearray(os.urandom(1 << 20) * 200))
            if event == "fork":
                if os.fork() == 0:
                    return "child"
                os.wait()
            return event
        """, "--template", way, "--timeout", f"{brief(2):.0f}s", "--memory", "96M")
    for event, status, kind, words in [
        ("raise", 500, "ValueError", "no such customer"), ("exit", 500, "Runtime.ExitError", "sys.exit(3)"), ("_exit", 502, "FunctionCrashed", "status 3"),
        ("signal", 502, "FunctionCrashed", "SIGSEGV"), ("hang", 504, "Timeout", f"{brief(2):.0f}s"), ("bytes", 500, "Runtime.MarshalError", "bytes"), ("long", 502,
            "BadReply", "reply_bytes"),
        ("memory", 502, "OutOfMemory", "96"),
    ]:
        reply = faasd.invoke("fails", json.dumps(event).encode())
        assert (reply.status, reply.error) == (status, kind), reply
        assert words in reply.json()["errorMessage"]
        assert call(faasd, "fails", "fine") == "fine"
    assert call(faasd, "fails", "fork") == "fork"


def test_a_trace_begins_in_var_task_and_is_in_the_log(faasd, deploy, way):
    deploy("traces", "import json\ndef handler(event):\n    return json.loads('{')\n", "--template", way)
    reply = faasd.invoke("traces")
    assert reply.error == "JSONDecodeError"
    assert reply.json()["trace"][0] == "  File \"/var/task/app.py\", line 3, in handler\n    return json.loads('{')\n"
    lines = wait_until(lambda: lines_of(faasd, "traces", reply.headers["X-Request-Id"]), "the log")
    assert lines[0].startswith("[ERROR] JSONDecodeError: ") and '  File "/var/task/app.py", line 3, in handler' in lines


@pytest.mark.parametrize("name,source,words", [
    ("missing", "def other(event): pass\n", ["Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'", "other"]),
    ("syntax", "def handler(event):\n    return (\n", ["Runtime.UserCodeSyntaxError", "app.py"]),
    ("imports", "import no_such_thing\n", ["Runtime.ImportModuleError", "Unable to import module 'app': No module named 'no_such_thing'",
        "pip install"]),
    ("raises", "raise RuntimeError('no model')\n", ["RuntimeError", "no model"]),
    ("exits", "import sys\nsys.exit(4)\n", ["Runtime.ExitError", "sys.exit(4)"]),
    ("leaves", "import os\nos._exit(4)\n", ["status 4"]),
])
def test_what_can_not_start_is_refused_at_deploy_with_its_reason(faasd, deploy, name, source, words):
    done = deploy(f"init-{name}", source, check=False)
    assert done.returncode == 1
    assert all(word in done.err for word in words), done.err
    assert faasd.invoke(f"init-{name}").status == 404


def test_an_init_that_hangs_is_ended(tmp_path):
    (tmp_path / "app.py").write_text("import time\ntime.sleep(1000)\ndef handler(event): pass\n")
    with Faasd(config={"init_timeout": "1s"}) as faasd:
        done = faasd.deploy("hangs", tmp_path, "--runtime", "python", "--handler", "app.handler", check=False)
        assert done.returncode == 1 and "init_timeout" in done.err


def test_module_state_lives_on_and_isolation_fork_forgets_it(faasd, deploy):
    source = """
        import os, threading
        state = []
        def handler(event):
            seen = [len(state), os.environ.get("LEFT"), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))]
            state.append(1)
            os.environ["LEFT"] = "yes"
            threading.Thread(target=threading.Event().wait, daemon=True).start()
            state.append(open("/dev/zero"))
            return seen
        """
    deploy("keeps", source, "--max-concurrency", "1", "--template", "off")
    first, second = call(faasd, "keeps"), call(faasd, "keeps")
    assert first[:3] == [0, None, 1] and second[:3] == [2, "yes", 2]
    deploy("forgets", source, "--isolation", "fork")
    for _ in range(20):
        assert call(faasd, "forgets") == [0, None, 1, first[3]]


def test_what_can_not_be_forked_is_described_and_served(faasd, deploy):
    deploy("threads", "import threading\nthreading.Thread(target=threading.Event().wait, name='worker-1', daemon=True).start()\ndef handler(event):\n    return event\n")
    assert call(faasd, "threads", 5) == 5
    assert "2 threads are running after init: worker-1" in faasd.cli("describe", "threads").out


def test_a_function_imports_what_the_host_has_and_its_own_first(faasd, deploy, way):
    deploy("paths", {"app.py": "import sys, json, wave\ndef handler(event):\n    return [sys.path[0], wave.mine]\n", "wave.py": "mine = 'own'\n"},
        "--template", way)
    assert call(faasd, "paths") == ["/var/task", "own"]


def test_a_virtual_environment_in_the_directory(faasd, deploy, tmp_path):
    venv.create(tmp_path / "venvs" / "venv", with_pip=False, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = tmp_path / "venvs" / "venv" / "lib" / version / "site-packages"
    (site / "only_here.py").write_text("value = 42\n")
    (tmp_path / "venvs" / "app.py").write_text("import only_here\ndef handler(event):\n    return only_here.value\n")
    faasd.deploy("venv", tmp_path / "venvs", "--runtime", "python", "--handler", "app.handler", "--venv", "venv")
    assert call(faasd, "venv") == 42


# -- examples --


def test_the_thumbnail_example_halves_the_picture_that_an_event_names(faasd):
    Image = pytest.importorskip("PIL.Image", reason="this host has no Pillow (python3-pil)")
    faasd.deploy("thumb", EXAMPLES / "thumbnail-python")
    event = json.loads((EXAMPLES / "thumbnail-python" / "event.json").read_text())
    [result] = call(faasd, "thumb", event)
    with Image.open(EXAMPLES / "thumbnail-python" / "photos" / "photo.jpg") as original:
        half = (original.width // 2, original.height // 2)
    with Image.open(io.BytesIO(base64.b64decode(result["body"]))) as small:
        assert small.format == "JPEG" and small.size == half
        small.load()
    assert (result["width"], result["height"], result["contentType"]) == (*half, "image/jpeg")

    def named(bucket, key):
        event["Records"][0]["s3"] = {"bucket": {"name": bucket}, "object": {"key": key}}
        reply = faasd.invoke("thumb", json.dumps(event).encode())
        assert reply.status == 500
        return reply

    assert named("photos", "no+such.jpg").error == "FileNotFoundError"
    assert "no bucket" in named("nothing", "a").json()["errorMessage"]
    assert named("photos", "..%2Fapp.py").error == "PermissionError"
    assert faasd.invoke("thumb", b"{}").error == "KeyError"


@pytest.fixture
def buckets():
    """Two directories that a function's user may reach, unlike those under tmp_path."""
    with tempfile.TemporaryDirectory(prefix="faasd-test-buckets-") as path:
        os.chmod(path, 0o755)
        source, target = pathlib.Path(path, "pictures"), pathlib.Path(path, "small")
        source.mkdir()
        target.mkdir()
        target.chmod(0o777)
        yield source, target


def test_the_thumbnail_example_writes_to_the_mounted_bucket(buckets):
    Image = pytest.importorskip("PIL.Image", reason="this host has no Pillow (python3-pil)")
    source, target = buckets
    Image.new("RGB", (101, 60), "red").save(source / "a b.png")
    event = {"Records": [{"s3": {"bucket": {"name": "pictures"}, "object": {"key": "a+b.png"}}}]}
    with Faasd(config={"grants": {"mounts": [str(source), f"{target}:rw"]}}) as faasd:
        faasd.deploy("thumb", EXAMPLES / "thumbnail-python", "--mount", f"{source}:/mnt/pictures", "--mount", f"{target}:/mnt/pictures-resized:rw")
        [result] = call(faasd, "thumb", event)
    assert result["written"] == "/mnt/pictures-resized/resized-a b.png" and "body" not in result
    with Image.open(target / "resized-a b.png") as small:
        assert (small.format, small.size) == ("PNG", (50, 30))


@pytest.fixture(scope="module")
def segy(faasd):
    faasd.deploy("segy", EXAMPLES / "segy")


def sample():
    """make_sample.py of the example, as a module."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("make_sample", EXAMPLES / "segy" / "make_sample.py")
    module = module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def test_the_segy_example_reads_a_real_file(faasd, segy):
    made = sample().make()
    assert made == (EXAMPLES / "segy" / "sample.segy").read_bytes()
    assert struct.unpack_from(">H", made, 3216) == (4000,) and made[0] == 0xC3
    by_file = call(faasd, "segy", {"file": "sample.segy"})
    assert by_file["text"]["encoding"] == "EBCDIC" and len(by_file["text"]["lines"]) == 40
    assert by_file["text"]["lines"][0] == "C 1 CLIENT: EXAMPLE                  COMPANY: EXAMPLE           CREW NO: 1"
    assert by_file["text"]["lines"][39] == "C40 END TEXTUAL HEADER"
    header = by_file["binary"]
    assert (header["sampleIntervalMicroseconds"], header["samplesPerTrace"], header["formatCode"], header["bytesPerSample"],
        header["revision"]) == (4000, 250, 1, 4, "1.0")
    assert (header["lineNumber"], header["sorting"], header["measurementSystem"], header["byteOrder"]) == (101, "as recorded", "meters", "big-endian")
    assert by_file["traces"] == 10 and by_file["traceLengthMilliseconds"] == 1000.0
    assert call(faasd, "segy", {"body": base64.b64encode(made).decode()}) == by_file
    beginning = call(faasd, "segy", {"body": base64.b64encode(made[:3600]).decode()})
    assert beginning["binary"] == header and "traces" not in beginning
    cut = call(faasd, "segy", {"body": base64.b64encode(made[:-1]).decode()})
    assert "traces" not in cut


def test_the_segy_example_reads_ascii_and_little_endian(faasd, segy):
    made = bytearray(sample().make())
    made[:3200] = sample().text_header("ascii")
    for offset, size in [(0, 4), (4, 4), (8, 4), *((at, 2) for at in range(12, 60, 2)), (300, 2), (302, 2), (304, 2)]:
        at = 3200 + offset
        made[at:at + size] = made[at:at + size][::-1]
    said = call(faasd, "segy", {"body": base64.b64encode(bytes(made)).decode()})
    assert said["text"]["encoding"] == "ASCII" and said["text"]["lines"][38] == "C39 SEG Y REV1"
    assert (said["binary"]["byteOrder"], said["binary"]["lineNumber"], said["binary"]["samplesPerTrace"], said["traces"]) == ("little-endian", 101, 250,
        10)


@pytest.mark.parametrize("event,kind,words", [
    ({}, "NotSegy", "body"), ({"body": "%%%"}, "NotSegy", "base64"), ({"body": base64.b64encode(bytes(3599)).decode()}, "NotSegy", "3600"),
    ({"body": base64.b64encode(bytes(3600)).decode()}, "NotSegy", "format code 0"), ({"file": "none.segy"}, "FileNotFoundError", "none.segy"),
    ({"file": "/etc/passwd"}, "PermissionError", "/etc/passwd"), ({"file": "../../etc/passwd"}, "PermissionError", "neither"),
])
def test_the_segy_example_says_what_is_wrong(faasd, segy, event, kind, words):
    reply = faasd.invoke("segy", json.dumps(event).encode())
    assert (reply.status, reply.error) == (500, kind)
    assert words in reply.json()["errorMessage"]


# ---- what is loaded ahead ----

LATE = """import sys

def handler(event, context):
    before = "csv" in sys.modules
    import csv
    return before
"""


def test_what_a_handler_imports_is_loaded_ahead_the_next_time(faasd, tmp_path):
    (tmp_path / "app.py").write_text(LATE)
    faasd.deploy("late", tmp_path, "--runtime", "python", "--keep-warm", "20ms")
    reply = faasd.invoke("late", b"{}")
    assert reply.json() is False
    assert "faasd-imports" not in {name.lower() for name in reply.headers}
    wait_until(lambda: not faasd.instances("late"), "the worker and its template are gone")
    assert faasd.invoke("late", b"{}").json() is True


def test_imports_that_were_named_come_before_what_was_learnt(faasd, tmp_path):
    (tmp_path / "app.py").write_text(LATE)
    faasd.deploy("named", tmp_path, "--runtime", "python", "--imports", "decimal,csv")
    assert faasd.invoke("named", b"{}").json() is True
