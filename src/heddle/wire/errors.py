"""The one error of all codecs: bytes that are not what their format demands.

A codec knows nothing of statuses or callers; who catches this decides whose fault it is.
"""


class ProtocolError(Exception):
    """Input that breaks its format.

    `detail` is a full sentence that is safe to show: it names the place and what was expected, never the contents.
    `param` is the offending field (`messages[0].role`), where there is one. `malformed` is True when the
    bytes could not be parsed at all, False when they parsed and mean something unacceptable. `status` is a hint for
    HTTP.
    """

    def __init__(self, detail: str, *, param: str | None = None, malformed: bool = False, status: int = 400) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param
        self.malformed = malformed
        self.status = status
