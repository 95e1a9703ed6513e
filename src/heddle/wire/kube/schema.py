"""Everything that is done with a value and its structural schema, under one name.

Owns nothing itself: the structure, defaulting and pruning, and validation have a module each.
*Source:* apiextensions.k8s.io/v1 "Specifying a structural schema".
"""

from heddle.wire.kube.defaults import default, drop_empty_metadata, prune
from heddle.wire.kube.structure import ANY, SchemaError, Structure
from heddle.wire.kube.validate import validate

__all__ = ["ANY", "SchemaError", "Structure", "default", "drop_empty_metadata", "prune", "validate"]
