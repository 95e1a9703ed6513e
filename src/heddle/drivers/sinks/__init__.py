"""Where records and spans go when they leave the machine's spool: one class per kind of destination.

All are driven by `dataplane.exporter`, in its own process, and share the contract of `base.Sink`; which one serves a
configured type is written in `plugins.SINKS` alone. A sink may be slow or down for hours: the spool waits, calls do
not. A sink never sees a secret of a call, for records hold none; its own credentials never reach a log or an error.
*Source:* architecture.md, "State"; issue 2, "Seeing it".
"""
