"""Family `payment`: card numbers and IBANs, by their check digits.

*Source:* ISO/IEC 7812-1 annex B (Luhn) and the ranges that issuers publish; ISO 13616-1 (IBAN), with the lengths of
the SWIFT registry; ISO/IEC 7064 (mod 97-10).
"""

from heddle.guards.charset import WORD
from heddle.guards.checksums import digits_of, luhn
from heddle.guards.recogniser import recogniser

_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK FO FI GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL OM SO", 24: "AD CZ ES MD PK RO SA SE SK TN VG DZ",
    25: "LY PT ST", 26: "IS TR", 27: "FR GR IT MC MR SM BI DJ", 28: "AL AZ BY CY DO GT HU LB PL NI SV HN FK",
    29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip


def is_card(text: str) -> bool:
    """Whether a text of 13 to 19 digits is a number of a card scheme, and its check digit is right."""
    if text[0] not in "23456":
        return False
    digits = digits_of(text)
    if len(set(digits)) < 2:
        return False
    if digits[0] == "2" and not "2200" <= digits[:4] <= "2720":
        return False
    if digits[0] == "3" and digits[1] not in "045678":
        return False
    return luhn(digits)


def is_iban(text: str) -> bool:
    """Whether the length is that of its country, and the remainder by 97 is 1."""
    plain = text.replace(" ", "").replace("-", "").upper()
    if plain[:2] not in _IBAN_LENGTHS.get(len(plain), "").split():
        return False
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


RECOGNISERS = (
    recogniser("card", r"\d([ -]?\d){12,18}", before=WORD, after=WORD, valid=is_card),
    recogniser(
        "iban",
        r"(?i)[A-Z]{2}\d{2}([ -]?[A-Z0-9]{4}){2,7}([ -]?[A-Z0-9]{1,3})?",
        before=WORD,
        after=WORD,
        valid=is_iban,
    ),
)
