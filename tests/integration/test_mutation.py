# SPDX-License-Identifier: Apache-2.0
"""scripts/mutation.py: which faults it knows in a text. What comes of them is scripts/mutants' own run."""

import importlib.util

import pytest

from harness import REPO

spec = importlib.util.spec_from_file_location("mutation", REPO / "scripts" / "mutation.py")
mutation = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mutation)


def faults(text, operator):
    return [(m.before, m.after) for m in mutation.mutations(text) if m.operator == operator]


@pytest.mark.parametrize("text,operator,expected", [
    ("int f(int a) { return a <= 7; }", "comparison", [("<=", "<")]),
    ("int f(int a) { return a <= 7; }", "constant", [("7", "6"), ("7", "8")]),
    ("int f(int a) { return a <= 7; }", "return", [("a <= 7", "0"), ("a <= 7", "!(a <= 7)")]),
    ("mode_t m = 0755;", "constant", [("0755", "0754"), ("0755", "0756")]),
    ("unsigned n = 0x10u;", "constant", [("0x10u", "15u"), ("0x10u", "17u")]),
    ("int n = 0;", "constant", [("0", "1")]),
    ("char c = 'a', d = '\\n', e = '\"';", "constant", [("'a'", "'b'")]),
    ("bool f(void) { return true; }", "return", [("true", "false")]),
    ("bool f(int a, int b) { return a && b; }", "logic", [("&&", "||")]),
    ("int f(int a) { return -a + 1; }", "arithmetic", [("+", "-")]),
    ("int f(int *p) { return p->n - (*p)--; }", "arithmetic", [("-", "+"), ("--", "++")]),
    ("void f(int a) { if (g(a) || (b)) h(); }", "condition", [("(g(a) || (b))", "(!(g(a) || (b)))")]),
    ("void f(void) { for (;;) { if (a) break; continue; } }", "jump", [("break", "continue"), ("continue", "break")]),
])
def test_each_kind_is_found_where_it_stands(text, operator, expected):
    assert faults(text, operator) == expected


@pytest.mark.parametrize("text,expected", [
    ("void f(void) { int a = 1; a = 2; g(a); }", ["a = 2", "g(a)"]),
    ("void f(void) { struct s *t = g(); *t = u; t->n++; }", ["*t = u", "t->n++"]),
    ("void f(void) { switch (a) { case B: g(); } }", ["g()"]),
    ("void f(void) { switch (a) { default: g(); } }", ["g()"]),
    ("int f(void) { return a ? g() : h(); }", []),
    ("void f(void) { if (a)\n g();\n else\n h(); }", ["g()", "h()"]),
    ("void f(void) { for (i = 0; i < 3; i++) x((int)i); }", []),
    ("void f(void) { assert(g() == 1); }", []),
])
def test_what_stands_by_itself_may_go(text, expected):
    assert [before for before, _ in faults(text, "removed")] == expected


def test_comments_strings_and_the_preprocessor_are_left_alone():
    text = '#define LESS(a, b) \\\n    ((a) < (b))\n#include <a.h>\n/* 1 < 2 */ // 3 < 4\nconst char *s = "5 < 6 && \\" 7";\nstatic_assert(8 < 9, "10");\n'
    assert mutation.mutations(text) == []


def test_a_fault_keeps_every_line_where_it_was_and_changes_nothing_else():
    text = "int f(int a)\n{\n    g(a,\n      1);\n    return a\n        + 1;\n}\n"
    found = mutation.mutations(text)
    assert {m.operator for m in found} == {"constant", "removed", "return", "arithmetic"}
    for m in found:
        changed = mutation.apply(text, m)
        assert changed != text and changed.count("\n") == text.count("\n")
        assert text[m.start:m.end] == m.before and changed == text[: m.start] + m.after + text[m.end :]
        assert text[: m.start].count("\n") + 1 == m.line


def test_every_source_that_is_drawn_from_is_read():
    for pattern in ("src/codec/*.c", "src/gateway/*.c", "src/supervisor/*.c", "src/function/*.c"):
        for path in REPO.glob(pattern):
            text = path.read_text()
            assert "".join(t.text for t in mutation.tokens_of(text)), path
            mutation.mutations(text)
