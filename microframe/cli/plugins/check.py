"""``microframe plugins check``: the conformance suite on what plugins provide."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from microframe.cli.options import common_options, complete_plugin_names, json_option
from microframe.cli.output import print_json, print_table

if TYPE_CHECKING:
    from microframe.cli.plugins.lookup import Found
    from microframe.testing.conformance import Result

_CELLS = {"passed": "ok", "failed": "FAILED", "skipped": "-"}
_CHECK_COLUMN = 26
"""The width of the column with the names of the checks, and its gap."""


@click.command("check")
@click.argument("names", metavar="[PLUGIN|FILE]...", nargs=-1, shell_complete=complete_plugin_names)
@json_option
@common_options
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Run the conformance suite on every part that each PLUGIN, or the plugin in each FILE, provides.

    PLUGIN is what `microframe plugins info` takes: a plugin, a distribution, "standard", or a single part. Without one,
    every plugin is checked, and a plugin name that several claim is a failure too. The exit code is 1 if a check
    failed.
    """
    checked: dict[str, list[Result]] = {}
    for found in _look_up(names):
        checked.setdefault(found.report.provider.name, []).extend(_check(found))
    checked |= _clashes() if not names else {}
    results = [result for of_plugin in checked.values() for result in of_plugin]
    if as_json:
        print_json([{"plugin": name, **vars(result)} for name, each in checked.items() for result in each])
    elif not checked:
        click.echo('no plugin is installed: name a FILE to check, or "standard" for the standard parts')
    for name, of_plugin in checked.items() if not as_json else ():
        _print(name, of_plugin)
    return int(any(result.outcome == "failed" for result in results))


def _look_up(names: Sequence[str]) -> list[Found]:
    """What the arguments stand for; all plugins if there are none.

    Raises:
        PluginError: nothing is called so, or a file cannot be loaded.
    """
    from microframe.cli.plugins.lookup import look_up, of_plugin
    from microframe.registry import registry

    plugins = registry.plugins
    asked = [plugins.add(name) if name.endswith(".py") else name for name in names or sorted(plugins.available())]
    return [found for one in asked for found in (look_up(one) if isinstance(one, str) else [of_plugin(one)])]


def _clashes() -> Mapping[str, list[Result]]:
    """A failure for each plugin name that several claim, none of which can be imported by it."""
    from microframe.discovery import describe_clash
    from microframe.registry import registry
    from microframe.testing.conformance import Result

    return {
        name: [Result("plugin", name, "name_free", "failed", describe_clash(name, claimants))]
        for name, claimants in sorted(registry.plugins.clashing().items())
    }


def _check(found: Found) -> list[Result]:
    """The results for a plugin, beside which no other state of it takes part: it does not clash with itself."""
    from microframe.plugins import stdout_to_stderr
    from microframe.registry import registry

    with stdout_to_stderr, registry.plugins.hiding_copies_of(found.report.provider):
        return list(_results(found))


def _results(found: Found) -> Iterator[Result]:
    from microframe.testing.checks.commands import check_command
    from microframe.testing.conformance import Result, check_component

    if found.report.reason is not None:
        yield Result("plugin", found.report.provider.name, "import", "failed", found.report.reason)
    elif not (found.components or found.commands):
        yield Result(
            "plugin", found.report.provider.name, "provides", "failed", "expected a part or a command, received none"
        )
    for component in found.components:
        yield from check_component(component)
    for each in found.commands:
        yield from check_command(each)


def _print(plugin: str, results: Sequence[Result]) -> None:
    for kind in dict.fromkeys(result.kind for result in results):
        of_kind = [result for result in results if result.kind == kind]
        for components in _fitting(dict.fromkeys(result.component for result in of_kind)):
            _print_table(f"{plugin}: {kind}", [result for result in of_kind if result.component in components])
    failures = [
        f"{result.component} {result.check}: {result.reason}" for result in results if result.outcome == "failed"
    ]
    _print_list("failed", failures)
    skipped = [result for result in results if result.outcome == "skipped"]
    checks = {
        reason: sorted({result.check for result in skipped if result.reason == reason}) for reason in _reasons(skipped)
    }
    _print_list("skipped", [f"{', '.join(names)}: {reason}" for reason, names in checks.items()])
    parts = len({(result.kind, result.component) for result in results})
    counts: Counter[str] = Counter(result.outcome for result in results)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _CELLS)
    click.echo(f"{plugin}: {parts} {'part' if parts == 1 else 'parts'}; checks: {told}\n")


def _reasons(results: Iterable[Result]) -> Iterable[str]:
    return dict.fromkeys(result.reason for result in results)


def _fitting(components: Iterable[str]) -> Iterator[list[str]]:
    """The components in groups, each of which fits the terminal as columns of one table."""
    room = shutil.get_terminal_size().columns - _CHECK_COLUMN
    group: list[str] = []
    for component in components:
        if group and sum(len(other) + 2 for other in group) + len(component) > room:
            yield group
            group = []
        group.append(component)
    yield group


def _print_table(title: str, results: Sequence[Result]) -> None:
    components = list(dict.fromkeys(result.component for result in results))
    rows: dict[str, dict[str, str]] = {}
    for result in results:
        rows.setdefault(result.check, {})[result.component] = _CELLS[result.outcome]
    cells = [[check, *(row.get(component, "") for component in components)] for check, row in rows.items()]
    print_table(["check", *components], cells, title=title)
    click.echo()


def _print_list(title: str, lines: Sequence[str]) -> None:
    if lines:
        click.echo("\n".join([f"{title}:", *(f"  {line}" for line in lines)]))
