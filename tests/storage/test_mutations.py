"""Whatever is done to a valid file, it loads as it was saved, or is refused by a code.

The mutated files are made and loaded by processes of their own (see `mutations/worker.py`), many by each, so that a
crash, a case without end and a leak are seen, and cost only that process.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from microframe.storage import Code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and counts as Linux has them")

WORKER = Path(__file__).parent / "mutations" / "worker.py"
SEED = int(os.environ.get("MICROFRAME_FUZZ_SEED", "4"))
"""Which cases are made; other seeds find other things."""
CASES = int(os.environ.get("MICROFRAME_FUZZ_CASES", "20000"))
"""How many the test with the marker `fuzz` makes."""
SECONDS = 20.0
"""What one case may take; most take milliseconds."""
MOST_DEATHS = 10
ENVIRONMENT = os.environ | {"OPENBLAS_NUM_THREADS": "1"}


class Result(NamedTuple):
    """What came of a case: a code, ``"same"`` or ``"consistent"``; and what is wrong with that, or None."""

    number: int
    kind: str
    outcome: str
    problem: str | None


def run_cases(command: Sequence[str], numbers: range, seconds: float = SECONDS) -> list[Result]:
    """The results of all cases, by processes that are started anew after each that dies or hangs."""
    results: list[Result] = []
    deaths, following = 0, numbers.start
    while following < numbers.stop and deaths < MOST_DEATHS:
        with tempfile.TemporaryFile() as words, _start(command, words) as process:
            assert process.stdin is not None
            process.stdin.write(f"{following} {numbers.stop}\n".encode())
            process.stdin.close()
            hung = True
            for line in _lines(process, seconds):
                if line is None:
                    break
                results.append(Result(*json.loads(line)))
                following = results[-1].number + 1
            else:
                hung = False
            process.kill() if hung else process.wait()
            words.seek(0)
            last_words = words.read()[-500:].decode(errors="replace")
        if following < numbers.stop:
            ending = (
                f"no end after {seconds} seconds"
                if hung
                else f"the process ended with {process.returncode}: {last_words}"
            )
            results.append(Result(following, "unknown", "died", ending))
            following, deaths = following + 1, deaths + 1
    return results


def _start(command: Sequence[str], words: IO[bytes]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=words, env=ENVIRONMENT)


def _lines(process: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes | None]:
    """The lines that a process writes; None where it takes too long for one, the first of which comes with a start."""
    assert process.stdout is not None
    descriptor, pending, patience = process.stdout.fileno(), b"", seconds + 30
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if not selector.select(patience):
                yield None
                return
            read = os.read(descriptor, 2**16)
            if not read:
                return
            *lines, pending = (pending + read).split(b"\n")
            yield from lines
            patience = seconds


def check(results: list[Result], count: int) -> None:
    """Fail unless there is a result for each case, and nothing wrong with any; print how often there was which."""
    outcomes = Counter(result.outcome for result in results)
    print(f"{len(results)} cases: " + ", ".join(f"{name} {times}" for name, times in outcomes.most_common()))
    problems = [result for result in results if result.problem is not None]
    assert not problems, "\n".join(map(str, problems[:10]))
    assert [result.number for result in results] == list(range(count))


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    """The command that starts a process for cases, with the valid files that it begins with."""
    folder = tmp_path_factory.mktemp("mutations")
    command = [sys.executable, str(WORKER), str(folder), str(SEED)]
    made = subprocess.run([*command, "make"], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return command


def test_a_mutated_file_loads_as_it_was_saved_or_is_refused(command):
    results = run_cases(command, range(400))
    check(results, 400)
    outcomes = {result.outcome for result in results}
    assert {"same", "consistent"} <= outcomes
    assert len(outcomes & set(Code)) >= 25, "mutations that reach few checks"


@pytest.mark.fuzz
def test_tens_of_thousands_of_mutated_files_do(command):
    parts = [range(start, min(start + 1000, CASES)) for start in range(0, CASES, 1000)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = [result for part in pool.map(lambda part: run_cases(command, part), parts) for result in part]
    check(results, CASES)


def test_a_case_that_crashes_or_does_not_end_is_seen_and_the_others_go_on():
    code = """
        import json, os, sys, time
        for number in range(*map(int, sys.stdin.readline().split())):
            if number == 2:
                os.abort()
            if number == 4:
                time.sleep(60)
            print(json.dumps([number, "kind", "same", None]), flush=True)
    """
    results = run_cases([sys.executable, "-c", textwrap.dedent(code)], range(6), seconds=0.5)
    assert [(result.number, result.problem) for result in results] == [
        (0, None),
        (1, None),
        (2, "the process ended with -6: "),
        (3, None),
        (4, "no end after 0.5 seconds"),
        (5, None),
    ]
