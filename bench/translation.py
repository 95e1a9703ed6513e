"""What does it cost to answer Anthropic's callers from a provider that speaks OpenAI's format?

The same 1 KiB call twice through one gateway with the policies of the chat question: once in OpenAI's format, whose
bytes are forwarded, and once in Anthropic's, which is read, written anew, and the answer likewise.
"""

from statistics import median

from bench.figures import Options, Result, Target
from bench.gateways import Rig
from bench.load import CHAT, Cost, chat_body, measure, messages_body

SECONDS = 5.0
WARM_UP_S = 2.0
MESSAGES = "/v1/messages"


def run(options: Options) -> Result:
    """Both in turn, `rounds` times, through one gateway; medians."""
    seconds = options.seconds or SECONDS
    result = Result(
        "Anthropic in, OpenAI out, 1 KiB body, 32 connections",
        ["call", "CPU us/call", "calls/s", "p50 ms", "p99 ms", "errors", "x same format"],
    )
    costs: dict[str, list[Cost]] = {CHAT: [], MESSAGES: []}
    with Rig() as rig:
        rig.nginx_mock()
        bodies = {CHAT: rig.write("chat.json", chat_body()), MESSAGES: rig.write("messages.json", messages_body())}
        gateway = rig.gateway("heddle")
        for path, body in bodies.items():
            measure(gateway.process, gateway.port, min(WARM_UP_S, seconds), body, path=path)
        for _ in range(options.rounds):
            for path, body in bodies.items():
                costs[path].append(measure(gateway.process, gateway.port, seconds, body, path=path))
    ratios = [ours.worker_us / same.worker_us for ours, same in zip(costs[MESSAGES], costs[CHAT], strict=True)]
    for path, ratio in ((CHAT, 1.0), (MESSAGES, median(ratios))):
        of = costs[path]
        result.rows.append(
            [
                path,
                median(cost.worker_us for cost in of),
                median(cost.report.rps for cost in of),
                median(cost.report.p50_ms for cost in of),
                median(cost.report.p99_ms for cost in of),
                sum(cost.report.errors for cost in of),
                ratio,
            ]
        )
    result.targets.append(Target("translated / same format, CPU", median(ratios), at_most=1.6))
    errors = sum(cost.report.errors for path in costs for cost in costs[path])
    result.targets.append(Target("errors", float(errors), at_most=0))
    return result
