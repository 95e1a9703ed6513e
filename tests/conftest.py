"""What holds for every test."""

import sys

# kopf, which a test starts as a program of its own, brings aiohttp into the environment. Google's SDK takes it where it
# is found in place of httpx, with warnings of its own. Whoever installs the SDK alone has httpx: that is what is tried.
sys.modules["aiohttp"] = None  # type: ignore[assignment]
