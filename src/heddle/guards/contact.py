"""Family `contact`: e-mail addresses and phone numbers.

*Source:* RFC 5321 section 4.5.3.1 for lengths; ITU-T E.164 section 6 (15 digits at most).
"""

from heddle.guards.charset import ALNUM, DIGITS, WORD, CharSet
from heddle.guards.recogniser import recogniser

_LOCAL = ALNUM | CharSet.of("._%+'-")


def _is_phone(text: str) -> bool:
    digits = sum(char in DIGITS for char in text)
    # Without a country code only the North American form is told from other numbers, by its groups.
    return 8 <= digits <= 15 if text[0] == "+" or text.startswith("00") else digits == 10


RECOGNISERS = (
    recogniser(
        "email",
        r"[A-Za-z0-9._%+'-]{1,64}@([A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        longest=320,
        before=_LOCAL,
        after=ALNUM,
    ),
    recogniser(
        "phone",
        r"(\+|00)[1-9]\d{0,2}([ ./-]?\(?\d{1,5}\)?){2,6}|(\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}",
        before=WORD | CharSet.of("+"),
        after=WORD,
        valid=_is_phone,
    ),
)
