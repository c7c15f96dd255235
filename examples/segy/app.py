# SPDX-License-Identifier: Apache-2.0
"""What a SEG-Y file says about itself: the 3200-byte text header (EBCDIC, as the standard has it, or ASCII) and the 400-byte binary header.

    {"file": "line.segy"}       a file beside this one, or in a mounted directory: {"file": "/mnt/survey/line.segy"}
    {"body": "BASE64"}          the file itself, or its first 3600 bytes
"""
import base64
import binascii
import os
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
READABLE = (HERE, pathlib.Path("/mnt"))

TEXT_SIZE, BINARY_SIZE = 3200, 400
LINE = 80

# Data sample formats of SEG-Y revision 2.1 and the bytes that a sample takes.
FORMATS = {
    1: ("4-byte IBM floating-point", 4), 2: ("4-byte two's complement integer", 4), 3: ("2-byte two's complement integer", 2),
    4: ("4-byte fixed-point with gain (obsolete)", 4), 5: ("4-byte IEEE floating-point", 4), 6: ("8-byte IEEE floating-point", 8),
    7: ("3-byte two's complement integer", 3), 8: ("1-byte two's complement integer", 1), 9: ("8-byte two's complement integer", 8),
    10: ("4-byte unsigned integer", 4), 11: ("2-byte unsigned integer", 2), 12: ("8-byte unsigned integer", 8), 15: ("3-byte unsigned integer", 3),
    16: ("1-byte unsigned integer", 1),
}
SORTINGS = {-1: "other", 0: "unknown", 1: "as recorded", 2: "CDP ensemble", 3: "single fold continuous profile", 4: "horizontally stacked", 5: "common source point",
            6: "common receiver point", 7: "common offset point", 8: "common mid-point", 9: "common conversion point"}
UNITS = {1: "meters", 2: "feet"}

# Name, offset from the beginning of the binary header, struct code. The standard numbers bytes from 3201.
FIELDS = [
    ("jobId", 0, "i"), ("lineNumber", 4, "i"), ("reelNumber", 8, "i"), ("tracesPerEnsemble", 12, "h"), ("auxiliaryTracesPerEnsemble", 14, "h"),
    ("sampleIntervalMicroseconds", 16, "H"), ("originalSampleIntervalMicroseconds", 18, "H"), ("samplesPerTrace", 20, "H"), ("originalSamplesPerTrace", 22, "H"),
    ("formatCode", 24, "h"), ("ensembleFold", 26, "h"), ("sortingCode", 28, "h"), ("measurementSystemCode", 54, "h"),
    ("revision", 300, "H"), ("fixedLengthTraces", 302, "h"), ("extendedTextHeaders", 304, "h"),
]


class NotSegy(ValueError):
    """What was given can't be a SEG-Y file."""


def open_named(name):
    path = (HERE / name).resolve()
    if not any(path.is_relative_to(directory) for directory in READABLE):
        raise PermissionError(f"'{name}' is neither beside the function nor in a directory mounted beneath /mnt")
    return open(path, "rb")


def read_beginning(event):
    """(the two headers' bytes, the file's size or None when only its beginning was given)"""
    if "file" in event:
        with open_named(event["file"]) as file:
            return file.read(TEXT_SIZE + BINARY_SIZE), os.fstat(file.fileno()).st_size
    try:
        data = base64.b64decode(event["body"], validate=True)
    except KeyError:
        raise NotSegy('the event names no "file" and has no "body"') from None
    except binascii.Error as error:
        raise NotSegy(f'"body" is not base64: {error}') from None
    return data[: TEXT_SIZE + BINARY_SIZE], len(data) if len(data) > TEXT_SIZE + BINARY_SIZE else None


def read_text(data):
    """(encoding, 40 lines). Each line of a text header begins with "C", which is 0xC3 in EBCDIC."""
    ebcdic = sum(data[i] in (0xC3, 0x40) for i in range(0, TEXT_SIZE, LINE))
    ascii_ = sum(data[i] in b"C " for i in range(0, TEXT_SIZE, LINE))
    encoding = "cp037" if ebcdic >= ascii_ else "latin-1"
    text = data.decode(encoding)
    lines = [text[i : i + LINE].rstrip(" \0") for i in range(0, TEXT_SIZE, LINE)]
    return ("EBCDIC" if encoding == "cp037" else "ASCII"), lines


def byte_order(data):
    """Big-endian by the standard; revision 2 also allows little-endian, told by the format code, which is small in the right order only."""
    for order in (">", "<"):
        if struct.unpack_from(order + "h", data, 24)[0] in FORMATS:
            return order
    raise NotSegy(f"the data sample format code {struct.unpack_from('>h', data, 24)[0]} is none of the standard's")


def read_binary(data):
    order = byte_order(data)
    header = {name: struct.unpack_from(order + code, data, offset)[0] for name, offset, code in FIELDS}
    header["byteOrder"] = "big-endian" if order == ">" else "little-endian"
    header["revision"] = f"{header['revision'] >> 8}.{header['revision'] & 0xFF}"
    header["format"], header["bytesPerSample"] = FORMATS[header["formatCode"]]
    header["sorting"] = SORTINGS.get(header["sortingCode"], "unknown")
    header["measurementSystem"] = UNITS.get(header["measurementSystemCode"], "unknown")
    return header


def count_traces(header, size):
    """How many traces the file has, or None when that can't be told from the headers: traces of varying length, or a file cut off."""
    if size is None or header["extendedTextHeaders"] < 0:
        return None
    traces = size - TEXT_SIZE - BINARY_SIZE - header["extendedTextHeaders"] * TEXT_SIZE
    trace = 240 + header["samplesPerTrace"] * header["bytesPerSample"]
    return traces // trace if traces >= 0 and traces % trace == 0 else None


def handler(event, context):
    data, size = read_beginning(event)
    if len(data) < TEXT_SIZE + BINARY_SIZE:
        raise NotSegy(f"a SEG-Y file begins with {TEXT_SIZE + BINARY_SIZE} bytes of headers, this has {len(data)}")
    encoding, lines = read_text(data)
    header = read_binary(data[TEXT_SIZE:])
    result = {
        "text": {"encoding": encoding, "lines": lines},
        "binary": header,
        "traceLengthMilliseconds": header["samplesPerTrace"] * header["sampleIntervalMicroseconds"] / 1000,
    }
    traces = count_traces(header, size)
    if traces is not None:
        result["traces"] = traces
    print(f"revision {header['revision']}, {header['format']}, {header['samplesPerTrace']} samples per trace")
    return result
