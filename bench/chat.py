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
    cpu = {name: median(cost.worker_us for cost in of) for name, of in costs.items()}
    rps = {name: median(cost.report.rps for cost in of) for name, of in costs.items()}
    ours = cpu.get("heddle")
    for name in [gateway.name for gateway in running]:
        of = costs[name]
        result.rows.append(
            [
                name,
                cpu[name],
                median(cost.tree_us for cost in of),
                rps[name],
                median(cost.report.p50_ms for cost in of),
                median(cost.report.p99_ms for cost in of),
                of[-1].worker_rss_mb,
                sum(cost.report.errors for cost in of),
                cpu[name] / ours if ours else None,
            ]
        )
    if ours:
        result.targets.append(Target("CPU us per call", ours, at_most=45))
        result.targets.append(Target("errors", float(sum(c.report.errors for c in costs["heddle"])), at_most=0))
    if ours and "envoy" in cpu:
        result.targets.append(Target("Envoy's CPU / ours", cpu["envoy"] / ours, at_least=1.1))
    if ours and "litellm" in rps:
        result.targets.append(Target("our calls/s / LiteLLM's", rps["heddle"] / rps["litellm"], at_least=100))
