"""OAuth, on both sides of the gateway: as a protected resource towards callers, as a client towards tool servers.

Owns the metadata documents, the challenges, the flows and the credentials they yield. Two rules hold throughout: a
caller's token is never sent to a target (it is at most exchanged, at a server the configuration names), and every URL
that somebody else named is screened before it is asked. Loaded only where a configuration has any of it.
"""
