# SPDX-License-Identifier: Apache-2.0
"""Reads cases.txt, whose head tells its form."""

import dataclasses
import pathlib
import re

SIZES = {"": 1, "K": 1024, "M": 1024 * 1024}
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}
REPEAT = re.compile(r"\{(\d+)([KM]?)\*")
NAME = re.compile(r"\{([a-z]+)\}")


@dataclasses.dataclass
class Case:
    row: str
    section: str
    statuses: list  # of sets
    keeps: bool
    body: bytes  # None: not looked at
    name: str
    data: bytes

    @property
    def id(self):
        return f"{self.row} {self.name}"

    @property
    def methods(self):
        """Of the requests whose replies have no body: only of a first one."""
        return ["HEAD"] if self.data.startswith(b"HEAD ") else []


class Notation:
    def __init__(self, definitions):
        self.definitions = definitions

    def read(self, text):
        data, rest = self._until_end(text, inside=False)
        assert rest == "", f"left over: {rest!r}"
        return data

    def _until_end(self, text, inside):
        out = bytearray()
        while text:
            if inside and text[0] == "}":
                return bytes(out), text[1:]
            repeat, name = REPEAT.match(text), NAME.match(text)
            if repeat:
                piece, text = self._until_end(text[repeat.end():], inside=True)
                out += piece * (int(repeat[1]) * SIZES[repeat[2]])
            elif name:
                out += self.definitions[name[1]]
                text = text[name.end():]
            elif text.startswith("\\x"):
                out += bytes.fromhex(text[2:4])
                text = text[4:]
            elif text[0] == "\\":
                out += ESCAPES[text[1]]
                text = text[2:]
            else:
                out += text[0].encode("ascii")
                text = text[1:]
        assert not inside, "a repetition without an end"
        return bytes(out), ""


def read_statuses(text):
    statuses = []
    for word in text.split():
        one, _, times = word.partition("*")
        statuses += [{int(s) for s in one.split("/")}] * int(times or 1)
    return statuses


def read(path=pathlib.Path(__file__).with_name("cases.txt")):
    notation = Notation({})
    cases = []
    for line in path.read_text(encoding="ascii").split("\n"):
        if not line or line.startswith("#"):
            continue
        if line.startswith(":"):
            name, _, text = line[1:].partition(" ")
            notation.definitions[name] = notation.read(text)
            continue
        row, section, statuses, then, body, name, text = line.split(" | ", 6)
        assert then in ("keep", "close"), line
        cases.append(Case(row, section, read_statuses(statuses), then == "keep", None if body == "-" else notation.read(body), name, notation.read(text)))
    ids = [case.id for case in cases]
    assert len(ids) == len(set(ids)), sorted(i for i in ids if ids.count(i) > 1)
    return cases
