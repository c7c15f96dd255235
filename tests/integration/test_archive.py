# SPDX-License-Identifier: Apache-2.0
"""The unpacker and the deleter, driven directly: archives as real packers write them, and what those packers can be made to write."""

import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile

import pytest

from harness import FAASD

SCRIPT = b"#!/bin/sh\necho hello\n"


def unpack(tree, upload, *args):
    """Unpacks `upload` (bytes, through a pipe) into `tree`; returns the report."""
    tree.mkdir(exist_ok=True)
    done = subprocess.run([FAASD, "unpack", "--into", tree, *map(str, args)], input=upload, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    return json.loads(done.stdout)


def refused(tree, upload, why, *args, kind="BadRequest"):
    report = unpack(tree, upload, *args)
    assert report["ok"] is False
    assert why in report["error"], report
    assert report["type"] == kind
    return report


def make_tar(*members, mode="w", format=tarfile.PAX_FORMAT):
    """members: (name, content) or TarInfo or (TarInfo, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info, content = member
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
                info.mode = 0o755
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def make_zip(*members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "marker").write_text("safe")
    yield tmp_path / "tree"
    assert (tmp_path / "marker").read_text() == "safe"
    assert {p.name for p in tmp_path.iterdir()} <= {"marker", "tree", "source", "archive"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_format_unpack(tree, mode, format):
    long_name = "/".join(["directory"] * 12) + "/file"
    upload = make_tar(("run", SCRIPT), ("lib/ä.txt" if format != tarfile.USTAR_FORMAT else "lib/a.txt", b"x" * 70000), (long_name, b""), mode=mode, format=format)
    report = unpack(tree, upload, "--handler", "run")
    assert report["ok"], report
    assert report["handler"] == "run"
    assert report["bytes"] == len(SCRIPT) + 70000
    assert report["entries"] == 1 + 2 + 13
    assert "manifest" not in report
    assert (tree / long_name).read_bytes() == b""
    assert stat.S_IMODE((tree / "run").stat().st_mode) == 0o755
    assert sorted(os.listdir(tree)) == ["directory", "lib", "run"]


def test_a_zip_unpacks_and_its_handler_becomes_executable(tree):
    report = unpack(tree, make_zip(("run", SCRIPT), ("data/é.bin", os.urandom(100000)), ("empty/", b"")), "--handler", "run")
    assert report["ok"], report
    assert stat.S_IMODE((tree / "run").stat().st_mode) == 0o755
    assert (tree / "data/é.bin").stat().st_size == 100000
    assert (tree / "empty").is_dir()


def test_links_of_a_virtual_environment_are_kept(tree):
    source = tree.parent / "source"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", source / "venv"], check=True)
    (source / "app").write_bytes(b"#!/var/task/venv/bin/python3\n")
    archive = tree.parent / "archive"
    subprocess.run(["tar", "czf", archive, "-C", source, "."], check=True)
    report = unpack(tree, archive.read_bytes(), "--handler", "app")
    assert report["ok"], report
    assert os.readlink(tree / "venv/bin/python3").startswith(("/usr/", "/bin/", "python"))


def test_a_zip_with_links_keeps_those_that_stay_inside(tree):
    def link(name, target):
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        return info, target

    assert unpack(tree, make_zip(("run", SCRIPT), link("again", "run")))["handler"] == "run"
    assert os.readlink(tree / "again") == "run"
    shutil.rmtree(tree)
    report = refused(tree, make_zip(("run", SCRIPT), link("out", "../../etc/passwd")), "leads out of the tree")
    assert "'out' -> '../../etc/passwd'" in report["error"]


def test_a_bare_program_is_stored_under_its_name(tree):
    report = unpack(tree, SCRIPT, "--name", "hello")
    assert report == {"ok": True, "handler": "hello", "bytes": len(SCRIPT), "entries": 1}
    shutil.rmtree(tree)
    with open("/bin/true", "rb") as f:
        assert unpack(tree, f.read(), "--name", "t")["handler"] == "t"


def test_a_file_on_stdin_needs_no_copy(tree):
    tree.mkdir()
    archive = tree.parent / "archive"
    archive.write_bytes(make_zip(("run", SCRIPT)))
    with open(archive, "rb") as f:
        done = subprocess.run([FAASD, "unpack", "--into", tree], stdin=f, capture_output=True, timeout=60)
    assert json.loads(done.stdout)["ok"]


def test_the_handler_is_chosen_by_the_manifest_then_by_what_is_there(tree):
    manifest = b'{\n// comment\n"handler": "bin/b", "memory": "64M"}\n'
    report = unpack(tree, make_tar(("bin/a", SCRIPT), ("bin/b", SCRIPT), ("faasd.json", manifest)))
    assert report["handler"] == "bin/b"
    assert report["manifest"].encode() == manifest
    for members, args, handler in [
        ([("only", SCRIPT)], [], "only"),
        ([("only", SCRIPT), ("faasd.json", b"{}")], [], "only"),
        ([("a", SCRIPT), ("bootstrap", SCRIPT)], [], "bootstrap"),
        ([("a", SCRIPT), ("hello", SCRIPT)], ["--name", "hello"], "hello"),
        ([("a", SCRIPT), ("b", SCRIPT)], ["--earlier", "b"], "b"),
        ([("a", SCRIPT), ("bootstrap", SCRIPT)], ["--earlier", "gone"], "bootstrap"),
        ([("a", SCRIPT), ("b", SCRIPT), ("faasd.json", b'{"handler":"a"}')], ["--handler", "b"], "b"),
    ]:
        shutil.rmtree(tree)
        report = unpack(tree, make_tar(*members), *args)
        assert report.get("handler") == handler, report
    shutil.rmtree(tree)
    report = refused(tree, make_tar(("alpha", SCRIPT), ("beta", SCRIPT), ("data", b"x")), "Say --handler FILE")
    assert "alpha" in report["error"] and "beta" in report["error"] and "data" not in report["error"]


def test_a_broken_manifest_is_refused_with_its_line(tree):
    refused(tree, make_tar(("run", SCRIPT), ("faasd.json", b"{\n\"a\" 1}")), "faasd.json: line 2, column 5")
    shutil.rmtree(tree)
    refused(tree, make_tar(("run", SCRIPT), ("faasd.json", b" " * 70000)), "faasd.json has more than", kind="RequestTooLarge")


@pytest.mark.row("D1")
@pytest.mark.parametrize("name", ["../marker", "/tmp/x", "a/../../marker", "a//b", "a\\b", "a\nb"])
def test_names_that_lead_out_are_refused(tree, name):
    if "//" not in name and "\\" not in name:
        refused(tree, make_tar((name, b"x"), ("run", SCRIPT)), "")
        shutil.rmtree(tree)
    report = unpack(tree, make_zip((name, b"x"), ("run", SCRIPT)))
    # zip readers take a backslash for a slash on archives made elsewhere; then it is a directory of the tree
    assert not report["ok"] or name == "a\\b", report


@pytest.mark.row("D4")
@pytest.mark.parametrize("kind, why", [(tarfile.CHRTYPE, "device"), (tarfile.BLKTYPE, "device"), (tarfile.FIFOTYPE, "fifo")])
def test_special_files_are_refused(tree, kind, why):
    refused(tree, make_tar(("run", SCRIPT), special("x", kind)), why)


@pytest.mark.row("D2", "D3")
@pytest.mark.parametrize("mode, why", [(stat.S_IFSOCK, "is a socket"), (stat.S_IFCHR, "is a device"), (0o150000, "is of an unknown type")])
def test_special_files_of_a_zip_are_refused(tree, mode, why):
    """But for fifos, of which libarchive makes empty files."""
    info = zipfile.ZipInfo("special")
    info.create_system = 3
    info.external_attr = (mode | 0o644) << 16
    refused(tree, make_zip(("run", SCRIPT), (info, b"")), why)


def test_nothing_is_written_through_links(tree):
    refused(tree, make_tar(special("d", tarfile.SYMTYPE, ".."), ("d/marker", b"overwritten")),
            "'d' is a link, and the archive has a directory of that name, or entries beneath it")
    shutil.rmtree(tree)
    refused(tree, make_tar(special("m", tarfile.SYMTYPE, "../marker"), ("m", b"overwritten")), "twice")
    shutil.rmtree(tree)
    refused(tree, make_tar(special("h", tarfile.LNKTYPE, "../marker"), ("h", b"overwritten")), "'..'")
    shutil.rmtree(tree)
    # a chain whose real path is longer than PATH_MAX (the class of CVE-2025-4517)
    deep = "d" * 247
    members, path = [], ""
    for step in "abcdefghijklmnop":
        members.append(special(os.path.join(path, deep), tarfile.DIRTYPE))
        members.append(special(os.path.join(path, step), tarfile.SYMTYPE, deep))
        path = os.path.join(path, step)
    members.append(special(os.path.join(path, "l" * 100), tarfile.SYMTYPE, "../" * 16))
    refused(tree, make_tar(*members, ("x", b"")), "")


@pytest.mark.row("D5")
@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6755])
def test_setuid_bits_are_refused(tree, mode):
    info = tarfile.TarInfo("run")
    info.mode = mode
    refused(tree, make_tar((info, SCRIPT)), "set-user-id")


@pytest.mark.row("D5")
def test_owners_and_attributes_are_not_kept(tree):
    info = tarfile.TarInfo("run")
    info.mode, info.uid, info.gid = 0o1777, 12345, 12345
    info.pax_headers = {"SCHILY.xattr.security.capability": "x", "SCHILY.xattr.user.a": "b"}
    assert unpack(tree, make_tar((info, SCRIPT)))["ok"]
    st = (tree / "run").stat()
    assert stat.S_IMODE(st.st_mode) == 0o755
    assert st.st_uid == os.getuid()
    assert os.listxattr(tree / "run") == []


@pytest.mark.row("D6")
def test_bombs_are_refused_before_they_fill_the_disk(tree):
    refused(tree, make_tar(("zeros", bytes(100 << 20)), mode="w:gz"), "times its size", kind="RequestTooLarge")
    assert sum(p.stat().st_blocks * 512 for p in tree.iterdir()) < 70 << 20
    shutil.rmtree(tree)
    refused(tree, make_tar(("big", bytes(2 << 20))), "more than 1M", "--bytes", 1 << 20, kind="RequestTooLarge")
    shutil.rmtree(tree)
    refused(tree, make_tar(*[(f"f{i}", b"") for i in range(50)]), "more than 20 entries", "--entries", 20, kind="RequestTooLarge")
    shutil.rmtree(tree)
    refused(tree, make_tar(*[special("same", tarfile.DIRTYPE) for _ in range(50)]), "more than 20 entries", "--entries", 20, kind="RequestTooLarge")
    shutil.rmtree(tree)
    refused(tree, bytes(1 << 20), "more than 64K", "--archive-bytes", 65536, kind="RequestTooLarge")


@pytest.mark.row("D6")
def test_a_sparse_file_counts_with_its_whole_size(tree):
    source = tree.parent / "source"
    source.mkdir()
    (source / "run").write_bytes(SCRIPT)
    with open(source / "holes", "wb") as f:
        f.truncate(8 << 20)
        f.seek(4 << 20)
        f.write(b"middle")
    archive = tree.parent / "archive"
    subprocess.run(["tar", "cSf", archive, "-C", source, "run", "holes"], check=True)
    assert archive.stat().st_size < 1 << 20
    report = unpack(tree, archive.read_bytes(), "--handler", "run")
    assert report["bytes"] == (8 << 20) + len(SCRIPT)
    assert (tree / "holes").read_bytes() == (source / "holes").read_bytes()
    shutil.rmtree(tree)
    refused(tree, archive.read_bytes(), "more than 7M", "--bytes", 7 << 20, kind="RequestTooLarge")


@pytest.mark.row("D8")
@pytest.mark.parametrize("make", [lambda *m: make_tar(*m), lambda *m: make_tar(*m, mode="w:gz"), make_zip], ids=["tar", "tar.gz", "zip"])
def test_an_upload_cut_anywhere_is_refused(tree, make):
    members = [("run", SCRIPT), ("a/b", os.urandom(9000)), ("c", b"z" * 5000)]
    upload = make(*members)
    end = upload.rfind(b"z") if upload.endswith(bytes(1024)) else len(upload) - 1
    for cut in [*range(1, end, 911), end]:
        report = unpack(tree, upload[:cut])
        assert report["ok"] is False and report["type"] == "BadRequest", (cut, report)
        shutil.rmtree(tree)


@pytest.mark.row("D8")
def test_damaged_bytes_are_refused(tree):
    upload = bytearray(make_zip(("run", SCRIPT * 100)))
    upload[60] ^= 0xFF
    refused(tree, bytes(upload), "damaged")
    shutil.rmtree(tree)
    tar = bytearray(make_tar(("run", SCRIPT), ("b", b"x")))
    tar[1024] ^= 0xFF  # the second header's name: its checksum no longer holds
    refused(tree, bytes(tar), "damaged")
    for upload in (b"", b"hello", b"\x1f\x8b" + os.urandom(100), b"PK\x03\x04" + os.urandom(100), bytes(100)):
        shutil.rmtree(tree)
        refused(tree, upload, "")


@pytest.mark.row("D8")
def test_a_lying_zip_is_refused(tree):
    upload = bytearray(make_zip(("run", SCRIPT * 100), method=zipfile.ZIP_STORED))
    central = upload.rfind(b"PK\x01\x02")
    struct.pack_into("<I", upload, central + 24, 10)
    refused(tree, bytes(upload), "")


@pytest.mark.row("D9")
def test_a_program_that_cannot_start_is_said_so(tree):
    refused(tree, b"#!/usr/bin/pyhton3\n", "which is not in the sandbox")
    shutil.rmtree(tree)
    refused(tree, make_tar(("app", b"print(1)\n")), "neither '#!' nor an ELF header")
    shutil.rmtree(tree)
    refused(tree, make_tar(("app", SCRIPT)), "'other' is not among the uploaded files", "--handler", "other")
    shutil.rmtree(tree)
    refused(tree, make_tar(special("d", tarfile.DIRTYPE), ("x", b"")), "not a regular file", "--handler", "d")


@pytest.mark.row("D2")
def test_the_deleter_empties_deep_trees_and_follows_no_link(tmp_path):
    trash, outside = tmp_path / "trash", tmp_path / "outside"
    trash.mkdir()
    outside.mkdir()
    (outside / "keep").write_text("kept")
    os.symlink(outside, trash / "link")
    (trash / "file").write_text("x")
    here = os.open(trash, os.O_RDONLY)
    for i in range(3000):  # far beyond PATH_MAX
        os.mkdir("d" * 20, dir_fd=here)
        deeper = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        if i % 100 == 0:
            os.symlink(outside, "link", dir_fd=deeper)
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=deeper))
            os.mkdir("closed", 0, dir_fd=deeper)
        os.close(here)
        here = deeper
    os.close(here)
    done = subprocess.run([FAASD, "delete-trees", "--from", trash], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list(trash.iterdir()) == []
    assert (outside / "keep").read_text() == "kept"
    done = subprocess.run([FAASD, "delete-trees", "--from", tmp_path / "absent"], capture_output=True, timeout=60)
    assert done.returncode == 1 and b"absent" in done.stderr


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))


def test_a_transient_tree_is_the_same_and_refuses_the_same(tmp_path):
    upload = make_tar(("run", b"#!/bin/sh\n"), ("lib/a", b"a"))
    kept, transient = unpack(tmp_path / "kept", upload, "--handler", "run"), unpack(tmp_path / "transient", upload, "--handler", "run", "--transient", "yes")
    assert kept == transient and (tmp_path / "transient" / "lib" / "a").read_bytes() == b"a"
    out = tarfile.TarInfo("out")
    out.type, out.linkname = tarfile.SYMTYPE, "/etc/passwd"
    refused(tmp_path / "refused", make_tar(("run", b"#!/bin/sh\n"), out), "leads out of the tree", "--handler", "run", "--transient", "yes")
