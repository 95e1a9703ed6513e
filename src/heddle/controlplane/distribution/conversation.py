"""One peer's conversation: what may be said when, and who is asked about it.

A peer without a certificate may ask for the authority and join, once; a gateway greets first, then answers what it is
sent. Everything else ends the connection. Reads no socket and no clock.

Refuses: greetings under another name than the certificate's, and for a Gateway that it is not for.
"""

import logging
from collections.abc import Callable

from heddle.controlplane.distribution.hub import Follower, Hub, Wire
from heddle.controlplane.distribution.joining import Gateway, JoinError, Joining, may_follow
from heddle.wire.delta import (
    Ack,
    Authority,
    DeltaError,
    FromGateway,
    Hello,
    Join,
    Ping,
    Refused,
    Reject,
    Renew,
    Resync,
    ToGateway,
    Who,
    encode,
)
from heddle.wire.found import Found

_log = logging.getLogger("heddle.distribution")
_PING = encode(Ping())
FOUND_S = 10.0
MAX_FOUND = 200
"""Messages in so many seconds about what was found; gateways of ours send half as many."""


class Conversation:
    """With one peer, from its handshake to its end."""

    def __init__(
        self, hub: Hub, joining: Joining, wire: Wire, certificate: bytes | None, known: Callable[[], None]
    ) -> None:
        """`certificate` is DER, of the authority as the handshake found; `known` is called once the peer follows."""
        self._hub = hub
        self._joining = joining
        self._wire = wire
        self._certificate = certificate
        self._known = known
        self._gateway: Gateway | None = None
        self._follower: Follower | None = None
        self._greeted = False
        self._told = 0
        """Messages about what it found, since `_told_s`."""
        self._told_s = 0.0

    def received(self, message: FromGateway | ToGateway) -> None:
        """Obey a message. Raises DeltaError when it must not be said now."""
        follower = self._follower
        if follower is None:
            self._before(message)
        elif isinstance(message, Ack):
            self._hub.ack(follower, message)
        elif isinstance(message, Reject):
            self._hub.reject(follower, message)
        elif isinstance(message, Ping):
            self._hub.heard(follower)
            self._wire.send(_PING)
        elif isinstance(message, Resync):
            self._hub.resync(follower)
        elif isinstance(message, Found):
            self._found(follower, message)
        elif isinstance(message, Renew):
            self._renew(follower, message)
        else:
            raise DeltaError("that was said already, or is not for a gateway to say")

    def ended(self) -> None:
        """The connection is over."""
        self._hub.forget_early(self._wire)
        if self._follower is not None:
            self._hub.gone(self._follower)
            self._follower = None

    def _before(self, message: FromGateway | ToGateway) -> None:
        if isinstance(message, Who):
            self._wire.send(encode(Authority(self._joining.bundle)))
        elif isinstance(message, Join):
            self._join(message)
        elif isinstance(message, Hello) and not self._greeted:
            self._greeted = True
            self._greet(message)
        elif not isinstance(message, Ping):
            raise DeltaError("a gateway greets first, and once")

    def _greet(self, hello: Hello) -> None:
        try:
            if self._certificate is None:
                raise JoinError("a gateway needs a certificate; join with a token")
            gateway = self._joining.proven(self._certificate)
            if hello.name != gateway.name:
                raise JoinError(f"the certificate is that of {gateway.name}")
            if not may_follow(gateway, hello.interest):
                raise JoinError(f"gateway {gateway.name} may not follow Gateway {hello.interest.gateway}")
        except JoinError as exc:
            self._refuse(str(exc))
            return
        self._gateway = gateway
        self._hub.greet(gateway.name, gateway.serial, hello, self._wire, self._follows)

    def _follows(self, follower: Follower) -> None:
        self._follower = follower
        self._known()

    def _join(self, message: Join) -> None:
        try:
            joined = self._joining.join(message)
        except JoinError as exc:
            self._refuse(str(exc))
            return
        except OSError as exc:
            _log.error("nobody can join: %s", exc)
            self._refuse("the control plane cannot write down that a token was used")
            return
        _log.warning(
            "%s joined from %s, to follow Gateway %s", joined.name, self._wire.address, joined.interest.gateway
        )
        self._wire.send(encode(joined))
        self._wire.close()

    def _renew(self, follower: Follower, message: Renew) -> None:
        assert self._gateway is not None
        try:
            joined = self._joining.renew(message.request, self._gateway, follower.interest)
        except JoinError as exc:
            raise DeltaError(str(exc)) from exc
        self._wire.send(encode(joined))

    def _found(self, follower: Follower, message: Found) -> None:
        self._hub.found(follower, message)
        if follower.heard_s - self._told_s > FOUND_S:
            self._told, self._told_s = 0, follower.heard_s
        self._told += 1
        if self._told > MAX_FOUND:
            raise DeltaError(f"more than {MAX_FOUND} messages about what was found in {FOUND_S:g} s")

    def _refuse(self, why: str) -> None:
        _log.warning("a peer at %s is refused: %s", self._wire.address, why[:300])
        self._wire.send(encode(Refused(why[:300])))
        self._wire.close()
