# SPDX-License-Identifier: Apache-2.0
"""Events and replies: JSON as Lambda reads and writes it (ensure_ascii off, ", " and ": " between).

The C parts of `json` are used without the package around them, which imports `re` and with it more code than all the rest of a small function.
"""
try:
    from _json import encode_basestring, make_encoder, make_scanner
except ImportError:  # a Python without the accelerators
    make_scanner = None

BLANK = " \t\n\r"


class Unreadable(Exception):
    """The event is not JSON."""


class Unwritable(Exception):
    """The reply can't be JSON."""


class Options:
    """What json.JSONDecoder() would set."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


def convert(value):
    """What json can't write by itself: Decimals, which DynamoDB's client returns, are numbers, as on Lambda."""
    kind = type(value)
    if kind.__name__ == "Decimal" and kind.__module__ in ("decimal", "_pydecimal"):
        exponent = value.as_tuple().exponent  # a letter for infinity and NaN
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    raise TypeError(f"Object of type {name_of(kind)} is not JSON serializable")


def name_of(kind):
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def read(data):
    """The value of an event; of nothing at all it is {}."""
    if not data:
        return {}
    try:
        return parse(str(data, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"Unable to unmarshal input: {error}") from None


def parse(text):
    if make_scanner:
        start = 0 if text[:1] not in BLANK else len(text) - len(text.lstrip(BLANK))
        try:
            value, end = scan(text, start)
            if end == len(text) or not text[end:].strip(BLANK):
                return value
        except Exception:  # SystemError: without json.decoder it has no words for what is wrong
            pass
    import json

    return json.loads(text)


def write(value):
    """A reply's bytes."""
    try:
        return dump(value)
    except UnicodeEncodeError:  # half of a surrogate pair: escaped, it is JSON
        import json

        return json.dumps(value, default=convert, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError, ArithmeticError) as error:
        renew()
        raise Unwritable(f"Unable to marshal response: {error}{hint(value)}") from None
    except BaseException:  # of the function's own: an items() that raises, a signal handler
        renew()
        raise


def hint(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ": decode text with .decode(), send binary data as base64.b64encode(data).decode()"
    if type(value).__name__ in ("generator", "async_generator"):
        return ": the handler has a `yield`; collect what it yields and return that"
    return ""


def dump(value):
    if encode:
        return "".join(encode(value, 0)).encode()
    import json

    return json.dumps(value, default=convert, ensure_ascii=False, allow_nan=False).encode()


def renew():
    """A failed run leaves marks of the containers it was in."""
    global encode
    if make_scanner:
        encode = make_encoder({}, convert, encode_basestring, None, ": ", ", ", False, False, False)


scan = make_scanner(Options) if make_scanner else None
encode = None
renew()
