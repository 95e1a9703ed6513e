"""What the gateway costs, measured beside its peers: one module per question, each printing one table.

Owns: starting and ending every process of a run, loading them, reading their CPU and memory from /proc, and the figures
that are claimed (`targets`). Everything is loopback, bounded, and ended by process id. Ratios carry over to another
machine, absolute figures do not, so every question runs a peer in the same minutes.
Refuses: importing the gateway. It is measured as users run it, as a process.
"""
