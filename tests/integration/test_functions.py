# SPDX-License-Identifier: Apache-2.0
"""Functions of the runtimes exec and native, seen from a client."""

import json
import os
import re
import subprocess

import pytest

from harness import EXAMPLES, HELLO, brief, wait_until

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


@pytest.fixture(scope="module", autouse=True)
def functions(faasd):
    faasd.deploy("hello", HELLO, "--runtime", "native")
    faasd.deploy_script("cat", "#!/bin/sh\ncat\n")
    faasd.deploy_script("env", "#!/bin/sh\nenv\n", "--env", "COLOUR=blue", "--env", "EMPTY=")
    faasd.deploy("cgi", EXAMPLES / "cgi")


def test_a_native_function_answers(faasd):
    reply = faasd.invoke("hello", b'{"name":"world"}')
    assert reply.status == 200
    assert b"world" in reply.body
    assert UUID.match(reply.headers["X-Request-Id"])
    assert reply.error is None


def test_the_first_start_is_cold_and_the_next_is_warm(faasd):
    faasd.deploy("fresh", HELLO, "--runtime", "native", "--keep-warm", f"{brief(1):.0f}s")
    wait_until(lambda: not faasd.instances("fresh"), "the trial instance goes after keep_warm")
    first = faasd.invoke("fresh")
    second = faasd.invoke("fresh")
    assert first.headers["X-Faasd-Start"] == "cold"
    assert second.headers["X-Faasd-Start"] == "warm"
    assert float(first.headers["X-Duration-Seconds"]) < 5
    assert re.match(r"queue;dur=[0-9.]+, init;dur=[0-9.]+, run;dur=[0-9.]+$", first.headers["Server-Timing"])
    assert float(re.search(r"init;dur=([0-9.]+)", first.headers["Server-Timing"]).group(1)) > 0
    wait_until(lambda: not faasd.instances("fresh"), "scale to zero after keep_warm")


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 1000003, 6 * 1024 * 1024])
def test_bytes_pass_unchanged(faasd, size):
    body = os.urandom(size)
    reply = faasd.invoke("cat", body)
    assert reply.status == 200
    assert reply.body == body


def test_a_body_over_the_limit_is_refused_by_name(faasd):
    reply = faasd.invoke("cat", b"x" * (6 * 1024 * 1024 + 1))
    assert (reply.status, reply.error) == (413, "RequestTooLarge")
    assert "request_bytes" in reply.json()["errorMessage"]


def test_an_exec_function_sees_its_environment_and_the_request(faasd):
    reply = faasd.invoke("env", b"abc", method="PUT", path="/some/where?x=1&y=%20", headers={"X-Thing": "a b", "Proxy": "http://evil", "Content-Type": "text/x"})
    seen = dict(line.split("=", 1) for line in reply.body.decode().splitlines())
    assert seen["COLOUR"] == "blue" and seen["EMPTY"] == ""
    assert seen["REQUEST_METHOD"] == "PUT"
    assert seen["PATH_INFO"] == "/some/where" and seen["QUERY_STRING"] == "x=1&y=%20"
    assert seen["SCRIPT_NAME"] == "/function/env"
    assert seen["CONTENT_LENGTH"] == "3" and seen["CONTENT_TYPE"] == "text/x"
    assert seen["HTTP_X_THING"] == "a b"
    assert "HTTP_PROXY" not in seen
    assert seen["FAASD_REQUEST_ID"] == reply.headers["X-Request-Id"]
    assert seen["TZ"] == ":UTC" and seen["HOME"] == "/tmp"
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    # nothing of the daemon's own environment
    assert not [k for k in seen if k in ("OLDPWD", "USER", "LOGNAME", "SHELL", "INVOCATION_ID")]


def test_an_existing_cgi_script_runs(faasd):
    reply = faasd.request("GET", "/function/cgi/a/path?colour=blue")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/")
    assert b"colour=blue" in reply.body and b"/a/path" in reply.body


@pytest.mark.parametrize("text,status", [
    ("printf 'Status: 404 Not Found\\nContent-Type: text/plain\\n\\nno'", 404),
    ("printf 'Location: https://example.com/\\n\\n'", 302),
    ("printf 'Content-Type: text/plain\\r\\n\\r\\nok'", 200),
])
def test_cgi_replies(faasd, text, status):
    faasd.deploy_script("cgireply", f"#!/bin/sh\n{text}\n", "--contract", "cgi")
    reply = faasd.request("GET", "/function/cgireply")
    assert reply.status == status
    assert reply.error is None


@pytest.mark.parametrize("text", ["echo no header", "printf 'Content-Type: text/plain\\n'", "printf 'Status: 9000\\n\\n'", "printf 'Bad Header: 1\\n\\n'"])
def test_a_broken_cgi_reply_is_a_bad_reply(faasd, text):
    faasd.deploy_script("cgibad", f"#!/bin/sh\n{text}\n", "--contract", "cgi")
    reply = faasd.request("GET", "/function/cgibad")
    assert (reply.status, reply.error) == (502, "BadReply")


def test_an_exit_code_is_a_function_error_with_the_tail_of_stderr(faasd):
    faasd.deploy_script("fails", "#!/bin/sh\necho half; echo 'no such customer' >&2; exit 3\n")
    reply = faasd.invoke("fails")
    assert (reply.status, reply.error) == (500, "FunctionError")
    message = reply.json()["errorMessage"]
    assert "status 3" in message and "no such customer" in message
    assert reply.json()["requestId"] == reply.headers["X-Request-Id"]


def test_a_signal_is_named(faasd):
    faasd.deploy_script("dies", "#!/bin/sh\nkill -SEGV $$\n")
    reply = faasd.invoke("dies")
    assert (reply.status, reply.error) == (502, "FunctionCrashed")
    assert "SIGSEGV" in reply.json()["errorMessage"]


@pytest.mark.row("P8", "F16")
def test_nothing_of_an_exec_request_survives_it(faasd):
    faasd.deploy_script("leaves", """#!/bin/sh
ls -A /tmp /dev/shm 2>/dev/null
set -- /proc/[0-9]*
echo "processes $#"
mkdir -p /tmp/deep/er; echo secret > /tmp/deep/er/file; chmod 000 /tmp/deep/er; ln -s /var/task /tmp/link
(trap '' TERM HUP; sleep 1000) &
setsid sleep 1000 &
""", "--max-concurrency", "1")
    first = faasd.invoke("leaves").body
    for _ in range(5):
        again = faasd.invoke("leaves")
        assert again.status == 200
        assert again.body == first, "a file or process of the request before is seen"
    assert b"secret" not in first and b"deep" not in first


@pytest.mark.row("F3")
def test_the_code_is_read_only_and_owned_by_root_inside(faasd):
    faasd.deploy_script("readonly", "#!/bin/sh\nstat -c '%u:%g %a' /var/task /var/task/run; echo x > /var/task/new && echo WRITTEN\necho x >> /var/task/run && echo WRITTEN\nexit 0\n")
    reply = faasd.invoke("readonly")
    assert b"WRITTEN" not in reply.body
    assert reply.body.split(b"\n")[0].startswith(b"0:0 ")


@pytest.mark.parametrize("script,expected", [
    ("awk 'BEGIN { printf \"%d\", 6 * 7 }'", b"42"),
    ("printf 'b\\na\\nb\\n' | sort | uniq -c | wc -l | tr -d ' \\n'", b"2"),
    ("/usr/bin/python3 -c 'import ssl, json; ssl.create_default_context(); print(json.dumps([1]), end=\"\")'", b"[1]"),
    ("id -un | tr -d '\\n'", b"faas"),
    ("cat /etc/hosts | grep -c localhost | head -c 1", None),
    ("getent hosts localhost | head -1 | wc -l | tr -d ' \\n'", b"1"),
    ("echo out > /dev/stdout; echo err > /dev/stderr", b"out\n"),
    ("cat /dev/stdin", b"event"),
    ("pwd | tr -d '\\n'", b"/var/task"),
    ("perl -e 'print 1 + 1'", b"2"),
    ("date +%Z | tr -d '\\n'", b"UTC"),
])
def test_programs_of_the_host_run_inside(faasd, script, expected):
    faasd.deploy_script("tool", f"#!/bin/bash\n{script}\n", "--memory", "256M")
    reply = faasd.invoke("tool", b"event")
    assert reply.status == 200, reply
    if expected is not None:
        assert reply.body == expected


def test_java_starts_where_it_is_installed(faasd):
    if not os.path.exists("/usr/bin/java"):
        pytest.skip("no /usr/bin/java on this host")
    faasd.deploy_script("java", "#!/bin/sh\njava -Xshare:auto -XX:+UseSerialGC -version 2>&1\n", "--memory", "512M", "--pids", "256")
    reply = faasd.invoke("java")
    assert reply.status == 200, reply
    assert b"version" in reply.body


def test_a_photo_becomes_half_as_wide(faasd):
    faasd.deploy("thumbnail", EXAMPLES / "thumbnail")
    photo = (EXAMPLES / "thumbnail" / "photo.jpg").read_bytes()

    def width(jpeg):
        text = subprocess.run(["djpeg", "-pnm"], input=jpeg, capture_output=True, check=True).stdout
        return int(text.split(b"\n", 2)[1].split()[0])

    reply = faasd.invoke("thumbnail", photo)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert abs(width(reply.body) * 2 - width(photo)) <= 1
    assert len(reply.body) < len(photo)


def test_words_are_counted(faasd):
    faasd.deploy("wordcount", EXAMPLES / "wordcount")
    reply = faasd.invoke("wordcount", b"one two three\nfour\n")
    assert reply.status == 200 and b"4" in reply.body


def test_any_method_and_both_sockets_reach_a_function(faasd):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        reply = faasd.request(method, "/function/hello")
        assert reply.status == 200, (method, reply)
    assert faasd.request("POST", "/function/hello", b"{}", socket_path=faasd.invoke_path).status == 200
    assert faasd.request("POST", "/function/hello", b"{}", socket_path=faasd.control_path).status == 200


def test_an_unknown_function_is_404_with_a_type(faasd):
    reply = faasd.invoke("nosuch")
    assert (reply.status, reply.error) == (404, "ResourceNotFound")
    assert set(reply.json()) >= {"errorType", "errorMessage", "requestId"}


@pytest.mark.row("K17")
def test_log_lines_carry_time_and_request_id_and_no_escape_sequence(faasd):
    faasd.deploy_script("talks", "#!/bin/sh\nprintf 'one\\n\\033[31mred\\033[0m\\r\\nlast' >&2\n")
    reply = faasd.invoke("talks")
    request = reply.headers["X-Request-Id"]

    def lines():
        text = faasd.control("GET", f"/v1/functions/talks/logs?request={request}").body.decode()
        found = [json.loads(line) for line in text.splitlines()]
        return found if len(found) >= 3 else None

    found = wait_until(lines, "three log lines")
    assert [line["message"] for line in found][0] == "one"
    assert found[2]["message"] == "last"
    assert all(line["request"] == request for line in found)
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line["time"]) for line in found)
    assert "\x1b" not in found[1]["message"] and "red" in found[1]["message"]
    printed = faasd.cli("logs", "talks").stdout
    assert b"\x1b" not in printed and b"red" in printed


def test_a_native_workers_output_is_logged(faasd):
    faasd.invoke("hello", b"{}")
    assert faasd.control("GET", "/v1/functions/hello/logs").status == 200
