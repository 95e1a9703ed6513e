"""What does one changed object cost, beside a hundred others and beside ten thousand?

Owns the objects: HTTPRoutes of one Gateway, each to one of a hundred models. Measured are the compiler and what a
gateway does with its outcome, without the way between them.
"""

import gc
import time
from statistics import median
from typing import Any

from bench.figures import Options, Result, Target
from heddle.controlplane.compiling import Compiler, Surroundings
from heddle.controlplane.prices import price_table
from heddle.drivers.documents import Key
from heddle.model.assembly import Assembly

SIZES = (100, 1_000, 5_000, 10_000)
CHANGES = 300
MODELS = 100
_ROUTES = "httproutes.gateway.networking.k8s.io"
_NOW_S = 1_800_000_000.0


def declared(resource: str, name: str, spec: dict[str, Any], generation: int = 1) -> tuple[Key, dict[str, Any]]:
    """An object of the root namespace, as the store has it."""
    meta = {"name": name, "namespace": "default", "generation": generation, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return Key(resource, "default", name), {"metadata": meta, "spec": spec}


def route(number: int, generation: int = 1) -> tuple[Key, dict[str, Any]]:
    """One HTTPRoute; its generation is its weight, so that another is a change."""
    backend = {"group": "heddle.dev", "kind": "Model", "name": f"m{number % MODELS}", "weight": generation}
    match = {"path": {"type": "PathPrefix", "value": f"/x{number}"}}
    rules = [{"matches": [match], "backendRefs": [backend]}]
    spec = {"parentRefs": [{"name": "main"}], "hostnames": [f"h{number}.example"], "rules": rules}
    return declared(_ROUTES, f"r{number}", spec, generation)


def mesh() -> Compiler:
    """A compiler that knows a Gateway, its callers, a backend and its models."""
    compiler = Compiler(Surroundings({"KEY": "k"}, ".", price_table, lambda: _NOW_S, "default"))
    callers = {"type": "api_key", "keys": [{"key": "${KEY}", "user": "u"}]}
    listeners = [{"name": "http", "port": 8080, "protocol": "HTTP"}]
    objects = [
        declared("policies.heddle.dev", "callers", {"authentication": callers}),
        declared("backends.heddle.dev", "b", {"provider": {"type": "scripted"}}),
        declared("gateways.gateway.networking.k8s.io", "main", {"gatewayClassName": "heddle", "listeners": listeners}),
        *(declared("models.heddle.dev", f"m{number}", {"provider": "b"}) for number in range(MODELS)),
    ]
    for key, raw in objects:
        compiler.change(key, raw)
    return compiler


def measure(size: int) -> list[float]:
    """Milliseconds for everything; then the medians, in microseconds, of a change and of a gateway that takes it."""
    compiler, assembly = mesh(), Assembly()
    routes = [route(number) for number in range(size)]
    gc.collect()
    began = time.perf_counter()
    for key, raw in routes:
        compiler.change(key, raw)
    compiler.settle()
    compiler.conditions(_NOW_S)
    whole_ms = (time.perf_counter() - began) * 1e3
    assembly.apply({name: part.body for name, part in compiler.full().items()})
    compiled, took, taken = compiler.compiled, [], []
    for number in range(CHANGES):
        key, raw = route(number * 37 % size, number + 2)
        began = time.perf_counter()
        compiler.change(key, raw)
        delta = compiler.settle()
        compiler.conditions(_NOW_S)
        took.append((time.perf_counter() - began) * 1e6)
        began = time.perf_counter()
        assembly.apply({name: part.body for name, part in delta.changed.items()})
        assembly.snapshot("v")
        taken.append((time.perf_counter() - began) * 1e6)
    return [whole_ms, median(took), (compiler.compiled - compiled) / CHANGES, median(taken)]


def run(options: Options) -> Result:
    """Each size, once."""
    del options
    columns = ["routes", "all, ms", "one change, µs", "objects compiled", "gateway, µs"]
    result = Result("Compiling", columns)
    result.rows = [[size, *measure(size)] for size in SIZES]
    few, many = result.rows[0], result.rows[-1]
    result.targets.append(Target("objects compiled for one change of 10,000", float(many[3] or 0), at_most=1))
    growth = float(many[2] or 0) / float(few[2] or 1)
    result.targets.append(Target("a change among 10,000, in changes among 100", growth, at_most=2))
    return result


if __name__ == "__main__":
    from bench.figures import show

    for row in run(Options(None, 1, [], None)).rows:
        print(*map(show, row))
