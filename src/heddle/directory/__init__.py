"""What is known of the tools behind the mesh: definitions, approvals, what is wrong with them, where to find them.

Owns the canonical form of a definition, its digest, the judgement of a change and of a text, and what of a target's
catalogue may be shown. It decides; it opens no connection, reads no clock, and serves nobody.
"""
