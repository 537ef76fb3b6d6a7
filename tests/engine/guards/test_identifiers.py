import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.guards.identifiers import cards, iban, luhn, phone, public_address

VISA, AMEX = "4111111111111111", "378282246310005"


@given(st.text("0123456789", min_size=1, max_size=18))
def test_luhn_takes_one_check_digit_of_ten(digits: str) -> None:
    assert [luhn(digits + check) for check in "0123456789"].count(True) == 1


@given(st.text("0123456789", min_size=12, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_luhn_notices_any_one_wrong_digit(digits: str, place: int, change: int) -> None:
    right = next(digits + check for check in "0123456789" if luhn(digits + check))
    at = place % len(right)
    wrong = right[:at] + str((int(right[at]) + change) % 10) + right[at + 1 :]

    assert not luhn(wrong)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (VISA, [VISA]),
        ("4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("3782-822463-10005", ["3782-822463-10005"]),
        (f"5555 {VISA}", [VISA]),
        (f"{VISA} {AMEX}", [VISA, AMEX]),
        ("4111111111111112", []),
        ("4444444444444444444444", []),
        ("0000000000000000", []),
        ("9111111111111111", []),
    ],
)
def test_cards_are_whole_groups_with_a_right_check_digit(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in cards(text)] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32"),
        ("DE89370400440532013000", "DE89370400440532013000"),
        ("DE89 3704 0044 0532 0130 00 ABCD", "DE89 3704 0044 0532 0130 00"),
        ("DE88370400440532013000", None),
    ],
)
def test_iban_has_right_check_digits(text: str, found: str | None) -> None:
    assert [text[start:end] for start, end in iban(text)] == ([found] if found else [])


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("192.168.100.200", False),
        ("203.0.113.195", False),
        ("2.7.2.2", False),
        ("999.184.216.34", False),
    ],
)
def test_only_addresses_of_the_public_internet_are_redacted(text: str, is_one: bool) -> None:
    assert bool(public_address(text)) is is_one


def test_a_telephone_number_has_ten_to_fifteen_digits() -> None:
    assert phone("+49 30 901820 12")
    assert not phone("+12345680")
