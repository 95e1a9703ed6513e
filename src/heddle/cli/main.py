"""The `heddle` command: one group, each command imported when it is called, so that `--help` stays fast."""

import importlib

import click

from heddle import __version__

_COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("heddle.cli.up:up", "Start the mesh on this machine."),
    "demo": ("heddle.cli.up:demo", "Start it with an offline model and a page of what to try."),
    "gateway": ("heddle.cli.up:gateway", "Start only the gateway."),
    "gateway-token": ("heddle.cli.gateway_token:gateway_token", "Make a token with which a gateway joins."),
    "control-plane": ("heddle.cli.control_plane:control_plane", "Start only the control plane."),
    "exporter": ("heddle.cli.exporter:exporter", "Start only the exporter of traces and records."),
    "stdio-host": ("heddle.cli.stdio_command:stdio_host", "Start only the host of tool servers that speak over stdio."),
    "chat": ("heddle.cli.chat:chat", "Talk to a model through the gateway."),
    "validate": ("heddle.cli.config_commands:validate", "Check configuration; every problem with file and line."),
    "schema": ("heddle.cli.config_commands:schema", "Print the JSON Schema of the configuration."),
    "explain": ("heddle.cli.config_commands:explain", "Explain a configuration field."),
    "kubeconfig": (
        "heddle.cli.kubeconfig:kubeconfig",
        "Write credentials for the resource API, as kubectl reads them.",
    ),
    "get": ("heddle.cli.resources_get:get", "Show resources: what is declared, and what the mesh found."),
    "search": ("heddle.cli.resources_search:search", "Find tools, agents and models by what they are for."),
    "describe": ("heddle.cli.resources_describe:describe", "Show a resource in full, and what happened to it."),
    "apply": ("heddle.cli.resources_apply:apply", "Make resources be as files say."),
    "delete": ("heddle.cli.resources_apply:delete", "Delete resources."),
    "diff": ("heddle.cli.resources_diff:diff", "Show what apply would change."),
    "edit": ("heddle.cli.resources_diff:edit", "Change a resource in your editor."),
    "history": ("heddle.cli.resources_history:history", "Show who changed a resource, when and why."),
    "rollback": ("heddle.cli.resources_history:rollback", "Go back to an earlier version of a resource."),
    "wait": ("heddle.cli.resources_wait:wait", "Wait until resources are as they shall be."),
    "keys": ("heddle.cli.keys:keys", "Make, limit, rotate and revoke virtual keys."),
    "usage": ("heddle.cli.usage:usage", "Show what was used and what it cost."),
    "ledger": ("heddle.cli.ledger:ledger", "Check the record of what was used."),
    "mcp": ("heddle.cli.mcp:mcp", "Use tools, prompts and resources from the terminal."),
    "tools": ("heddle.cli.tools:tools", "See and decide what tool servers may say of themselves."),
    "status": ("heddle.cli.status:status", "Show what a running mesh serves."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="heddle")
def main() -> None:
    """Heddle: one governed path for every call an agent makes.

    \b
    heddle demo                      an offline model behind the gateway, nothing to configure
    heddle chat "hello"              talk to it
    heddle validate -f heddle.yaml   check your own configuration
    heddle up -f heddle.yaml         run it
    heddle mcp list                  the tools it offers
    """


if __name__ == "__main__":
    main()
