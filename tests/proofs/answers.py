"""Reads what a server answered, strictly: a sequence of whole HTTP/1.1 responses, errors in OpenAI's form."""

import json


class BadAnswer(Exception):
    """Bytes that no server should have sent."""


def statuses(data: bytes, *, bodiless: bool = False) -> list[int]:
    """The final status of each response. BadAnswer when they are not whole responses, or an error has another form.

    `bodiless` is for answers to HEAD, whose length fields announce what does not come.
    """
    found = []
    while data:
        head, separator, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        if not separator or not first.startswith(b"HTTP/1.1 ") or not first[9:12].isdigit():
            raise BadAnswer(f"no response: {data[:200]!r}")
        status = int(first[9:12])
        if status == 100:
            data = rest
            continue
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        body, data = (b"", rest) if bodiless or status in (204, 304) else _body(fields, rest)
        if status >= 400 and not bodiless:
            check_error(status, body)
        found.append(status)
        if bodiless:
            break
    return found


def _body(fields: dict[bytes, bytes], rest: bytes) -> tuple[bytes, bytes]:
    if fields.get(b"transfer-encoding") == b"chunked":
        return _chunks(rest)
    if b"content-length" not in fields:
        # Right for callers that speak HTTP/1.0: the body ends with the connection.
        return rest, b""
    length = int(fields[b"content-length"])
    if len(rest) < length:
        raise BadAnswer(f"a response cut short: {len(rest)} of {length}")
    return rest[:length], rest[length:]


def _chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, separator, rest = rest.partition(b"\r\n")
        length = int(size, 16) if separator else -1
        if length < 0 or rest[length : length + 2] != b"\r\n":
            raise BadAnswer("a chunked response cut short")
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            return body, rest


def check_error(status: int, body: bytes) -> dict[str, object]:
    """The `error` of a body in OpenAI's form; BadAnswer when it is none."""
    try:
        error = json.loads(body)["error"]
        fits = set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"]
    except (ValueError, TypeError, KeyError) as exc:
        raise BadAnswer(f"{status} without an error: {body[:200]!r}") from exc
    if not fits:
        raise BadAnswer(f"{status} with an error of another form: {body[:200]!r}")
    return dict(error)
