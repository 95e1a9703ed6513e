"""The issuers that `authentication.yaml` in the control plane's folder names, made ready to be believed.

Owns the reading of the file, strictly: a word in it that is not known keeps the control plane from starting, because a
misspelt check would be none. It is read at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from heddle.controlplane.access.tokens import BearerTokens, TokenIssuer
from heddle.controlplane.compile_authn import inline_text
from heddle.controlplane.paths import absolute
from heddle.controlplane.read import read_file
from heddle.identity.fetch import jwks_loader
from heddle.model.check import check
from heddle.model.config_control_plane import ApiAuthentication, ApiIssuer
from heddle.model.formats import duration_s
from heddle.model.problem import Problem, Report
from heddle.model.reading import Reading
from heddle.model.snapshot import IssuerSpec, JwksSpec
from heddle.net.client import Client

FILE = "authentication.yaml"


@dataclass(frozen=True, slots=True)
class _Means:
    client: Client
    closers: list[Callable[[], None]] = field(default_factory=list)


class AuthenticationFileError(ValueError):
    """The file cannot be used; the message names it, and the line of everything that is wrong."""


def add_issuers(folder: Path, tokens: BearerTokens) -> int:
    """Have `tokens` accept those of every issuer that the file in `folder` names; how many there are, 0 without a file.

    Raises AuthenticationFileError.
    """
    path = folder / FILE
    if not path.exists():
        return 0
    means = _Means(Client())
    issuers = read_issuers(path)
    for issuer in issuers:
        try:
            tokens.add(issuer, *jwks_loader(issuer.spec.jwks, means))
        except ValueError as exc:
            raise AuthenticationFileError(f"{path}: {exc}") from exc
    return len(issuers)


def read_issuers(path: Path) -> list[TokenIssuer]:
    """The issuers in a file. Raises AuthenticationFileError."""
    report = Report()
    made: list[TokenIssuer] = []
    for document in read_file(path, report):
        found = check(document.value, ApiAuthentication, Reading(report, document.source))
        if found is not None:
            made += [_issuer(one, document.source.folder) for one in found.issuers]
    if report.failed:
        raise AuthenticationFileError("; ".join(map(_told, report.problems)))
    return made


def _told(problem: Problem) -> str:
    where = f"{problem.file}:{problem.line}: {problem.path}" if problem.path else f"{problem.file}:{problem.line}"
    return f"{where}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "")


def _issuer(found: ApiIssuer, folder: str) -> TokenIssuer:
    jwks = JwksSpec(
        file=absolute(folder, found.jwks.file),
        url=found.jwks.url,
        inline=inline_text(found.jwks),
        refresh_s=duration_s(found.jwks.refresh),
    )
    spec = IssuerSpec(
        issuer=found.issuer,
        audiences=found.audiences,
        jwks=jwks,
        algorithms=found.algorithms,
        leeway_s=duration_s(found.leeway),
    )
    return TokenIssuer(
        spec=spec,
        user_claim=found.user_claim,
        user_prefix=found.user_prefix,
        groups_claim=found.groups_claim,
        groups_prefix=found.groups_prefix,
    )
