"""The judge of definitions, compiled into the snapshot.

Owns what is said of a key that cannot be had: a warning, and nothing is asked.
"""

from heddle.controlplane.secrets import SecretError, Secrets
from heddle.model.config_mcp_judge import Judge
from heddle.model.formats import duration_s
from heddle.model.plan import Placed
from heddle.model.problem import Report
from heddle.model.snapshot_mcp import JudgeSpec


def compile_judge(placed: Placed[Judge], secrets: Secrets, report: Report) -> JudgeSpec:
    """The judge, with its key."""
    judge, place = placed
    credential = error = ""
    if judge.api_key:
        try:
            credential = secrets.resolve(judge.api_key, place.source.folder)
        except SecretError as exc:
            report.warning(place.at("api_key"), f"{exc}; the judge will not be asked")
            error = exc.public
    return JudgeSpec(
        url=judge.url,
        model=judge.model,
        credential=credential,
        credential_error=error,
        parameters=judge.parameters,
        overrules=judge.overrules,
        on_error=judge.on_error,
        timeout_s=duration_s(judge.timeout),
        max_concurrent=judge.max_concurrent,
        max_per_hour=judge.max_per_hour,
    )
