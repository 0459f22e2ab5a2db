from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def content(folder: Path) -> dict[str, str]:
    """The files below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_it_writes_a_package_and_says_what_and_what_next(microframe, tmp_path):
    result = microframe("plugins", "new", "leaky swish")
    assert (result.code, result.stderr) == (0, "")
    files = [".gitignore", "README.md", "microframe_leaky_swish.py", "pyproject.toml", "tests/test_leaky_swish.py"]
    assert result.stdout.splitlines() == [
        "wrote",
        *(f"  {os.path.join('microframe-leaky-swish', file)}" for file in files),
        "next",
        '  cd microframe-leaky-swish && pip install -e ".[test]"',
        "  pytest",
        "  microframe plugins check leaky_swish",
    ]
    assert list(content(tmp_path)) == [f"microframe-leaky-swish/{file}" for file in files]
    assert "class LeakySwish(Layer):" in content(tmp_path)["microframe-leaky-swish/microframe_leaky_swish.py"]


def test_the_commands_that_it_prints_work_in_a_new_environment(microframe, tmp_path):
    printed = microframe("plugins", "new", "swish", "--kind", "loss", "--directory", "my package").stdout
    enter, *commands = printed.partition("next\n")[2].replace("&&", "\n").splitlines()
    assert shlex.split(enter) == ["cd", "my package"]
    venv.create(tmp_path / "venv", symlinks=os.name == "posix")
    scripts = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    # what microframe depends on, pip and the build tool come from the environment that the tests run in
    packages = Path(sysconfig.get_path("purelib", "venv", scripts))
    folders = [CHECKOUT, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (packages / "dependencies.pth").write_text("\n".join(map(str, folders)))
    python = Path(sysconfig.get_path("scripts", "venv", scripts)) / Path(sys.executable).name
    offline = {"pip": ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]}
    for command in commands:
        program, *words = shlex.split(command)
        result = subprocess.run(
            [str(python), "-m", program, *words, *offline.get(program, [])],
            cwd=tmp_path / "my package",
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("options", [[], ["--directory", "elsewhere"]])
def test_it_never_touches_a_folder_with_something_in_it(options, refused, tmp_path):
    folder = tmp_path / (options[1] if options else "microframe-swish")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    message = refused(2, "plugins", "new", "swish", *options)
    assert message == f"error: {folder.name}: expected a new or an empty folder, but there is something in it\n"
    assert content(tmp_path) == {f"{folder.name}/notes.txt": "mine"}


def test_it_never_replaces_a_file(refused, tmp_path):
    (tmp_path / "microframe-swish").write_text("mine")
    assert "microframe-swish: expected a new or an empty folder, received a file" in refused(
        2, "plugins", "new", "swish"
    )
    assert content(tmp_path) == {"microframe-swish": "mine"}


def test_an_empty_folder_will_do_even_the_current_one(microframe, tmp_path):
    before = os.stat(tmp_path).st_ino
    result = microframe("plugins", "new", "swish", "--directory", ".")
    assert (result.code, result.stderr) == (0, "")
    assert '  cd . && pip install -e ".[test]"\n' in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".gitignore",
        "README.md",
        "microframe_swish.py",
        "pyproject.toml",
        "tests",
    ]
    assert os.stat(tmp_path).st_ino == before


def test_a_folder_in_a_folder_that_is_not_there_is_refused(refused, tmp_path):
    assert "error: a/b: there is no folder a" in refused(2, "plugins", "new", "swish", "--directory", "a/b")
    assert content(tmp_path) == {}


def test_single_letters_are_words_too(microframe, tmp_path):
    result = microframe("plugins", "new", "a b", "--kind", "loss")
    assert (result.code, result.stderr) == (0, "")
    files = content(tmp_path)
    assert {"microframe-a-b/microframe_a_b.py", "microframe-a-b/tests/test_a_b.py"} <= files.keys()
    assert "class AB(Loss):" in files["microframe-a-b/microframe_a_b.py"]
    assert '    type = "a_b"\n' in files["microframe-a-b/microframe_a_b.py"]
    assert 'a_b = "microframe_a_b"' in files["microframe-a-b/pyproject.toml"]


@pytest.mark.parametrize("name", ["swish", "Swish", "fancy activations", "microframe-fancy-activations"])
def test_the_name_of_an_installed_plugin_or_of_its_distribution_is_refused_without_importing_it(
    name, microframe, plugin_folder, tmp_path
):
    variables = plugin_folder("swish", "raise SystemExit('imported')", distribution="microframe-fancy-activations")
    before = content(tmp_path)
    result = microframe("plugins", "new", name, **variables)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: expected a name of its own, received ")
    assert "which swish (microframe-fancy-activations 1.0) has" in result.stderr
    assert content(tmp_path) == before
    assert microframe("plugins", "new", name, "--without", "swish", **variables).code == 0


def test_the_name_of_a_part_of_an_installed_plugin_is_refused_for_its_kind_alone(
    microframe, plugin_folder, tmp_path, swish
):
    variables = plugin_folder("fancy", textwrap.dedent(swish()))
    before = content(tmp_path)
    result = microframe("plugins", "new", "swish", "--kind", "activation", **variables)
    assert (result.code, result.stdout, content(tmp_path)) == (2, "", before)
    assert result.stderr == (
        "error: expected a name that no activation of an installed plugin has, received 'swish': there is "
        "'fancy.swish', from microframe-fancy 1.0 (if yours is to take its place, add --without fancy)\n"
    )
    assert microframe("plugins", "new", "swish", "--kind", "loss", **variables).code == 0


def test_the_name_of_a_command_of_an_installed_plugin_is_refused(microframe, plugin_folder):
    code = "import click, microframe\n@microframe.hookimpl\ndef microframe_commands(): return [click.Command('go-on')]"
    variables = plugin_folder("fancy", code)
    result = microframe("plugins", "new", "go on", "--kind", "command", **variables)
    assert result.code == 2
    assert "there is 'fancy.go-on', from microframe-fancy 1.0" in result.stderr


def test_a_file_that_is_tried_out_may_become_a_package_of_its_name(microframe, tmp_path, swish):
    (tmp_path / "swish.py").write_text(textwrap.dedent(swish()))
    result = microframe("plugins", "new", "swish", "--kind", "activation", MICROFRAME_PLUGIN="swish.py")
    assert (result.code, result.stderr) == (0, "")


def test_a_broken_plugin_does_not_keep_a_package_from_being_written(microframe, plugin_folder):
    result = microframe("plugins", "new", "swish", **plugin_folder("broken", "raise RuntimeError('no luck')"))
    assert result.code == 0
    assert "microframe: plugin broken (microframe-broken 1.0) is left out" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dense"], "expected a name that no standard layer has, received 'dense'"),
        (["train", "--kind", "command"], "expected a name that no built-in command has, received 'train'"),
        (["lambda"], "expected a name that is no keyword of Python, received 'lambda'"),
        (["swish.py"], "expected a name of ASCII letters and digits"),
        (["swish", "--kind", "activation", "--kind", "loss"], "expected one kind, received activation and loss"),
        (["swish", "--kind", "loss", "--kind", "loss"], "expected one kind, received loss and loss"),
        (["swish", "--kind", "layr"], "'layr' is not one of 'layer', "),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_what_it_cannot_do_is_refused(words, message, refused, tmp_path):
    assert message in refused(2, "plugins", "new", *words)
    assert content(tmp_path) == {}
