"""heddle.dev/v1alpha1 Source: where declarations come from, and how that goes. Generated: the control plane writes it.

Owns what is shown of a watched folder or a Git branch. Where sources are is said when the mesh is started, never here:
whoever may write resources must not be able to add a place that more come from.
*Source:* Kubernetes API conventions, "Typical status properties".
"""

from typing import Annotated, ClassVar, Literal

import msgspec

from heddle.model.config_base import Part
from heddle.model.kube import AGE, Served, column, condition
from heddle.model.meta import Resource
from heddle.model.resources_heddle import HEDDLE_VERSION
from heddle.model.resources_status import Conditions

__all__ = ["HEDDLE_VERSION", "Source", "SourceProblem", "SourceSpec", "SourceStatus"]


class SourceSpec(Part, frozen=True, kw_only=True):
    """What a source is."""

    type: Literal["Folder", "Git"]
    """Kind of source."""
    place: Annotated[str, msgspec.Meta(max_length=4096)]
    """Path of the folder, or `URL#branch:path`."""


class SourceProblem(Part, frozen=True, kw_only=True):
    """Something in a source that is not served as it is written."""

    file: str
    """File, relative to the source."""
    line: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Line, from 1; 0 when the file as a whole is meant."""
    path: str = ""
    """Where in the document."""
    message: str
    """What is wrong."""


class SourceStatus(Part, frozen=True, kw_only=True):
    """How it goes."""

    conditions: Conditions = ()
    """`Fetched`: the place can be read. `Ready`: all it declares is served as written."""
    commit: str = ""
    """Git: commit that is served."""
    commit_time: str = ""
    """Git: when it was made."""
    objects: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How many objects it declares."""
    problems: Annotated[tuple[SourceProblem, ...], msgspec.Meta(max_length=100)] = ()
    """What is wrong in it; the first hundred."""


class Source(Resource, frozen=True, kw_only=True):
    """A folder or a Git branch that resources come from."""

    SERVED: ClassVar = Served(
        "sources",
        categories=("heddle",),
        columns=(
            column("Type", ".spec.type"),
            column("Objects", ".status.objects", "integer"),
            condition("Ready"),
            column("Commit", ".status.commit"),
            column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
            column("Place", ".spec.place", priority=1),
            AGE,
        ),
        namespaced=False,
        has_status=True,
        generated=True,
    )
    api_version: Literal["heddle.dev/v1alpha1"]
    """API group and version."""
    kind: Literal["Source"]
    """Kind."""
    spec: SourceSpec
    """What it is."""
    status: SourceStatus = SourceStatus()
    """How it goes."""
