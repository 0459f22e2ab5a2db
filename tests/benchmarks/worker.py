"""One contender in a fresh process: prints what it measured as JSON.

``python worker.py MODULE:FUNCTION TASK THREADS``
"""

from __future__ import annotations

import importlib
import json
import resource
import sys


def main(call: str, task_name: str, threads: str) -> None:
    """Run the contender and print its result, with the peak of this process's memory unless it says otherwise."""
    module, _, function = call.partition(":")
    task = None
    if task_name:
        from tasks import TASKS

        task = TASKS[task_name]
    result = getattr(importlib.import_module(module), function)(task, int(threads))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_memory": peak * (1 if sys.platform == "darwin" else 1024), **result}))


if __name__ == "__main__":
    main(*sys.argv[1:])
