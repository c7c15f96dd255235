# SPDX-License-Identifier: Apache-2.0
"""Who makes one tree of several layers', driven directly: what a later one has takes the place of an earlier one's, and no link is followed."""

import json
import os
import stat
import subprocess

import pytest

from harness import FAASD


def merge(tmp_path, *trees, bytes_max=1 << 20, check=True, **options):
    """trees: one dictionary a layer, path -> content, "-> target", or None for a directory. Returns the report."""
    into = tmp_path / "merged"
    into.mkdir(exist_ok=True)
    for number, tree in enumerate(trees):
        make(tmp_path / "layers" / str(number), tree)
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    done = subprocess.run([FAASD, "merge-trees", "--from", tmp_path / "layers", "--into", into, "--count", str(len(trees)), "--bytes", str(bytes_max), *words],
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b"", done
    report = json.loads(done.stdout)
    assert report["ok"] or not check, report
    return report


def make(top, tree):
    top.mkdir(parents=True)
    for name, content in tree.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_text(content)


def read(top):
    """The tree as `merge` takes one."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            found[name] = path.read_text()
        elif not any(path.iterdir()):
            found[name] = None
    return found


@pytest.mark.parametrize("options", [{}, {"transient": "yes"}])
def test_directories_are_joined_and_the_later_layer_wins(tmp_path, options):
    first = {"bin/a": "first a", "bin/b": "first b", "lib/deep/x": "x", "empty": None, "same": "-> bin/a"}
    second = {"bin/a": "second", "lib/deep/y": "y", "same": "-> bin/b"}
    report = merge(tmp_path, first, second, **options)
    assert read(tmp_path / "merged") == {"bin/a": "second", "bin/b": "first b", "lib/deep/x": "x", "lib/deep/y": "y", "empty": None, "same": "-> bin/b"}
    assert report == {"ok": True, "bytes": len("first a" "first b" "x" "second" "y")}


@pytest.mark.parametrize("below", ["a file", "-> elsewhere", {"deep/er/file": "x", "link": "-> deep", "empty": None}])
@pytest.mark.parametrize("above", ["a later file", "-> /usr/bin", {"inside": "y"}])
def test_whatever_has_the_name_gives_way(tmp_path, below, above):
    def tree(what):
        return {f"name/{key}": value for key, value in what.items()} if isinstance(what, dict) else {"name": what}

    merge(tmp_path, tree(below), tree(above))
    both = {**tree(below), **tree(above)} if isinstance(below, dict) and isinstance(above, dict) else tree(above)
    assert read(tmp_path / "merged") == both


def test_a_directory_over_a_link_is_not_written_through_it(tmp_path):
    (tmp_path / "outside").mkdir()
    merge(tmp_path, {"lib": f"-> {tmp_path}/outside"}, {"lib/evil": "x"})
    assert not list((tmp_path / "outside").iterdir())
    assert read(tmp_path / "merged") == {"lib/evil": "x"}


def test_modes_are_those_of_code(tmp_path):
    layer = tmp_path / "layers/0"
    make(layer, {"run": "#!/bin/sh\n", "data": "x"})
    (layer / "run").chmod(0o751)
    (layer / "data").chmod(0o600)
    os.mkfifo(layer / "pipe")  # no tree of faasd's has one
    into = tmp_path / "merged"
    into.mkdir()
    subprocess.run([FAASD, "merge-trees", "--from", tmp_path / "layers", "--into", into, "--count", "1", "--bytes", "100"], check=True, capture_output=True)
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in into.iterdir()} == {"run": 0o755, "data": 0o644}


def test_their_bytes_are_bounded_together(tmp_path):
    report = merge(tmp_path, {"a": "x" * 60}, {"b": "y" * 41}, bytes_max=100, check=False)
    assert report == {"ok": False, "type": "RequestTooLarge", "error": "the layers have more than 100 bytes together"}


def test_as_many_bytes_as_are_allowed_pass(tmp_path):
    assert merge(tmp_path, {"a": "x" * 60}, {"b": "y" * 40}, bytes_max=100)["bytes"] == 100


def test_a_layer_that_is_missing_is_named(tmp_path):
    make(tmp_path / "layers/0", {})
    (tmp_path / "merged").mkdir()
    done = subprocess.run([FAASD, "merge-trees", "--from", tmp_path / "layers", "--into", tmp_path / "merged", "--count", "2", "--bytes", "1"], capture_output=True)
    report = json.loads(done.stdout)
    assert report["type"] == "InternalError" and f"open '{tmp_path}/layers/1': ENOENT" in report["error"]
    done = subprocess.run([FAASD, "merge-trees", "--from", tmp_path / "layers", "--into", tmp_path / "nowhere", "--count", "1", "--bytes", "1"], capture_output=True)
    assert f"open '{tmp_path}/nowhere': ENOENT" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("words", [[], ["--count", "1"], ["--count", "x", "--bytes", "1"], ["--count", "1", "--bytes", "1K"]])
def test_numbers_are_asked_for(words):
    done = subprocess.run([FAASD, "merge-trees", *words], capture_output=True, text=True)
    assert done.returncode == 2 and "--count and --bytes are whole numbers" in done.stderr
