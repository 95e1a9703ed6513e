"""How having a credential fails: a person has to do something, nobody can now, or a server broke the protocol."""


class OAuthError(Exception):
    """An authorization server, or what a target says of one, that cannot be used.

    `detail` is a clause that may be shown: it quotes no token and no text of the server. `code` is the server's error
    code, where it gave one of the known ones.
    """

    def __init__(self, detail: str, code: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class ConsentNeeded(Exception):  # noqa: N818 -- the caller is asked for something, nothing went wrong
    """The caller has to visit `url` before the call can succeed. Both texts are for the caller."""

    def __init__(self, url: str, message: str, elicitation_id: str) -> None:
        super().__init__(message)
        self.url = url
        self.message = message
        self.elicitation_id = elicitation_id
        """As in `elicitation/create` of mode `url`; `Pages.connected` names it when it is done."""

    def __repr__(self) -> str:
        # The URL is a capability of this caller alone.
        return f"ConsentNeeded({self.elicitation_id})"


class CredentialUnavailable(Exception):  # noqa: N818 -- a state of affairs; who catches it decides whose fault it is
    """There is no credential for this call now, and nothing the caller could do. `detail` is a sentence for them."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
