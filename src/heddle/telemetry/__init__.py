"""What is known about calls after they happened: metrics, trace context, spans, records, the spool, cost.

Everything here counts or writes down; nothing here ships. The spool ends at a file in the state directory, and the
drivers in `heddle.drivers.sinks`, run by the exporter process, carry it further: a call never waits for a collector.
Every name that leaves the mesh in a metric, span or record is spelled in this package and nowhere else.
*Source:* architecture.md, "The hot path" and "State"; OpenTelemetry semantic conventions 1.41 for `gen_ai.*`.
"""
