"""Does a worker grow? Its memory over a million calls, read every hundred thousand."""

from bench.figures import Options, Result, Target
from bench.gateways import Rig
from bench.load import chat_body, measure

CALLS = 1_000_000
STEPS = 10
TURN_S = 2.0


def run(options: Options) -> Result:
    """Memory of the busiest process and of all, at each tenth of the calls."""
    calls = options.calls or CALLS
    result = Result("Memory of one worker", ["calls", "worker MB", "all processes MB"])
    with Rig() as rig:
        rig.nginx_mock()
        gateway = rig.gateway("heddle")
        body = rig.write("body.json", chat_body())
        sizes = gateway.process.rss_mb()
        result.rows.append([0, max(sizes.values()), sum(sizes.values())])
        done = errors = 0
        worker_mb: list[float] = []
        while done < calls:
            cost = measure(gateway.process, gateway.port, TURN_S, body)
            done += cost.report.requests
            errors += cost.report.errors
            if done >= calls * (len(worker_mb) + 1) / STEPS:
                worker_mb.append(cost.worker_rss_mb)
                result.rows.append([done, cost.worker_rss_mb, sum(gateway.process.rss_mb().values())])
    result.targets.append(Target("worker MB at the end", worker_mb[-1], at_most=80))
    # Caches fill in the first half; what still grows after that grows for ever.
    half = worker_mb[len(worker_mb) // 2 - 1] if len(worker_mb) > 1 else worker_mb[0]
    result.targets.append(Target("growth over the second half, MB", worker_mb[-1] - half, at_most=1.0))
    result.targets.append(Target("errors", float(errors), at_most=0))
    return result
