"""How compiled states reach gateways, and what becomes of them there.

`states` keeps what there is, `views` what each Gateway needs of it, with each change made once for all; `hub`
decides who is sent what and when; `conversation` is what one peer may say; `roll` remembers what each gateway runs and
why it refused; `joining` makes gateways of processes that hold a token; `listening` is the socket. Compiles nothing,
and decides nothing about what a gateway needs: parts come with their audience.
"""

from heddle.controlplane.distribution.listening import Distribution, Listening, serve
from heddle.controlplane.distribution.roll import GatewayRecord, Roll
from heddle.controlplane.distribution.states import Settled, Source
from heddle.controlplane.distribution.views import Part

__all__ = ["Distribution", "GatewayRecord", "Listening", "Part", "Roll", "Settled", "Source", "serve"]
