"""What holds for every test."""

import sys

# kopf, which a test starts as a program of its own, brings aiohttp into the environment. Google's SDK takes it where it
# is found in place of httpx, and leaves its connections open; what is tested is the SDK as it comes.
sys.modules["aiohttp"] = None  # type: ignore[assignment]
