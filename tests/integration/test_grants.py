# SPDX-License-Identifier: Apache-2.0
"""What goes beyond a plain sandbox is given only where the root-owned configuration grants it, and the refusal names the key to add."""

import os
import pathlib
import socket
import tempfile

import pytest

from harness import Faasd


@pytest.fixture(scope="module")
def shared():
    """Directories of the host for granting; /var/tmp, because a sandbox has its own /tmp."""
    with tempfile.TemporaryDirectory(prefix="faasd-grant-", dir="/var/tmp") as name:
        base = pathlib.Path(name)
        base.chmod(0o755)
        for sub in ("read", "write", "other"):
            (base / sub).mkdir()
            (base / sub).chmod(0o777)
            (base / sub / "file").write_text(f"{sub} me")
        (base / "read" / "deeper").mkdir()
        (base / "read" / "deeper" / "file").write_text("deeper")
        (base / "read" / "link").symlink_to(base / "other")
        yield base


@pytest.fixture(scope="module")
def granted(shared):
    config = {"grants": {"mounts": [f"{shared}/read", f"{shared}/write:rw"], "devices": ["/dev/zero", "/dev/full"], "network_host": True,
                         "cpuset": True, "timeout_zero": True}}
    with Faasd(config=config) as daemon:
        yield daemon


def refused(faasd, key, *options):
    done = faasd.deploy_script("wants", "#!/bin/sh\ntrue\n", *options, check=False)
    assert done.returncode == 4, (done.returncode, done.err)
    assert key in done.err, done.err
    assert faasd.control("GET", "/v1/functions/wants").status == 404


@pytest.mark.parametrize("key,options", [
    ("grants.mounts", ["--mount", "/usr/share:/mnt"]),
    ("grants.devices", ["--device", "/dev/kmsg"]),
    ("grants.network_host", ["--network", "host"]),
    ("grants.cpuset", ["--cpuset", "0"]),
    ("grants.timeout_zero", ["--timeout", "0"]),
])
def test_without_a_grant_it_is_refused_by_its_key(faasd, key, options):
    refused(faasd, key, *options)


def test_a_granted_mount_is_read_only_unless_granted_otherwise(granted, shared):
    granted.deploy_script("reader", "#!/bin/sh\ncat /mnt/file; echo x > /mnt/new || echo refused\n", "--mount", f"{shared}/read:/mnt")
    assert granted.invoke("reader").body == b"read merefused\n"
    assert not (shared / "read" / "new").exists()


def test_a_writable_grant_is_written_by_the_instances_own_id(granted, shared):
    granted.deploy_script("writer", "#!/bin/sh\necho hello > /mnt/out && cat /mnt/out\n", "--mount", f"{shared}/write:/mnt:rw")
    assert granted.invoke("writer").body == b"hello\n"
    assert (shared / "write" / "out").stat().st_uid >= 1879100000


def test_beneath_a_grant_is_granted_and_beside_it_is_not(granted, shared):
    granted.deploy_script("deep", "#!/bin/sh\ncat /mnt/file\n", "--mount", f"{shared}/read/deeper:/mnt")
    assert granted.invoke("deep").body == b"deeper"
    for source in ("other", "readx", "read/../other"):
        done = granted.deploy_script("beside", "#!/bin/sh\ntrue\n", "--mount", f"{shared}/{source}:/mnt", check=False)
        assert done.returncode in (1, 2, 4), (source, done.err)
        assert granted.control("GET", "/v1/functions/beside").status == 404


def test_more_than_was_granted_is_refused(granted, shared):
    refused(granted, "grants.mounts", "--mount", f"{shared}/read:/mnt:rw")
    refused(granted, "grants.devices", "--device", "/dev/kmsg")


@pytest.mark.row("F32")
def test_a_link_under_a_grant_does_not_lead_out_of_it(granted, shared):
    done = granted.deploy_script("linked", "#!/bin/sh\ncat /mnt/file\n", "--mount", f"{shared}/read/link:/mnt", check=False)
    assert done.returncode == 1, done.err
    assert "read/link" in done.err, "the failing step reaches whoever deploys"
    assert granted.control("GET", "/v1/functions/linked").status == 404


def test_a_failing_step_reaches_whoever_deploys_word_for_word(granted, shared):
    done = granted.deploy_script("absent", "#!/bin/sh\ntrue\n", "--mount", f"{shared}/read/absent:/mnt", check=False)
    assert done.returncode == 1
    assert "read/absent" in done.err and "ENOENT" in done.err, done.err


@pytest.mark.parametrize("target", ["/", "/proc", "/dev", "/usr", "/etc", "/var/task", "/usr/bin", "/proc/self", "relative", "/mnt/../etc"])
def test_a_mount_never_covers_what_the_sandbox_is_made_of(granted, shared, target):
    done = granted.deploy_script("covers", "#!/bin/sh\ntrue\n", "--mount", f"{shared}/read:{target}", check=False)
    assert done.returncode in (1, 2, 4), (target, done.err)
    assert granted.control("GET", "/v1/functions/covers").status == 404


def test_a_granted_device_is_there_and_others_are_not(granted):
    granted.deploy_script("device", "#!/bin/sh\nhead -c 3 /dev/full | od -An -tx1; ls /dev | tr '\\n' ' '\n", "--device", "/dev/full")
    reply = granted.invoke("device")
    assert b"00 00 00" in reply.body
    assert b"kmsg" not in reply.body and b"sda" not in reply.body


def test_the_hosts_network_where_granted(granted):
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    script = f"#!/bin/bash\nexec 3<>/dev/tcp/127.0.0.1/{port} && echo connected\n"
    granted.deploy_script("connected", script, "--network", "host")
    assert granted.invoke("connected").body == b"connected\n"
    granted.deploy_script("apart", script)
    assert granted.invoke("apart").status == 500
    server.close()


def test_a_cpuset_of_other_processors_names_those_that_there_are(granted):
    done = granted.deploy_script("elsewhere", "#!/bin/sh\n", "--cpuset", "0,4000", check=False)
    assert done.returncode != 0
    assert "cpuset '0,4000' names processor 4000, and there are only 0" in done.err, done.err


def test_a_cpuset_holds(granted):
    last = os.cpu_count() - 1
    granted.deploy_script("pinned", "#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status\n", "--cpuset", str(last))
    assert granted.invoke("pinned").body.split()[-1] == str(last).encode()


def test_no_timeout_where_granted(granted):
    granted.deploy_script("patient", "#!/bin/sh\nsleep 0.2; echo done\n", "--timeout", "0")
    assert granted.invoke("patient").body == b"done\n"
