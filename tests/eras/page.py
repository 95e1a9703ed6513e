"""The page `docs/reference/mcp-eras.md`, made from what is declared impossible; `python -m tests.eras.page` prints it.

A cell without a reason says `works` because `test_eras` fails where one does not.
"""

from tests.eras.features import FEATURES
from tests.eras.impossible import BACKENDS, VERSIONS, impossible
from tests.eras.sdks import CLIENTS, OF_EVERY_SERVER, SDK_FEATURES

HEAD = """\
# Protocol versions of MCP

Which client meets which tool server through the gateway, and what works then. Made by `make test-eras`, which tries
every cell with real connections and fails where one neither works nor is declared impossible. Every impossible cell is
tried, too: nothing is claimed that is not there, and what is asked for is refused at once.

Tool servers: `stdio` (a child process, 2025-11-25), `sse` (HTTP+SSE), `http` (streamable HTTP with sessions,
2025-11-25), `stateless` (2026-07-28), `openapi` (an HTTP API with an OpenAPI document). Clients: 2024-11-05 over
HTTP+SSE, 2025-03-26, 2025-06-18 and 2025-11-25 over streamable HTTP, 2026-07-28 without sessions.

A number leads to the reason below the table. How the gateway does in the public suite of the protocol is on
[another page](../conformance/mcp.md).
"""


def page() -> str:
    """The page's text."""
    reasons: list[str] = []
    rows = []
    for feature in FEATURES:
        for version in VERSIONS:
            marks = []
            for backend in BACKENDS:
                reason = impossible(version, backend, feature)
                if reason is None:
                    marks.append("works")
                    continue
                if reason.why not in reasons:
                    reasons.append(reason.why)
                marks.append(f"impossible ({reasons.index(reason.why) + 1})")
            rows.append(f"| {feature} | {version} | " + " | ".join(marks) + " |")
    cells = len(FEATURES) * len(VERSIONS) * len(BACKENDS)
    cannot = sum(row.count("impossible") for row in rows)
    table = [f"| feature | client | {' | '.join(BACKENDS)} |", "|---" * (len(BACKENDS) + 2) + "|", *rows]
    listed = [f"{number}. {why}" for number, why in enumerate(reasons, 1)]
    said = f"{cells} cells: {cells - cannot} work, {cannot} are impossible."
    return "\n".join([HEAD, *table, "", said, "", *listed, "", *_sdks()])


def _sdks() -> list[str]:
    """What the real SDKs are tried with."""
    names = [f"- {name}: {about}" for name, about in CLIENTS.items()]
    further = ", ".join(name for name in SDK_FEATURES if name not in OF_EVERY_SERVER)
    asked = f"Each asks every tool server for: {', '.join(OF_EVERY_SERVER)}; all but `openapi` for: {further}."
    return ["## SDKs", "", asked, "", *names, ""]


if __name__ == "__main__":
    print(page(), end="")
