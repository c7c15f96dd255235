# SPDX-License-Identifier: Apache-2.0
"""backup and restore: under load, checked, all or nothing."""

import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import threading

import pytest

from harness import FAASD, HELLO, Faasd, wait_until


@pytest.fixture
def place():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def faasd(*args):
    done = subprocess.run([str(FAASD), *map(str, args)], capture_output=True, text=True)
    return done


def deployed(daemon):
    return {f["name"]: (f["revision"], f["number"]) for f in (daemon.describe(name["name"]) for name in daemon.system()["functions"])}


@pytest.fixture
def backed_up(place):
    """A root with two functions, stopped, its backup, and what was deployed."""
    root = place / "first"
    root.mkdir()
    with Faasd(root=root) as daemon:
        daemon.deploy("hello", HELLO, "--runtime", "native", "--memory", "32M")
        daemon.deploy_script("script", "#!/bin/sh\necho one\n")
        daemon.deploy_script("script", "#!/bin/sh\necho two\n")
        known = deployed(daemon)
    done = faasd("backup", place / "all.tar", "--root", root)
    assert done.returncode == 0, done.stderr
    assert "2 functions, 3 trees" in done.stdout and "--with-key" in done.stdout
    return root, place / "all.tar", known


def test_what_was_deployed_is_there_again(backed_up, place):
    _, archive, known = backed_up
    second = place / "second"
    second.mkdir()
    done = faasd("restore", archive, "--root", second)
    assert done.returncode == 0, done.stderr
    assert "2 functions, 3 trees" in done.stdout
    with Faasd(root=second) as daemon:
        assert deployed(daemon) == known
        assert daemon.invoke("hello", b'{"name":"x"}').status == 200
        assert daemon.invoke("script").body == b"two\n"
        daemon.deploy_script("script", "#!/bin/sh\necho three\n")
        assert daemon.invoke("script").body == b"three\n"


def test_one_taken_under_load_is_whole(place):
    root, second = place / "first", place / "second"
    root.mkdir()
    second.mkdir()
    stop, failed = threading.Event(), []

    def deploy(number):
        version = 0
        while not stop.is_set():
            version += 1
            done = daemon.deploy_script(f"busy{number}", f"#!/bin/sh\necho {version}\n", check=False)
            if done.returncode != 0:
                failed.append(done.err)
                return

    with Faasd(root=root, config={"versions_kept": 1}) as daemon:
        threads = [threading.Thread(target=deploy, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            archives = []
            for number in range(5):
                archives.append(place / f"{number}.tar.gz")
                done = faasd("backup", archives[-1], "--root", root)
                assert done.returncode == 0, done.stderr
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not failed
    assert faasd("restore", archives[-1], "--root", second).returncode == 0
    with Faasd(root=second) as daemon:
        for name in deployed(daemon):
            assert daemon.invoke(name).status == 200
    assert not [p for p in place.iterdir() if ".faasd-" in p.name], "nothing is left beside the archives"


def test_tokens_aliases_and_queued_calls_go_on_where_they_were(place):
    root, second, out = place / "first", place / "second", place / "out"
    for directory in (root, second, out):
        directory.mkdir()
    config = {"grants": {"mounts": [str(out)]}}
    stop, sent = threading.Event(), []

    def call(daemon, name):
        return daemon.request("POST", f"/async-function/{name}", b"{}").json()["id"]

    def load():
        while not stop.is_set():
            sent.append(call(daemon, "echo"))

    with Faasd(root=root, config=config) as daemon:
        daemon.deploy_script("echo", "#!/bin/sh\ncat\n")
        daemon.deploy_script("gated", "#!/bin/sh\nuntil [ -e /out/go ]; do sleep 0.05; done\ncat\n", "--mount", f"{out}:/out", "--async-concurrency", "1", "--timeout", "60s")
        daemon.deploy_script("later", "#!/bin/sh\nexit 3\n", "--async-backoff", "1h", "--async-max-age", "1d")
        daemon.cli("alias", "set", "echo", "prod", "1")
        token = json.loads(daemon.cli("token", "create", "--scope", "read", "--json").out)["token"]
        gated, later = [call(daemon, "gated") for _ in range(3)], call(daemon, "later")
        wait_until(lambda: daemon.control("GET", f"/v1/calls/{later}").json()["attempts"] == 1, "its first attempt is over")
        loader = threading.Thread(target=load)
        loader.start()
        try:
            wait_until(lambda: len(sent) > 20, "there is load")
            before = list(sent)
            done = faasd("backup", place / "all.tar", "--root", root)
        finally:
            stop.set()
            loader.join()
        assert done.returncode == 0, done.stderr
        known = deployed(daemon)
        daemon.process.kill()  # what it does from here on is not in the backup
        daemon.process.wait()
    with tarfile.open(place / "all.tar") as archive:
        names = archive.getnames()
    assert "db/calls.db" in names and not [n for n in names if "key" in n], "keys only with --with-key"
    assert faasd("restore", place / "all.tar", "--root", second).returncode == 0
    with Faasd(root=second, config=config) as daemon:
        assert deployed(daemon) == known
        assert daemon.request("POST", "/function/echo:prod", b"x").body == b"x"
        assert daemon.request("GET", "/v1/functions", headers={"Authorization": f"Bearer {token}"}).status == 200
        shown = daemon.control("GET", f"/v1/calls/{later}").json()
        assert (shown["status"], shown["attempts"]) == ("queued", 1) and shown["nextAttemptSeconds"] > 3000
        (out / "go").touch()
        for each in [*gated, *before]:  # what ran when the backup was taken runs again, under its id
            wait_until(lambda: daemon.control("GET", f"/v1/calls/{each}").json()["status"] == "succeeded", f"{each} ran")


def test_a_state_directory_that_holds_something_is_never_written_over(backed_up):
    root, archive, known = backed_up
    done = faasd("restore", archive, "--root", root)
    assert done.returncode == 1 and "is not empty" in done.stderr
    with Faasd(root=root) as daemon:
        assert deployed(daemon) == known


def rewrite(archive, change):
    """The archive again, with each member's (name, bytes) passed through `change`; None leaves it out."""
    with tarfile.open(archive) as old:
        members = [(m, old.extractfile(m).read() if m.isfile() else None) for m in old]
    with tarfile.open(archive, "w") as new:
        for member, content in members:
            changed = change(member.name, content)
            if content is not None and changed is None:
                continue
            if changed is not None:
                member.size = len(changed)
            new.addfile(member, io.BytesIO(changed) if changed is not None else None)


def refused(archive, place):
    target = place / "target"
    target.mkdir()
    done = faasd("restore", archive, "--root", target)
    assert done.returncode == 1
    assert list(target.iterdir()) == [], "nothing is left of what was refused"
    return done.stderr


@pytest.mark.parametrize("name, change, said", [
    ("code", lambda n, c: c + b"#" if n.endswith("/run") else c, "is not what was deployed"),
    ("tree", lambda n, c: None if n.startswith("versions/") else c, "the backup is damaged"),
    ("database", lambda n, c: c[: len(c) // 2] if n == "db/faasd.db" else c, "faasd.db"),
    ("garbage", lambda n, c: b"x" * len(c) if n == "db/faasd.db" else c, "faasd.db"),
    ("newer", lambda n, c: c.replace(b"faasd-backup 1", b"faasd-backup 2") if n == "BACKUP" else c, "newer faasd"),
    ("no mark", lambda n, c: None if n == "BACKUP" else c, "no backup of faasd"),
])
def test_a_damaged_one_is_refused_whole(backed_up, place, name, change, said):
    _, archive, _ = backed_up
    rewrite(archive, change)
    assert said in refused(archive, place)


def test_a_name_with_a_time_in_it_is_a_file(backed_up, place):
    root, _, _ = backed_up
    name = "faasd-2026-11-21T09:30:00.tar.gz"  # tar(1) would look for a host "faasd-2026-11-21T09"
    done = subprocess.run([str(FAASD), "backup", name, "--root", str(root)], capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([str(FAASD), "restore", name, "--root", str(place / "second")], capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stderr


def test_the_directories_above_are_made(backed_up, place):
    _, archive, known = backed_up
    second = place / "a" / "new" / "host"
    done = faasd("restore", archive, "--root", second)
    assert done.returncode == 0, done.stderr
    with Faasd(root=second) as daemon:
        assert deployed(daemon) == known


def test_one_that_was_cut_off_says_what_is_wrong_with_it(backed_up, place):
    root, _, _ = backed_up
    archive = place / "all.tar.gz"
    assert faasd("backup", archive, "--root", root).returncode == 0
    os.truncate(archive, archive.stat().st_size // 2)
    said = refused(archive, place)
    assert f"unpack '{archive}'" in said and "unexpected end of file" in said


def test_paths_that_do_not_exist_are_named(backed_up, place):
    root, _, _ = backed_up
    done = faasd("restore", place / "none.tar", "--root", place / "second")
    assert (done.returncode, done.stderr) == (1, f"faasd restore: open '{place}/none.tar': ENOENT\n")
    done = faasd("restore", place, "--root", place / "second")
    assert done.returncode == 1 and f"'{place}' is a directory" in done.stderr
    assert not (place / "second").exists()
    done = faasd("backup", place / "no" / "all.tar", "--root", root)
    assert (done.returncode, done.stderr) == (1, f"faasd backup: write '{place}/no/all.tar': ENOENT\n")


def test_what_is_no_archive_is_refused(place):
    (place / "text").write_text("hello")
    assert "tar" in refused(place / "text", place)


def test_a_backup_of_nothing_says_so(place):
    done = faasd("backup", place / "x.tar", "--root", place)
    assert done.returncode == 1 and "is no state directory of faasd" in done.stderr
    assert not (place / "x.tar").exists()


def test_a_full_disk_leaves_no_half_archive(backed_up):
    root, _, _ = backed_up
    with tempfile.TemporaryDirectory(prefix="faasd-full-") as full:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
        try:
            done = faasd("backup", f"{full}/all.tar", "--root", root)
            assert done.returncode == 1 and done.stderr.startswith("faasd backup: ")
            assert os.listdir(full) == []
        finally:
            subprocess.run(["umount", full], check=True)


def test_an_ordinary_user_is_denied_with_the_reason(backed_up, place):
    root, _, _ = backed_up
    (place / "open").mkdir()
    os.chmod(place / "open", 0o777)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(FAASD), "backup", str(place / "open/mine.tar"), "--root", str(root)],
                          capture_output=True, text=True)
    assert done.returncode in (1, 4) and "be root" in done.stderr
