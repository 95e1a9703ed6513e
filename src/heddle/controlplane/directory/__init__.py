"""What gateways find, as objects that everybody may read and search.

`claims` holds what the connected gateways say; `objects` decides, without a store or a clock, what that makes of an
object; `recording` keeps the store so, within bounds; `searching` finds among what may be listed. A gateway is believed
about what it was sent, and about nothing else.
"""

from heddle.controlplane.directory.recording import KEEP_S
from heddle.controlplane.directory.running import Directory

__all__ = ["KEEP_S", "Directory"]
