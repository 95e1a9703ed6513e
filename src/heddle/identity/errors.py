"""How proofs of identity and expressions fail, before anything decides what the caller is told."""


class TokenError(Exception):
    """A token that proves nothing here. `detail` is a clause that may be shown: it quotes no part of the token."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class NamespaceError(TokenError):
    """A proven service account whose namespace may not authenticate here."""


class UnavailableError(Exception):
    """Whoever could say whether a token is good cannot be asked now. `detail` is for operators and names no secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EvaluationError(Exception):
    """An expression erred on this call: false in an allow, true in a deny."""
