# SPDX-License-Identifier: Apache-2.0
"""`faasd dev`: serves a path and deploys it again on every change."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request

import pytest

from harness import DEADLINE, FAASD, is_alive, wait_until

USAGE, FAILED = 2, 1
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ECHO = "#!/bin/sh\necho the log says {word} >&2\nprintf '{word}'\n"


class Dev:
    """A running `faasd dev`: its output line by line, its URL."""

    def __init__(self, path, *options, env=None, ignored=()):
        def dispose():
            """Not as whoever started the tests has it: a shell's background job ignores SIGINT, what nohup(1) starts SIGHUP, and so would their children."""
            for number in STOPS:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        self.root = tempfile.mkdtemp(prefix="faasd-test-")
        command = [str(FAASD), "dev", str(path), "--root", self.root, *map(str, options)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, preexec_fn=dispose)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stdout:
            self.lines.append(raw.decode(errors="replace").rstrip("\n"))

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait(self, pattern, count=1):
        """The pattern's match number `count` in what was printed so far, or will be."""

        def look():
            found = list(re.finditer(pattern, self.text))
            return found[count - 1] if len(found) >= count else None

        try:
            return wait_until(look, pattern)
        except AssertionError as error:
            raise AssertionError(f"{error}; printed:\n{self.text}") from None

    def wait_version(self, number):
        return self.wait(rf"version {number} serves")

    @property
    def url(self):
        return self.wait(r"at (http://\S+/function/[A-Za-z0-9_-]+) ").group(1)

    def get(self, body=b"{}"):
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, data=body), timeout=DEADLINE) as reply:
                return reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            status = self.stop()
            if kind is None:
                assert status == 0, f"exit {status}:\n{self.text}"
            else:
                print("--- what faasd dev printed ---\n" + self.text)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.root, ignore_errors=True)


def write(path, text, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)
    return path


def replace(path, text):
    """As editors save: a new file beside it, then over it."""
    beside = path.with_name(f".{path.name}.swap")
    beside.write_text(text)
    beside.chmod(0o755)
    os.rename(beside, path)


@pytest.fixture
def tree(tmp_path):
    directory = tmp_path / "greet"
    write(directory / "run", ECHO.format(word="one"))
    write(directory / "faasd.json", '{"handler": "run"}', 0o644)
    return directory


def test_it_says_where_it_serves_and_what_to_try(tree):
    write(tree / "event.json", "{}", 0o644)
    with Dev(tree) as dev:
        dev.wait_version(1)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/function/greet", dev.url)
        dev.wait(rf"try: curl -d @{re.escape(str(tree))}/event\.json {re.escape(dev.url)}\n")
        assert dev.get() == "one"


def test_a_written_file_is_served_and_named(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        write(tree / "run", ECHO.format(word="two"))
        dev.wait(r"run changed: version 2 serves after \d+ ms")
        assert dev.get() == "two"


def test_a_file_that_is_renamed_over_another_is_served_and_named_by_its_own_name(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        replace(tree / "run", ECHO.format(word="two"))
        dev.wait(r" run changed: version 2 serves")
        assert dev.get() == "two"
        replace(tree / "run", ECHO.format(word="three"))
        dev.wait_version(3)
        assert dev.get() == "three"


def test_a_new_directory_and_what_comes_into_it_later_are_seen(tree):
    write(tree / "run", "#!/bin/sh\ncat lib/deep/word 2>/dev/null || printf none\n")
    with Dev(tree) as dev:
        dev.wait_version(1)
        assert dev.get() == "none"
        write(tree / "lib/deep/word", "early", 0o644)
        dev.wait_version(2)
        wait_until(lambda: dev.get() == "early", "the new directory's file is served")
        write(tree / "lib/deep/word", "late", 0o644)
        dev.wait(r"lib/deep/word changed: version \d+ serves")
        wait_until(lambda: dev.get() == "late", "a later change in it is served")
        shutil.rmtree(tree / "lib")
        wait_until(lambda: dev.get() == "none", "what was removed is gone")


def test_settings_in_the_manifest_change_too_and_are_shown(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        write(tree / "faasd.json", '{"handler": "run", "memory": "70M"}', 0o644)
        dev.wait_version(2)
        dev.wait(r"memory 128M -> 70M")


def test_flags_hold_for_every_version(tree):
    write(tree / "run", "#!/bin/sh\nprintf %s \"$WORD\"\n")
    with Dev(tree, "--env", "WORD=flag", "--name", "other") as dev:
        dev.wait_version(1)
        assert dev.url.endswith("/function/other") and dev.get() == "flag"
        write(tree / "run", "#!/bin/sh\nprintf %s-again \"$WORD\"\n")
        dev.wait_version(2)
        assert dev.get() == "flag-again"


def test_a_broken_change_leaves_the_last_good_version_serving_and_says_so(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        write(tree / "faasd.json", '{"handler": "gone"}', 0o644)
        dev.wait(r"the handler 'gone' is not among the uploaded files")
        dev.wait(r"faasd\.json changed: refused, version 1 goes on serving")
        assert dev.get() == "one"
        write(tree / "faasd.json", '{"handler": ', 0o644)
        dev.wait(r"refused, version 1 goes on serving", 2)
        write(tree / "run", ECHO.format(word="two"))
        dev.wait(r"run changed: refused, version 1 goes on serving")
        assert dev.get() == "one"
        write(tree / "faasd.json", '{"handler": "run"}', 0o644)
        dev.wait_version(2)
        assert dev.get() == "two"


def test_it_waits_for_the_first_version_that_works(tree):
    write(tree / "faasd.json", '{"handler": "gone"}', 0o644)
    with Dev(tree) as dev:
        dev.wait(r"refused; waiting for a change")
        assert "ResourceNotFound" in dev.get()
        write(tree / "faasd.json", '{"handler": "run"}', 0o644)
        dev.wait_version(1)
        assert dev.get() == "one"
        dev.wait(r"the log says one")


def broken(word):
    return f"print('imports {word}')\nraise ValueError('bad {word}')\n"


@pytest.mark.parametrize("first", [True, False])
def test_why_it_does_not_start_is_told_once(tmp_path, first):
    tree = tmp_path / "py"
    good = "print('imports good')\ndef handler(event, context):\n    return 1\n"
    write(tree / "faasd.json", '{"runtime": "python", "handler": "app.handler"}', 0o644)
    write(tree / "app.py", broken("one") if first else good, 0o644)
    with Dev(tree) as dev:
        if first:
            dev.wait("refused; waiting for a change")
        else:
            dev.wait_version(1)
            dev.wait("imports good")
            write(tree / "app.py", broken("one"), 0o644)
            dev.wait(r"app\.py changed: refused, version 1 goes on serving; why it does not start stands in its log")
        dev.wait("ValueError: bad one")
        write(tree / "app.py", good + "x = 1\n", 0o644)
        dev.wait_version(1 if first else 2)
        write(tree / "app.py", good + "print('the end')\n", 0o644)
        dev.wait("the end")  # what was logged before has been printed
        assert dev.text.count("ValueError: bad one") == 1, dev.text


def test_what_is_ignored_is_no_change(tree):
    write(tree / ".faasdignore", "*.tmp\nbuild/\n", 0o644)
    with Dev(tree) as dev:
        dev.wait_version(1)
        write(tree / "a.tmp", "x", 0o644)
        write(tree / "build/out", "x", 0o644)
        write(tree / "run", ECHO.format(word="two"))
        dev.wait(r"run changed: version 2 serves")
        assert "a.tmp" not in dev.text.split("version 1")[1] and "build" not in dev.text.split("version 1")[1]


def test_a_change_that_changes_nothing_is_no_version(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        os.utime(tree / "run")
        write(tree / "run", ECHO.format(word="one"))
        dev.wait(r"run changed: the same as version 1")
        write(tree / "run", ECHO.format(word="two"))
        dev.wait_version(2)


def test_of_many_changes_the_last_one_is_served(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        for i in range(200):
            write(tree / "run", ECHO.format(word=f"number-{i}"))
        wait_until(lambda: dev.get() == "number-199", "the last of many changes is served")


def test_a_directory_that_is_replaced_as_a_whole_is_found_again(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        beside = tree.with_name("next")
        shutil.copytree(tree, beside)
        write(beside / "run", ECHO.format(word="two"))
        os.rename(tree, tree.with_name("old"))
        assert dev.get() == "one"
        os.rename(beside, tree)
        dev.wait_version(2)
        assert dev.get() == "two"


def test_one_file_is_served(tmp_path):
    path = write(tmp_path / "my.run", ECHO.format(word="one"))
    with Dev(path) as dev:
        dev.wait_version(1)
        assert dev.url.endswith("/function/my-run")
        write(tmp_path / "other", "x")
        replace(path, ECHO.format(word="two"))
        dev.wait(r"my\.run changed: version 2 serves")
        assert dev.get() == "two"


def test_the_log_is_printed_as_it_comes(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        dev.get()
        dev.wait(r"the log says one")
        write(tree / "run", ECHO.format(word="two"))
        dev.wait_version(2)
        dev.get()
        dev.wait(r"the log says two")
        assert len(re.findall(r"the log says one", dev.text)) == 1


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_ends_it_with_nothing_left(tree, number):
    with Dev(tree) as dev:
        dev.wait_version(1)
        dev.get()
        before = descendants(dev.process.pid)
        assert before
        assert dev.stop(number) == 0
        wait_until(lambda: not any(is_alive(p) for p in before), "every process of it is gone")
        root = re.search(r"/tmp/faasd-run-\w+", dev.text)
        assert root is None, "the private root is nobody's business"
        with pytest.raises(OSError):
            urllib.request.urlopen(dev.url, timeout=DEADLINE)


def test_under_nohup_a_hangup_ends_nothing(tree):
    with Dev(tree, ignored=[signal.SIGHUP]) as dev:
        dev.wait_version(1)
        for pid in [dev.process.pid, *descendants(dev.process.pid)]:
            os.kill(pid, signal.SIGHUP)
        write(tree / "run", ECHO.format(word="two"))
        dev.wait_version(2)
        assert dev.get() == "two"
        assert dev.stop(signal.SIGTERM) == 0


def descendants(pid):
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def test_it_ends_when_its_daemon_does(tree):
    with Dev(tree) as dev:
        dev.wait_version(1)
        guardian = next(p for p in descendants(dev.process.pid) if pathlib.Path(f"/proc/{p}/comm").read_text().strip() == "faasd-guardian")
        os.kill(guardian, signal.SIGTERM)
        assert dev.process.wait(DEADLINE) == FAILED
        dev.reader.join(DEADLINE)
        assert "the private daemon has ended" in dev.text
        dev.process.returncode = 0  # what leaving expects


PYTHON = "import json\nWORD = '{word}'\n\n\ndef handler(event, context):\n    print('the log says', WORD)\n    return WORD\n"


def test_a_python_function_whose_change_cannot_be_loaded_goes_on_with_the_last_one_that_could(tmp_path):
    path = write(tmp_path / "app.py", PYTHON.format(word="one"), 0o644)
    with Dev(path) as dev:
        dev.wait(r"runtime python, because of app\.py")
        dev.wait_version(1)
        assert json.loads(dev.get()) == "one"
        for broken in ["def handler(:\n", "import no_such_module_anywhere\n", "raise ValueError('at import')\n"]:
            count = dev.text.count("goes on serving")
            write(path, broken, 0o644)
            dev.wait(r"refused, version 1 goes on serving", count + 1)
            assert json.loads(dev.get()) == "one"
        assert "at import" in dev.text and "no_such_module_anywhere" in dev.text
        write(path, PYTHON.format(word="two"), 0o644)
        dev.wait_version(2)
        assert json.loads(dev.get()) == "two"
        assert dev.text.count("because of") == 1


@pytest.mark.skipif(not shutil.which("node", path="/usr/bin"), reason="no node in /usr/bin")
def test_a_node_function_is_served_again(tmp_path):
    write(tmp_path / "fn/index.mjs", "export const handler = async () => 'one';\n", 0o644)
    with Dev(tmp_path / "fn") as dev:
        dev.wait_version(1)
        assert json.loads(dev.get()) == "one"
        write(tmp_path / "fn/index.mjs", "export const handler = async ( => 'two';\n", 0o644)
        dev.wait(r"refused, version 1 goes on serving")
        write(tmp_path / "fn/index.mjs", "export const handler = async () => 'two';\n", 0o644)
        dev.wait_version(2)
        assert json.loads(dev.get()) == "two"


# -- bad input --


def dev_fails(*args):
    done = subprocess.run([str(FAASD), "dev", *map(str, args)], capture_output=True, text=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


def test_a_wrong_command_line_exits_2(tree):
    for args, why in [([], "a PATH"), ([tree, tree], str(tree)), ([tree, "--listen", "nowhere:port"], "--listen"), ([tree, "--name", "a/b"], "no name for a function"),
                      ([tree, "--memory", "64"], "did you mean 64M?"), ([tree, "--isolation", "none"], "reuse, fork, sandbox")]:
        status, text = dev_fails(*args)
        assert status == USAGE and why in text, (args, text)


def test_a_path_that_is_not_there_exits_1(tmp_path):
    status, text = dev_fails(tmp_path / "absent", "--root", tmp_path)
    assert status == FAILED and "there is no" in text


def test_a_taken_port_is_named(tree, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, text = dev_fails(tree, "--listen", f"127.0.0.1:{port}", "--root", tmp_path)
    assert status == FAILED and str(port) in text
