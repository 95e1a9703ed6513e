"""Vertex AI, with an access token or with a service account's key that is exchanged for tokens.

Owns its addresses, one per location.

*Source:* Vertex AI, "Locations", "Authenticate to Vertex AI"; Google, "Using OAuth 2.0 for server to server
applications", 2026-11.
"""

import re

import msgspec

from heddle.model.provider import OptionError, TokenRequest, decode_options
from heddle.model.snapshot import ProviderSpec
from heddle.providers.gemini.google import Google, credential_of
from heddle.wire.llm.gemini.embed_places import for_vertex
from heddle.wire.llm.gemini.service_account import ServiceAccount, read_token

_LOCATION = re.compile(r"[a-z0-9-]{1,40}")
_PROJECT = re.compile(r"[a-z0-9.:-]{1,80}")


class Options(msgspec.Struct, kw_only=True, frozen=True):
    """Options of `type: vertex`."""

    location: str = "global"
    """Where the models run: `global`, `us`, `eu`, or a region such as `europe-west4`."""
    project: str = ""
    """Project that pays; empty is that of the service account's key."""


class Vertex(Google):
    """Vertex AI with an access token that somebody else renews. Raises OptionError or ValueError as Gemini does."""

    __slots__ = ()

    def __init__(self, spec: ProviderSpec, account: ServiceAccount | None = None) -> None:
        options = decode_options(spec.options, Options)
        project = options.project or (account.project if account is not None else "")
        if not project and not spec.credential:
            # The key that would say it is not at hand: for `heddle validate`, or because it could not be read, which
            # calls are told while the rest of the mesh goes on.
            project = "unknown"
        if not _LOCATION.fullmatch(options.location):
            raise OptionError("options.location: expected a location such as global or europe-west4")
        if not _PROJECT.fullmatch(project):
            raise OptionError("options.project: expected the id of a Google Cloud project")
        token = credential_of(spec) if account is None else b""
        base_url = spec.base_url or f"https://{_host(options.location)}/v1"
        super().__init__(base_url, token, (b"authorization", b"Bearer " + token) if token else None)
        self._prefix += f"/projects/{project}/locations/{options.location}"
        self._publisher = "google"
        self._place = for_vertex


class VertexAccount(Vertex):
    """Vertex AI with a service account's key, which is exchanged for tokens; see `model.provider.Tokened`."""

    __slots__ = ("_account",)

    def __init__(self, spec: ProviderSpec) -> None:
        self._account = ServiceAccount(spec.credential.encode("utf-8", "replace"))
        super().__init__(spec, self._account)

    def token_request(self, now_s: float) -> TokenRequest:
        """What to send for a new token. `now_s` is Unix time."""
        return self._account.token_request(now_s)

    def read_token(self, body: bytes, now_s: float) -> tuple[str, float]:
        """A token and when it expires (Unix time). Raises ProtocolError, which quotes nothing."""
        return read_token(body, now_s)


def vertex(spec: ProviderSpec) -> Vertex:
    """Vertex AI: a credential that is JSON is a service account's key, any other an access token."""
    return VertexAccount(spec) if spec.credential.lstrip().startswith("{") else Vertex(spec)


def _host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"
