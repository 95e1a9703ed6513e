"""How a gateway follows a control plane, and does without one.

`client` keeps the connection and answers every update once all workers run it, or why they do not; `kept` is the last
state that ran, encrypted on the disk, to start from when the control plane is away; `identity` is the certificate by
which a gateway is known, and how it is had; `reaching` opens connections. Applies nothing itself: whoever owns the
workers gives a function for that.
"""
