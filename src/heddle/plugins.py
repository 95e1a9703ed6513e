"""The only module that names implementations. Each is imported when it is first asked for.

Adding a provider, policy or driver is one new file and one line here. Installed distributions add theirs
through the entry points `heddle.policies` and `heddle.providers`, with the same contracts.
"""

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

POLICIES: dict[str, str] = {
    "authentication": "heddle.policies.authn:build",
    "authorization": "heddle.policies.authz:build",
    "caching": "heddle.policies.cache:build",
    "guards": "heddle.policies.guard:build",
    "ownership": "heddle.policies.ownership:build",
    "rate_limiting": "heddle.policies.rate_limit:build",
    # Of one phase with `rate_limiting`, and by the order of names within it.
    "spending": "heddle.policies.budget:build",
    "transforming": "heddle.policies.transform:build",
}
"""name -> `build(snapshot: Snapshot, tools: Tools) -> Policy | None`; None when the snapshot declares none of it."""

PROVIDERS: dict[str, str] = {
    "anthropic": "heddle.providers.anthropic:Anthropic",
    "gemini": "heddle.providers.gemini:Gemini",
    "vertex": "heddle.providers.gemini:vertex",
    "openai": "heddle.providers.openai:OpenAI",
    "azure": "heddle.providers.openai:OpenAI",
    "groq": "heddle.providers.openai:OpenAI",
    "mistral": "heddle.providers.openai:OpenAI",
    "together": "heddle.providers.openai:OpenAI",
    "deepseek": "heddle.providers.openai:OpenAI",
    "xai": "heddle.providers.openai:OpenAI",
    "openrouter": "heddle.providers.openai:OpenAI",
    "fireworks": "heddle.providers.openai:OpenAI",
    "cerebras": "heddle.providers.openai:OpenAI",
    "perplexity": "heddle.providers.openai:OpenAI",
    "moonshot": "heddle.providers.openai:OpenAI",
    "minimax": "heddle.providers.openai:OpenAI",
    "cohere": "heddle.providers.openai:OpenAI",
    "huggingface": "heddle.providers.openai:OpenAI",
    "nvidia": "heddle.providers.openai:OpenAI",
    "databricks": "heddle.providers.openai:OpenAI",
    "ollama": "heddle.providers.openai:OpenAI",
    "vllm": "heddle.providers.openai:OpenAI",
    "sglang": "heddle.providers.openai:OpenAI",
    "lmstudio": "heddle.providers.openai:OpenAI",
    "bedrock": "heddle.providers.bedrock:build",
    "scripted": "heddle.providers.scripted:Scripted",
}
"""`ProviderSpec.type` -> class built with the spec."""

GUARDS: dict[str, str] = {
    "texts": "heddle.guards.treatment:build",
    "schema": "heddle.guards.schema:SchemaJudge",
    "webhook": "heddle.guards.webhook:WebhookJudge",
}
"""What guards are made of; families of recognisers are in `heddle.guards.catalog`."""

APPROVALS: dict[str, str] = {
    "sqlite": "heddle.drivers.approvals.sqlite:SqliteApprovals",
}
"""Where it is kept which definitions of tools were approved: built with a path and a clock."""

DOCUMENTS: dict[str, str] = {
    "sqlite": "heddle.drivers.documents.sqlite:SqliteDocuments",
    "postgres": "heddle.drivers.documents.postgres:PostgresDocuments",
}
"""Where resources are kept: built with the path of a file, or the address of a database."""

SINKS: dict[str, str] = {
    "stdout": "heddle.drivers.sinks.stream:StdoutSink",
    "file": "heddle.drivers.sinks.stream:FileSink",
    "elasticsearch": "heddle.drivers.sinks.elasticsearch:ElasticsearchSink",
    "otlp_http": "heddle.drivers.sinks.otlp:OtlpHttpSink",
    "otlp_grpc": "heddle.drivers.sinks.otlp:OtlpGrpcSink",
}


def names(group: str) -> list[str]:
    """All names of a group (`policies`, `providers`, `sinks`), built in and installed, sorted."""
    return sorted(_table(group))


def load(group: str, name: str) -> Any:
    """The implementation called `name`; KeyError when there is none."""
    module, _, attribute = _table(group)[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def _table(group: str) -> dict[str, str]:
    built_in = {
        "policies": POLICIES,
        "providers": PROVIDERS,
        "sinks": SINKS,
        "guards": GUARDS,
        "approvals": APPROVALS,
        "documents": DOCUMENTS,
    }[group]
    return {**_installed(group), **built_in}


@cache
def _installed(group: str) -> dict[str, str]:
    """What other distributions bring. Looked for once: it reads the metadata of everything that is installed."""
    return {point.name: point.value for point in entry_points(group=f"heddle.{group}")}
