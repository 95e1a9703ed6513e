"""What is answered otherwise than a Kubernetes API server does, on purpose, and why."""

_APPLIED = "a configuration that does not fit its schema is the caller's mistake: 400, where recorded is a 500"

DIFFERENCES: dict[str, tuple[int, str, str]] = {
    "rest: PUT uid mismatch": (
        409,
        "Precondition failed: UID in precondition: x, UID in object meta:",
        "the words around it are of etcd: a key and an error code of a store that is not there",
    ),
    "rest: merge patch unknown": (
        422,
        'Invalid value: strict decoding error: unknown field \\"spec.zzz\\"',
        "the recorded message repeats the whole object, which would put a Secret into logs of clients",
    ),
    "rest: jsonpatch test fail": (
        422,
        "operation 0 (test '/spec/type'): the value there is not the one tested for",
        "says which operation failed and why, where the recorded message says only that something did",
    ),
    "rest: jsonpatch bad path": (
        422,
        "operation 0 (remove '/spec/nope'): there is nothing there",
        "says which operation failed and why, where the recorded message says only that something did",
    ),
    "rest: bad continue": (
        400,
        "invalid continue token: continue key is not valid",
        "the recorded message ends with an error of a JSON parser about bytes that nobody wrote by hand",
    ),
    "rest: add finalizer while deleting": (
        422,
        "no new finalizers can be added if the object is being deleted",
        "the recorded answer gives the one cause twice, once for each of two checks; here it is there once",
    ),
    "rest: create with rv": (
        400,
        "resourceVersion should not be set on objects to be created",
        "the caller's mistake, so it is a 400 that no client retries, and not a 500",
    ),
    "server-side-apply: SSA unknown field": (400, ".spec.zzz: field not declared in schema", _APPLIED),
    "server-side-apply: SSA unknown field warn": (400, ".spec.zzz: field not declared in schema", _APPLIED),
    "server-side-apply: SSA wrong type": (400, ".spec.replicas: expected numeric (int or float), got string", _APPLIED),
    "server-side-apply: SSA dup keys in listmap": (400, "duplicate entries for key [name=", _APPLIED),
    "server-side-apply: SSA missing key": (400, "has an element that omits all key fields", _APPLIED),
}
"""`file: step` -> (status, part of the answer, reason)."""
