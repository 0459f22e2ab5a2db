"""A new package is one that works: its tests, its README and the checks pass as they are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from hypothesis import given
from hypothesis import strategies as st

from microframe import UsageError, __version__
from microframe.cli.commands import COMMANDS
from microframe.cli.plugins.new import KINDS
from microframe.registry import KINDS as COMPONENT_KINDS
from microframe.registry import registry
from microframe.scaffold import Names, names_of, package_files, write_package

CHECKOUT = Path(__file__).parents[1]
TEMPLATES = CHECKOUT / "microframe" / "scaffold" / "templates"


@pytest.fixture
def new_package(tmp_path):
    """Writes a package into a folder of its own."""

    def new_package(kind: str, name: str = "leaky swish") -> tuple[Path, Names]:
        names = names_of(name, kind)
        folder = tmp_path / f"{kind}-{names.distribution}"
        write_package(folder, package_files(names, kind))
        return folder, names

    return new_package


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_there_is_a_package_for_every_kind_of_part_and_for_commands():
    assert set(KINDS) == {*COMPONENT_KINDS, "fitted_layer", "command"}


@pytest.mark.parametrize(
    ("kind", "name"), [*((kind, "leaky swish") for kind in KINDS), *((kind, "a b") for kind in ("layer", "loss"))]
)
def test_a_package_passes_its_tests_and_the_checks_and_its_readme_runs(
    kind, name, new_package, write_distribution, run_python
):
    folder, names = new_package(kind, name)
    write_distribution(folder, names.distribution, {names.plugin: names.module}, {})
    programs = blocks((folder / "README.md").read_text(), "python")
    assert programs
    code = """
        import sys
        import pytest
        from microframe.cli import run

        name, *programs = sys.argv[1:]
        if pytest.main(["-q", "-W", "error", "-p", "no:cacheprovider"]):
            sys.exit("the tests fail")
        if run(["plugins", "check", name]):
            sys.exit("the checks fail")
        for program in programs:
            exec(program, {})
    """
    result = run_python(code, names.plugin, *programs, site=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_package_compare_numbers_besides_what_every_part_must_do(kind, new_package):
    folder, names = new_package(kind)
    tree = ast.parse((folder / "tests" / f"test_{names.plugin}.py").read_text())
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert ("test_conforms" in tests) == (kind != "command")
    assert len(tests) >= 4


@pytest.mark.parametrize("name", ["q", "long-names-of-four-words", "a b"])
def test_packages_are_formatted_and_free_of_lint(name, new_package, tmp_path):
    for kind in KINDS:
        new_package(kind, name)
    for words in (
        ["check", "--extend-select", "B,E,F,I,N,NPY,PL,PT,RET,RUF,SIM,UP,W", "--ignore", "PLR2004"],
        ["format", "--check"],
    ):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "."]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left_but_what_it_is_about(kind):
    for path, text in package_files(names_of("q", kind), kind).items():
        left = re.findall(r"(?i:part.?name|scaffold)|SUMMARY|USAGE|VERSION", f"{path} {text}")
        assert left == [], path


@pytest.mark.parametrize("kind", KINDS)
def test_the_configurations_in_the_readme_name_the_part(kind, new_package):
    folder, names = new_package(kind)
    shown = blocks((folder / "README.md").read_text(), "toml" if kind != "command" else "sh")
    if kind != "command":
        for block in shown:
            tomllib.loads(block)
    assert any(names.plugin in block or f"microframe {names.command} " in block for block in shown)


def test_the_project_declares_what_it_is_and_needs(new_package):
    folder, _ = new_package("loss")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "microframe-leaky-swish"
    assert project["description"] == "A loss for microframe: the logarithm of the hyperbolic cosine."
    assert project["description"] in (folder / "README.md").read_text()
    assert project["requires-python"] == ">=3.11"
    assert project["dependencies"] == [f"microframe>={__version__}"]
    assert project["optional-dependencies"] == {"test": ["pytest>=8"]}
    assert project["entry-points"] == {"microframe": {"leaky_swish": "microframe_leaky_swish"}}


def test_the_wheel_of_a_package_holds_its_module_and_the_source_distribution_everything(new_package):
    folder, names = new_package("layer")
    assert distributed(WheelBuilder(str(folder))) == {f"{names.module}.py"}
    everything = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {Path(path).name for path in distributed(SdistBuilder(str(folder)))} >= {
        Path(path).name for path in everything
    }


def test_the_wheel_of_microframe_holds_the_templates():
    shipped = distributed(WheelBuilder(str(CHECKOUT)))
    templates = {path for path in TEMPLATES.iterdir() if path.is_file()}
    assert len(templates) > 3 * len(KINDS)
    assert {path.relative_to(CHECKOUT).as_posix() for path in templates} <= shipped


def distributed(builder) -> set[str]:
    return {file.distribution_path.replace("\\", "/") for file in builder.recurse_included_files()}


@pytest.mark.parametrize(
    "text",
    ["leaky swish", "leaky-swish", "leaky_swish", "LeakySwish", "microframe-leaky-swish", "microframe_leaky_swish"],
)
def test_all_names_follow_from_one_in_whatever_form(text):
    names = names_of(text, "activation")
    assert names.class_name == "LeakySwish"
    assert (names.plugin, names.command) == ("leaky_swish", "leaky-swish")
    assert (names.module, names.distribution) == ("microframe_leaky_swish", "microframe-leaky-swish")


@pytest.mark.parametrize(
    ("text", "class_name", "plugin"),
    [
        ("swish", "Swish", "swish"),
        ("GELU2", "GELU2", "gelu2"),
        ("conv 2d", "Conv2d", "conv2d"),
        ("Conv2D", "Conv2D", "conv2d"),
        ("Conv2D transpose", "Conv2DTranspose", "conv2d_transpose"),
        ("x", "X", "x"),
    ],
)
def test_the_plugin_is_called_what_the_class_is_in_configurations(text, class_name, plugin):
    names = names_of(text, "layer")
    assert (names.class_name, names.plugin, names.has_own_type) == (class_name, plugin, False)


@pytest.mark.parametrize(
    ("text", "class_name", "plugin"),
    [
        ("a b", "AB", "a_b"),
        ("microframe-a-b", "AB", "a_b"),
        ("layer a b", "LayerAB", "layer_a_b"),
        ("XYZ LSTM", "XYZLSTM", "xyz_lstm"),
        ("a b 2 c", "AB2C", "a_b2_c"),
    ],
)
def test_words_that_the_class_runs_together_are_kept_apart_by_its_type(text, class_name, plugin, new_package):
    names = names_of(text, "layer")
    assert (names.class_name, names.plugin, names.has_own_type) == (class_name, plugin, True)
    assert (names.module, names.distribution) == (f"microframe_{plugin}", f"microframe-{plugin.replace('_', '-')}")
    module = package_files(names, "layer")[f"{names.module}.py"]
    assert re.search(rf'class {class_name}\(Layer\):\n    """.*?"""\n\n    type = "{plugin}"\n', module, re.DOTALL)


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}([-_ ][A-Za-z0-9]{1,5}){0,3}", fullmatch=True))
def test_names_are_such_as_python_packages_have_and_lead_to_themselves(text):
    try:
        names = names_of(text, "callback")
    except UsageError:
        return
    assert names.module.isidentifier()
    assert names.class_name.isidentifier()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", names.distribution)
    assert names.plugin.replace("_", "") == names.class_name.lower()
    assert names_of(names.distribution, "callback").plugin == names.plugin
    if not names.has_own_type:
        assert names_of(names.class_name, "callback") == names


@pytest.mark.parametrize(
    "text", ["", " ", "2x", "-swish", "swish-", "swish.py", "größe", "a/b", "swish;", "microframe-"]
)
def test_what_cannot_be_a_name_is_refused(text):
    with pytest.raises(UsageError, match=f"ASCII letters and digits .*, received {re.escape(repr(text))}"):
        names_of(text, "layer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lambda", "no keyword of Python, received 'lambda'"),
        ("none", "no keyword of Python, received 'None'"),
        ("microframe", "'microframe', which microframe uses itself"),
        ("standard", "'standard', which microframe uses itself"),
        ("local", "'local', which microframe uses itself"),
        ("ValueError", "'ValueError', which is in use"),
        ("example", "'Example', which is in use"),
        ("TestTime", "pytest doesn't take for tests, received 'TestTime'"),
    ],
)
def test_names_that_mean_something_else_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        names_of(text, "layer")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "command"])
def test_the_name_of_a_standard_part_is_refused_for_its_kind_alone(kind):
    of_part = kind.removeprefix("fitted_")
    taken = registry.standard_names(of_part)
    with pytest.raises(UsageError, match=f"no standard {of_part} has, received '{taken[0]}': nobody can replace"):
        names_of(taken[0], kind)
    free = "adam" if kind != "optimizer" else "dense"
    assert names_of(free, kind).plugin == free


def test_the_name_of_a_built_in_command_is_refused_for_a_command_alone():
    for name in COMMANDS:
        with pytest.raises(UsageError, match=f"no built-in command has, received '{name}'"):
            names_of(name, "command")
    assert names_of("train", "layer").plugin == "train"


@pytest.mark.parametrize("exists", [False, True])
def test_a_package_that_cannot_be_written_whole_is_not_written_at_all(exists, tmp_path, monkeypatch):
    folder = tmp_path / "new"
    if exists:
        folder.mkdir()
    whole = Path.write_text

    def write_text(path: Path, *arguments: object, **options: object) -> int:
        if path.name == "pyproject.toml":
            raise OSError(28, "No space left on device")
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(UsageError, match="new: cannot be written: No space left"):
        write_package(folder, package_files(names_of("swish", "layer"), "layer"))
    assert list(tmp_path.rglob("*")) == [folder] * exists


def test_files_that_cannot_all_be_moved_into_a_folder_are_all_taken_back(tmp_path, monkeypatch):
    whole, moved = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        if len(moved) == 2:
            moved.clear()
            raise OSError(5, "Input/output error")
        moved.append(target)
        return whole(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(UsageError, match="cannot be written: Input/output error"):
        write_package(tmp_path, package_files(names_of("swish", "layer"), "layer"))
    assert list(tmp_path.iterdir()) == []
