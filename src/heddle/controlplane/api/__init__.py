"""The resource API: Kubernetes' REST conventions over HTTP for every kind that is served.

Owns paths, verbs, representations and watches. What an object means is elsewhere: semantics in `wire.kube`, kinds in
`model.kinds`, keeping in `controlplane.store`, who may in `controlplane.access`. Refuses what it does not implement
with a Status that says so (impersonation, `exec`, conversions between versions) and never ignores it.
"""
