"""Google's two addresses for Gemini: the Gemini API with a key, and Vertex AI with an access token.

What both have in common is in `google`, what their errors mean in `failures`; each of the two is one more file.
"""

from heddle.providers.gemini.api import Gemini
from heddle.providers.gemini.vertex import Vertex, vertex

__all__ = ["Gemini", "Vertex", "vertex"]
