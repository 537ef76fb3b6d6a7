"""A text as a model would understand it, with a way back to the original's positions.

NFKD without its accents, look-alike letters to Latin, invisible characters out (tag characters to
the ASCII that they hide), white space joined, lower case. It decodes nothing: base64, leetspeak and
reversed text stay as they are. Linear in the length of the text; any thread.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_EXPANSION = 6
"""Letters that one character may become; one that would become more stays as it is."""
_CACHED_CHARACTERS = 16_384
_TAG_FIRST, _TAG_LAST, _TAGS = 0xE0020, 0xE007E, 0xE0000
_HIDDEN = {"Cf", "Co", "Cn", "Cs"}
_NEVER_SEEN = {"Co", "Cn", "Cs"}

# Letters that look like Latin ones and that NFKD leaves alone (those seen in attacks).
_CYRILLIC = ("асеорхуіјѕԁһӏԛԝАВСЕНІЈКМОРЅТХУ", "aceopxyijsdhlqwABCEHIJKMOPSTXY")
_GREEK = ("αοεινρτυκχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aoeivptukxABEZHIKMNOPTYX")
_SMALL_CAPITALS = ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz")
_STROKED = ("ıłøđħŧ", "ilodht")
_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NEGATIVE_CIRCLED, _NEGATIVE_SQUARED = 0x1F150, 0x1F170
_LOOK_ALIKES = {
    **{
        ord(theirs): ours
        for others, latin in (_CYRILLIC, _GREEK, _SMALL_CAPITALS, _STROKED)
        for theirs, ours in zip(others, latin, strict=True)
    },
    **{
        first + offset: letter
        for first in (_NEGATIVE_CIRCLED, _NEGATIVE_SQUARED)
        for offset, letter in enumerate(_LATIN)
    },
}


@dataclass(frozen=True, slots=True)
class Normalised:
    """Two readings of one length, and for each character its position in the original."""

    text: str
    """For rules: lower case, look-alikes made Latin."""
    plain: str
    """For redactions: letters as they are."""
    origin: NDArray[Any]
    hidden: int
    """Characters taken out that nobody sees and that no script needs there."""

    def original_range(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that a range of the normalised text came from."""
        if start >= end:
            return 0, 0
        return int(self.origin[start]), int(self.origin[end - 1]) + 1


def normalise(text: str) -> Normalised:
    """See the module."""
    made = [_made(character) for character in text]
    lengths = np.fromiter(map(len, made), np.int32, len(made))
    codes = np.frombuffer("".join(made).encode("utf-32-le"), "<u4")
    origin = np.repeat(np.arange(len(made), dtype=np.int32), lengths)
    blank = codes == ord(" ")
    keep = ~blank
    keep[:1] = True
    keep[1:] |= ~blank[:-1]
    plain = codes[keep].tobytes().decode("utf-32-le")
    folded = plain.translate(_LOOK_ALIKES).lower()
    if len(folded) != len(plain):
        folded = "".join(letter.lower()[:1] for letter in plain.translate(_LOOK_ALIKES))
    return Normalised(folded, plain, origin[keep], _count_hidden(text, lengths))


@lru_cache(_CACHED_CHARACTERS)
def _made(character: str) -> str:
    """What one character becomes: usually one letter, nothing for what nobody sees."""
    if character.isspace():
        return " "
    code = ord(character)
    if _TAG_FIRST <= code <= _TAG_LAST:
        return chr(code - _TAGS)
    if unicodedata.category(character) in _HIDDEN or (code < ord(" ") or code == 0x7F):
        return ""
    if character.isascii():
        return character
    made = unicodedata.normalize("NFKD", character)
    if len(made) > MAX_EXPANSION:
        return character
    return "".join(
        " " if letter.isspace() else letter for letter in made if not unicodedata.combining(letter)
    )


def _count_hidden(text: str, lengths: NDArray[Any]) -> int:
    """Counts format characters beside Latin letters, and what no script uses anywhere.

    Joiners are part of emoji and of Persian and Indic words, so there they need no reason.
    """
    if text.isascii():
        return 0
    hidden = sum(_TAG_FIRST <= ord(character) <= _TAG_LAST for character in text)
    for position in np.flatnonzero(lengths == 0).tolist():
        category = unicodedata.category(text[position])
        if category == "Cf":
            before, after = text[position - 1 : position], text[position + 1 : position + 2]
            hidden += _latin(before) or _latin(after) or _format(before)
        else:
            hidden += category in _NEVER_SEEN
    return hidden


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _format(character: str) -> bool:
    return bool(character) and unicodedata.category(character) == "Cf"
