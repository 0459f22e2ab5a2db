"""Runs the command line in processes that begin with the imports done, which is most of what a short command takes.

Each request is a line of JSON on stdin: the words, the folder, the environment, and the files that are stdin, stdout
and stderr. A process is forked for it, as clean as a new one, and its exit code comes back as a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

import h5py  # noqa: F401
import numpy  # noqa: F401

from microframe.cli import evaluate, inspect, main, predict, train, verify  # noqa: F401
from microframe.cli.commands import group  # noqa: F401
from microframe.model import Model  # noqa: F401
from microframe.registry import registry

SECONDS = 60


def serve() -> None:
    for kind in ("layer", "activation", "loss", "optimizer", "metric", "callback", "initializer", "schedule", "source"):
        registry.standard_names(kind)
    # not through sys.stdin, which may not have read anything yet when it becomes another file
    for line in os.fdopen(os.dup(0), encoding="utf-8"):
        request = json.loads(line)
        child = os.fork()
        if not child:
            _run(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> NoReturn:
    code = 1
    signal.alarm(SECONDS)
    try:
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for descriptor, path in enumerate(request["files"]):
            opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY)
            os.dup2(opened, descriptor)
            os.close(opened)
        main(request["words"])
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
