"""One mistake in a spec that is right: what is changed, what must be said of it, and in which line."""

from __future__ import annotations

from dataclasses import dataclass

CHAR, LIB = "nanogpt_char", "stdlib"
GPT2, BERT, T5, VIT, HYBRID, BASE = "gpt2", "bert", "t5", "vit", "hybrid", "transformer"


@dataclass(frozen=True)
class Break:
    """One mistake: `old`, the first time it stands in the spec, becomes `new`.

    One error is told, in the line that holds `at` (where `old` stood, if left out), and its text holds `name`.
    """

    spec: str
    old: str
    new: str
    code: str
    name: str
    at: str = ""
