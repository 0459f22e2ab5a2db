from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dense"], "expected a name that no standard layer has, received 'dense'"),
        (["train", "--kind", "command"], "expected a name that no built-in command has, received 'train'"),
        (["lambda"], "expected a name that is no keyword of Python, received 'lambda'"),
        (["swish.py"], "expected a name of ASCII letters and digits"),
        (["swish", "--kind", "layr"], "'layr' is not one of 'layer', "),
        ([], "Missing argument 'NAME'"),
    ],
)
def test_what_it_cannot_do_is_refused(words, message, refused, tmp_path):
    assert message in refused(2, "plugins", "new", *words)
    assert content(tmp_path) == {}
