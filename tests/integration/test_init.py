# SPDX-License-Identifier: Apache-2.0
"""`faasd init`: every starter, deployed as it was written, answers its event."""

import json
import os
import shutil
import subprocess

import pytest

from harness import BUILD, FAASD, REPO

USAGE, FAILED = 2, 1
RUNTIMES = ["exec", "native", "python", "node", "provided"]
# What the host must have; the sandbox shows /usr as the host has it.
NEEDS = {"exec": ["sh", "sed"], "native": ["cc", "make"], "python": ["python3"], "node": ["node"], "provided": ["bash", "curl"]}


def missing(runtime):
    return [program for program in NEEDS[runtime] if not shutil.which(program, path="/usr/bin:/bin")]


def init(directory, *args):
    done = subprocess.run([str(FAASD), "init", *map(str, args)], cwd=directory, capture_output=True, text=True, timeout=60)
    done.out, done.err = done.stdout, done.stderr
    return done


def start(tmp_path, runtime, *args):
    if missing(runtime):
        pytest.skip(f"this host has no {', '.join(missing(runtime))}")
    done = init(tmp_path, "greet", "--runtime", runtime, *args)
    assert done.returncode == 0, done.err
    directory = tmp_path / "greet"
    if runtime == "native":
        made = subprocess.run(["make", "-C", directory, f"FAASD_LIB={BUILD / 'libfaasd.a'}", f"FAASD_INCLUDE={REPO / 'include'}"], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
    return directory


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_starter_is_deployed_as_written_and_answers_its_event(faasd, tmp_path, runtime):
    directory = start(tmp_path, runtime)
    name = f"greet-{runtime}"
    faasd.deploy(name, directory)
    done = faasd.cli("invoke", name, "-d", f"@{directory}/event.json")
    assert json.loads(done.out) == {"message": "hello world"}
    assert json.loads(faasd.invoke(name, json.dumps({"name": "again"})).body) == {"message": "hello again"}
    assert "greeting again" in faasd.cli("logs", name).out
    assert faasd.describe(name)["settings"]["runtime"] == runtime


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_starter_runs_without_a_server(faasd, tmp_path, runtime):
    directory = start(tmp_path, runtime)
    done = faasd.cli("run", directory, "-d", f"@{directory}/event.json")
    assert json.loads(done.out) == {"message": "hello world"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_starter_says_what_to_do_with_it(tmp_path, runtime):
    done = init(tmp_path, "greet", "--runtime", runtime)
    assert done.returncode == 0 and "faasd deploy greet ." in done.out
    readme = (tmp_path / "greet" / "README.md").read_text()
    for command in ["faasd deploy greet .", "faasd invoke greet -d @event.json", "faasd run . -d @event.json", "faasd dev ."]:
        assert command in readme
    for path in (tmp_path / "greet").iterdir():
        text = path.read_text()
        assert not any(f"@{word}@" in text for word in ["NAME", "RUNTIME", "LIB", "INCLUDE"]), path
        assert "SPDX" not in text
        assert os.access(path, os.X_OK) == text.startswith("#!")
    assert json.loads((tmp_path / "greet" / "event.json").read_text()) == {"name": "world"}


def test_a_runtimes_name_is_kept_as_it_was_given(tmp_path):
    assert init(tmp_path, "greet", "--runtime", "python3.11").returncode == 0
    assert '"runtime": "python3.11"' in (tmp_path / "greet" / "faasd.json").read_text()


def test_a_native_starter_knows_the_library_beside_the_program(tmp_path):
    assert init(tmp_path, "greet", "--runtime", "native").returncode == 0
    assert str(BUILD / "libfaasd.a") in (tmp_path / "greet" / "Makefile").read_text()


def test_path_says_where_to(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.txt").write_text("mine")
    done = init(tmp_path, "greet", "--runtime", "exec", "--path", "here")
    assert done.returncode == 0 and (tmp_path / "here" / "run").exists() and not (tmp_path / "greet").exists()
    assert (tmp_path / "here" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("taken", ["run", "faasd.json", "event.json", "README.md"])
def test_no_file_is_written_over_and_none_is_written_beside_it(tmp_path, taken):
    directory = tmp_path / "greet"
    directory.mkdir()
    (directory / taken).write_text("mine")
    done = init(tmp_path, "greet", "--runtime", "exec")
    assert done.returncode == FAILED and f"greet/{taken}' is there already" in done.err
    assert [p.name for p in directory.iterdir()] == [taken] and (directory / taken).read_text() == "mine"


def test_a_dangling_link_is_a_file_too(tmp_path):
    directory = tmp_path / "greet"
    directory.mkdir()
    (directory / "run").symlink_to(tmp_path / "victim")
    assert init(tmp_path, "greet", "--runtime", "exec").returncode == FAILED
    assert not (tmp_path / "victim").exists()


def test_where_nothing_can_be_written_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    for path in ["file", "file/greet", "absent/greet"]:
        done = init(tmp_path, "greet", "--runtime", "exec", "--path", path)
        assert done.returncode == FAILED and "directory" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("args, why", [
    ([], "a NAME"),
    (["greet"], "--runtime is missing"),
    (["greet", "--runtime", "ruby"], "'ruby' is not one of"),
    (["greet", "--runtime", "nodejs18"], "did you mean 'nodejs18.x'?"),
    (["a/b", "--runtime", "exec"], "no name for a function"),
    (["../greet", "--runtime", "exec"], "no name for a function"),
    (["greet", "other", "--runtime", "exec"], "other"),
    (["greet", "--runtim", "exec"], "did you mean '--runtime'?"),
])
def test_a_wrong_command_line_exits_2_and_writes_nothing(tmp_path, args, why):
    done = init(tmp_path, *args)
    assert done.returncode == USAGE and why in done.err
    assert list(tmp_path.iterdir()) == []
