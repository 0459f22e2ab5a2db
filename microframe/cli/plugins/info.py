"""``microframe plugins info``: what a plugin provides, with every field of every component."""

from __future__ import annotations

import inspect
import json
import textwrap
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import common_options, complete_plugin_names, json_option
from microframe.cli.output import print_json

if TYPE_CHECKING:
    from microframe.cli.plugins.lookup import Found
    from microframe.component import Component

INDENT = "  "


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    standard = ["standard"] if "standard".startswith(incomplete) else []
    return [*standard, *complete_plugin_names(ctx, parameter, incomplete)]


@click.command("info")
@click.argument("name", shell_complete=_complete)
@click.option("--kind", metavar="KIND", help="Show parts of one kind alone: layer, activation, loss and so on.")
@json_option
@common_options
def command(name: str, kind: str | None, as_json: bool) -> int:
    """Show what NAME provides: each part with its fields, their types, defaults and meaning.

    NAME is a plugin, a distribution, "standard" for the parts that come with microframe, or a part such as dense or
    swish.swish.
    """
    from microframe.cli.plugins.lookup import look_up
    from microframe.errors import PluginError

    found = look_up(name, kind)
    if as_json:
        print_json([_to_json(one) for one in found])
    else:
        click.echo("\n\n".join(_text(one) for one in found))
    return PluginError.exit_code if any(one.report.state == "broken" for one in found) else 0


def _to_json(found: Found) -> dict[str, Any]:
    report = found.report.to_json()
    del report["provides"]  # what follows says more
    return {
        **report,
        "traceback": found.report.traceback,
        "components": [_component_to_json(component) for component in found.components],
        "commands": [{"name": one.name, "documentation": inspect.cleandoc(one.help or "")} for one in found.commands],
    }


def _component_to_json(component: type[Component]) -> dict[str, Any]:
    from microframe.docstrings import docstring_of, split_docstring
    from microframe.registry import registry
    from microframe.schema import component_schema
    from microframe.values import describe

    schema = component_schema(component)
    properties, types = schema["properties"], component.field_types()
    return {
        "kind": component.kind,
        "name": component.type,
        "reference": registry.reference(component),
        "class": f"{component.__module__}.{component.__qualname__}",
        "documentation": split_docstring(docstring_of(component))[0],
        "fields": [
            {
                "name": field.name,
                "type": describe(types[field.name]),
                "required": field.name in schema["required"],
                "default": properties[field.name].get("default"),
                "documentation": properties[field.name].get("description", ""),
            }
            for field in component.fields()
        ],
    }


def _text(found: Found) -> str:
    report = found.report
    spent = "" if report.milliseconds is None else f", imported in {report.milliseconds:.1f} ms"
    head = f"{report.provider}: {report.state}{spent}"
    if report.state == "broken":
        return f"{head}\n{report.reason}\n\n{textwrap.indent(report.traceback or '', INDENT)}".rstrip()
    parts = [
        *(_component_text(_component_to_json(component)) for component in found.components),
        *(_command_text(one) for one in found.commands),
    ]
    return "\n\n".join(["\n".join([head, *report.notes]), *(parts or ["It provides nothing of that kind."])])


def _component_text(part: dict[str, Any]) -> str:
    from microframe.cli.wrapping import wrap_paragraphs

    head = f"{part['kind']} {part['reference']}"
    sections = [wrap_paragraphs(part["documentation"], INDENT), _fields_text(part["fields"])]
    return "\n".join([head, "\n\n".join(section for section in sections if section)]).rstrip()


def _fields_text(fields: list[dict[str, Any]]) -> str:
    from microframe.cli.wrapping import wrap_labelled

    rows = [(field["name"], [f"{field['type']}; {_default_text(field)}", field["documentation"]]) for field in fields]
    return wrap_labelled([(name, [line for line in lines if line]) for name, lines in rows], INDENT)


def _default_text(field: dict[str, Any]) -> str:
    if field["required"]:
        return "required"
    return "optional" if field["default"] is None else f"default {json.dumps(field['default'], ensure_ascii=False)}"


def _command_text(one: click.Command) -> str:
    from microframe.cli.wrapping import wrap

    text = one.get_short_help_str(limit=200)
    return f"command {one.name}" + (f"\n{wrap(text, INDENT)}" if text else "")
