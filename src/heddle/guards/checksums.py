"""Check digits.

*Source:* ISO/IEC 7812-1 annex B (Luhn); ISO/IEC 7064 (mod 11,10 and mod 11-2); Verhoeff (1969).
"""

from collections.abc import Iterable

_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def digits_of(text: str) -> str:
    """Only the ASCII digits of a text."""
    return "".join([char for char in text if "0" <= char <= "9"])


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def weighted(digits: Iterable[str], weights: Iterable[int]) -> int:
    """The sum of digits times weights; ends with the shorter of the two."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064, mod 11,10: a check digit at the end."""
    product = 10
    for char in digits[:-1]:
        product = ((int(char) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def mod_11_2(text: str) -> bool:
    """ISO/IEC 7064, mod 11-2: a digit or `X` at the end."""
    total = 0
    for char in text[:-1]:
        total = (total + int(char)) * 2 % 11
    return "0123456789X"[(12 - total) % 11] == text[-1].upper()


def verhoeff(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    check = 0
    for place, char in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[place % 8][int(char)])])
    return check == 0
