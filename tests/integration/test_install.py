# SPDX-License-Identifier: Apache-2.0
"""make install, uninstall, purge: what isn't ours, or was changed, is never touched."""

import fcntl
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import BUILD, FAASD, REPO, Faasd

PREFIX = "usr/local"


def run(action, root, prefix="/usr/local"):
    return subprocess.run([REPO / "scripts/install", action, root, prefix, BUILD], cwd=REPO, capture_output=True, text=True)


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())


@pytest.fixture
def installed(tmp_path):
    done = run("install", tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_what_is_installed_is_whole_and_goes_whole(installed):
    there = files(installed)
    for name in ("bin/faasd", "lib/libfaasd.a", "include/faasd/function.h", "share/man/man1/faasd.1", "share/man/man5/faasd.json.5",
                 "share/man/man5/faasd.config.5", "lib/systemd/system/faasd.service", "lib/systemd/user/faasd.service",
                 "lib/systemd/system/faasd.socket", "lib/sysusers.d/faasd.conf", "lib/tmpfiles.d/faasd.conf"):
        assert f"{PREFIX}/{name}" in there
    assert (installed / PREFIX / "bin/faasd").read_bytes() == FAASD.read_bytes()
    done = run("uninstall", installed)
    assert done.returncode == 0, done.stderr
    assert files(installed) == []


def test_a_second_install_replaces_the_first(installed):
    before = files(installed)
    assert run("install", installed).returncode == 0
    assert files(installed) == before


def test_a_program_of_ours_without_a_list_is_replaced(tmp_path):
    program = tmp_path / PREFIX / "bin/faasd"
    program.parent.mkdir(parents=True)
    shutil.copy(FAASD, program)
    assert run("install", tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["bin/faasd", "lib/systemd/system/faasd.service", "share/man/man1/faasd.1", "share/man/man5/faasd.json.5"])
def test_what_another_product_put_there_stays(tmp_path, name):
    other = tmp_path / PREFIX / name
    other.parent.mkdir(parents=True)
    other.write_text("#!/bin/sh\necho faasd 0.18\n")
    refused = run("install", tmp_path)
    assert refused.returncode == 1 and "isn't ours" in refused.stderr
    assert files(tmp_path) == [f"{PREFIX}/{name}"], "nothing else was installed beside it"
    assert other.read_text().endswith("0.18\n")
    assert run("uninstall", tmp_path).returncode == 0
    assert other.exists()


def test_what_was_changed_since_is_neither_written_over_nor_removed(installed):
    unit = installed / PREFIX / "lib/systemd/system/faasd.service"
    unit.write_text(unit.read_text() + "Nice=5\n")
    refused = run("install", installed)
    assert refused.returncode == 1 and "was changed since it was installed" in refused.stderr
    done = run("uninstall", installed)
    assert done.returncode == 0 and f"left: {unit}" in done.stdout
    assert files(installed) == [str(unit.relative_to(installed))]


def test_another_prefix_stands_in_the_unit(tmp_path):
    assert run("install", tmp_path, "/opt/faasd").returncode == 0
    assert "ExecStart=/opt/faasd/bin/faasd serve" in (tmp_path / "opt/faasd/lib/systemd/system/faasd.service").read_text()


def test_enabling_the_service_leaves_the_sockets_alone(tmp_path):
    assert run("install", tmp_path, "/usr").returncode == 0
    # The socket's addresses stand in place of the configured ones: nobody gets that without having asked for it.
    assert "Also=" not in (tmp_path / "usr/lib/systemd/system/faasd.service").read_text()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_the_units_are_well_formed(tmp_path):
    assert run("install", tmp_path, "/usr").returncode == 0
    for name in ("bin/kill", "sbin/init"):  # what the units name must be there in that root
        pathlib.Path(tmp_path, name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", tmp_path / name)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={tmp_path}", "faasd.service", "faasd.socket"], capture_output=True, text=True)
    assert done.returncode == 0 and "faasd" not in done.stderr, done.stderr


# ---- purge ----


def make_state(root, text="faasd 1\n"):
    state = root / "var/lib/faasd"
    state.mkdir(parents=True)
    (state / "FORMAT").write_text(text)
    (state / "db").mkdir()
    (state / "db/faasd.db").write_text("x")
    return state


def test_purge_removes_the_state_and_leaves_what_people_wrote(installed):
    state = make_state(installed)
    configuration = installed / "etc/faasd/config.json"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("{}")
    done = run("purge", installed)
    assert done.returncode == 0, done.stderr
    assert not state.exists()
    assert files(installed) == ["etc/faasd/config.json"]


def test_purge_refuses_a_state_directory_that_is_not_ours(installed):
    state = installed / "var/lib/faasd"
    (state / "workers").mkdir(parents=True)
    done = run("purge", installed)
    assert done.returncode == 1 and "FORMAT" in done.stderr
    assert (state / "workers").exists()
    assert (installed / PREFIX / "bin/faasd").exists(), "nothing was done"


def test_purge_refuses_while_faasd_runs_on_it(installed):
    state = make_state(installed)
    fd = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        done = run("purge", installed)
    finally:
        os.close(fd)
    assert done.returncode == 1 and "stop it first" in done.stderr
    assert state.exists()


def test_the_daemon_holds_the_lock_that_purge_looks_at():
    with Faasd() as faasd:
        assert subprocess.run(["flock", "-n", faasd.root / "state", "true"]).returncode == 1
