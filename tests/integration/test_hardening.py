# SPDX-License-Identifier: Apache-2.0
"""What the built programs are hardened with, as readelf(1) sees it: a flag that a Makefile names and the linker or a static library undid is seen here alone."""

import re
import subprocess

import pytest

from harness import BUILD, FAASD, HELLO

INIT = BUILD / "init"
LIBRARY = BUILD / "libfaasd.a"


def readelf(flags, path):
    return subprocess.run(["readelf", "-W", *flags.split(), str(path)], check=True, capture_output=True, text=True).stdout


def header(path):
    return re.search(r"Type:\s+(\w+)", readelf("-h", path))[1]


def segments(path):
    """[(type, flags)], flags as "RWE"."""
    found = re.findall(r"^  (\w+)\s+(?:0x[0-9a-f]+ ){5}([RWE ]{3}) 0x", readelf("-l", path), re.M)
    return [(kind, flags.replace(" ", "")) for kind, flags in found]


def dynamic(path):
    return re.findall(r"^ 0x[0-9a-f]+ \((\w+)\)\s+(.*)$", readelf("-d", path), re.M)


def wanted(path):
    """Names that a program takes from shared libraries."""
    return {name.partition("@")[0] for name in re.findall(r" UND (\S+)", readelf("--dyn-syms", path))}


@pytest.mark.parametrize("path", [FAASD, INIT, HELLO], ids=["faasd", "init", "hello"])
def test_no_segment_is_both_written_and_executed(path):
    found = segments(path)
    loaded = [flags for kind, flags in found if kind == "LOAD"]
    assert len(loaded) >= 2 and any("E" in f for f in loaded), found
    assert not [f for f in loaded if "W" in f and "E" in f], found


@pytest.mark.parametrize("path", [FAASD, INIT, HELLO], ids=["faasd", "init", "hello"])
def test_the_stack_is_not_executed(path):
    assert [flags for kind, flags in segments(path) if kind == "GNU_STACK"] == ["RW"]


def test_the_program_lies_anywhere_and_its_relocations_are_read_only():
    tags = dynamic(FAASD)
    assert header(FAASD) == "DYN" and any(tag == "FLAGS_1" and "PIE" in value and "NOW" in value for tag, value in tags), tags
    assert ("GNU_RELRO", "R") in segments(FAASD)


def test_no_code_is_relocated_and_no_library_is_looked_for_elsewhere():
    tags = {tag for tag, _ in dynamic(FAASD)}
    assert "NEEDED" in tags and not tags & {"TEXTREL", "RPATH", "RUNPATH"}, tags
    assert not any(tag == "FLAGS" and "TEXTREL" in value for tag, value in dynamic(FAASD))


def test_the_program_needs_few_libraries():
    needed = {re.search(r"\[(\w+)", value)[1] for tag, value in dynamic(FAASD) if tag == "NEEDED"}
    assert needed - {"ld"} == {"libev", "libcjson", "libseccomp", "libm", "libc"}, needed


def test_our_own_objects_guard_their_stacks_and_check_copies():
    """Each object's, since the static libraries were built with the same flags and would hide that ours were not."""
    objects = sorted((BUILD / "obj").glob("*/*.o"))
    names = [set(re.findall(r" UND (\w+)", readelf("-s", path))) for path in objects]
    guarded = [n for n in names if "__stack_chk_fail" in n]
    assert len(objects) > 300 and len(guarded) > len(objects) // 3, (len(guarded), len(objects))
    # those of printf alone would say that the level counts, and not that sizes are known
    checked = {name for n in names for name in n if name.endswith("_chk")}
    assert {"__memcpy_chk", "__snprintf_chk"} <= checked and len(checked) >= 8, checked


def test_init_is_static_and_takes_nothing_from_outside():
    assert header(INIT) == "EXEC" and {kind for kind, _ in segments(INIT)} == {"LOAD", "GNU_STACK"}
    assert "INTERP" not in {kind for kind, _ in segments(HELLO)}


def test_no_object_of_the_function_library_asks_for_an_executable_stack():
    sections = readelf("-S", LIBRARY)
    members = sections.count("File: ")
    stacks = re.findall(r"\.note\.GNU-stack\s+PROGBITS\s+\S+ \S+ \S+ \S+\s+([A-Z]*)\s+\d", sections)
    assert members > 5 and len(stacks) == members and not any("X" in flags for flags in stacks), stacks
