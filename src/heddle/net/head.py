"""The tokeniser of message heads: httptools, given exactly one checked head at a time.

llhttp has no limits and will read on into whatever follows, so it never sees more than one complete head
whose size and alphabet `wire.http1` has approved, and never a body: framing is decided by our rules alone.
What it adds is a second, strict opinion on every line.

A caller that keeps its connection mostly sends the same head again, byte for byte, and so does an upstream within a
second. Each reader remembers the last head and what it decided; equal bytes cannot mean anything else.

*Source:* llhttp 9 in strict mode (no leniency flag is set); RFC 9112 section 5.
"""

import httptools

from heddle.wire.http1 import (
    Fields,
    ProtocolError,
    RequestHead,
    ResponseHead,
    check_head_bytes,
    check_request_head,
    check_response_head,
    split_request_line,
)


class RequestHeadReader:
    """Reads the heads of one connection's requests, one after the other."""

    __slots__ = ("_fields", "_last", "_last_checked", "_parser", "fresh")

    def __init__(self) -> None:
        self._fields: Fields = []
        self._last = b""
        self._last_checked: RequestHead | None = None
        self._parser: httptools.HttpRequestParser | None = None
        self.fresh = True
        """The tokeniser waits for no body: `skip` need not be called."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the tokeniser, which keeps the white space after a value."""
        self._fields.append((name, value.strip(b" \t")))

    def read(self, head: bytes) -> RequestHead:
        """Check `head`, from its first byte to its empty line inclusive. ProtocolError says what to answer."""
        if self._last_checked is not None and head == self._last:
            if not self.fresh:
                self._parser, self.fresh = None, True
            return self._last_checked
        check_head_bytes(head)
        method, target, version = split_request_line(head[: head.find(b"\r\n")])
        fields: Fields = []
        self._fields = fields
        parser = self._parser
        if parser is None or not self.fresh:
            # The last one still waits for a body that it was not shown.
            parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            # RFC 9110 7.8: a server may ignore Upgrade; the request is then an ordinary one, body included.
            parser = None
        except httptools.HttpParserError as error:
            self._parser = None
            # Our rules know the better status (501, 505); they get the word before llhttp does.
            check_request_head(method, target, version, fields)
            raise ProtocolError(400, "The request head is malformed.") from error
        checked = check_request_head(method, target, version, fields)
        self._parser = parser
        self.fresh = checked.length == 0
        self._last, self._last_checked = head, checked
        return checked

    def skip(self, body: bytes) -> None:
        """The whole body of the last head, which need not be chunked; llhttp skips it and is ready for the next."""
        parser = self._parser
        if parser is not None and not self.fresh:
            try:
                parser.feed_data(body)
                self.fresh = True
            except httptools.HttpParserError:
                self._parser = None


class ResponseHeadReader:
    """Reads the heads of one upstream's answers, on whichever connection."""

    __slots__ = ("_fields", "_last", "_last_checked", "_last_method")

    def __init__(self) -> None:
        self._fields: Fields = []
        self._last = b""
        self._last_method = ""
        self._last_checked: ResponseHead | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the tokeniser, which keeps the white space after a value."""
        self._fields.append((name, value.strip(b" \t")))

    def read(self, head: bytes, method: str) -> ResponseHead:
        """Check the head of an answer to `method`. Raises ProtocolError."""
        if self._last_checked is not None and head == self._last and method == self._last_method:
            return self._last_checked
        check_head_bytes(head)
        fields: Fields = []
        self._fields = fields
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade as error:
            raise ProtocolError(502, "The upstream switched protocols.") from error
        except httptools.HttpParserError as error:
            raise ProtocolError(502, "The head of the answer is malformed.") from error
        checked = check_response_head(method, parser.get_status_code(), head[:8], fields)
        self._last, self._last_method, self._last_checked = head, method, checked
        return checked
