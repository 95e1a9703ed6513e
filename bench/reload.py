"""Does a reload lose a call? Twenty of them under load, each seen to have taken effect."""

import http.client
import json
import os
import threading
import time
from pathlib import Path
from statistics import median

from bench.figures import Options, Result, Target
from bench.gateways import Rig, Running
from bench.load import KEY, Report, chat_body, wrk

RELOADS = 20
CALLS = 500_000
TURN_S = 5.0
PATIENCE_S = 10.0


def serves(port: int, model: str) -> bool:
    """Whether the gateway's own list of models names it: the new configuration is then in force."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {KEY}"})
        models = json.loads(connection.getresponse().read()).get("data", [])
    finally:
        connection.close()
    return any(entry["id"] == model for entry in models)


def rewrite(config: Path, text: str, number: int) -> str:
    """Replaces the file in one step, with one model more than before; its name."""
    name = f"reload-{number}"
    anchor = "    - {name: paced, provider: upstream}\n"
    extra = f"    - {{name: {name}, provider: upstream}}\n"
    beside = config.with_suffix(".new")
    beside.write_text(text.replace(anchor, anchor + extra))
    os.replace(beside, config)
    return name


def reload_all(gateway: Running, pause_s: float, seen_s: list[float]) -> None:
    """Twenty changes, evenly spread; the seconds each took to be in force (PATIENCE_S: never)."""
    text = gateway.config.read_text()
    for number in range(RELOADS):
        time.sleep(pause_s)
        begun = time.monotonic()
        model = rewrite(gateway.config, text, number)
        while not serves(gateway.port, model) and time.monotonic() - begun < PATIENCE_S:
            time.sleep(0.02)
        seen_s.append(time.monotonic() - begun)


def run(options: Options) -> Result:
    """Load until the reloads are done and the calls are made; every error counts."""
    calls = options.calls or CALLS
    result = Result(
        "Reloads under load", ["reloads", "in force", "calls", "errors", "not 2xx", "median s to be in force", "p99 ms"]
    )
    seen_s: list[float] = []
    reports: list[Report] = []
    with Rig() as rig:
        rig.nginx_mock()
        gateway = rig.gateway("heddle")
        body = rig.write("body.json", chat_body())
        wrk(gateway.port, 1, body)
        thread = threading.Thread(target=reload_all, args=(gateway, calls / CALLS, seen_s), daemon=True)
        thread.start()
        while thread.is_alive() or sum(report.requests for report in reports) < calls:
            reports.append(wrk(gateway.port, TURN_S, body))
    total, errors = sum(r.requests for r in reports), sum(r.errors for r in reports)
    in_force = sum(seconds < PATIENCE_S for seconds in seen_s)
    p99 = max(report.p99_ms for report in reports)
    refused = sum(report.non_2xx for report in reports)
    result.rows.append([RELOADS, in_force, total, errors, refused, median(seen_s) if seen_s else None, p99])
    result.targets += [
        Target("errors", float(errors), at_most=0),
        Target("reloads in force", float(in_force), at_least=RELOADS),
        Target("calls", float(total), at_least=calls),
    ]
    return result
