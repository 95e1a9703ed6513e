"""From objects of the resource API to parts of the snapshot, and conditions on the objects: pure, and one at a time.

`objects` reads them, `index` knows who asked what, `compiler` keeps everything up to date; each family of kinds has a
module; `audience` knows which gateway needs which part. Refuses nothing: what is wrong with an object becomes its
conditions, and leaves all others as they are. Reads no clock, waits for nobody; files and variables that objects name
are read as they are at that moment.
"""

from heddle.controlplane.compiling.audience import Published
from heddle.controlplane.compiling.compiler import Compiler, Delta, Programmed
from heddle.controlplane.compiling.fragment import Surroundings
from heddle.controlplane.compiling.objects import RESOURCES

__all__ = ["RESOURCES", "Compiler", "Delta", "Programmed", "Published", "Surroundings"]
