"""The command line: one file a command, each imported when it is used."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn, TextIO

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names of classes that the terminal cannot show
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code, and shows a traceback only with ``--debug``."""
    try:
        # whatever takes time to import is imported in here, so that Ctrl-C is answered as it is later
        return _run(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(arguments: Sequence[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _answer(arguments)


def _answer(arguments: Sequence[str] | None) -> int:
    import click

    from microframe.cli.commands import State, group
    from microframe.errors import MicroframeError

    state = State()
    try:
        code = group.main(arguments, prog_name="microframe", standalone_mode=False, obj=state)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except MicroframeError as error:
        _report(error, str(error), debug=state.debug)
        return error.exit_code
    except BrokenPipeError:
        # whoever read the output had enough; keep Python from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = f"{type(error).__name__}: {error} (this is a bug; --debug shows where)"
        _report(error, message, debug=state.debug)
        return 1
    return code if isinstance(code, int) else 0


def _report(error: Exception, message: str, *, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    print(f"error: {message}", file=sys.stderr)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line for a warning of microframe's own, which is not about a line of code; others as Python shows them."""
    from microframe.errors import ProviderVersionWarning

    text = f"warning: {message}\n"
    if not issubclass(category, ProviderVersionWarning):
        text = warnings.formatwarning(message, category, filename, lineno, line)
    print(text, end="", file=file or sys.stderr)
