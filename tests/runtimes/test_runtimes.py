# SPDX-License-Identifier: Apache-2.0
"""Programs of other languages, unmodified, under the default profile (`make check-runtimes` installs what compiles and runs them). What CPython, Node and bash do there, the integration tests show."""

import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "integration"))
from harness import Faasd, within  # noqa: E402

LIMITS = ["--memory", "512M", "--pids", "256", "--timeout", f"{within(60):.0f}s", "--cpus", "2"]


@pytest.fixture(scope="module")
def faasd():
    with Faasd({"etc": ["ssl", "java-*", "alternatives"]}) as daemon:
        yield daemon


def compiled(tmp_path, command, **options):
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=within(170), **options)
    assert done.returncode == 0, done.stderr
    return tmp_path


def check(faasd, name, path, expected, *options):
    faasd.deploy(name, path, "--runtime", "exec", *LIMITS, *options)
    for _ in range(3):
        reply = faasd.invoke(name, b"event", timeout=within(90))
        assert (reply.status, reply.body.decode()) == (200, expected + "\n"), reply


def test_a_go_program(faasd, tmp_path):
    compiled(tmp_path, ["go", "build", "-o", "run", str(HERE / "main.go")], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GOPATH": str(tmp_path / "go"), "CGO_ENABLED": "0", "GO111MODULE": "off"})
    check(faasd, "go", tmp_path / "run", "go 10000000 served written ran 5")


def test_a_rust_program(faasd, tmp_path):
    compiled(tmp_path, ["/usr/bin/rustc", "-O", "-o", "run", str(HERE / "main.rs")])
    check(faasd, "rust", tmp_path / "run", "rust 4 served written true true 5")


def test_a_java_program(faasd, tmp_path):
    compiled(tmp_path, ["javac", "-d", str(tmp_path), str(HERE / "Main.java")])
    run = tmp_path / "run"
    run.write_text("#!/bin/sh\nexec /usr/bin/java -cp /var/task Main\n")
    run.chmod(0o755)
    check(faasd, "java", tmp_path, "java true 4 42 written 0 5", "--handler", "run")
