"""Records: every line is one JSON object whatever a caller sent, and none carries what it must not."""

import calendar
import time

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from heddle.model.principal import Principal
from heddle.telemetry import records
from heddle.telemetry.lines import timestamp
from heddle.telemetry.records import AccessRecord, AuditRecord, encode_access, encode_audit

_NASTY = st.text(alphabet=st.characters(), max_size=600)  # lone surrogates included


@given(_NASTY, _NASTY, _NASTY)
@example("", "", "\x7f")
def test_no_text_of_a_caller_can_forge_or_split_a_line(path: str, model: str, user: str) -> None:
    line = encode_access(AccessRecord(time="t", path=path, model=model, user=user))
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert not any(control in line.decode() for control in "\x1b\x9b\x7f\u2028\u2029\u202e\u2066\r\x00\x85")
    read = msgspec.json.decode(line)
    for name, value in (("path", path), ("model", model), ("user", user)):
        kept = read.get(name, "")
        assert len(kept) <= records.MAX_TEXT_CHARS
        printable = value.encode("utf-8", "replace").decode()
        assert kept == printable or (len(value) > 256 and kept == printable[:255] + "…")


@given(_NASTY, _NASTY)
def test_audit_lines_are_as_safe(detail: str, resource: str) -> None:
    line = encode_audit(AuditRecord(kind="authn", outcome="deny", detail=detail, resource=resource))
    assert line.count(b"\n") == 1
    assert all(len(value) <= 256 for value in msgspec.json.decode(line).values() if isinstance(value, str))


def test_a_16_mb_model_name_costs_a_short_line() -> None:
    assert len(encode_access(AccessRecord(time="t", model="x" * 16_000_000))) < 400


def test_an_injected_record_stays_text() -> None:
    forged = '","status":200}\n{"time":"now","user":"admin"}'
    read = msgspec.json.decode(encode_access(AccessRecord(time="t", path=forged, status=403)))
    assert (read["path"], read["status"]) == (forged, 403)


def test_only_what_is_known_is_written() -> None:
    line = encode_access(AccessRecord(time="2026-11-21T08:00:00.000Z", status=200))
    assert line == b'{"time":"2026-11-21T08:00:00.000Z","status":200}\n'


def test_audit_lines_carry_who_but_not_the_claims_behind_it() -> None:
    who = Principal(
        user="alice", tenant="dev", key_id="key-0123456789ab", method="jwt", claims={"email": "a@example.org"}
    )
    line = encode_audit(AuditRecord(kind="authz", outcome="deny", principal=who, policy="p"))
    assert b"example.org" not in line
    read = msgspec.json.decode(line)
    assert (read["audit"], read["user"], read["tenant"], read["authn"]) == ("authz", "alice", "dev", "jwt")


def test_bodies_are_absent_unless_given_and_bounded_when_they_are() -> None:
    assert b"body" not in encode_access(AccessRecord(time="t"))
    read = msgspec.json.decode(encode_access(AccessRecord(time="t", request_body="é" * 1_000_000)))
    assert len(read["request_body"]) == records.MAX_BODY_CHARS


def test_the_representation_of_a_record_shows_no_body() -> None:
    assert "secret" not in repr(AccessRecord(time="t", request_body="secret", response_body="secret"))


@given(st.floats(min_value=0, max_value=4_000_000_000))
def test_timestamps_are_rfc3339_to_the_millisecond(unix_s: float) -> None:
    text = timestamp(unix_s)
    whole, _, milli = text.rstrip("Z").partition(".")
    assert calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) == int(unix_s)
    assert abs(int(milli) / 1000 - (unix_s - int(unix_s))) <= 0.001
