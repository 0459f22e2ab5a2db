"""The group of all commands, and how each is found."""

from __future__ import annotations

from dataclasses import dataclass

import click

from microframe.cli.groups import LazyGroup
from microframe.version import __version__

COMMANDS = ("run", "train", "predict", "evaluate", "inspect", "verify", "config", "plugins", "doctor", "completion")


@dataclass
class State:
    """What holds for a whole call of the command line."""

    debug: bool = False


class Commands(LazyGroup):
    """The built-in commands; any other name is looked for among the plugins."""

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = super().get_command(ctx, name)
        return own if own is not None or ctx.resilient_parsing else _plugin_command(name)

    def hint(self, name: str) -> str:
        from microframe.errors import shorten
        from microframe.registry import registry

        silent = registry.silent()
        left_out = f" A plugin that is left out may provide it: {shorten(silent)}." if silent else ""
        return super().hint(name) + left_out


def _plugin_command(name: str) -> click.Command | None:
    """The command of a plugin, by its name or by the qualified one (``plugin.command``)."""
    from microframe.discovery import describe_clash
    from microframe.errors import PluginError
    from microframe.registry import registry

    plugins = registry.plugins
    asked, _, plain = name.rpartition(".")
    available, clashing = plugins.available(), plugins.clashing()
    if asked in clashing:
        raise PluginError(f"the command {name!r}: {describe_clash(asked, clashing[asked])}")
    offers = {
        plugin: command
        for plugin in available
        if asked in ("", plugin)
        for command in plugins.commands(plugin)
        if command.name == plain
    }
    if len(offers) > 1:
        listed = " and ".join(f"{available[plugin]} as '{plugin}.{plain}'" for plugin in offers)
        raise PluginError(f"the command {plain!r} is offered by {listed}; use one of these qualified names")
    return next(iter(offers.values()), None)


@click.group(
    cls=Commands, package="microframe.cli", names=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="microframe")
def group() -> None:
    """Train small neural networks, and predict with them.

    \b
    microframe run net.toml              train the network that net.toml describes
    microframe run net.h5 samples.csv    predict with the trained network

    Plugins may add commands to those below.
    """
