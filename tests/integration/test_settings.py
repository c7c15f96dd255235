# SPDX-License-Identifier: Apache-2.0
"""Settings of runtimes, isolation and templates: how they are given, what goes together, what is said when it does not."""

import json

import pytest

from harness import HELLO

USAGE, FAILED = 2, 1


@pytest.fixture(scope="module", autouse=True)
def functions(faasd):
    faasd.deploy_script("s", "#!/bin/sh\ncat\n")


@pytest.fixture
def tree(tmp_path):
    """A directory of files; a script where the text begins with #!."""

    def make(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", ".")
            path.write_text(text if isinstance(text, str) else json.dumps(text))
            path.chmod(0o755 if path.read_text().startswith("#!") else 0o644)
        return tmp_path

    return make


def patch(faasd, name, settings):
    return faasd.control("PATCH", f"/v1/functions/{name}", body=json.dumps(settings), headers={"Content-Type": "application/json"})


# -- values --


@pytest.mark.parametrize("runtime, nearest", [("pyton", "did you mean 'python'?"), ("nodejs20", "did you mean 'nodejs20.x'?"), ("java17", "runs as provided"), ("", "is not one of"),
                                              ("provided.al2024", "did you mean 'provided.al2023'?")])
def test_an_unknown_runtime_exits_2_with_the_list(faasd, runtime, nearest):
    done = faasd.cli("deploy", "x", HELLO, "--runtime", runtime, check=False)
    assert done.returncode == USAGE
    assert nearest in done.err and "exec, native, python, python3.N, node, nodeN, nodejsN.x, provided" in done.err


@pytest.mark.parametrize("flags, why", [
    (["--isolation", "vm"], "'vm' is not one of: reuse, fork, sandbox"),
    (["--template", "yes"], "'yes' is not one of: auto, on, off"),
    (["--contract", "azure"], "'azure' is not one of: stdio, cgi, files"),
    (["--imports", "json, os"], "' os' is not a module's name"),
    (["--imports", "json,"], "'' is not a module's name"),
    (["--venv", "/usr/venv"], "not a path inside the function's directory"),
    (["--venv", "../venv"], "not a path inside the function's directory"),
    (["--reserved", "-1"], "not a whole number"),
    (["--reserved", "1001"], "the most is 1000"),
])
def test_a_bad_value_exits_2_before_anything_is_sent(faasd, flags, why):
    done = faasd.cli("config", "s", *flags, check=False)
    assert done.returncode == USAGE and f"{flags[0]}: " in done.err and why in done.err
    assert faasd.describe("s")["number"] == 1


# -- what goes together --


@pytest.mark.parametrize("settings, why", [
    ({"imports": "json"}, "imports: for runtime python; with runtime exec"),
    ({"venv": ".venv"}, "venv: for runtime python; with runtime exec"),
    ({"template": "on"}, "instances of runtime exec can't be forked"),
    ({"runtime": "native", "contract": "files"}, "contract: cgi and files are for runtime exec; with runtime native"),
    ({"runtime": "node", "imports": "json"}, "with runtime node leave it out"),
    ({"runtime": "nodejs20.x", "template": "on"}, "instances of runtime nodejs20.x can't be forked"),
    ({"runtime": "provided", "network": "host"}, "the Runtime API on 127.0.0.1 would be open to every process of the host"),
    ({"runtime": "native", "template": "on", "isolation": "sandbox"}, "exclude each other"),
    ({"runtime": "python", "handler": "app.py"}, "'app.py' is not MODULE.FUNCTION, such as app.handler"),
    ({"runtime": "node", "handler": "index.mjs"}, "'index.mjs' is not FILE.EXPORT, such as index.handler"),
    ({"handler": "../run"}, "is not a path inside the function's directory"),
    ({"reserved": 3, "max_concurrency": 2}, "reserved: 3 is more than max_concurrency (2)"),
])
def test_keys_that_exclude_each_other_are_refused_and_nothing_changes(faasd, settings, why):
    reply = patch(faasd, "s", settings)
    assert (reply.status, reply.error) == (400, "BadRequest")
    assert why in reply.json()["errorMessage"]
    assert faasd.describe("s")["number"] == 1
    assert faasd.invoke("s", b"still").body == b"still"


def test_a_flag_may_need_what_only_the_manifest_says(faasd, tree, tmp_path):
    directory = tree(faasd__json={"runtime": "native", "handler": "hello"})
    (directory / "hello").write_bytes(HELLO.read_bytes())
    (directory / "hello").chmod(0o755)
    faasd.deploy("manifested", directory, "--template", "on", "--isolation", "fork", "--min-warm", "0")
    settings = faasd.describe("manifested")["settings"]
    assert (settings["runtime"], settings["template"], settings["isolation"]) == ("native", "on", "fork")


def test_a_flag_against_the_manifest_is_refused(faasd, tree):
    directory = tree(run="#!/bin/sh\ncat\n", faasd__json={"runtime": "exec", "handler": "run"})
    done = faasd.deploy("against", directory, "--template", "on", check=False)
    assert done.returncode == FAILED and "instances of runtime exec can't be forked" in done.err
    assert faasd.control("GET", "/v1/functions/against").status == 404


def test_a_conflict_between_flags_is_refused_whatever_the_manifest_says(faasd, tree):
    directory = tree(run="#!/bin/sh\ncat\n", faasd__json={"runtime": "exec", "handler": "run"})
    done = faasd.deploy("flags", directory, "--runtime", "node", "--imports", "json", check=False)
    assert done.returncode == FAILED and "imports: for runtime python; with runtime node" in done.err


# -- what is stored --


def test_isolation_template_and_reserved_are_stored_printed_and_returned_to_their_defaults(faasd):
    faasd.deploy("kept", HELLO, "--runtime", "native")
    done = faasd.cli("config", "kept", "--isolation", "sandbox", "--template", "off", "--reserved", "1")
    for line in ["isolation reuse -> sandbox", "template auto -> off", "reserved 0 -> 1"]:
        assert line in done.out
    text = faasd.cli("describe", "kept").out
    assert "isolation         sandbox\n" in text and "template          off\n" in text and "reserved          1\n" in text
    assert patch(faasd, "kept", {"isolation": None, "template": None, "reserved": None}).status == 200
    described = faasd.describe("kept")["settings"]
    assert (described["isolation"], described["template"], described["reserved"]) == ("reuse", "auto", 0)
    assert {"isolation", "template", "reserved"} <= set(described["defaults"])


BOOTSTRAP = "#!/bin/sh\nexit 1\n"


def test_limits_follow_the_runtime_and_a_runtimes_name_is_part_of_the_revision(faasd, tree):
    directory = tree(bootstrap=BOOTSTRAP)
    dry = faasd.deploy("wide", directory, "--runtime", "provided", "--dry-run", "--json")
    assert json.loads(dry.out)["created"] is True
    # no trial with --dry-run: what would be stored is what the plan is made of
    plan = faasd.cli("run", directory, "--runtime", "provided", "--plan").out
    assert " 512 pids" in plan
    assert " 64 pids" in faasd.cli("run", directory, "--runtime", "exec", "--plan").out


def test_every_spelling_of_a_family_is_shown_as_it_was_given(faasd, tree):
    directory = tree(bootstrap="#!/bin/sh\nsleep 60\n")
    revisions = set()
    for name in ["provided", "provided.al2", "provided.al2023"]:
        reply = json.loads(faasd.deploy("spelt", directory, "--runtime", name, "--dry-run", "--json").out)
        revisions.add(reply["revision"])
    assert len(revisions) == 3
