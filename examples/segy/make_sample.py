#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_sample.py FILE: writes a small SEG-Y file of revision 1: ten traces of 250 samples (IBM floating-point), a decaying wave that arrives later in each."""
import math
import struct
import sys

TRACES, SAMPLES, INTERVAL_US = 10, 250, 4000

CARDS = {
    1: "CLIENT: EXAMPLE                  COMPANY: EXAMPLE           CREW NO: 1",
    2: "LINE: SAMPLE-1                   AREA: NONE                 MAP ID: -",
    3: "REEL NO: 1                       DAY-START OF REEL: 1       YEAR: 2026",
    4: "INSTRUMENT: MAKE_SAMPLE.PY",
    5: f"DATA TRACES/RECORD: {TRACES}            AUXILIARY TRACES/RECORD: 0",
    6: f"SAMPLE INTERVAL: {INTERVAL_US} US          SAMPLES/TRACE: {SAMPLES}",
    39: "SEG Y REV1",
    40: "END TEXTUAL HEADER",
}


def ibm_float(value):
    """A number as System/360 stored it: sign, exponent to the base 16, 24 bits of fraction."""
    if value == 0:
        return bytes(4)
    fraction, exponent = abs(value), 64
    while fraction >= 1:
        fraction, exponent = fraction / 16, exponent + 1
    while fraction < 1 / 16:
        fraction, exponent = fraction * 16, exponent - 1
    return struct.pack(">I", (value < 0) << 31 | exponent << 24 | int(fraction * (1 << 24)))


def text_header(encoding="cp037"):
    return "".join(f"C{number:2} {CARDS.get(number, '')}"[:80].ljust(80) for number in range(1, 41)).encode(encoding)


def binary_header():
    header = bytearray(400)
    struct.pack_into(">iiihh", header, 0, 1, 101, 1, TRACES, 0)
    struct.pack_into(">HHHH", header, 16, INTERVAL_US, INTERVAL_US, SAMPLES, SAMPLES)
    struct.pack_into(">hhh", header, 24, 1, 1, 1)
    struct.pack_into(">h", header, 54, 1)
    struct.pack_into(">HHH", header, 300, 0x0100, 1, 0)
    return bytes(header)


def trace(number):
    header = bytearray(240)
    struct.pack_into(">iiiiiii", header, 0, number, number, 1, number, 1, number, 1)
    struct.pack_into(">HH", header, 114, SAMPLES, INTERVAL_US)
    times = [(i * INTERVAL_US / 1e6 - 0.05 * number) for i in range(SAMPLES)]
    return bytes(header) + b"".join(ibm_float(math.exp(-8 * t) * math.sin(2 * math.pi * 25 * t) if t >= 0 else 0) for t in times)


def make():
    return text_header() + binary_header() + b"".join(trace(n) for n in range(1, TRACES + 1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "wb") as out:
        out.write(make())
