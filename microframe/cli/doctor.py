"""``microframe doctor``: what runs here, in what versions, and what is wrong with it."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import common_options, json_option
from microframe.cli.output import print_json
from microframe.errors import PluginError
from microframe.version import __version__

if TYPE_CHECKING:
    from microframe.cli.plugins.report import Report

LIBRARIES = ("numpy", "h5py", "pluggy", "click", "msgspec", "rich")


@click.command("doctor")
@json_option
@common_options
def command(as_json: bool) -> int:
    """Show the versions of what runs here, the threads of BLAS, and the state of every plugin.

    The exit code is 0 if all is well, 5 if a plugin is broken or its name is claimed by another one too, and 1 if a
    library that microframe needs cannot be imported.
    """
    failures = _failures()
    system = _system(with_blas="numpy" not in failures)
    reports = [] if failures else _reports()
    if as_json:
        print_json({**system, "failures": failures, "plugins": [_plugin_to_json(report) for report in reports]})
    else:
        _print(system, failures, reports)
    if failures:
        return 1
    return PluginError.exit_code if any(report.state in {"broken", "clashing"} for report in reports) else 0


def _failures() -> dict[str, str]:
    """Why libraries cannot be imported, by name."""
    failures = {}
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
    return failures


def _system(*, with_blas: bool) -> dict[str, Any]:
    from microframe.discovery import VARIABLES

    system = {
        "versions": _versions(),
        "processors": _processors(),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "unknown_names": _unknown_names(),
    }
    if with_blas:
        from microframe.cli.blas import describe_blas

        system["blas"] = describe_blas()
    return system


def _unknown_names() -> list[str]:
    """The names of plugins to leave out that nobody has."""
    from microframe.discovery import Discovery
    from microframe.errors import UsageError

    try:
        return Discovery().unknown()
    except UsageError:  # of another variable, which the reports on plugins end in
        return []


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {
        "microframe": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "platform": platform.platform(),
    }
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
        if name == "h5py" and name in sys.modules:
            versions["HDF5"] = sys.modules[name].version.hdf5_version
    return versions


def _processors() -> dict[str, int | None]:
    """How many there are, and how many this process may run on (None where the system doesn't tell)."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {"count": os.cpu_count(), "usable": usable}


def _reports() -> list[Report]:
    from microframe.cli.plugins.report import every_report

    return every_report()


def _plugin_to_json(report: Report) -> dict[str, Any]:
    return {**report.to_json(), "traceback": report.traceback}


def _print(system: dict[str, Any], failures: dict[str, str], reports: list[Report]) -> None:
    from microframe.cli.wrapping import wrap_labelled
    from microframe.discovery import WITHOUT
    from microframe.errors import list_names

    names = system["unknown_names"]
    rows = [
        *system["versions"].items(),
        ("processors", _processors_text(system["processors"])),
        *([("BLAS", _blas_text(system["blas"]))] if "blas" in system else []),
        *system["environment"].items(),
        *((f"{name} failed", reason) for name, reason in failures.items()),
    ]
    notes = {WITHOUT: [f"no plugin or distribution is called {list_names(names)}"] if names else []}
    click.echo(wrap_labelled([(label, [text, *notes.get(label, ())]) for label, text in rows]))
    if not reports:
        return
    from microframe.cli.plugins.report import print_reports

    click.echo()
    print_reports(reports)
    for report in reports:
        if report.traceback is not None:
            click.echo(f"\n{report.provider}:\n{textwrap.indent(report.traceback, '  ')}".rstrip())


def _processors_text(processors: dict[str, int | None]) -> str:
    usable = "" if processors["usable"] is None else f", {processors['usable']} for this process"
    return f"{processors['count'] or 'unknown'}{usable}"


def _blas_text(blas: dict[str, Any]) -> str:
    name = " ".join(part for part in (blas["name"], blas["version"]) if part) or "unknown"
    threads = "an unknown number of threads" if blas["threads"] is None else f"threads: {blas['threads']}"
    variables = [f"{name}={value}" for name, value in blas["variables"].items() if value is not None]
    return ", ".join([name, threads, *variables])
