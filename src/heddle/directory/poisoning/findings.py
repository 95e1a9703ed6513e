"""What a check of a definition found: which rule, where, and the words.

Owns the form. Every finding names the rule that made it, so that an operator can read what the rule looks for, and
ignore that rule alone.
"""

from typing import Literal

import msgspec

Severity = Literal["low", "medium", "high"]
"""`low` is a remark and withholds nothing; `medium` and `high` do, where the mode says so."""


class Finding(msgspec.Struct, frozen=True):
    """One place where one rule matched."""

    rule: str
    severity: Severity
    where: str
    """Path in the definition: `inputSchema.properties.path.description`."""
    evidence: str
    """What was found, clipped, with unseen characters spelt out."""

    @property
    def counts(self) -> bool:
        """Whether it is more than a remark."""
        return self.severity != "low"

    def __str__(self) -> str:
        return f"{self.severity} {self.rule} at {self.where or 'the name'}: {self.evidence}"
