"""Counting in files, and reading them back the way Prometheus does."""

import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from heddle.model.snapshot import ApiKeyAuthn, AuthzRule, KeySpec, KubernetesAuthn, LimitSpec, MatchSpec, Snapshot
from heddle.telemetry import metrics as metrics_module
from heddle.telemetry import names
from heddle.telemetry.exposition import by_process, render_files
from heddle.telemetry.metrics import Metrics, TenantLabels, render
from heddle.telemetry.names import METRICS
from heddle.telemetry.series import HEADER_BYTES, Series, decode, empty_header, encode_record, label_text

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: bytes) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_workers_are_summed(tmp_path: Path) -> None:
    for slot in range(4):
        metrics = Metrics(tmp_path / f"metrics-{slot}.bin")
        metrics.counter(names.LIMIT_REFUSALS, limit="team").add(slot + 1)
        metrics.counter(names.LIMIT_REFUSALS, limit=f"only-{slot}").add()
        metrics.gauge(names.CONNECTIONS).set(10)
        latency = metrics.histogram(names.UPSTREAM_DURATION, model="m", provider="p")
        for value in (0.0005, 0.001, 0.3, 1e9):
            latency.observe(value)
        metrics.close()
    samples = parse(render(tmp_path))
    assert sample(samples, "heddle_limit_refusals_total", limit="team") == 10
    assert sample(samples, "heddle_limit_refusals_total", limit="only-3") == 1
    assert sample(samples, "heddle_connections") == 40
    labels = {"model": "m", "provider": "p"}
    duration = "heddle_upstream_duration_seconds"
    assert sample(samples, f"{duration}_bucket", le="0.001", **labels) == 8  # a bound belongs to its bucket
    assert sample(samples, f"{duration}_bucket", le="300.0", **labels) == 12
    assert sample(samples, f"{duration}_bucket", le="+Inf", **labels) == 16
    assert sample(samples, f"{duration}_count", **labels) == 16
    assert sample(samples, f"{duration}_sum", **labels) == pytest.approx(4 * (0.3015 + 1e9))


def test_every_declared_metric_is_exposed_with_its_help_and_type() -> None:
    metrics = Metrics.in_memory()
    for spec in METRICS.values():
        getattr(metrics, spec.kind)(spec.name, **dict.fromkeys(spec.labels, "x"))
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    for spec in METRICS.values():
        family = families[spec.name.removesuffix("_total") if spec.kind == "counter" else spec.name]
        assert (family.type, family.documentation) == (spec.kind, spec.help)


def test_names_follow_the_conventions() -> None:
    for spec in METRICS.values():
        assert spec.name.startswith("heddle_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert bool(spec.buckets) == (spec.kind == "histogram")
        assert list(spec.buckets) == sorted(set(spec.buckets))
        assert spec.help.endswith(".")
        assert len(set(spec.labels)) == len(spec.labels)


def test_the_same_labels_are_the_same_series_in_any_order() -> None:
    metrics = Metrics.in_memory()
    one = metrics.counter(names.UNPRICED_CALLS, model="m", provider="p")
    assert metrics.counter(names.UNPRICED_CALLS, provider="p", model="m") is one
    one.add(2)
    one.add()
    assert one.value == 3


@pytest.mark.parametrize(
    "bad",
    [
        lambda m: m.counter("heddle_unheard_of_total"),
        lambda m: m.gauge(names.LIMIT_REFUSALS, limit="a"),
        lambda m: m.counter(names.LIMIT_REFUSALS),
        lambda m: m.counter(names.LIMIT_REFUSALS, limit="a", user="bob"),
        lambda m: m.counter(names.LIMIT_REFUSALS, user="bob"),
    ],
)
def test_what_is_not_declared_is_refused(bad) -> None:
    with pytest.raises(ValueError, match="heddle_"):
        bad(Metrics.in_memory())


@given(st.text(max_size=300))
def test_no_label_value_can_forge_a_line(value: str) -> None:
    text = label_text(("limit",), (value,))
    data = empty_header() + encode_record(Series("counter", names.LIMIT_REFUSALS, text, (), 0))
    data = data[:16] + struct.pack("<Q", len(data)) + data[24:]
    lines = render_files([data]).decode().split("\n")
    assert len(lines) == 4  # help, type, one sample, and nothing after the last line feed
    samples = parse(render_files([data]))
    expected = value[:128].encode("utf-8", "replace").decode()
    assert list(samples) == [("heddle_limit_refusals_total", frozenset({("limit", expected)}))]


def test_no_flood_of_label_values_makes_more_series_than_the_bound() -> None:
    metrics = Metrics.in_memory()
    bound = METRICS[names.LIMIT_REFUSALS].max_series
    for index in range(bound + 500):
        metrics.counter(names.LIMIT_REFUSALS, limit=f"l{index}").add()
    samples = parse(metrics.render())
    assert sum(name == "heddle_limit_refusals_total" for name, _ in samples) == bound + 1
    assert sample(samples, "heddle_limit_refusals_total", limit="other") == 500
    assert sample(samples, "heddle_metric_overflow_total", metric="heddle_limit_refusals_total") == 500
    assert metrics.counter(names.LIMIT_REFUSALS, limit="l0").value == 1
    assert len(metrics._children) < bound + 10


def test_a_full_file_stops_growing_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics_module, "FILE_BYTES", 8192)
    metrics = Metrics(tmp_path / "metrics-0.bin")
    for index in range(500):
        metrics.histogram(names.UPSTREAM_DURATION, model=f"m{index}", provider="p").observe(1.0)
        metrics.counter(names.LIMIT_REFUSALS, limit=f"l{index}").add()
    assert (tmp_path / "metrics-0.bin").stat().st_size == 8192
    samples = parse(render(tmp_path))
    assert sample(samples, "heddle_limit_refusals_total", limit="l0") == 1
    assert 8192 - 1024 - 400 < len(metrics._buffer[: metrics._words[2]]) <= 8192 - 1024


def test_a_successor_counts_on_and_begins_gauges_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "metrics-0.bin"
    first = Metrics(path)
    first.counter(names.LIMIT_REFUSALS, limit="a").add(5)
    first.gauge(names.INFLIGHT_REQUESTS).add(3)
    first.histogram(names.UPSTREAM_DURATION, model="m", provider="p").observe(2.0)
    del first  # killed: nothing is closed
    second = Metrics(path)
    second.counter(names.LIMIT_REFUSALS, limit="a").add()
    second.histogram(names.UPSTREAM_DURATION, model="m", provider="p").observe(2.0)
    samples = parse(render(tmp_path))
    assert sample(samples, "heddle_limit_refusals_total", limit="a") == 6
    assert sample(samples, "heddle_inflight_requests") == 0
    assert sample(samples, "heddle_upstream_duration_seconds_count", model="m", provider="p") == 2


def test_a_record_is_invisible_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics-0.bin"
    metrics = Metrics(path)
    metrics.counter(names.LIMIT_REFUSALS, limit="a").add()
    used = metrics._words[2]
    metrics.counter(names.LIMIT_REFUSALS, limit="b").add()
    metrics._words[2] = used  # the writer was killed before it published
    assert b'"b"' not in render(tmp_path)
    assert Metrics(path).counter(names.LIMIT_REFUSALS, limit="c").value == 0
    assert b'"c"' in render(tmp_path)


def _whole_file(tmp_path: Path) -> bytes:
    path = tmp_path / "metrics-good.bin"
    metrics = Metrics(path)
    metrics.counter(names.LIMIT_REFUSALS, limit="good").add()
    metrics.histogram(names.UPSTREAM_DURATION, model="m", provider="p").observe(2.0)
    used = metrics._words[2]
    metrics.close()
    return path.read_bytes()[:used]


def test_files_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    good = _whole_file(tmp_path)
    bad = {
        "empty": b"",
        "short": good[:20],
        "cut": good[:-8],
        "foreign": b"\x7fELF" + good[4:],
        "size0": good[:HEADER_BYTES] + b"\0\0\0\0" + good[HEADER_BYTES + 4 :],
        "kind9": good[: HEADER_BYTES + 4] + b"\x09\0" + good[HEADER_BYTES + 6 :],
        "used": good[:16] + struct.pack("<Q", 2**63) + good[24:],
        "odd": good[:16] + struct.pack("<Q", len(good) - 8) + good[24:],
    }
    for name, data in bad.items():
        (tmp_path / f"metrics-{name}.bin").write_bytes(data)
    os.symlink("/etc/passwd", tmp_path / "metrics-link.bin")
    (tmp_path / "metrics-dir.bin").mkdir()
    assert sample(parse(render(tmp_path)), "heddle_limit_refusals_total", limit="good") == 1


def test_a_damaged_file_is_begun_anew_by_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "metrics-0.bin"
    path.write_bytes(os.urandom(metrics_module.FILE_BYTES))
    Metrics(path).counter(names.LIMIT_REFUSALS, limit="a").add()
    assert sample(parse(render(tmp_path)), "heddle_limit_refusals_total", limit="a") == 1


@given(data=st.binary(max_size=400), position=st.integers(0, 400))
def test_garbage_is_refused_and_never_a_crash(data: bytes, position: int) -> None:
    whole = empty_header()[:16] + struct.pack("<Q", HEADER_BYTES + len(data)) + empty_header()[24:] + data
    found = decode(whole)
    assert found is None or all(series.at * 8 + 8 * series.width <= len(whole) for series in found)
    render_files([whole, whole[:position]])


def test_two_files_that_disagree_on_buckets_are_not_mixed() -> None:
    one, two = Metrics.in_memory(), Metrics.in_memory()
    one.histogram(names.UPSTREAM_DURATION, (1.0, 2.0), model="m", provider="p").observe(1.5)
    two.histogram(names.UPSTREAM_DURATION, (1.0,), model="m", provider="p").observe(1.5)
    samples = parse(render_files([m._buffer[: m._words[2]] for m in (one, two)]))
    assert sample(samples, "heddle_upstream_duration_seconds_count", model="m", provider="p") == 1


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, 1e300, -3.0])
def test_numbers_survive(value: float) -> None:
    metrics = Metrics.in_memory()
    metrics.gauge(names.CONNECTIONS).set(value)
    assert sample(parse(metrics.render()), "heddle_connections") == value


def test_nan_is_written_as_prometheus_reads_it() -> None:
    metrics = Metrics.in_memory()
    metrics.gauge(names.CONNECTIONS).set(math.nan)
    assert math.isnan(sample(parse(metrics.render()), "heddle_connections"))


def test_the_file_is_private(tmp_path: Path) -> None:
    Metrics(tmp_path / "metrics-0.bin").close()
    assert (tmp_path / "metrics-0.bin").stat().st_mode & 0o777 == 0o600
    (tmp_path / "metrics-1.bin").symlink_to(tmp_path / "metrics-0.bin")
    with pytest.raises(OSError, match="symbolic"):
        Metrics(tmp_path / "metrics-1.bin")


def test_only_tenants_of_the_configuration_are_labels() -> None:
    snapshot = Snapshot(
        version="v",
        authentication=(
            ApiKeyAuthn(keys=(KeySpec(sha256="0" * 64, tenant="by-key"),)),
            KubernetesAuthn(allowed_namespaces=("by-namespace",)),
        ),
        authorization=(AuthzRule(name="a", action="allow", match=MatchSpec(tenants=("by-rule", "team-*"))),),
        limits=(LimitSpec(name="l", limit=1, window_s=1, limit_by="requests", match=MatchSpec(tenants=("by-limit",))),),
    )
    labels = TenantLabels(snapshot)
    for tenant in ("by-key", "by-namespace", "by-rule", "by-limit", ""):
        assert labels.label(tenant) == tenant
    for tenant in ("team-1", "team-*", "nobody", "other"):
        assert labels.label(tenant) == "other"


def test_values_are_told_apart_by_process(tmp_path: Path) -> None:
    for slot, value in enumerate((3, 5)):
        metrics = Metrics(tmp_path / f"metrics-{slot}.bin")
        metrics.gauge(names.MCP_TARGET_HEALTHY, target="files").set(value)
        metrics.close()
    Metrics(tmp_path / "metrics-7.bin").close()
    (tmp_path / "metrics-8.bin").write_bytes(b"torn")
    assert by_process(tmp_path, names.MCP_TARGET_HEALTHY) == [{'target="files"': 3.0}, {'target="files"': 5.0}]
