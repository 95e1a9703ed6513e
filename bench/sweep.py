"""Does a call cost more when there are 10,000 keys, models and policies instead of ten?

Each call takes the next key and model, so that every one is used and no cache of one entry helps.
"""

import json
from pathlib import Path
from statistics import median

from bench.figures import Options, Result, Target
from bench.gateways import Rig, Running, heddle
from bench.load import chat_body, measure

SECONDS = 5.0
SIZES = (10, 1_000, 10_000)


def key(i: int) -> str:
    """The i-th caller's key."""
    return f"sk-sweep-{i:06d}-0123456789abcdef"


def model(i: int) -> str:
    """The i-th model's name."""
    return f"model-{i:06d}"


def configuration(size: int, upstream: int, folder: Path, port: int, admin: int) -> str:
    """conf/heddle.yaml with `size` keys (one tenant each), models and policies. JSON is YAML."""
    numbers = range(size)
    return json.dumps(
        {
            "listeners": [{"name": "llm", "address": "127.0.0.1", "port": port, "protocol": "HTTP"}],
            "admin": {"address": "127.0.0.1", "port": admin},
            "llm": {
                "providers": [
                    {
                        "name": "upstream",
                        "type": "openai",
                        "base_url": f"http://127.0.0.1:{upstream}/v1",
                        "api_key": "sk-upstream",
                    }
                ],
                "models": [{"name": model(i), "provider": "upstream"} for i in numbers],
            },
            "security": {
                "authentication": {
                    "type": "api_key",
                    "keys": [{"key": key(i), "user": f"user-{i}", "tenant": f"tenant-{i}"} for i in numbers],
                }
            },
            "authorization": {
                "policies": [
                    {
                        "name": f"policy-{i}",
                        "match": {"tenant": f"tenant-{i}"},
                        "resources": [f"model:{model(i)}"],
                        "action": "allow",
                    }
                    for i in numbers
                ]
            },
            "rate_limiting": [
                {"name": "tokens", "key": ["tenant"], "limit": 10**12, "window": "24h", "limit_by": "tokens"},
                {"name": "requests", "key": ["user", "model"], "limit": 10**9, "window": "1m", "limit_by": "requests"},
            ],
            "observability": {
                "logging": {
                    "enabled": True,
                    "format": "json",
                    "output": [{"type": "file", "path": str(folder / f"access-{size}.log")}],
                }
            },
        },
        indent=1,
    )


def run(options: Options) -> Result:
    """One gateway per size, all running, loaded in turns."""
    seconds = options.seconds or SECONDS
    result = Result(
        "Keys, models and policies, rotating over all of them",
        ["of each", "CPU us/call", "calls/s", "p99 ms", "RSS MB", "start s", "errors", "x the smallest"],
    )
    with Rig() as rig:
        rig.nginx_mock()
        body = rig.write("body.json", chat_body("@MODEL@"))
        keys = {n: rig.write(f"keys-{n}", "".join(f"{key(i)} {model(i)}\n" for i in range(n))) for n in SIZES}
        running: dict[int, Running] = {}
        for n in SIZES:
            running[n] = heddle(
                rig,
                lambda port, admin, n=n: configuration(n, rig.upstream, rig.folder, port, admin),  # type: ignore[misc]
                key=key(0),
                model=model(0),
                name=f"heddle-{n}",
            )
            # Every key and model once before it counts: the first use of each compiles its decision.
            measure(running[n].process, running[n].port, 3, body, keys=keys[n])
        costs = {n: [measure(running[n].process, running[n].port, seconds, body, keys=keys[n])] for n in SIZES}
        for _ in range(options.rounds - 1):
            for n in SIZES:
                costs[n].append(measure(running[n].process, running[n].port, seconds, body, keys=keys[n]))
    cpu = {n: median(cost.worker_us for cost in costs[n]) for n in SIZES}
    for n in SIZES:
        of = costs[n]
        errors = sum(cost.report.errors for cost in of)
        rps, p99 = median(cost.report.rps for cost in of), median(cost.report.p99_ms for cost in of)
        result.rows.append([n, cpu[n], rps, p99, of[-1].worker_rss_mb, running[n].start_s, errors, cpu[n] / cpu[10]])
        result.targets.append(Target(f"errors at {n:,}", float(errors), at_most=0))
    middle = median(cpu.values())
    deviation = max(abs(value / middle - 1) for value in cpu.values())
    result.targets.append(Target("largest deviation from the middle", deviation, at_most=0.10))
    return result
