"""The short form: a `config.yaml` without `apiVersion`.

Owns the top of it; the sections are in `config_*`. It is API: fields are added, never renamed or repurposed.
It expands to resources (`expand`), and everything after that knows only those.
"""

from heddle.model.config_base import Part, TrustDomain
from heddle.model.config_budgets import Ledger, NamedBudget, State
from heddle.model.config_caching import NamedCache
from heddle.model.config_guards import NamedGuard
from heddle.model.config_listeners import Admin, Listener
from heddle.model.config_llm import Llm
from heddle.model.config_mcp import Mcp
from heddle.model.config_observability import Observability
from heddle.model.config_policies import A2a, Authorization, NamedRateLimit
from heddle.model.config_security import Security


class Config(Part, frozen=True, kw_only=True):
    """A configuration. Several files are taken together; `admin`, `trust_domain`, `security.authentication`,
    `observability`, `ledger`, `state`, `mcp.sessions` and `mcp.credentials` stand in one of them."""

    trust_domain: TrustDomain = ""
    """Trust domain of workload identities (`spiffe://TRUST_DOMAIN/...`). Unset is `heddle.local`."""
    listeners: tuple[Listener, ...] = ()
    """Where calls are accepted."""
    admin: Admin | None = None
    """Where /healthz, /readyz, /metrics and /config are served. Unset is 127.0.0.1:9090."""
    llm: Llm = Llm()
    """Models: providers, and the names callers use."""
    mcp: Mcp | None = None
    """Tool servers."""
    a2a: A2a | None = None
    """Calls between agents. Not active yet."""
    security: Security = Security()
    """Who may call."""
    authorization: Authorization = Authorization()
    """Who may do what."""
    rate_limiting: tuple[NamedRateLimit, ...] = ()
    """How much of it."""
    budgets: tuple[NamedBudget, ...] = ()
    """What may be spent."""
    guards: tuple[NamedGuard, ...] = ()
    """What may be said, by callers and by models."""
    caching: tuple[NamedCache, ...] = ()
    """Which answers are kept and given again."""
    ledger: Ledger | None = None
    """The record of what was spent."""
    state: State | None = None
    """Where limits and budgets are counted, and what workers remember for each other."""
    observability: Observability | None = None
    """Where traces and records go."""
