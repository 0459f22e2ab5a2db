"""``microframe verify``: whether model files are what they were when they were saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from microframe.cli.options import common_options, json_option, model_file_options
from microframe.cli.output import missing_report, print_json
from microframe.errors import ModelFileError, ModelPluginError, UsageError


@click.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@model_file_options
@json_option
@common_options
def command(files: Sequence[str], as_json: bool, **options: Any) -> int:
    """Check each model FILE: its structure, its manifest, the digest of every tensor, and that weights are finite.

    Where its plugins are there, also that the configured network has just these tensors, and that its training can go
    on from the checkpoint. A line is printed for each file, with the SHA-256 of the file and that of its manifest,
    which names the model. The first file that is refused ends it, with the exit code 6.
    """
    if options["sha256"] and len(files) > 1:
        raise UsageError(f"--sha256 is for a single file, and there are {len(files)}")
    reports: list[dict[str, Any]] = []
    code = 0
    for file in files:
        try:
            reports.append(_check(file, options))
        except ModelFileError as error:
            if not as_json:
                raise
            refusal = {"code": error.code, "where": error.where, "found": error.found}
            reports.append({"file": file, "ok": False, **refusal})
            code = error.exit_code
            break
        if not as_json:
            click.echo(_line(reports[-1]))
    if as_json:
        print_json(reports)
    return code


def _check(file: str, options: dict[str, Any]) -> dict[str, Any]:
    """What there is to say of a file that is not refused."""
    from microframe.contents import Contents

    contents = Contents(file, **options)
    missing = None
    try:
        contents.check_model()
    except ModelPluginError as error:
        missing = error
    digests = {"sha256": contents.sha256, "manifest_sha256": contents.manifest_sha256}
    return {"file": file, "ok": True, **digests, "complete": missing is None, **missing_report(missing)}


def _line(report: dict[str, Any]) -> str:
    from microframe.printable import printable

    text = (
        f"{printable(report['file'], most=None)}: ok, SHA-256 {report['sha256']}, manifest {report['manifest_sha256']}"
    )
    reason = report["install"] or " ".join(report["missing"])
    return text if report["complete"] else f"{text}, less what takes plugins: {printable(reason)}"
