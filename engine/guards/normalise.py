"""A text as a model would understand it, with a way back to the original's positions.

NFKC, look-alike letters to Latin, invisible characters out, case folded, white space joined.
Linear in the length of the text.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# Letters of other scripts that look like Latin ones (Unicode confusables, those seen in attacks).
_LOOK_ALIKES = str.maketrans(
    "асеорхуіјѕԁһӏԛԝАВСЕНІЈКМОРЅТХУαοεινρτυκχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aceopxyijsdhlqwABCEHIJKMOPSTXYaoeivptukxABEZHIKMNOPTYX",
)
_INVISIBLE_CATEGORIES = {"Cf", "Co", "Cn", "Cs"}


@dataclass(frozen=True, slots=True)
class Normalised:
    """The text, and for each of its characters the position in the original."""

    text: str
    origin: tuple[int, ...]
    invisible: int
    """Characters that nobody sees, taken out."""

    def original_range(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that a range of the normalised text came from."""
        if start >= end or not self.origin:
            return 0, 0
        return self.origin[start], self.origin[end - 1] + 1


def normalise(text: str) -> Normalised:
    """See the module."""
    out: list[str] = []
    origin: list[int] = []
    invisible = 0
    for position, character in enumerate(text):
        if character.isascii():
            made = " " if character.isspace() else character.lower()
        elif unicodedata.category(character) in _INVISIBLE_CATEGORIES:
            invisible += 1
            continue
        else:
            made = unicodedata.normalize("NFKC", character).translate(_LOOK_ALIKES).casefold()
            made = " " if made.isspace() else made
        for letter in made:
            if letter == " " and out and out[-1] == " ":
                continue
            out.append(letter)
            origin.append(position)
    return Normalised("".join(out), tuple(origin), invisible)
