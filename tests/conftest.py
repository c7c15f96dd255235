# SPDX-License-Identifier: Apache-2.0
"""The table of the attack catalogue: which rows were tried, and what was seen. `pytest --rows` runs what is a row and prints it (`make escape`).

A test is of one or more rows by
  - @pytest.mark.row("D2", "D3"): one line for the function, whatever cases it has;
  - an id of a case that begins with a row's name and a blank ("H4 coding twice"): one line for each such row of the function;
  - record_property("attack", [row, attack, outside, expected, seen]): a line of its own. `outside` is "OPEN", or why that could not be shown.
"""

import collections
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[1]
FAASD = pathlib.Path(os.environ.get("FAASD_BUILD", REPO / "build")).resolve() / "faasd"
sys.path.insert(0, str(REPO / "tests" / "escape"))
from rows import ELSEWHERE, GROUPS, NEEDS, NOT_AS_A_USER  # noqa: E402

CASE = re.compile(r"([A-Z]\d+[a-z]*) ")
NAME = re.compile(r"([A-Z])(\d*)(.*)")


def pytest_addoption(parser):
    parser.addoption("--rows", action="store_true", help="run the tests that are rows of the attack catalogue, and print its table")
    parser.addoption("--rows-save", metavar="FILE", help="with --rows: write the table's lines there")
    parser.addoption("--rows-user", metavar="FILE", help="with --rows: one more column, of lines that were saved from an ordinary user's daemon")


def pytest_configure(config):
    config.addinivalue_line("markers", "row(*names): rows of the attack catalogue that the test shows")


def rows_of(item):
    marked = [name for mark in item.iter_markers("row") for name in mark.args]
    case = getattr(item, "callspec", None) and CASE.match(item.callspec.id)
    return marked + ([case.group(1)] if case and case.group(1) not in marked else [])


def pytest_collection_modifyitems(config, items):
    # Two lanes take a module each (make escape): the longest goes first.
    items.sort(key=lambda item: item.path.name != "test_template_children.py")
    for item in items:
        item.user_properties.append(("rows", rows_of(item)))
    if not config.getoption("--rows"):
        return
    # What attacks from inside runs whole, what is marked by its name or its cases beside it.
    chosen = [item for item in items if item.path.parent.name == "escape" or rows_of(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def order(line):
    group, number, rest = NAME.match(line["row"]).groups()
    return ("FPKRNIHCDSLXZ".find(group), int(number or 0), rest, not line["own"])


def lines_of(reports):
    """Each report, or all that belong to one function: a line."""
    lines, functions = [], collections.OrderedDict()
    for report in reports:
        properties = collections.defaultdict(list)
        for name, value in report.user_properties:
            properties[name].append(value)
        function = report.nodeid.split("[")[0]
        for row, attack, outside, expected, seen in properties["attack"]:
            is_open = outside == "OPEN"
            lines.append({"row": row, "attack": attack, "outside": outside if is_open else "-", "why": "" if is_open else outside, "expected": expected, "seen": seen,
                          "held": report.passed, "own": True, "cases": 1})
        for row in properties["rows"][0] if properties["rows"] and not properties["attack"] else []:
            functions.setdefault((row, function), []).append(report)
    for (row, function), found in functions.items():
        failed = [report for report in found if not report.passed]
        attack = function.split("::test_")[1].replace("_", " ").removeprefix(row + " ")
        seen = f"{len(found) - len(failed)} of {len(found)} cases hold" if len(found) > 1 else "it does not" if failed else "it holds"
        lines.append({"row": row, "attack": attack, "outside": "", "why": "", "expected": "it holds", "seen": seen, "held": not failed, "own": False, "cases": len(found)})
    return sorted(lines, key=order)


def features():
    done = subprocess.run([str(FAASD), "check", "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return {feature["name"]: feature for feature in json.loads(done.stdout)["features"]}


def what_the_host_lacks():
    """(row, why), as `faasd check` says."""
    known = features()
    return [(row, f"{name} {known[name]['detail']}: {known[name]['lost_without']}".replace("  ", " "))
            for row, names in NEEDS.items() for name in names if not known[name]["found"]]


def key_of(line):
    return line["row"], line["attack"], line["own"]


class User:
    """What the same lines came to on an ordinary user's daemon, or nothing where none was saved."""

    def __init__(self, path):
        self.saved = json.loads(pathlib.Path(path).read_text()) if path and os.path.exists(path) else {"lines": []}
        self.lines = {key_of(line): line for line in self.saved["lines"]}

    def cell(self, line):
        """A result is its first word, a test's is as it stands. What it saw more is in its own table."""
        mine = self.lines.get(key_of(line))
        if not mine:
            return "-"
        seen = mine["seen"].split()[0] if mine["own"] else mine["seen"].removesuffix(" cases hold")
        return seen if mine["held"] else "NOT HELD"

    def print_end(self, write, lines):
        if not self.lines:
            write("No column of an ordinary user's daemon: make check-guest-rootless makes it, in a virtual machine.")
            return
        tried = [self.lines[key_of(line)] for line in lines if key_of(line) in self.lines]
        known = {line["row"] for line in tried}
        write(f"As a user: an ordinary user's daemon, {self.saved['where']}: {sum(line['held'] for line in tried)} of {len(tried)} lines held.")
        write("Rows that were not tried there, and why:")
        reasons = collections.OrderedDict()
        for row in collections.OrderedDict.fromkeys(line["row"] for line in lines if line["row"] not in known):
            reasons.setdefault(NOT_AS_A_USER.get(row) or NOT_AS_A_USER.get(row[0]) or "no reason is given: tests/escape/rows.py", []).append(row)
        for why, rows in reasons.items():
            write(f"  {', '.join(rows)}: {why}")


def print_table(write, lines, user):
    width = max(len(line["attack"]) for line in lines)
    column = f"{'as a user':<15} " if user.lines else ""
    write(f"{'row':<11} {'attack':<{width}}  {'outside':<8} {'expected':<25} {column}seen")
    for line in lines:
        mark = "" if line["held"] else "  <-- NOT HELD"
        column = f"{user.cell(line):<15} " if user.lines else ""
        write(f"{line['row']:<11} {line['attack']:<{width}}  {line['outside']:<8} {line['expected']:<25} {column}{line['seen']}{mark}")


def print_sums(write, lines):
    write("")
    write("group                   rows  probes  tests  cases  shown open outside")
    total = [0] * 5
    for group, what in GROUPS.items():
        own = [line for line in lines if line["row"].startswith(group)]
        counts = [len({NAME.match(line["row"]).expand(r"\1\2") for line in own}), sum(line["own"] for line in own), sum(not line["own"] for line in own),
                  sum(line["cases"] for line in own), sum(line["outside"] == "OPEN" for line in own)]
        total = [a + b for a, b in zip(total, counts)]
        write(f"{group + '  ' + what:<23} {counts[0]:>4}  {counts[1]:>6}  {counts[2]:>5}  {counts[3]:>5}  {counts[4]:>5}")
    write(f"{'all':<23} {total[0]:>4}  {total[1]:>6}  {total[2]:>5}  {total[3]:>5}  {total[4]:>5}")


def pytest_terminal_summary(terminalreporter):
    if not terminalreporter.config.getoption("--rows"):
        return
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, []) if report.when == "call" or report.failed]
    lines, write = lines_of(reports), terminalreporter.write_line
    if not lines:
        return
    user = User(terminalreporter.config.getoption("--rows-user"))
    saved = terminalreporter.config.getoption("--rows-save")
    if saved:
        where = f"Linux {platform.release()}, cgroup {'v2' if os.path.exists('/sys/fs/cgroup/cgroup.controllers') else 'hybrid'}"
        pathlib.Path(saved).write_text(json.dumps({"where": where, "lines": lines}))
    terminalreporter.section("the attack catalogue")
    print_table(write, lines, user)
    write("")
    write("Not shown open outside, and why:")
    for line in lines:
        if line["why"]:
            write(f"  {line['row']:<9} {line['attack']}: {line['why']}")
    lacking = what_the_host_lacks()
    write("")
    write("Rows that this host cannot hold, by `faasd check`:" if lacking else "This host can hold every row, by `faasd check`.")
    for row, why in lacking:
        write(f"  {row:<9} {why}")
    write("Rows that are shown elsewhere, or not yet:")
    for row, why in ELSEWHERE.items():
        write(f"  {row:<9} {why}")
    user.print_end(write, lines)
    print_sums(write, lines)
    held = sum(line["held"] for line in lines)
    write(f"{held} of {len(lines)} lines held" + ("" if held == len(lines) else ": not all"))
