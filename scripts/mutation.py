# SPDX-License-Identifier: Apache-2.0
"""Small faults in C text: what scripts/mutants may change, and into what.

No parser: tokens, and the few shapes that this tree's style has. What is no C any more is thrown out by the compiler, what means the same by its object.
"""

import bisect
import collections
import re

# One fault: text[start:end] becomes `after`. No line moves.
Mutation = collections.namedtuple("Mutation", "line operator start end before after")
Token = collections.namedtuple("Token", "kind text start end")

TOKEN = re.compile(
    r"""
    (?P<blank>\s+|/\*.*?\*/|//[^\n]*)
  | (?P<directive>^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])+')
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<mark>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.()\[\]{}])
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
KEYWORDS = set("auto break case char const continue default do double else enum extern float for goto if int long register return short signed sizeof static "
               "struct switch typedef union unsigned void volatile while bool _Static_assert static_assert _Alignas assert".split())
SWAPS = {
    "comparison": {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    "logic": {"&&": "||", "||": "&&"},
    "arithmetic": {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "++": "--", "--": "++"},
}
INTEGER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)")


def tokens_of(text):
    """What means something, preprocessor's lines left out."""
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"no C at {text[at:at + 40]!r}")
        if match.lastgroup not in ("blank", "directive"):
            found.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
        at = match.end()
    return found


def closing(tokens, at):
    """The index of what closes the bracket at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        depth += tokens[i].text in "([{" if tokens[i].kind == "mark" else 0
        depth -= tokens[i].text in ")]}" if tokens[i].kind == "mark" else 0
        if depth == 0:
            return i
    raise ValueError("a bracket that nothing closes")


def is_operand(token):
    return token.kind in ("number", "char") or (token.kind == "word" and token.text not in KEYWORDS) or token.text in (")", "]")


def asserted(tokens):
    """Indexes inside assert(...) and static_assert(...): those are tests themselves."""
    inside = set()
    for i, token in enumerate(tokens[:-1]):
        if token.text in ("assert", "static_assert", "_Static_assert") and tokens[i + 1].text == "(":
            inside.update(range(i, closing(tokens, i + 1) + 1))
    return inside


def swaps(tokens, i):
    token = tokens[i]
    for operator, table in SWAPS.items():
        if token.kind == "mark" and token.text in table:
            if token.text in "+-" and not (i and is_operand(tokens[i - 1])):
                continue  # a sign
            yield operator, i, i, table[token.text]


def constants(tokens, i):
    token = tokens[i]
    if token.kind == "number" and (match := INTEGER.fullmatch(token.text)):
        digits = match.group(1)
        octal = digits[0] == "0" and digits.isdigit() and len(digits) > 1
        value = int(digits, 8) if octal else int(digits, 0)
        for other in sorted({value + 1, max(value - 1, 0)} - {value}):
            yield "constant", i, i, f"{f'0{other:o}' if octal else other}{match.group(2)}"
    elif token.kind == "char" and len(token.text) == 3 and token.text[1].isalnum():
        yield "constant", i, i, f"'{chr(ord(token.text[1]) + 1)}'"


def conditions(tokens, i, text):
    if tokens[i].text in ("if", "while") and tokens[i + 1].text == "(":
        end = closing(tokens, i + 1)
        yield "condition", i + 1, end, f"(!{text[tokens[i + 1].start:tokens[end].end]})"


def ends_label(tokens, colon):
    """Or what stands behind it is the last part of a condition."""
    return tokens[colon - 1].text == "default" or tokens[colon - 2].text == "case"


def begins_statement(tokens, i):
    before, first, second = tokens[i - 1], tokens[i], tokens[i + 1]
    if first.text in KEYWORDS or first.kind == "number" or first.text in ("{", "}", ";"):
        return False
    if before.text not in (";", "{", "}", ")", "else", ":") or (before.text == ":" and not ends_label(tokens, i - 1)):
        return False
    return second.text in ("=", "(", "->", ".", "[", "++", "--", "+=", "-=", "|=", "&=") or first.text in ("*", "++", "--")


def statements(tokens, i, text):
    """An assignment or a call that stands by itself goes."""
    if not i or not begins_statement(tokens, i):
        return
    end, depth = i, 0
    while depth or tokens[end].text != ";":
        if tokens[end].text in ("(", "[", "{"):
            depth += 1
        elif tokens[end].text in (")", "]", "}"):
            depth -= 1
        end += 1
        if depth < 0 or end == len(tokens):
            return  # the last part of a for (...), an initializer
    body = tokens[i:end]
    if any(t.text in KEYWORDS - {"sizeof", "const", "struct", "char", "unsigned", "int", "void", "enum", "long", "bool"} for t in body):
        return
    if tokens[i - 1].text == ")" and text[tokens[i - 1].end:tokens[i].start].count("\n") == 0:
        return  # a cast, or a call's end in the middle of an expression
    yield "removed", i, end - 1, "\n" * text[tokens[i].start:tokens[end - 1].end].count("\n")


def returns(tokens, i, text):
    if tokens[i].text != "return" or tokens[i + 1].text == ";":
        return
    end = i + 1
    while tokens[end].text != ";":
        end = closing(tokens, end) + 1 if tokens[end].text in ("(", "[", "{") else end + 1
    value = text[tokens[i + 1].start:tokens[end - 1].end]
    opposite = {"true": "false", "false": "true", "0": "1", "NULL": None}
    for after in [opposite[value]] if value in opposite else ["0", f"!({value})"]:
        if after is not None:
            yield "return", i + 1, end - 1, after + "\n" * (value.count("\n") - after.count("\n"))


def jumps(tokens, i):
    if tokens[i].text in ("break", "continue") and tokens[i + 1].text == ";":
        yield "jump", i, i, {"break": "continue", "continue": "break"}[tokens[i].text]


def mutations(text):
    """Every fault that this knows, in the text's order."""
    tokens = tokens_of(text)
    skipped = asserted(tokens)
    lines = [i for i, c in enumerate(text) if c == "\n"]
    found = {}
    for i in range(len(tokens) - 1):
        if i in skipped:
            continue
        drawn = [*swaps(tokens, i), *constants(tokens, i), *conditions(tokens, i, text), *statements(tokens, i, text), *returns(tokens, i, text),
                 *jumps(tokens, i)]
        for operator, first, last, after in drawn:
            start, end = tokens[first].start, tokens[last].end
            found.setdefault((start, end, after), Mutation(bisect.bisect_left(lines, start) + 1, operator, start, end, text[start:end], after))
    return list(found.values())


def apply(text, m):
    return text[: m.start] + m.after + text[m.end :]
