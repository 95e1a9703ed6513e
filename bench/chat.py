"""What does a governed chat call cost, next to gateways that only forward it?

Ours checks a key, authorizes, keeps two limits, counts, writes an access record and traces one call in a hundred;
Envoy, nginx and the bare forwarder do nothing but forward; LiteLLM checks a key.
"""

from statistics import median

from bench.figures import Options, Result, Target
from bench.gateways import Rig, Running, available
from bench.load import Cost, chat_body, measure

SECONDS = 5.0
WARM_UP_S = 2.0


def run(options: Options) -> Result:
    """Each gateway in turn, `rounds` times; medians of each column."""
    seconds = options.seconds or SECONDS
    result = Result(
        "Chat completion, 1 KiB body, 32 connections",
        [
            "gateway",
            "CPU us/call",
            "all its processes",
            "calls/s",
            "p50 ms",
            "p99 ms",
            "RSS MB",
            "errors",
            "x ours (CPU)",
        ],
    )
    with Rig() as rig:
        rig.nginx_mock()
        body = rig.write("body.json", chat_body())
        running = [rig.gateway(name) for name in available(options.peers)]
        for gateway in running:
            measure(gateway.process, gateway.port, min(WARM_UP_S, seconds), body)
        costs: dict[str, list[Cost]] = {gateway.name: [] for gateway in running}
        for _ in range(options.rounds):
            for gateway in running:
                costs[gateway.name].append(measure(gateway.process, gateway.port, seconds, body))
    _fill(result, running, costs)
    return result


def _fill(result: Result, running: list[Running], costs: dict[str, list[Cost]]) -> None:
    for name in [gateway.name for gateway in running]:
        of = costs[name]
        result.rows.append(
            [
                name,
                median(cost.worker_us for cost in of),
                median(cost.tree_us for cost in of),
                median(cost.report.rps for cost in of),
                median(cost.report.p50_ms for cost in of),
                median(cost.report.p99_ms for cost in of),
                of[-1].worker_rss_mb,
                sum(cost.report.errors for cost in of),
                times_ours(costs, name),
            ]
        )
    if "heddle" in costs:
        _claim(result, costs)


def times_ours(costs: dict[str, list[Cost]], name: str) -> float | None:
    """A gateway's CPU over ours, round by round: what disturbs the machine for a minute disturbs both."""
    pairs = zip(costs[name], costs.get("heddle", []), strict=False)
    ratios = [theirs.worker_us / ours.worker_us for theirs, ours in pairs]
    return median(ratios) if ratios else None


def _claim(result: Result, costs: dict[str, list[Cost]]) -> None:
    ours = costs["heddle"]
    result.targets.append(Target("CPU us per call", median(cost.worker_us for cost in ours), at_most=45))
    result.targets.append(Target("errors", float(sum(cost.report.errors for cost in ours)), at_most=0))
    if "envoy" in costs:
        result.targets.append(Target("Envoy's CPU / ours", times_ours(costs, "envoy") or 0, at_least=1.1))
    if "litellm" in costs:
        theirs = median(cost.report.rps for cost in costs["litellm"])
        ratio = median(cost.report.rps for cost in ours) / theirs
        result.targets.append(Target("our calls/s / LiteLLM's", ratio, at_least=100))
