"""Who is calling: proofs of identity, and the expressions that policies write about it.

Owns the verification of keys, JWTs and Kubernetes service-account tokens, the sources of verification keys, SPIFFE ids,
and CEL as policies use it. It decides who somebody is, never what they may do, and it keeps no credential: keys are
known by their digest, tokens by the digest of all of their bytes.
"""
