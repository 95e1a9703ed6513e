"""How long from starting the program to its first answered chat call?"""

from statistics import median

from bench.figures import Options, Result, Target
from bench.gateways import Rig, available

SLOW = {"litellm"}
"""Started once: a round of it takes as long as all others together."""


def run(options: Options) -> Result:
    """Each program started `rounds` times on an idle core, with a first call that must be answered."""
    result = Result("Start to first answer", ["gateway", "seconds", "x ours"])
    times: dict[str, float] = {}
    with Rig() as rig:
        rig.nginx_mock()
        for name in available(options.peers):
            seen = []
            for _ in range(1 if name in SLOW else options.rounds):
                gateway = rig.gateway(name)
                seen.append(gateway.start_s)
                gateway.process.stop()
            times[name] = median(seen)
    ours = times.get("heddle")
    result.rows = [[name, value, value / ours if ours else None] for name, value in times.items()]
    if ours:
        result.targets.append(Target("seconds to the first answer", ours, at_most=1.5))
    return result
