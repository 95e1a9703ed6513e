"""The Kubernetes resource API as pure functions: patches, field ownership, selectors, schemas, errors.

Bytes and plain JSON data in, plain data out. Nothing here stores, serves or asks the time.
*Source:* Kubernetes API conventions; KEP-555 (server-side apply); recorded answers of kube-apiserver 1.36.
"""
