"""Family `national_id`: numbers that states give to people, by their check digits or their rules.

Numbers whose only sign is one check digit among eleven are also found by accident; name the ones you need rather than
the family where that matters.
*Source:* the rules of the issuing authorities (SSA, SIN, NHS, NINO, DNI/NIE, NIR, codice fiscale DM 23/12/1976, IdNr,
BSN, PESEL, CPF, Aadhaar, AHV, GB 11643-1999, Skatteverket).
"""

from collections import Counter

from heddle.guards.charset import WORD
from heddle.guards.checksums import digits_of, luhn, mod_11_2, mod_11_10, verhoeff, weighted
from heddle.guards.recogniser import Recogniser, recogniser

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_OMOCODES = "LMNPQRSTUV"
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_ODD_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def _plain(text: str) -> str:
    return "".join([char for char in text if char.isalnum()]).upper()


def _is_date(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def is_us_ssn(text: str) -> bool:
    """No area 000, 666 or 900 to 999, no group 00, no serial 0000."""
    digits = digits_of(text)
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def is_ca_sin(text: str) -> bool:
    """Luhn; none begins with 0 or 8."""
    digits = digits_of(text)
    return digits[0] not in "08" and luhn(digits)


def is_uk_nhs(text: str) -> bool:
    """Weights 10 to 2, mod 11."""
    digits = digits_of(text)
    check = 11 - weighted(digits[:9], range(10, 1, -1)) % 11
    return len(set(digits)) > 1 and check % 11 == int(digits[9]) and check != 10


def is_uk_nino(text: str) -> bool:
    """Prefixes that are not given out."""
    return _plain(text)[:2] not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def is_es_dni(text: str) -> bool:
    """The letter is the number mod 23; X, Y, Z of a NIE stand for 0, 1, 2."""
    plain = _plain(text)
    number = int(plain[:-1].translate(str.maketrans("XYZ", "012")))
    return _DNI_LETTERS[number % 23] == plain[-1]


def is_fr_nir(text: str) -> bool:
    """The key is 97 less the number mod 97; 2A and 2B of Corsica count as 19 and 18."""
    plain = _plain(text)
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(plain[13:])


def is_it_codice_fiscale(text: str) -> bool:
    """Odd places by a table, even ones by their value, mod 26."""
    plain = text.upper()
    total = 0
    for place, char in enumerate(plain[:15]):
        if place % 2:
            total += int(char) if char.isdigit() else ord(char) - 65
        else:
            total += _ODD[int(char)] if char.isdigit() else _ODD_LETTERS[ord(char) - 65]
    return chr(65 + total % 26) == plain[15]


def is_de_steuer_id(text: str) -> bool:
    """Of the first ten digits one comes twice or three times and the others once; ISO 7064 mod 11,10."""
    digits = digits_of(text)
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    return counts[0] in (2, 3) and counts[1:2] == [1] and mod_11_10(digits)


def is_nl_bsn(text: str) -> bool:
    """Weights 9 to 2 and -1, mod 11."""
    digits = digits_of(text)
    return len(set(digits)) > 1 and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def is_pl_pesel(text: str) -> bool:
    """A date with the century in its month; weights 1, 3, 7, 9, mod 10."""
    return _is_date(int(text[2:4]) % 20, int(text[4:6])) and weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def is_br_cpf(text: str) -> bool:
    """Two check digits, mod 11."""
    digits = digits_of(text)
    first = weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def is_in_aadhaar(text: str) -> bool:
    """Verhoeff."""
    return verhoeff(digits_of(text))


def is_ch_ahv(text: str) -> bool:
    """EAN-13."""
    return weighted(digits_of(text), (1, 3) * 6 + (1,)) % 10 == 0


def is_cn_resident_id(text: str) -> bool:
    """A date of birth, and ISO 7064 mod 11-2."""
    return _is_date(int(text[10:12]), int(text[12:14])) and mod_11_2(text)


def is_se_personnummer(text: str) -> bool:
    """A date (days of coordination numbers have 60 added) and Luhn over the last ten digits."""
    digits = digits_of(text)[-10:]
    return _is_date(int(digits[2:4]), int(digits[4:6]) % 60) and luhn(digits)


def _id(name: str, pattern: str, valid: object) -> Recogniser:
    return recogniser(name, pattern, before=WORD, after=WORD, valid=valid)  # type: ignore[arg-type]


RECOGNISERS = (
    _id("us_ssn", r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}", is_us_ssn),
    _id("ca_sin", r"\d{3}[ -]\d{3}[ -]\d{3}", is_ca_sin),
    _id("uk_nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", is_uk_nhs),
    _id("uk_nino", r"(?i)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", is_uk_nino),
    _id("es_dni", r"(?i)(\d{2}\.?\d{3}\.?\d{3}|[XYZ][ -]?\d{7})[ -]?[A-Z]", is_es_dni),
    _id("fr_nir", r"[12378] ?\d{2} ?\d{2} ?(\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", is_fr_nir),
    _id(
        "it_codice_fiscale",
        rf"(?i)[A-Z]{{6}}[0-9{_OMOCODES}]{{2}}[ABCDEHLMPRST][0-9{_OMOCODES}]{{2}}[A-Z][0-9{_OMOCODES}]{{3}}[A-Z]",
        is_it_codice_fiscale,
    ),
    _id("de_steuer_id", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", is_de_steuer_id),
    _id("nl_bsn", r"\d{9}|\d{4}\.\d{2}\.\d{3}", is_nl_bsn),
    _id("pl_pesel", r"\d{11}", is_pl_pesel),
    _id("br_cpf", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", is_br_cpf),
    _id("in_aadhaar", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", is_in_aadhaar),
    _id("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", is_ch_ahv),
    _id("cn_resident_id", r"[1-9]\d{5}(19|20)\d{9}[0-9Xx]", is_cn_resident_id),
    _id("se_personnummer", r"((19|20)\d{2}|\d{2})\d{4}[-+]\d{4}", is_se_personnummer),
)
