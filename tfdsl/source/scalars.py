"""What a plain scalar stands for: the core schema of YAML 1.2 (chapter 10.3.2), and nothing of YAML 1.1."""

from __future__ import annotations

import re

from tfdsl.source.values import Plain

LONGEST = 300  # digits; a double's largest value has 309
WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")


def resolve(text: str) -> Plain:
    """Return what the plain scalar `text` stands for; raise OverflowError for a number that no float can hold."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    if INFINITY.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    for pattern, base in ((INTEGER, 10), (OCTAL, 8), (HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            if len(text) > LONGEST:
                raise OverflowError(text)
            return int(text, base)
    if FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise OverflowError(text)
        return number
    return text
