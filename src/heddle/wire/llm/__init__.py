"""The model dialects: how a chat, an embedding and a list of models look on the wire.

One file per dialect; `codec` says what each of them offers, `codecs` finds one by name. They refuse what breaks a
dialect's own rules where a policy depends on it, and pass everything else through untouched. They never await,
log or read a clock.

*Source:* OpenAI API reference (chat completions, embeddings, models, streaming, errors), as of 2026-11.
"""
