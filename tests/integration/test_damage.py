# SPDX-License-Identifier: Apache-2.0
"""A database that a bad disk has changed: named at start, what can be read of it served, nothing thrown away."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import tempfile

import pytest

from harness import HELLO, Faasd, wait_until


@pytest.fixture
def root():
    directory = pathlib.Path(tempfile.mkdtemp(prefix="faasd-test-"))
    os.chmod(directory, 0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def names(faasd):
    return [f["name"] for f in faasd.system()["functions"]]


@pytest.mark.row("S6")
def test_functions_whose_rows_can_be_read_are_served_and_the_loss_is_named(root):
    with Faasd(root=root) as faasd:
        faasd.deploy_script("own", "#!/bin/sh\necho own\n")
        for number in range(25):
            faasd.deploy(f"f{number:02}", HELLO, "--runtime", "native", "--description", "x" * 250)
    database = root / "state/db/faasd.db"
    whole = database.read_bytes()
    trees = sorted(p.name for p in (root / "state/versions").iterdir())
    database.write_bytes(whole[:-4096])
    with Faasd(root=root) as faasd:
        served = names(faasd)
        assert 0 < len(served) < 26
        assert "is damaged" in faasd.log_text() and "faasd.db.damaged" in faasd.log_text()
        assert faasd.invoke(served[0], b"{}").status == 200
        faasd.deploy("f99", HELLO, "--runtime", "native")
        assert sorted(p.name for p in (root / "state/versions").iterdir()) == trees
    assert (root / "state/db/faasd.db.damaged").read_bytes() == whole[:-4096]
    with Faasd(root=root) as faasd:
        assert sorted(names(faasd)) == sorted([*served, "f99"])


@pytest.mark.row("S6")
@pytest.mark.parametrize("lose", [lambda db: db.write_bytes(b""), lambda db: db.unlink()], ids=["empty", "missing"])
def test_one_that_is_gone_is_named_and_the_code_kept(root, lose):
    with Faasd(root=root) as faasd:
        for word in ("one", "two"):
            faasd.deploy_script("own", f"#!/bin/sh\necho {word}\n")
        faasd.invoke("own")
        database = root / "state/db/faasd.db"
    trees = sorted(p.name for p in (root / "state/versions").iterdir())
    logs = sorted(p.name for p in (root / "state/logs").iterdir())
    whole = database.read_bytes()
    lose(database)
    with Faasd(root=root) as faasd:
        assert "is missing or empty, but there is code of 2 versions" in faasd.log_text()
        assert names(faasd) == []
        faasd.deploy("new", HELLO, "--runtime", "native")  # whoever deploys starts the collector
        assert len(names(faasd)) == 1
    for _ in range(2):  # the second start finds a database that has rows
        with Faasd(root=root) as faasd:
            assert names(faasd) == ["new"]
            faasd.control("GET", "/v1/functions/new/logs")  # goes through the store's thread, behind what that does at a start
        assert set(trees) <= {p.name for p in (root / "state/versions").iterdir()}
        assert set(logs) <= {p.name for p in (root / "state/logs").iterdir()}
    database.write_bytes(whole)  # a copy of it was found
    (root / "state/db/faasd.db.damaged").unlink()
    with Faasd(root=root) as faasd:
        assert faasd.invoke("own").body == b"two\n"


@pytest.mark.row("S6")
def test_an_empty_one_without_code_is_a_first_start(root):
    with Faasd(root=root):
        pass
    (root / "state/db/faasd.db").write_bytes(b"")
    with Faasd(root=root) as faasd:
        assert "missing or empty" not in faasd.log_text()
    assert not (root / "state/db/faasd.db.damaged").exists()


@pytest.mark.row("S6")
def test_a_row_that_is_not_what_was_deployed_is_not_served():
    with Faasd() as faasd:
        faasd.deploy("good", HELLO, "--runtime", "native")
        faasd.deploy("bad", HELLO, "--runtime", "native", "--description", "before")
        faasd.stop()
        with contextlib.closing(sqlite3.connect(faasd.root / "state/db/faasd.db")) as db, db:
            db.execute("UPDATE revisions SET settings = replace(settings, 'before', 'behind') WHERE function = 'bad'")
        faasd.start()
        assert faasd.invoke("good", b"{}").status == 200
        assert faasd.invoke("bad", b"{}").status == 404
        wait_until(lambda: "its row in the database is damaged: deploy it again" in faasd.log_text(), "the reason")
        faasd.deploy("bad", HELLO, "--runtime", "native")
        assert faasd.invoke("bad", b"{}").status == 200
