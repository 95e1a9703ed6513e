"""The one form in which all dialects meet: a chat request, its answer whole or in events, and what cannot cross.

A dialect decodes its requests into this form and encodes answers from it; a vendor's wire format is encoded from it
and decoded into it. Nothing here knows a vendor, and nothing is ever lost in silence: see `rules`.
"""
