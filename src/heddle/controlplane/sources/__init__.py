"""Where resources come from besides the API: watched folders, Git branches, a Kubernetes API server.

Owns what a source may do and what it must not: it writes through the same door as everybody else, as
`system:source:<kind>:<name>`, owns what it declares, and prunes only that. It decides nothing about what is valid.
"""
