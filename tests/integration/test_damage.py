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
