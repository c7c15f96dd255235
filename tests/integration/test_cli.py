# SPDX-License-Identifier: Apache-2.0
"""The command line as a person uses it: what it prints where, and how it exits."""

import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import threading
import time

import pytest

from harness import DEADLINE, FAASD, HELLO, Faasd, cgroup_directories, wait_until

NO_SUCH, DENIED, UNREACHABLE, TRY_AGAIN, USAGE = 3, 4, 69, 75, 2


@pytest.fixture(scope="module", autouse=True)
def functions(faasd):
    faasd.deploy_script("cat", "#!/bin/sh\ncat\n")
    faasd.deploy_script("fail", "#!/bin/sh\necho out\necho why >&2\nexit 3\n")


def plain(*args, **options):
    """faasd without a daemon's root."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(FAASD), *map(str, args)], capture_output=True, timeout=120, **options)
    done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return done


def script(directory, text, name="run"):
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


# -- usage --


def test_help_names_every_command_and_each_has_a_text():
    overview = plain("help")
    assert overview.returncode == 0
    commands = re.findall(r"^  ([a-z]+) +\S", overview.out, re.M)
    for command in ["serve", "deploy", "config", "invoke", "run", "init", "dev", "shell", "ls", "describe", "versions", "alias", "rollback", "rm", "result", "logs", "check", "stats", "secret", "token", "invocation", "why", "bill", "backup", "restore", "version", "help"]:
        assert command in commands
        text = plain("help", command)
        assert text.returncode == 0 and f"usage: faasd {command}" in text.out
        assert plain(command, "--help").out == text.out


def test_help_lists_every_setting_with_its_flag():
    text = plain("help", "deploy").out
    for flag in ["--memory", "--timeout", "--tmp-exec", "--cpu-weight", "--max-concurrency", "--env"]:
        assert flag in text


def test_version_is_json_on_request():
    assert plain("version").out.startswith("faasd ")
    assert "version" in json.loads(plain("version", "--json").out)


def test_a_mistyped_option_exits_2_with_the_nearest(faasd):
    done = faasd.cli("config", "cat", "--memroy", "64M", check=False)
    assert done.returncode == USAGE
    assert "did you mean '--memory'" in done.err and done.out == ""


def test_a_number_without_a_unit_is_refused_before_anything_is_sent(faasd):
    done = faasd.cli("config", "cat", "--memory", "128", check=False)
    assert done.returncode == USAGE and "did you mean 128M?" in done.err


def test_what_is_not_built_yet_exits_2(faasd, tmp_path):
    (tmp_path / "faasd.json").write_text('{"rootfs": ["/"]}')
    (tmp_path / "run").write_text("#!/bin/sh\n")
    done = faasd.cli("deploy", "later", tmp_path, "--handler", "run", check=False)
    assert done.returncode in (1, USAGE) and "not built yet" in done.err


@pytest.mark.parametrize("args", [["deploy", "a/b", str(HELLO)], ["config", "a/b", "--memory", "64M"], ["invoke", "a/b"], ["shell", "a/b"], ["dev", ".", "--name", "a/b"], ["describe", "a/b"],
                                  ["rm", "a/b"], ["logs", "a/b"]])
def test_what_cannot_be_a_name_is_said_before_anything_is_asked(tmp_path, args):
    done = plain(*args, "--root", tmp_path)
    assert done.returncode == USAGE and "'a/b' is no name for a function" in done.err


def test_a_mistyped_address_is_a_mistake_of_usage(tmp_path):
    done = plain("serve", "--root", tmp_path, "--listen", "localhost")
    assert done.returncode == USAGE and "write 8080" in done.err


def test_without_a_daemon_it_exits_69_and_says_what_to_do(tmp_path):
    done = plain("ls", "--root", tmp_path)
    assert done.returncode == UNREACHABLE and "faasd serve" in done.err


def test_an_unknown_function_exits_3(faasd):
    for args in [["invoke", "nobody"], ["describe", "nobody"], ["logs", "nobody"], ["rm", "nobody"], ["stats", "nobody"], ["config", "nobody", "--memory", "64M"], ["shell", "nobody"]]:
        done = faasd.cli(*args, check=False)
        assert done.returncode == NO_SUCH, (args, done.err)
        assert "nobody" in done.err


def test_control_over_tcp_is_denied_and_invoking_is_not(faasd):
    url = f"http://{faasd.host}:{faasd.port}"
    done = plain("ls", "--url", url)
    assert done.returncode == DENIED, done.err
    assert plain("invoke", "cat", "-d", "x", "--url", url).out == "x"


def test_the_daemon_is_found_by_url_and_by_environment(faasd):
    url = f"unix://{faasd.control_path}"
    assert "cat" in plain("ls", "--url", url).out
    assert "cat" in plain("ls", env={**os.environ, "FAASD_URL": url}).out
    assert "cat" in plain("ls", env={**os.environ, "FAASD_ROOT": str(faasd.root)}).out


# -- deploy and config --


def test_deploy_prints_what_changed_and_what_to_try(faasd, tmp_path):
    path = script(tmp_path, "#!/bin/sh\necho one\n")
    first = faasd.deploy("changing", path, "--memory", "64M")
    assert "changing: version 1, new" in first.out
    assert f"http://{faasd.host}:{faasd.port}/function/changing" in first.out
    assert "curl" in first.out
    second = faasd.deploy("changing", path, "--memory", "96M", "--env", "A=1")
    assert "memory 64M -> 96M" in second.out and "env A added" in second.out
    assert "unchanged" in faasd.deploy("changing", path).out


def test_a_dry_run_changes_nothing(faasd, tmp_path):
    path = script(tmp_path, "#!/bin/sh\necho one\n")
    assert "would be new" in faasd.deploy("ghost", path, "--dry-run").out
    assert faasd.control("GET", "/v1/functions/ghost").status == 404
    faasd.deploy("solid", path)
    before = faasd.describe("solid")["revision"]
    assert "would change" in faasd.deploy("solid", path, "--memory", "48M", "--dry-run").out
    assert faasd.describe("solid")["revision"] == before


def test_a_file_that_is_not_executable_is_sent_as_executable_and_it_says_so(faasd, tmp_path):
    path = script(tmp_path, "#!/bin/sh\necho ran\n")
    path.chmod(0o644)
    assert "not executable here" in faasd.deploy("modeless", path).err
    assert faasd.cli("invoke", "modeless").out == "ran\n"


def test_a_native_program_is_recognised(faasd):
    faasd.deploy("native", HELLO)
    assert faasd.describe("native")["settings"]["runtime"] == "native"


def test_a_directory_is_packed_without_what_faasdignore_names(faasd, tmp_path):
    script(tmp_path, "#!/bin/sh\nls -A\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".faasdignore").write_text("*.txt\n.git\n")
    done = faasd.deploy("packed", tmp_path, "--handler", "run")
    assert "left out" in done.err and "notes.txt" in done.err and ".git" in done.err
    listed = faasd.cli("invoke", "packed").out.split()
    assert "run" in listed and "notes.txt" not in listed and ".git" not in listed


def test_an_archive_is_sent_as_it_is(faasd, tmp_path):
    path = script(tmp_path, "#!/bin/sh\necho archived\n")
    for name, command in [("f.tar", ["tar", "cf"]), ("f.tar.gz", ["tar", "czf"])]:
        subprocess.run([*command, tmp_path / name, "-C", tmp_path, path.name], check=True)
        faasd.deploy("archived", tmp_path / name, "--handler", "run")
        assert faasd.cli("invoke", "archived").out == "archived\n"


def test_what_is_neither_program_nor_archive_is_refused(faasd, tmp_path):
    (tmp_path / "text").write_text("just text\n")
    done = faasd.deploy("text", tmp_path / "text", check=False)
    assert done.returncode == 1 and "no program" in done.err


def test_environment_values_survive_in_any_script_and_are_masked(faasd, tmp_path):
    path = script(tmp_path, '#!/bin/sh\nprintf "%s|%s|%s" "$A" "$B" "$C"\n')
    (tmp_path / "env").write_text("# comment\nB=zwei 'b'\n")
    faasd.deploy("variables", path, "--env", 'A=ä€😀"\\', "--env-file", tmp_path / "env", "--env", "FAASD_TEST_C",
                 check=False)  # not in the environment: refused
    faasd.deploy("variables", path, "--env", 'A=ä€😀"\\', "--env-file", tmp_path / "env", "--env", "C=3")
    assert faasd.cli("invoke", "variables").stdout == "ä€😀\"\\|zwei 'b'|3".encode()
    masked = faasd.cli("describe", "variables").out
    assert "zwei" not in masked and "***" in masked
    assert "zwei" in faasd.cli("describe", "variables", "--show-env").out
    changed = faasd.cli("config", "variables", "--unset-env", "A").out
    assert "env A removed" in changed
    assert faasd.cli("invoke", "variables").out == "|zwei 'b'|3"


def test_config_changes_settings_over_the_same_code(faasd, tmp_path):
    faasd.deploy("tuned", script(tmp_path, "#!/bin/sh\necho tuned\n"))
    code = faasd.describe("tuned")["code"]
    done = faasd.cli("config", "tuned", "--memory", "48M", "--tmp-exec")
    assert "memory 128M -> 48M" in done.out and "tmp_exec" in done.out
    assert faasd.describe("tuned")["code"] == code
    nothing = faasd.cli("config", "tuned", check=False)
    assert nothing.returncode == USAGE and "nothing to change" in nothing.err


def test_config_takes_another_program_of_the_same_code_only(faasd, tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ["one", "two"]:
        script(tree, f"#!/bin/sh\necho {name}\n", name)
    (tree / "data").write_text("text")
    faasd.deploy("choice", tree, "--handler", "one")
    assert "handler one -> two" in faasd.cli("config", "choice", "--handler", "two").out
    for bad in ["three", "data"]:
        done = faasd.cli("config", "choice", "--handler", bad, check=False)
        assert done.returncode == 1 and f"there is no program '{bad}'" in done.err
    assert faasd.cli("invoke", "choice").out == "two\n"


# -- invoke --


def test_bytes_come_out_as_they_went_in(faasd, tmp_path):
    data = os.urandom(300000)
    (tmp_path / "data").write_bytes(data)
    assert faasd.cli("invoke", "cat", "-d", f"@{tmp_path / 'data'}").stdout == data
    assert faasd.cli("invoke", "cat", "-d", "-", input=data).stdout == data
    faasd.cli("invoke", "cat", "-d", f"@{tmp_path / 'data'}", "-o", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


def test_an_event_from_a_file_that_is_not_there_is_said_with_what_else_to_write(faasd, tmp_path):
    done = faasd.cli("invoke", "cat", "-d", "@nofile", check=False)
    assert done.returncode == 2 and "there is no file 'nofile'" in done.err and "with -d -" in done.err
    done = faasd.cli("invoke", "cat", "-d", f"@{tmp_path}/app.py/x", check=False)
    assert done.returncode == 2 and f"-d @{tmp_path}/app.py/x: " in done.err


def test_a_body_over_the_limit_is_refused_with_its_reason(faasd, tmp_path):
    (tmp_path / "large").write_bytes(bytes(20 << 20))
    done = faasd.cli("invoke", "cat", "-d", f"@{tmp_path / 'large'}", check=False)
    assert done.returncode == 1 and "RequestTooLarge" in done.err


def test_without_data_the_event_is_an_empty_object_and_stdin_is_not_read(faasd):
    assert faasd.cli("invoke", "cat", input=b"not this").out == "{}"


def test_a_failing_function_exits_1_with_its_reason_on_stderr(faasd):
    done = faasd.cli("invoke", "fail", check=False)
    assert done.returncode == 1 and done.out == ""
    assert "FunctionError" in done.err and "3" in done.err and "why" in done.err
    hint = re.search(r"faasd logs fail --id (\S+)", done.err)
    lines = faasd.cli("logs", "fail", "--id", hint.group(1)).out.splitlines()
    assert lines[-2].endswith("why") and lines[-1].endswith("FunctionError: the program exited with status 3")


def test_a_functions_own_404_is_its_reply(faasd, tmp_path):
    faasd.deploy("own404", script(tmp_path, "#!/bin/sh\nprintf 'Status: 404 Not Found\\r\\nContent-Type: text/plain\\r\\n\\r\\nmine'\n"), "--contract", "cgi")
    done = faasd.cli("invoke", "own404", check=False)
    assert done.returncode == 1 and done.out == "mine" and "404" in done.err


def test_logs_of_the_request_come_on_stderr(faasd, tmp_path):
    faasd.deploy("talking", script(tmp_path, "#!/bin/sh\necho reply\necho said >&2\n"))
    faasd.cli("invoke", "talking")
    done = faasd.cli("invoke", "talking", "--logs")
    assert done.out == "reply\n" and done.err == "said\n"


def test_headers_reach_the_function_and_nonsense_is_refused(faasd, tmp_path):
    faasd.deploy("header", script(tmp_path, '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%s" "$HTTP_X_THING"\n'), "--contract", "cgi")
    assert faasd.cli("invoke", "header", "-H", "X-Thing: a b").out == "a b"
    for bad in ["X-Thing", "Host: other", "Content-Length: 3", "X: a\r\nY: b"]:
        assert faasd.cli("invoke", "header", "-H", bad, check=False).returncode == USAGE


def test_too_many_requests_exit_75(faasd, tmp_path):
    faasd.deploy("narrow", script(tmp_path, "#!/bin/sh\nsleep 3\n"), "--max-concurrency", "1", "--queue", "0")
    busy = threading.Thread(target=lambda: faasd.cli("invoke", "narrow", check=False))
    busy.start()
    wait_until(lambda: faasd.describe("narrow")["counts"]["busy"] == 1, "the first request runs")
    done = faasd.cli("invoke", "narrow", check=False)
    busy.join()
    assert done.returncode == TRY_AGAIN, done.err


def test_an_older_version_is_named_by_a_qualifier_or_said_to_be_missing(faasd):
    assert faasd.cli("invoke", "cat", "--qualifier", "999", check=False).returncode == NO_SUCH


def on_terminal(args, feed=b"", until=None):
    """Runs it with a pseudo-terminal as stdin, stdout and stderr; returns its output and exit status."""
    pid, master = pty.fork()
    if pid == 0:
        os.execve(str(FAASD), [str(FAASD), *map(str, args)], {**os.environ, "TERM": "xterm"})
    output = b""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if feed and (until is None or until in output):
            os.write(master, feed)
            feed = b""
        readable, _, _ = select.select([master], [], [], 0.2)
        if not readable:
            continue
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    os.close(master)
    return output, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_binary_is_not_written_to_a_terminal(faasd):
    output, status = on_terminal(["invoke", "cat", "-d", "a\x1b[31mred", "--root", faasd.root])
    assert status == 0 and b"\x1b[31mred" not in output and b"-o FILE" in output
    output, status = on_terminal(["invoke", "cat", "-d", "text", "--root", faasd.root])
    assert status == 0 and output == b"text\r\n"
    output, status = on_terminal(["invoke", "cat", "-d", "line\n", "--trace", "--root", faasd.root])
    lines = output.split(b"\r\n")
    assert status == 0 and lines[0] == b"line" and b"succeeded" in lines[1], "the reply comes before what is said of it"
    output, status = on_terminal(["invoke", "cat", "-d", "", "--root", faasd.root])
    assert status == 0 and output == b""


# -- reading --


def test_ls_describe_and_stats_agree(faasd, tmp_path):
    faasd.deploy("counted", script(tmp_path, "#!/bin/sh\ngrep -q bad && exit 1\necho ok\n"), "--memory", "72M")
    for data in ["fine", "bad", "fine"]:
        faasd.cli("invoke", "counted", "-d", data, check=False)
    row = next(line.split() for line in faasd.cli("ls").out.splitlines() if line.startswith("counted "))
    assert row[1:4] == ["exec", "1", "72M"] and row[5:7] == ["3", "1"]
    described = faasd.cli("describe", "counted").out
    assert re.search(r"memory +72M$", described, re.M)
    assert re.search(r"timeout +30s +\(default\)$", described, re.M)
    stats = faasd.cli("stats", "counted").out.splitlines()[1].split()
    assert stats[:3] == ["counted", "2", "1"]
    assert "counted" in [f["name"] for f in json.loads(faasd.cli("ls", "--json").out)["functions"]]
    assert json.loads(faasd.cli("describe", "counted", "--json").out)["settings"]["memory"] == "72M"
    assert "reserved" in faasd.cli("stats").out


def test_ls_v_tells_the_state_of_every_instance(faasd, tmp_path):
    faasd.deploy("states", script(tmp_path, "#!/bin/sh\ncat\n"), "--min-warm", "1")

    def row():
        lines = faasd.cli("ls", "-v").out.splitlines()
        values = next(line.split() for line in lines if line.startswith("states "))
        return dict(zip(lines[0].split(), values))

    wait_until(lambda: row()["IDLE"] == "1", "the instance that is kept ready")
    assert row()["RUNTIME"] == "exec" and row()["BUSY"] == "0" and row()["TEMPLATES"] == "0" and row()["MEMORY"] == "128.0 MiB".split()[0]
    assert {"STARTING", "FROZEN", "STOPPING", "QUEUED"} <= set(row())
    assert re.search(r"\(\d+ frozen\), \d+ busy; \d+ templates;", faasd.cli("stats").out)


def test_a_template_and_its_children_are_told_apart(faasd, tmp_path):
    path = tmp_path / "app.py"
    path.write_text("def handler(event, context):\n    return event\n")
    faasd.deploy("forking", path, "--runtime", "python")
    faasd.cli("invoke", "forking", "-d", "1")
    wait_until(lambda: faasd.describe("forking")["counts"]["templates"] == 1, "the template stays")
    lines = faasd.cli("ls", "-v").out.splitlines()
    values = next(line.split() for line in lines if line.startswith("forking "))
    assert dict(zip(lines[0].split(), values))["TEMPLATES"] == "1"
    described = faasd.cli("describe", "forking").out
    assert re.search(r"^ +\d+ +\d+ +template +started ", described, re.M) and re.search(r"^ +\d+ +\d+ +idle\S*( frozen)? +forked ", described, re.M)
    assert re.search(r"runs on +CPython 3", described) and "not forked" not in described
    assert re.search(r"templates +1$", described, re.M)


def test_nothing_but_a_terminal_gets_colours(faasd):
    assert "\x1b" not in faasd.cli("ls").out
    output, _ = on_terminal(["ls", "--root", faasd.root])
    assert b"\x1b[1m" in output


def test_logs_show_escape_sequences_and_select(faasd, tmp_path):
    faasd.deploy("noisy", script(tmp_path, "#!/bin/sh\nprintf '\\033[31mred\\n' >&2\nfor i in 1 2 3; do echo line $i >&2; done\n"))
    started = time.time()
    faasd.cli("invoke", "noisy")
    text = wait_until(lambda: (lambda t: t if "line 3" in t else None)(faasd.cli("logs", "noisy").out), "the log is written")
    assert "\x1b" not in text and "red" in text
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9a-f-]{36} ", text.splitlines()[-1])
    assert len(faasd.cli("logs", "noisy", "-n", "2").out.splitlines()) == 2
    assert "line 1" in faasd.cli("logs", "noisy", "--since", "10m").out
    assert faasd.cli("logs", "noisy", "--until", "10m").out == ""
    future = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started + 3600))
    assert faasd.cli("logs", "noisy", "--since", future).out == ""
    line = json.loads(faasd.cli("logs", "noisy", "--json", "-n", "1").out)
    assert line["message"] == "line 3"
    assert faasd.cli("logs", "noisy", "--since", "yesterday", check=False).returncode == USAGE


def test_logs_follow(faasd, tmp_path):
    faasd.deploy("followed", script(tmp_path, "#!/bin/sh\nread x\necho got $x >&2\n"))
    follower = subprocess.Popen([str(FAASD), "logs", "followed", "-f", "--root", str(faasd.root)], stdout=subprocess.PIPE)
    try:
        seen = b""
        end = time.monotonic() + DEADLINE
        number = 0
        while b"got" not in seen and time.monotonic() < end:  # the follower may register after the first line: ask again
            faasd.cli("invoke", "followed", "-d", f"{number}\n", check=False)
            number += 1
            if select.select([follower.stdout], [], [], 1)[0]:
                seen += os.read(follower.stdout.fileno(), 65536)
        assert b"got" in seen
        assert follower.poll() is None
    finally:
        follower.terminate()
        follower.wait()
        follower.stdout.close()


def test_rm_takes_several_names(faasd):
    faasd.deploy_script("gone1", "#!/bin/sh\n")
    faasd.deploy_script("gone2", "#!/bin/sh\n")
    faasd.cli("rm", "gone1", "gone2")
    names = [f["name"] for f in json.loads(faasd.cli("ls", "--json").out)["functions"]]
    assert "gone1" not in names and "gone2" not in names
    mixed = faasd.cli("rm", "gone1", check=False)
    assert mixed.returncode == NO_SUCH


# -- shell --


def test_a_shell_shows_the_functions_sandbox_and_restores_the_terminal(faasd):
    output, status = on_terminal(["shell", "cat", "--root", faasd.root], feed=b"echo pid $$ in $(pwd); stty size; exit\r", until=b"$ ")
    assert status == 0, output
    assert b"in /var/task" in output
    assert b"pty" in output


WAITING_BOOTSTRAP = """#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/9001
printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
cat <&3
"""


@pytest.mark.parametrize("runtime, name, text", [("python", "app.py", "def handler(event, context):\n    return 1\n"), ("provided", "bootstrap", WAITING_BOOTSTRAP)])
def test_a_shell_of_any_runtime_is_an_ordinary_sandbox(faasd, tmp_path, runtime, name, text):
    """No listener, no slots, no capability: those belong to what serves requests."""
    tmp_path.chmod(0o755)
    (tmp_path / name).write_text(text)
    (tmp_path / name).chmod(0o755)
    faasd.deploy(f"shell-{runtime}", tmp_path, "--runtime", runtime, *(["--handler", "app.handler"] if runtime == "python" else []))
    look = "ls -d /var/task/*; ls /run/slots/0; grep CapEff /proc/self/status; (: < /dev/tcp/127.0.0.1/9001) 2>/dev/null || echo nobody listens; exit"
    output, status = on_terminal(["shell", f"shell-{runtime}", "--root", faasd.root], feed=look.encode() + b"\r", until=b"$ ")
    assert status == 0, output
    assert f"/var/task/{name}".encode() in output and b"CapEff:\t0000000000000000" in output
    assert b"nobody listens" in output.split(b"exit", 1)[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_shell_and_leaves_the_terminal_as_it_was(faasd, number):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([str(FAASD), "shell", "cat", "--root", str(faasd.root)], stdin=slave, stdout=slave, stderr=slave)
    try:
        wait_until(lambda: termios.tcgetattr(slave) != before, "the terminal is raw")
        process.send_signal(number)
        assert process.wait(DEADLINE) == 1
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


# -- run --


def private_roots():
    return {str(p) for place in ("/tmp", "/var/tmp", "/run") for p in pathlib.Path(place).glob("faasd-run-*")}


@pytest.fixture
def leaves_nothing():
    before = private_roots()
    yield
    wait_until(lambda: private_roots() <= before, "the private root is gone")


def test_run_calls_a_file_once(faasd, tmp_path, leaves_nothing):
    path = script(tmp_path, "#!/bin/sh\necho heard >&2\ncat\n")
    done = faasd.cli("run", path, "-d", "event")
    assert done.out == "event" and "heard" in done.err
    assert faasd.cli("run", HELLO, "-d", '{"name":"world"}').out != ""


def test_run_passes_a_commands_output_and_status(faasd, leaves_nothing):
    done = faasd.cli("run", "--", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert done.returncode == 1
    assert done.out == "out\n"
    assert "err" in done.err and "exited with status 3" in done.err
    done = faasd.cli("run", "--", "printf", "no newline")
    assert done.stdout == b"no newline" and done.err == ""


def test_run_keeps_every_argument_as_it_is(faasd, leaves_nothing):
    words = ["it's", 'a "b"', "$HOME `id` \\", "", "two\nlines", "-n", "ä", "*"]
    done = faasd.cli("run", "--", "printf", "<%s>", *words)
    assert done.stdout.decode() == "".join(f"<{w}>" for w in words)


def test_run_gives_stdin_only_when_asked(faasd, leaves_nothing):
    assert faasd.cli("run", "--", "cat", input=b"typed").out == ""
    assert faasd.cli("run", "-d", "-", "--", "cat", input=b"typed").out == "typed"
    assert faasd.cli("run", "-d", "given", "--", "cat").out == "given"


def test_run_sends_a_file_of_ones_own(faasd, tmp_path, leaves_nothing):
    path = script(tmp_path, '#!/bin/sh\necho own "$1"\n', "mine")
    assert faasd.cli("run", "--", path, "word").out == "own word\n"


def test_run_says_when_there_is_no_such_command(faasd, leaves_nothing):
    done = faasd.cli("run", "--", "no-such-command", check=False)
    assert done.returncode == USAGE and "no-such-command" in done.err


def test_run_names_the_limit_that_ended_it(faasd, leaves_nothing):
    done = faasd.cli("run", "--timeout", "300ms", "--", "sleep", "60", check=False)
    assert done.returncode == 1 and "300ms" in done.err and "Timeout" in done.err
    done = faasd.cli("run", "--memory", "24M", "--", "sh", "-c", "x=0123456789abcdef; while :; do x=$x$x; done", check=False)
    assert done.returncode == 1 and "OutOfMemory" in done.err and "24M" in done.err


def test_run_names_the_limit_that_a_command_met(faasd, leaves_nothing):
    done = faasd.cli("run", "--pids", "8", "--", "sh", "-c", "echo begun; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 9 & done; wait", check=False)
    assert done.returncode == 1 and done.out == "begun\n"
    last = done.err.splitlines()[-1]
    assert last == "faasd run: the command exited with status 2; 1 fork or thread was refused at the limit 'pids' (8)", done.err
    done = faasd.cli("run", "--tmp", "1M", "--", "sh", "-c", "echo part; head -c 3000000 /dev/zero > /tmp/x", check=False)
    assert done.returncode == 1 and done.out == "part\n"
    assert done.err.splitlines()[-1] == "faasd run: the command exited with status 1; /tmp is full: the limit 'tmp' is 1M", done.err
    done = faasd.cli("run", "--timeout", "500ms", "--", "sh", "-c", "echo some; sleep 60", check=False)
    assert done.returncode == 1 and done.out == "some\n"
    assert done.err.splitlines() == ["faasd run: timed out: the limit 'timeout' is 500ms (Timeout)"]


def test_run_says_a_failure_once(faasd, tmp_path, leaves_nothing):
    done = faasd.cli("run", script(tmp_path, "#!/bin/sh\necho no >&2\nexit 3\n"), check=False)
    assert done.returncode == 1
    assert done.err.splitlines() == ["no", "faasd run: the program exited with status 3 (FunctionError)"]
    (tmp_path / "main.py").write_text("def handler(event, context):\n    raise ValueError('bad thing')\n")
    done = faasd.cli("run", tmp_path / "main.py", check=False)
    assert done.returncode == 1 and done.err.count("raise ValueError") == 1, done.err
    assert done.err.splitlines()[-1] == "faasd run: bad thing (ValueError)", done.err


def test_run_names_the_signal_that_killed_it(faasd, leaves_nothing):
    done = faasd.cli("run", "--", "sh", "-c", "kill -SEGV $$", check=False)
    assert done.returncode == 1 and "SIGSEGV" in done.err


def test_run_is_in_a_sandbox(faasd, leaves_nothing):
    done = faasd.cli("run", "--", "sh", "-c", "id -u; ls /root 2>&1; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'")
    assert done.out.startswith("1000\n") and "faasd\n" not in done.out


def test_run_keeps_a_log_by_name(faasd, leaves_nothing):
    faasd.cli("run", "--name", "nightly", "--", "sh", "-c", "echo kept >&2")
    logs = faasd.root / "state" / "run-logs" / "nightly"
    assert "kept" in "".join(p.read_text(errors="replace") for p in logs.rglob("*") if p.is_file())


def test_run_does_not_overlap_itself(faasd, leaves_nothing):
    command = [str(FAASD), "run", "--root", str(faasd.root), "--name", "single", "--no-overlap", "--", "sleep", "30"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_locked(faasd.root / "run" / "run-single.lock"), "the first run holds its lock")
        second = subprocess.run(command, capture_output=True)
        assert second.returncode == TRY_AGAIN and b"under way" in second.stderr
    finally:
        first.terminate()
        assert first.wait(DEADLINE) == -signal.SIGTERM
    other = plain("run", "--no-overlap", "--", "true")
    assert other.returncode == USAGE


def is_locked(path):
    import fcntl
    if not path.exists():
        return False
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run_leaves_nothing_when_it_is_interrupted(faasd, tmp_path, leaves_nothing, number):
    before = private_roots()
    mark = f"97{os.getpid()}{int(number)}"
    # A test runner in the background ignores SIGINT, and what it starts inherits that.
    process = subprocess.Popen([str(FAASD), "run", "--root", str(faasd.root), "--timeout", "5m", "--", "sleep", mark], stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_until(lambda: is_running(mark), "the command runs")
    tree = re.search(r"/(faasd-[0-9a-f]+)/", pathlib.Path(f"/proc/{is_running(mark)}/cgroup").read_text()).group(1)
    assert cgroup_directories(tree)
    process.send_signal(number)
    assert process.wait(DEADLINE) == -number
    wait_until(lambda: not is_running(mark), "the command is gone")
    wait_until(lambda: private_roots() <= before, "the private root is gone")
    wait_until(lambda: not cgroup_directories(tree), "its cgroups are gone")


def is_running(mark):
    """The process's number, or None."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == b"sleep\0" + mark.encode() + b"\0" or entry.read_bytes().endswith(b"/sleep\0" + mark.encode() + b"\0"):
                return int(entry.parent.name)
        except OSError:
            pass
    return None


def test_run_prints_its_plan_and_runs_nothing(faasd, tmp_path, leaves_nothing):
    path = script(tmp_path, "#!/bin/sh\ntouch /tmp/ran\n")
    done = faasd.cli("run", "--plan", path, "--memory", "64M")
    assert "/var/task" in done.out and "seccomp" in done.out.lower()
    assert "in an empty network where one was made ahead" in done.out
    assert re.search(r"^ +\d+  network ", done.out, re.MULTILINE)


@pytest.mark.parametrize("runtime, present, absent", [
    ("exec", ["init  "], ["/run/slots/0/tmp", "9001", "init worker", "sys_chroot"]),
    ("native", ["init worker"], ["/run/slots/0/tmp", "9001", "sys_chroot"]),
    ("python", ["init worker", "/run/slots/0/tmp", "all but sys_chroot"], ["9001"]),
    ("provided", ["init worker", "127.0.0.1:9001"], ["/run/slots/0/tmp", "sys_chroot"]),
])
def test_a_plan_is_that_of_the_runtime(faasd, tmp_path, runtime, present, absent):
    path = script(tmp_path, "#!/bin/sh\n")
    done = faasd.cli("run", "--plan", path, "--runtime", runtime, *(["--handler", "app.handler"] if runtime == "python" else []))
    assert done.returncode == 0, done.err
    assert [word for word in present if word not in done.out] == []
    assert [word for word in absent if word in done.out] == []


def test_a_plan_is_that_of_the_manifest_and_the_flags_over_it(faasd, tmp_path):
    path = script(tmp_path, "#!/bin/sh\n")
    (tmp_path / "faasd.json").write_text(json.dumps({"runtime": "exec", "handler": path.name, "memory": "48M", "pids": 17}))
    done = faasd.cli("run", "--plan", "--pids", "19", tmp_path)
    assert done.returncode == 0, done.err
    assert f"memory {48 << 20} bytes and no swap, 19 pids" in done.out
    (tmp_path / "faasd.json").write_text('{"memori": "48M"}')
    done = faasd.cli("run", "--plan", tmp_path, check=False)
    assert (done.returncode, done.out, done.err) == (1, "", "faasd run: faasd.json: line 1: unknown key 'memori', did you mean 'memory'?\n")


@pytest.mark.parametrize("options, status, said", [
    (["--mount", "/srv:/data", "--", "true"], 4, "faasd run: grants.mounts has no '/srv': add it to the configuration\n"),
    (["--network", "host", "--", "true"], 4, "faasd run: network 'host' is not granted: set grants.network_host to true in the configuration\n"),
    (["./nothing-here"], 1, "faasd run: there is no './nothing-here'\n"),
])
def test_what_a_run_refuses_has_no_plan(faasd, options, status, said):
    done = faasd.cli("run", "--plan", *options, check=False)
    assert (done.returncode, done.out, done.err) == (status, "", said)


def test_run_keeps_a_log_where_no_daemon_ever_ran(leaves_nothing):
    with tempfile.TemporaryDirectory(prefix="faasd-test-") as root:
        os.chmod(root, 0o755)
        assert plain("run", "--root", root, "--name", "first", "--", "echo", "alone").out == "alone\n"
        with Faasd(root=root):
            pass  # the state directory that the run made is faasd's own


# -- slips that used to pass unheard --

def test_options_may_stand_before_the_command(faasd):
    def before(*words):
        return subprocess.run([FAASD, *words], capture_output=True, text=True, env=faasd.env)

    faasd.deploy("early", HELLO)
    assert "early" in before("--root", faasd.root, "ls").stdout
    assert "early" in before(f"--url=unix://{faasd.root}/run/control.sock", "--root", "/nonexistent", "ls").stdout
    assert before("--root", faasd.root, "token", "ls", "--json").returncode == 0, "behind the verb"
    assert before("--root", faasd.root, "invocation", "ls").returncode == 0
    assert before("--root", faasd.root, "serve", "--help").returncode == 0
    for words in (["--url"], ["--root", faasd.root], ["--root=/x", "--url", "y"]):
        done = before(*words)
        assert done.returncode == 2 and "which command?" in done.stderr
    done = before("--url", "http://127.0.0.1:1", "version", "--bogus")
    assert done.returncode == 2
    done = before("--roots", faasd.root, "ls")
    assert done.returncode == 2 and "there is no command '--roots'" in done.stderr


def test_a_status_that_is_none_is_a_usage_error(faasd):
    for status in ("bogus", "failed,bogus", ",", "all"):
        done = faasd.cli("invocation", "ls", "--status", status, check=False)
        assert done.returncode == 2 and "queued, running, succeeded, failed, cancelled, expired" in done.err, done.err
    for words in (["--status", "failed"], ["--status", "failed,expired"], ["--status", "dead"], ["--async", "--status", "all"]):
        assert faasd.cli("invocation", "ls", *words).returncode == 0


def test_a_destination_that_does_not_exist_yet_is_said(faasd):
    shown = faasd.cli("deploy", "teller", HELLO, "--on-failure", "nobody", "--on-success", "teller").out
    assert "warning: on_failure: there is no function 'nobody' yet" in shown and "on_success" not in shown.split("warning")[1]
    faasd.deploy("nobody", HELLO)
    assert "warning" not in faasd.cli("deploy", "teller", HELLO, "--on-failure", "nobody", "--memory", "100M").out
    assert "there is no function 'else' yet" in faasd.cli("config", "teller", "--on-success", "else:3").out


def test_json_of_a_new_token_is_a_line(faasd):
    shown = faasd.cli("token", "create", "--scope", "read", "--json").out
    assert shown.endswith("}\n") and shown.count("\n") == 1 and json.loads(shown)["token"]


def test_what_a_command_lacks_is_a_sentence():
    done = subprocess.run([FAASD, "init"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("faasd init: it needs a NAME for the function\n")
    done = subprocess.run([FAASD, "deploy", "x"], capture_output=True, text=True)
    assert done.stderr.startswith("faasd deploy: too few words: it needs NAME and PATH\n")


def test_a_variable_that_means_nothing_is_said():
    with Faasd(env={"FAASD_MEMROY_BUDGET": "1G", "FAASD_NO_SUCH_THING_AT_ALL": "1", "FAASD_URL": "http://127.0.0.1:1"}) as faasd:
        log = faasd.log_text()
        assert "FAASD_MEMROY_BUDGET is no variable of faasd's and is ignored, did you mean FAASD_MEMORY_BUDGET?" in log
        assert re.search(r"FAASD_NO_SUCH_THING_AT_ALL is no variable of faasd's and is ignored$", log, re.M)
        assert "FAASD_URL is no" not in log and "FAASD_INIT_TIMEOUT" not in log
    done = subprocess.run([FAASD, "serve", "--check-config"], capture_output=True, text=True, env={**os.environ, "FAASD_LISTNE": "1"})
    assert done.returncode == 0 and "did you mean FAASD_LISTEN?" in done.stderr
