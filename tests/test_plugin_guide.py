"""Every example of the guide for plugin authors runs, and its reference says what the docstrings say.

``python tests/test_plugin_guide.py`` writes the reference anew.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from microframe import interfaces
from microframe.component import Component
from microframe.hooks import HOOKS, Hooks
from microframe.registry import KINDS
from microframe.settings import Settings
from microframe.testing import check_component

GUIDE = Path(__file__).parents[1] / "plugins" / "README.md"
TEXT = GUIDE.read_text(encoding="utf-8")
MARK = "<!-- The rest of this page is generated from the docstrings: python tests/test_plugin_guide.py -->\n"
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
PARTS = [name for name, code in FILES.items() if "microframe_components" in code]

NET = """
[data]
source = { type = "json_lines", path = "data.jsonl", target = "y" }

[[layers]]
type = "rms_norm"
[[layers]]
type = "dense"
units = 8
activation = "squared_relu"
[[layers]]
type = "dense"
units = 4
activation = { type = "leak", slope = 0.2 }
[[layers]]
type = "dense"
units = 1

[training]
loss = { type = "quantile", q = 0.5 }
optimizer = { type = "adamax", learning_rate = 0.01 }
callbacks = [{ type = "plateau", epochs = 2, fraction = 0.5 }]
epochs = 50
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with every example as a file."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def run(folder, *arguments):
    plugins = ",".join(name for name in FILES if name.startswith("microframe_"))
    environment = {**os.environ, "MICROFRAME_PLUGIN": plugins}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_there_is_an_example_of_each_kind_that_is_promised():
    kinds = {component.kind for name in PARTS for component in load(name)}
    assert {"layer", "activation", "loss", "optimizer", "callback", "source"} <= kinds
    assert "microframe_commands" in FILES["microframe_norms.py"]


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_of_an_example_conform(name):
    for component in load(name):
        failed = [result for result in check_component(component) if result.outcome == "failed"]
        assert not failed


def test_the_examples_train_together_and_the_command_reads_their_model(folder):
    rows = [{"a": x / 10, "b": 1.0, "y": x / 10 + 0.5} for x in range(40)]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "net.toml").write_text(NET)
    trained = run(folder, "-m", "microframe", "run", "net.toml")
    assert trained.returncode == 0, trained.stderr
    assert "the loss fell by less than 50% in 2 epochs" in trained.stdout + trained.stderr
    norms = run(folder, "-m", "microframe", "norms", "net.h5")
    assert norms.stdout.splitlines()[0].startswith("rms_norm_1/scale: "), norms.stderr


def test_the_example_of_a_test_passes(folder):
    tested = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_microframe_rms_norm.py")
    assert tested.returncode == 0, tested.stdout
    assert "failed" not in tested.stdout


def test_the_upgrade_reads_the_fields_of_the_first_version():
    (leak,) = load("microframe_leak.py")
    assert leak(**leak.upgrade({"divisor": 4.0}, 1)).slope == 0.25


def test_the_reference_is_what_the_docstrings_say():
    assert TEXT.partition(MARK)[2] == reference()


def load(name):
    """The components of an example, in a module of their own."""
    module = sys.modules[Path(name).stem] = ModuleType(Path(name).stem)
    exec(compile(FILES[name], name, "exec"), vars(module))
    return module.microframe_components()


def reference() -> str:
    """The hooks, and what each interface says of its class attributes and methods, in Markdown."""
    lines = ["### Hooks", ""]
    lines += [f"- `{name}{signature(hook)}`: {paragraph(hook)}" for name, hook in vars(Hooks).items() if name in HOOKS]
    interface_of = {each.__dict__.get("kind"): each for each in vars(interfaces).values() if isinstance(each, type)}
    handed = {"layer": (interfaces.Scope, interfaces.Context), "optimizer": (interfaces.OptimizerContext,)}
    described = [Component]
    for kind in KINDS:
        described += [interface_of[kind], *handed.get(kind, ())]
    for interface in described:
        lines += ["", f"### {interface.__name__}", "", paragraph(interface), "", *attributes(interface)]
        lines += [f"- `{name}{how}`: {paragraph(member)}" for name, how, member in members(interface)]
    return "\n" + "\n".join(lines) + "\n"


def attributes(interface):
    """The class attributes that have a docstring of their own below them."""
    body = ast.parse(inspect.getsource(interface)).body[0].body
    for statement, below in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr):
            yield f"- `{ast.unparse(statement)}`: {' '.join(below.value.value.split())}"


def members(interface):
    """The methods and properties that `interface` declares, and takes over from bases that are no components."""
    for owner in interface.__mro__:
        if owner is interface or not issubclass(owner, Settings):
            for name, member in vars(owner).items():
                if name.startswith("_") or not getattr(member, "__doc__", None):
                    continue
                if isinstance(member, property):
                    yield name, f": {inspect.signature(member.fget).return_annotation}".replace("'", ""), member
                elif inspect.isfunction(function := inspect.unwrap(getattr(member, "__func__", member))):
                    yield name, signature(function), function


def signature(function) -> str:
    """The parameters and the result, without self."""
    whole = inspect.signature(function)
    parameters = [parameter for name, parameter in whole.parameters.items() if name not in {"self", "cls"}]
    text = str(whole.replace(parameters=parameters)).replace("'", "")
    return text.replace("<built-in function empty>", "np.empty")


def paragraph(documented) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.getdoc(documented).partition("\n\n")[0].split())


if __name__ == "__main__":
    GUIDE.write_text(TEXT.partition(MARK)[0] + MARK + reference(), encoding="utf-8")
