"""What the tests of the command line share: real processes, and models that are trained once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from microframe import Model

CHECKOUT = Path(__file__).parents[2]
MODULE = (sys.executable, "-m", "microframe")

LEAVES = """\
length,width,tree
1.0,5.0,oak
1.2,5.2,oak
0.9,4.9,oak
1.1,5.1,oak
3.0,1.0,ash
3.2,1.1,ash
2.9,0.9,ash
3.1,1.2,ash
6.0,4.0,elm
6.1,4.2,elm
5.9,3.9,elm
6.2,4.1,elm
"""

LEAVES_TOML = """\
[data]
source = {{ type = "csv", path = {path!r}, target = "tree" }}

[[layers]]
type = "standardize"

[[layers]]
type = "dense"
units = 3
activation = "softmax"

[training]
loss = "cross_entropy"
optimizer = {{ type = "adam", learning_rate = 0.1 }}
metrics = ["accuracy"]
epochs = 40
batch_size = 4
"""


@dataclass(frozen=True)
class Result:
    """What a process left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Process = Callable[..., Result]


def environment(**changes: str) -> dict[str, str]:
    if "PYTHONPATH" in changes and "PYTHONPATH" in os.environ:
        changes["PYTHONPATH"] += os.pathsep + os.environ["PYTHONPATH"]
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "120", **changes}


def run_process(command: Sequence[object], *, cwd: Path, stdin: str = "", **variables: str) -> Result:
    """Run a process to its end; whatever happened to it, no reader of its output should see a traceback."""
    process = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return checked(Result(process.returncode, process.stdout, process.stderr))


def checked(result: Result) -> Result:
    assert "Traceback" not in result.stderr
    assert "this is a bug" not in result.stderr
    return result


@pytest.fixture(scope="session")
def warm_processes() -> Iterator[subprocess.Popen[str] | None]:
    """A process that forks one with the imports done for each command, where systems can; see warm_processes.py."""
    if not hasattr(os, "fork"):
        yield None
        return
    command = [sys.executable, str(Path(__file__).with_name("warm_processes.py"))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(command, env=environment(), **pipes) as server:
        yield server
        server.stdin.close()


@pytest.fixture
def microframe(tmp_path, tmp_path_factory, warm_processes) -> Process:
    """Runs ``python -m microframe`` with the given words in the test's own folder.

    Where no variable is given that a process reads when it begins, it has begun already.
    """

    def run(*words: object, stdin: str = "", **variables: str) -> Result:
        if variables or warm_processes is None:
            return run_process([*MODULE, *words], cwd=tmp_path, stdin=stdin, **variables)
        files = [tmp_path_factory.mktemp("process") / name for name in ("stdin", "stdout", "stderr")]
        for file, content in zip(files, (stdin, "", ""), strict=True):
            file.write_bytes(content.encode("utf-8"))
        request = {"words": list(map(str, words)), "folder": str(tmp_path), "environment": environment()}
        print(json.dumps({**request, "files": list(map(str, files))}), file=warm_processes.stdin, flush=True)
        code = int(warm_processes.stdout.readline())
        return checked(Result(code, *(file.read_bytes().decode("utf-8") for file in files[1:])))

    return run


@pytest.fixture
def refused(microframe) -> Callable[..., str]:
    """Runs a command that has to end with the given exit code, nothing on stdout and the reason on stderr."""

    def run(code: int, *words: object, stdin: str = "") -> str:
        result = microframe(*words, stdin=stdin)
        assert (result.code, result.stdout) == (code, "")
        return result.stderr

    return run


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of the networks that come with the project."""
    return CHECKOUT / "models"


@pytest.fixture(scope="session")
def digits(tmp_path_factory, models) -> Path:
    """A model of the digits, trained by the command line for five epochs; not to be changed."""
    folder = tmp_path_factory.mktemp("digits")
    result = run_process([*MODULE, "train", models / "digits.toml", "--epochs", 5], cwd=folder)
    assert result.code == 0
    return folder / "digits.h5"


@pytest.fixture(scope="session")
def leaves(tmp_path_factory) -> Path:
    """A folder with leaves.csv, a table of three kinds of tree, leaves.toml, and leaves.h5, which knows them apart."""
    folder = tmp_path_factory.mktemp("leaves")
    (folder / "leaves.csv").write_text(LEAVES)
    (folder / "leaves.toml").write_text(LEAVES_TOML.format(path=str(folder / "leaves.csv")))
    model = Model.from_config(folder / "leaves.toml")
    assert model.fit()["accuracy"][-1] == 1
    model.save(folder / "leaves.h5")
    return folder


@pytest.fixture
def plugin_folder(tmp_path) -> Callable[..., dict[str, str]]:
    """Makes folders of installed-looking plugins; gives the environment variables that put them within reach."""
    folder = tmp_path / "installed"
    folder.mkdir()

    def install(name: str, code: str, *, distribution: str | None = None, version: str = "1.0") -> dict[str, str]:
        distribution = distribution or f"microframe-{name}"
        module = re.sub(r"\W", "_", distribution)
        (folder / f"{module}.py").write_text(code)
        metadata = folder / f"{module}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[microframe]\n{name} = {module}\n")
        return {"PYTHONPATH": str(folder)}

    return install


@pytest.fixture
def table() -> Callable[[str], list[list[str]]]:
    """The cells of the tables in a text, row by row, without their rules."""

    def parse(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if line.strip() and set(line) != {"-"}]
        return [re.split(r"\s{2,}", line.strip()) for line in lines]

    return parse
