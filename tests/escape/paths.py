# SPDX-License-Identifier: Apache-2.0
"""Where the build is; and the harness of the integration tests, which these tests share."""

import os
import pathlib
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FAASD_BUILD", REPO / "build")).resolve()
PROBE = BUILD / "probe"
sys.path.insert(0, str(REPO / "tests" / "integration"))
