"""What cannot be, and why. Each such cell is checked all the same: nothing is claimed that is not there, what is asked
for is refused at once or done in the way there is, and nothing hangs.
"""

import secrets
from typing import NamedTuple

from tests.eras.features import FORMS_SINCE, Feature, every, refused, undeclared
from tests.eras.wire import MODERN, Message, Session

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN)
BACKENDS = ("stdio", "sse", "http", "stateless", "openapi")


class Reason(NamedTuple):
    """Why a cell cannot be, and what is checked in its place."""

    why: str
    instead: Feature


def _refused(method: str, **params: object) -> Feature:
    async def check(session: Session) -> None:
        await refused(session, method, params)

    return check


def _undeclared(capability: str, method: str, **params: object) -> Feature:
    async def check(session: Session) -> None:
        await undeclared(session, capability, method, params)

    return check


def _call(tool: str, **arguments: object) -> Feature:
    return _refused("tools/call", name=tool, arguments=arguments)


async def _at_once(session: Session) -> None:
    """The tool's own result in place of a task."""
    result = await session.call("slow_compute", {"seconds": 0.1})
    assert result.get("resultType", "complete") == "complete"
    assert result["content"][0]["text"] == "computed for 0.1 s"


async def _quiet(session: Session) -> None:
    """A progress token is no reason to fail."""
    assert await session.text("echo", {"text": "hi"}, progressToken=secrets.token_hex(4)) == "hi"
    assert not session.heard


async def _dropped(session: Session) -> None:
    """Keys that cannot be carried do no harm."""
    assert await session.text("echo", {"text": "hi"}, **{"example.test/own": {"deep": [1]}}) == "hi"


async def _unchanged(session: Session) -> None:
    """The gateway tells of what it changes itself (approvals, a new configuration), so it says that it tells; here it
    has nothing to tell."""
    before = await every(session, "tools/list", "tools")
    await session.listen(toolsListChanged=True)
    assert await session.text("echo", {"text": "hi"}) == "hi"
    assert await every(session, "tools/list", "tools") == before
    assert "notifications/tools/list_changed" not in [one["method"] for one in session.heard]


PROMPT: Message = {"ref": {"type": "ref/prompt", "name": "a"}, "argument": {"name": "b", "value": "c"}}

FORMS = f"Servers can ask users since {FORMS_SINCE}: this client has no way to be asked."
ASKS = {
    "elicitation": Reason(FORMS, _call("test_elicitation", message="Who is it?")),
    "several questions at once": Reason(FORMS, _call("test_input_required_result_multiple_inputs")),
    "several rounds of questions": Reason(FORMS, _call("test_input_required_result_multi_round")),
}
"""What clients of before 2025-06-18 cannot be asked."""

GONE = {"ping": Reason("2026-07-28 has no ping: nothing is kept open that could be dead.", _refused("ping"))}
"""What 2026-07-28 removed."""

TASKS_FRONT = Reason("The tasks extension is of 2026-07-28: older clients get the tool's own result.", _at_once)
TASKS_BACK = Reason("The tasks extension is of 2026-07-28: this server gives the tool's own result.", _at_once)

PLAIN = "An HTTP API answers calls; "
ONE_WAY = {
    "tools: pictures, sounds, resources": Reason(
        PLAIN + "this one has no operation that gives a picture.", _call("test_image_content")
    ),
    "progress": Reason(PLAIN + "HTTP has no word for progress.", _quiet),
    "logging": Reason(
        PLAIN + "it has no log for its callers.", _undeclared("logging", "logging/setLevel", level="info")
    ),
    "sampling": Reason(PLAIN + "it does not ask.", _call("test_sampling", prompt="6 by 7?")),
    "elicitation": Reason(PLAIN + "it does not ask.", _call("test_elicitation", message="Who is it?")),
    "roots": Reason(PLAIN + "it does not ask.", _call("test_input_required_result_list_roots")),
    "several questions at once": Reason(
        PLAIN + "it does not ask.", _call("test_input_required_result_multiple_inputs")
    ),
    "several rounds of questions": Reason(PLAIN + "it does not ask.", _call("test_input_required_result_multi_round")),
    "prompts": Reason(PLAIN + "it has no prompts.", _undeclared("prompts", "prompts/get", name="test_simple_prompt")),
    "resources": Reason(
        PLAIN + "its operations are tools.", _undeclared("resources", "resources/read", uri="test://static-text")
    ),
    "resource templates": Reason(
        PLAIN + "its operations are tools.", _undeclared("resources", "resources/read", uri="test://template/1/data")
    ),
    "resources: subscribe, updated": Reason(
        PLAIN + "it tells nothing unasked.", _undeclared("resources", "resources/subscribe", uri="test://static-text")
    ),
    "list_changed": Reason("Its document is part of the configuration: its operations do not change.", _unchanged),
    "completion": Reason(PLAIN + "it completes nothing.", _undeclared("completions", "completion/complete", **PROMPT)),
    "tasks": Reason(PLAIN + "it has no tasks.", _call("slow_compute", seconds=0.1)),
    "_meta: vendor keys": Reason("HTTP has no place for them.", _dropped),
}
"""What no OpenAPI service can do."""


def impossible(version: str, backend: str, feature: str) -> Reason | None:
    """Why a cell cannot be; None when it must work."""
    if backend == "openapi" and feature in ONE_WAY:
        return ONE_WAY[feature]
    if version < FORMS_SINCE and feature in ASKS:
        return ASKS[feature]
    if version == MODERN and feature in GONE:
        return GONE[feature]
    if feature == "tasks" and version < MODERN:
        return TASKS_FRONT
    if feature == "tasks" and backend != "stateless":
        return TASKS_BACK
    return None
