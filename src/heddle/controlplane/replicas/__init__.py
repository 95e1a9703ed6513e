"""Several control planes on one database: where that is, the keys that all of them need, and what only one may do.

Owns nothing that a single control plane on a file of its own needs, but the choice between the two.
"""
