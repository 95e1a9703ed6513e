"""Random answers with planted, near, overlapping and escaped matches, guarded in pieces and whole."""

import json
import random
from typing import Any

from tests.property.guards_streams import DIALECTS
from tests.property.guards_whole import masked

from heddle.guards.automaton import Automaton
from heddle.guards.recogniser import recogniser
from heddle.guards.treatment import build, recognisers_of
from heddle.model.snapshot_guards import GuardSpec, PatternSpec
from heddle.pipeline.guard_texts import StreamTreatment, Treatment
from heddle.pipeline.guarding import Decision
from heddle.wire.llm.slotted import SLOTS

NAMES = (
    "email", "phone", "card", "iban", "us_ssn", "uk_nhs", "es_dni", "fr_nir", "de_steuer_id", "nl_bsn", "ipv4",
    "ipv6", "aws_access_key", "github_token", "gitlab_token", "slack_token", "openai_key", "anthropic_key", "jwt",
    "private_key",
)  # fmt: skip
PLANTED = (
    "4111 1111 1111 1111", "4111111111111111", "5555-5555-5555-4444", "joe.doe@example.com", "+49 30 1234567",
    "DE89 3704 0044 0532 0130 00", "078-05-1120", "12345678Z", "192.168.1.254", "2001:db8::1",
    "AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9, "TICKET-4711", "T-1", "T-1-2-3", "project bluebird",
    "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * 8 + "\n-----END PRIVATE KEY-----",
)  # fmt: skip
NEAR = (
    "4111 1111 1111 1112", "joe.doe@", "@example.com", "078-00-1120", "12345678A", "192.168.1", "ghp_a1B2", "TICKET-",
    "AKIA", "-----BEGIN PRIVATE", "1", "7", " ", "\n", "é", "世", "\U0001f600", '"', "\\", "x", "a@b", "project  blue",
    "T-", "-", ".",
)  # fmt: skip
SPEC = GuardSpec(
    name="all",
    action="mask",
    recognisers=tuple(NAMES),
    patterns=(
        PatternSpec(name="ticket", pattern=r"\bTICKET-[0-9]{1,6}\b"),
        PatternSpec(name="part", pattern="T-[0-9](-[0-9]){0,3}"),
    ),
    phrases=("project bluebird",),
)


class NoVault:
    """Nothing is masked reversibly."""

    def __len__(self) -> int:
        return 0

    def hide(self, text: str, kind: str) -> str:
        raise AssertionError

    def restore(self, placeholder: str) -> str:
        raise AssertionError


GUARDS = build([SPEC], lambda spec: (_ for _ in ()).throw(AssertionError(spec)))
RECOGNISERS = recognisers_of(SPEC)
AUTOMATON = Automaton([*RECOGNISERS, recogniser("unused", "\x00\x01")])


def sentence(rng: random.Random) -> str:
    """A text; matches may touch, overlap, or be cut."""
    parts = []
    for _ in range(rng.randint(0, 6)):
        part = rng.choice(PLANTED if rng.random() < 0.5 else NEAR)
        if rng.random() < 0.15:
            part = part[: rng.randint(0, len(part))]
        parts += [part, rng.choice(("", " ", " ", ", ", "x"))]
    return "".join(parts)


def pieces(text: str, rng: random.Random) -> list[str]:
    """A text, cut anywhere."""
    cut, at = [], 0
    while at < len(text):
        size = rng.choice((0, 1, 1, 2, 3, 4, 7, 20))
        cut.append(text[at : at + size])
        at += size
    return cut or [""]


def escaped(value: Any, rng: random.Random) -> str:
    """JSON, with characters escaped that need not be."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.5:
        text = "".join(f"\\u{ord(c):04x}" if c in "14@-eT" and _free(text, i) else c for i, c in enumerate(text))
    return text


def _free(text: str, at: int) -> bool:
    """Inside of a string and no part of an escape."""
    inside = False
    skip = 0
    for index, char in enumerate(text):
        if skip:
            skip -= 1
            if index == at:
                return False
            continue
        if index == at:
            return inside and char not in '"\\'
        if char == "\\":
            skip = 5 if text[index + 1] == "u" else 1
        elif char == '"':
            inside = not inside
    return False


def expected(value: Any) -> Any:
    """A value with every string, key and number masked whole."""
    if isinstance(value, str):
        return masked(value, RECOGNISERS)
    if isinstance(value, list):
        return [expected(item) for item in value]
    if isinstance(value, dict):
        return {expected(key): expected(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool):
        told = masked(str(value), RECOGNISERS)
        return value if told == str(value) else told
    return value


def run(dialect: str, seed: int) -> None:
    """One answer. AssertionError when pieces and whole differ."""
    rng = random.Random(seed)
    write, read = DIALECTS[dialect]
    text = sentence(rng)
    args = {sentence(rng) or "k": sentence(rng), "n": rng.choice((4111111111111111, 1, -5, True, None)),
            "l": [sentence(rng), {"d": sentence(rng)}]}  # fmt: skip
    data = write(pieces(text, rng), pieces(escaped(args, rng), rng))
    found: list[Decision] = []
    lanes = GUARDS.lanes((0,), "response", False)
    stream = StreamTreatment(SLOTS[dialect], Treatment(lanes, NoVault(), found.append), False)
    out = b""
    at = 0
    while at < len(data):
        size = rng.choice((1, 5, 60, 200, 1000, 5000))
        out += stream.feed(data[at : at + size])
        at += size
    out += stream.finish()
    said = read(out)
    wanted = expected(text)
    assert said.text == wanted, (dialect, seed)
    assert json.loads(said.arguments) == expected(args), (dialect, seed)
    for whole in said.whole:
        assert whole == wanted or json.loads(whole) == expected(args), (dialect, seed)
    if wanted == text and expected(args) == args:
        assert not found
