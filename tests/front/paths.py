# SPDX-License-Identifier: Apache-2.0
"""The harness of the integration tests is this directory's too."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
