"""What turns declarations into what gateways run: YAML in, checked resources, secrets resolved, a snapshot out.

Reads files and the environment; serves no traffic. Bad input becomes problems with file and line, never an exception.
"""
