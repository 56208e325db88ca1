"""names: the identifiers of emitted text, and what makes a person's words harmless in it."""

from __future__ import annotations

import unicodedata


def camel(name: str) -> str:
    """Return a class's name: `encoder_layer` becomes `EncoderLayer`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def harmless(text: str) -> str:
    """Return a person's words as they may stand in a comment or a docstring: one line, with nothing to end either."""
    plain = "".join(" " if unicodedata.category(mark)[0] in "CZ" else mark for mark in text)
    return " ".join(plain.split()).replace("\\", "⧵").replace('"', "'")


# The letters that the text of layers uses, beside B, T and D.
LAYERS = {
    "S": "positions that are read",
    "H": "heads",
    "K": "features of a head",
    "E": "experts",
    "F": "hidden features",
    "N": "positions of the whole batch",
    "P": "pairs of features",
    "Q": "blocks of rows",
    "R": "rows, one a choice",
    "G": "groups of heads",
    "L": "features of a latent",
    "Y": "rows of a state",
    "Z": "features of a head's values",
}


class Letters:
    """The letters of shape suffixes: one for each axis, the same all through a text."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}

    def letter(self, label: str, hint: str) -> str:
        """Return the letter of the axis with this label; a capital of its name, or of `hint`, where it is free."""
        if label not in self.taken:
            used = set(self.taken.values())
            words = [word[0].upper() for word in label.split("_") if word[:1].isalpha()]
            own = [label] if len(label) == 1 and label.isupper() else []
            wishes = [each for each in [*words, *hint, *"UVWXMJIDCAO"] if each not in LAYERS]
            free = (each for each in [*own, *wishes] if each not in used)
            self.taken[label] = next(free, "")
        return self.taken[label]
