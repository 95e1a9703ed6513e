"""OpenAI, Azure OpenAI, and every server that speaks OpenAI's API.

`presets` is what is known of each of them, one entry of data apiece; `provider` puts that to use: URLs, the
credential's place, which header fields cross; `adapting` writes a body as a server wants it; `failures` reads what
an error answer means. A server without a preset is `type: openai` with a `base_url`.
"""

from heddle.providers.openai.provider import OpenAI

__all__ = ["OpenAI"]
