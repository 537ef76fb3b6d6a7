"""Numbers that carry their own proof: cards, bank accounts, telephone numbers, addresses.

A pattern finds what looks like one; a check here says which parts of it are one. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from types import MappingProxyType

Ranges = list[tuple[int, int]]
"""Parts of the matched text that are what they look like."""

_GROUP = re.compile(r"\d+")
_CARD_DIGITS = range(13, 20)
_PHONE_DIGITS = range(10, 16)
_CARD_BEGINS = frozenset("23456")
_ADDRESS_DIGITS = 7
"""Of an IPv4 address; fewer are rather a version number."""
_IBAN_LENGTHS = range(15, 35)


def luhn(digits: str) -> bool:
    """Whether the last digit is the right check digit (ISO/IEC 7812-1)."""
    doubled = (
        int(digit) if index % 2 == 0 else (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(digit)]
        for index, digit in enumerate(reversed(digits))
    )
    return sum(doubled) % 10 == 0


def cards(text: str) -> Ranges:
    """Payment cards in a run of digit groups: whole groups, right length, right check digit."""
    groups = list(_GROUP.finditer(text))
    found: Ranges = []
    first = 0
    while first < len(groups):
        last = _card_from(groups, first)
        if last is None:
            first += 1
        else:
            found.append((groups[first].start(), groups[last].end()))
            first = last + 1
    return found


def _card_from(groups: list[re.Match[str]], first: int) -> int | None:
    """The last group of a card that begins with this group."""
    if groups[first].group()[0] not in _CARD_BEGINS:
        return None
    digits = ""
    for last in range(first, len(groups)):
        digits += groups[last].group()
        if len(digits) >= _CARD_DIGITS.stop:
            return None
        if len(digits) in _CARD_DIGITS and len(set(digits)) > 1 and luhn(digits):
            return last
    return None


def iban(text: str) -> Ranges:
    """A bank account number with right check digits (ISO 13616); it may end before the text."""
    plain = [index for index, character in enumerate(text) if character != " "]
    for size in range(min(len(plain), _IBAN_LENGTHS.stop - 1), _IBAN_LENGTHS.start - 1, -1):
        account = "".join(text[index] for index in plain[:size])
        ends_word = size == len(plain) or plain[size] != plain[size - 1] + 1
        if ends_word and int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1:
            return [(0, plain[size - 1] + 1)]
    return []


def phone(text: str) -> Ranges:
    """A telephone number with as many digits as one has (E.164)."""
    digits = sum(character.isdigit() for character in text)
    return [(0, len(text))] if digits in _PHONE_DIGITS else []


def public_address(text: str) -> Ranges:
    """An IP address of the public internet; those of examples and own networks are no one's."""
    candidate = text.rstrip(":.")
    if "." in candidate and sum(map(str.isdigit, candidate)) < _ADDRESS_DIGITS:
        return []
    try:
        address = ipaddress.ip_address(candidate)
    except ValueError:
        return []
    return [(0, len(candidate))] if address.is_global and not address.is_multicast else []


CHECKS: MappingProxyType[str, Callable[[str], Ranges]] = MappingProxyType(
    {"card": cards, "iban": iban, "phone": phone, "public-address": public_address}
)
