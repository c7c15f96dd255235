# SPDX-License-Identifier: Apache-2.0
"""The contract `files`: the event in the file named by $req, the reply in the one named by $res, as Azure's classic functions have it."""

import json

import pytest

from harness import Faasd

AZURE = '''#!/usr/bin/python3
import os, json; d = json.loads(open(os.environ['req']).read()); r = open(os.environ['res'], 'w'); r.write("hello world to " + d['name']); r.close()
'''


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"reply_bytes": "1M"}) as daemon:
        yield daemon


def deploy(faasd, name, text, *options):
    return faasd.deploy_script(name, text, "--contract", "files", *options)


def test_azures_classic_program_runs_unchanged(faasd):
    deploy(faasd, "azure", AZURE)
    for name in ("world", "you", "Zoë"):
        reply = faasd.invoke("azure", json.dumps({"name": name}))
        assert reply.status == 200 and reply.body.decode() == f"hello world to {name}", reply
        assert reply.headers["Content-Type"] == "application/octet-stream"


def test_content_type_is_the_settings(faasd):
    deploy(faasd, "typed", '#!/bin/sh\ncat "$req" > "$res"\n', "--content-type", "application/json")
    reply = faasd.invoke("typed", b'{"a": 1}')
    assert reply.headers["Content-Type"] == "application/json" and reply.body == b'{"a": 1}'


def test_bytes_pass_both_ways_whatever_they_are_and_however_many(faasd):
    deploy(faasd, "copy", '#!/bin/sh\ncat "$req" > "$res"\n')
    for body in (b"", b"\0", bytes(range(256)) * 40, b"x" * 1000000):
        reply = faasd.invoke("copy", body)
        assert reply.status == 200 and reply.body == body


def test_the_files_are_there_for_one_request(faasd):
    deploy(faasd, "look", '''#!/bin/sh
ls -A /tmp | sort | tr '\\n' ' '
[ -e "$res" ] && echo "an old reply is there"
cat "$req" > "$res"
''')
    for body in (b"first", b"", b"second"):
        assert faasd.invoke("look", body).body == body
    lines = faasd.cli("logs", "look").out
    assert "req" in lines and "an old reply" not in lines


def test_what_is_written_to_stdout_is_log(faasd):
    deploy(faasd, "chatty", '#!/bin/sh\necho to stdout; echo to stderr >&2; printf reply > "$res"\n')
    reply = faasd.invoke("chatty", b"x")
    assert reply.body == b"reply"
    lines = faasd.cli("logs", "chatty").out
    assert "to stdout" in lines and "to stderr" in lines and "reply" not in lines


@pytest.mark.parametrize("name,program,reply", [
    ("nothing", "", b""),
    ("empty", 'open(os.environ["res"], "w").close()', b""),
    ("seeks", 'f = open(os.environ["res"], "w+b"); f.write(b"xxxx"); f.seek(1); f.write(b"--"); f.close()', b"x--x"),
    ("reopens", '[open(os.environ["res"], "a").write(t) for t in ("one ", "two ", "three")]', b"one two three"),
    ("truncates", 'open(os.environ["res"], "w").write("long and wrong"); open(os.environ["res"], "w").write("short")', b"short"),
    ("replaces", 'open("/tmp/new", "w").write("renamed"); os.rename("/tmp/new", os.environ["res"])', b"renamed"),
    ("unlinks", 'open(os.environ["res"], "w").write("gone"); os.unlink(os.environ["res"])', b""),
    ("links", 'open("/tmp/new", "w").write("linked"); os.link("/tmp/new", os.environ["res"])', b"linked"),
    ("unreadable", 'open(os.environ["res"], "w").write("mode 0"); os.chmod(os.environ["res"], 0)', b"mode 0"),
    ("sparse", 'f = open(os.environ["res"], "wb"); f.seek(5); f.write(b"!"); f.close()', b"\0\0\0\0\0!"),
    ("leaves_it_open", 'f = open(os.environ["res"], "w"); f.write("flushed"); f.flush(); os._exit(0)', b"flushed"),
    ("twice", 'a = open(os.environ["req"]).read(); b = open(os.environ["req"]).read(); open(os.environ["res"], "w").write(a + b)', b"evev"),
    ("on_stdin_too", 'open(os.environ["res"], "w").write(sys.stdin.read())', b"ev"),
    ("overwrites_the_event", 'open(os.environ["req"], "w").write("x"); open(os.environ["res"], "w").write(open(os.environ["req"]).read())', b"x"),
    ("child", 'import subprocess; subprocess.run(["/bin/sh", "-c", "cat $req > $res"], stdin=subprocess.DEVNULL, check=True)', b"ev"),
])
def test_however_the_reply_is_written(faasd, name, program, reply):
    deploy(faasd, name, f"#!/usr/bin/python3\nimport os, sys\n{program}\n")
    for _ in range(2):
        got = faasd.invoke(name, b"ev")
        assert got.status == 200 and got.body == reply, got


def test_a_process_that_goes_on_is_dead_before_the_reply_is_read(faasd):
    deploy(faasd, "behind", '''#!/usr/bin/python3
import os
r = open(os.environ["res"], "w")
r.write("a"); r.flush()
if os.fork() == 0:
    os.setsid()
    while True:
        r.write("b"); r.flush(); r.seek(1)
''')
    for _ in range(3):
        assert faasd.invoke("behind", b"").body in (b"a", b"ab")


@pytest.mark.parametrize("name,program", [
    ("link", 'os.symlink("/etc/passwd", os.environ["res"])'),
    ("inits_own", 'os.symlink("/proc/self/environ", os.environ["res"])'),
    ("directory", 'os.mkdir(os.environ["res"])'),
    ("fifo", 'os.mkfifo(os.environ["res"])'),
    ("socket", 'import socket; socket.socket(socket.AF_UNIX).bind(os.environ["res"])'),
])
def test_what_is_no_file_is_no_reply(faasd, name, program):
    deploy(faasd, name, f"#!/usr/bin/python3\nimport os\nif open(os.environ['req']).read() == 'bad':\n    {program}\n")
    reply = faasd.invoke(name, b"bad")
    assert (reply.status, reply.error) == (502, "BadReply"), reply
    assert "$res is not a regular file" in reply.json()["errorMessage"]
    assert b"root:" not in reply.body
    assert faasd.invoke(name, b"good").status == 200


def test_a_reply_over_the_limit_names_it_and_harms_nobody(faasd):
    deploy(faasd, "much", '#!/usr/bin/python3\nimport os\nopen(os.environ["res"], "wb").write(b"x" * int(open(os.environ["req"]).read()))\n')
    reply = faasd.invoke("much", b"1048577")
    assert (reply.status, reply.error) == (502, "BadReply"), reply
    assert "file named by $res is longer than the limit 'reply_bytes' (1M)" in reply.json()["errorMessage"]
    reply = faasd.invoke("much", b"1048576")
    assert reply.status == 200 and len(reply.body) == 1048576


def test_an_exit_code_is_an_error_and_its_reply_is_dropped(faasd):
    deploy(faasd, "fails", '#!/bin/sh\nprintf half > "$res"\necho the reason >&2\nexit 3\n')
    reply = faasd.invoke("fails", b"")
    assert (reply.status, reply.error) == (500, "FunctionError"), reply
    assert "status 3" in reply.json()["errorMessage"] and "the reason" in reply.json()["errorMessage"]
    assert b"half" not in reply.body


def test_an_event_that_does_not_fit_tmp_names_the_limit(faasd):
    deploy(faasd, "small", '#!/bin/sh\nwc -c < "$req" > "$res"\n', "--tmp", "64K")
    reply = faasd.invoke("small", b"x" * 100000)
    assert (reply.status, reply.error) == (507, "StorageFull"), reply
    assert "the limit 'tmp' is 64K" in reply.json()["errorMessage"]
    assert faasd.invoke("small", b"x" * 1000).body.strip() == b"1000"


def test_a_full_tmp_is_told(faasd):
    deploy(faasd, "fills", '#!/bin/sh\nhead -c 1M /dev/zero > "$res"\n', "--tmp", "64K")
    reply = faasd.invoke("fills", b"")
    assert reply.error == "FunctionError" and "/tmp is full: the limit 'tmp' is 64K" in reply.json()["errorMessage"]


def test_the_paths_are_not_the_functions_to_choose(faasd):
    deploy(faasd, "env", '#!/bin/sh\necho "$req $res $OWN" > "$res"\n', "--env", "req=/etc/passwd", "--env", "res=/dev/null", "--env", "OWN=1")
    words = faasd.invoke("env", b"").body.split()
    assert len(words) == 3 and words[2] == b"1"
    assert words[0].startswith(b"/tmp/") and words[1].startswith(b"/tmp/")


def test_one_shot_runs_have_it_too(faasd, tmp_path):
    script = tmp_path / "run"
    script.write_text(AZURE)
    script.chmod(0o755)
    done = faasd.cli("run", "--contract", "files", script, "-d", '{"name": "once"}')
    assert done.out == "hello world to once"


def test_azures_own_lines_without_a_header_run_as_they_are(faasd, tmp_path):
    program = tmp_path / "run.py"
    program.write_text("import os, json; d = json.loads(open(os.environ['req']).read()); r = open(os.environ['res'], 'w'); "
                       "r.write(\"hello world to \" + d['name']); r.close()")
    faasd.cli("deploy", "bare", str(program), "--contract", "files")
    assert faasd.invoke("bare", b'{"name": "you"}').body == b"hello world to you"


def test_a_text_without_a_header_and_without_pythons_name_is_no_program(faasd, tmp_path):
    program = tmp_path / "run.txt"
    program.write_text("import os\n")
    refused = faasd.cli("deploy", "text", str(program), "--contract", "files", check=False)
    assert refused.returncode == 1 and b"is no program" in refused.stderr
