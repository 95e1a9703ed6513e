"""Validation of an object by its schema: everything that is wrong with it, in a fixed order, up to a bound.

Owns the order of the causes: by the place they are at. The checks themselves are compiled with the structure.
*Source:* apiextensions.k8s.io/v1 "Validation"; recorded answers of kube-apiserver 1.36.
"""

from typing import Any

from heddle.wire.kube.report import Report
from heddle.wire.kube.status import Cause
from heddle.wire.kube.structure import Structure


def validate(value: Any, structure: Structure) -> list[Cause]:
    """What is wrong with an object, by its schema alone; CEL rules are `controlplane/expressions.py`."""
    report = Report()
    if structure.check is not None:
        structure.check(value, None, report)
    return sorted(report.causes, key=lambda cause: cause.field)
