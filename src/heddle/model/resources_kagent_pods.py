"""How the pods of kagent's Agents are made.

Owns fields that are kept for a cluster: agents run in processes of the mesh, so none of them is read here.
*Source:* kagent 0.10 API `kagent.dev/v1alpha2` Agent, SharedDeploymentSpec.
"""

from typing import Annotated, Any, ClassVar

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import OPEN, form, rule

Texts = tuple[str, ...]
Labels = dict[str, str]
Open = Annotated[dict[str, Any], OPEN]
Opens = tuple[Open, ...]


class PodSettings(Part, frozen=True, kw_only=True):
    """How the pod of an agent is made. Agents run in processes of the mesh, so none of it is read here."""

    RULES: ClassVar = (
        rule(
            "!(has(self.serviceAccountName) && has(self.serviceAccountConfig))",
            "serviceAccountName and serviceAccountConfig are mutually exclusive",
        ),
    )
    replicas: Annotated[int | None, form("int32")] = None
    """Not read."""
    image_pull_secrets: Opens = ()
    """Not read."""
    volumes: Opens = ()
    """Not read."""
    volume_mounts: Opens = ()
    """Not read."""
    labels: Labels = msgspec.field(default_factory=dict)
    """Not read."""
    annotations: Labels = msgspec.field(default_factory=dict)
    """Not read."""
    env: Opens = ()
    """Not read."""
    env_from: Opens = ()
    """Not read."""
    image_pull_policy: str = ""
    """Not read."""
    resources: Open | None = None
    """Not read."""
    tolerations: Opens = ()
    """Not read."""
    affinity: Open | None = None
    """Not read."""
    node_selector: Labels = msgspec.field(default_factory=dict)
    """Not read."""
    security_context: Open | None = None
    """Not read."""
    pod_security_context: Open | None = None
    """Not read."""
    service_account_name: str = ""
    """Not read."""
    service_account_config: Open | None = None
    """Not read."""
    extra_containers: Opens = ()
    """Not read."""


class DeclarativeDeployment(PodSettings, frozen=True, kw_only=True):
    """How the pod of a declared agent is made."""

    image_registry: str = ""
    """Not read."""


class ByoDeployment(PodSettings, frozen=True, kw_only=True):
    """How an agent of one's own is run."""

    image: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Image that serves A2A."""
    cmd: str = ""
    """Program in it."""
    args: Texts = ()
    """Its arguments."""
    working_dir: str = ""
    """Where it is started."""


class ByoAgent(Part, frozen=True, kw_only=True):
    """An agent of one's own."""

    deployment: ByoDeployment | None = None
    """How it is run."""
