"""New packages: what ``microframe plugins new`` writes, from the templates of the kind."""

from __future__ import annotations

import ast
import os
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from microframe.errors import UsageError
from microframe.scaffold.names import Names, check_free, names_of
from microframe.version import __version__

__all__ = ["Names", "check_free", "names_of", "package_files", "write_package"]

_TEMPLATES = "microframe.scaffold.templates"


def package_files(names: Names, kind: str) -> dict[str, str]:
    """The files of a new package, by path.

    Args:
        names: what everything in it is called.
        kind: what it is about: the name of a template.
    """
    module, tests = _template(f"{kind}.py"), _template(f"test_{kind}.py")
    words = _words(names, kind) | {"SUMMARY": (ast.get_docstring(ast.parse(module)) or "").partition("\n")[0]}
    words |= {"USAGE": _replace(_template(f"{kind}.md").rstrip(), words)}
    return {
        ".gitignore": _template("gitignore.template"),
        "README.md": _replace(_template("README.md.template"), words),
        f"{names.module}.py": _sort_imports(_replace(_with_type(module, names), words), names.module),
        "pyproject.toml": _replace(_template("pyproject.toml.template"), words),
        f"tests/test_{names.plugin}.py": _sort_imports(_replace(tests, words), names.module),
    }


def write_package(folder: str | Path, content: dict[str, str]) -> None:
    """Write files, by path, into `folder`, which is new or empty: all of them or, after an error, none.

    Raises:
        UsageError: there is something in `folder`, or it cannot be written.
    """
    target = Path(os.path.realpath(folder))
    _check_free(target, folder)
    in_place = target.is_dir()
    try:
        with tempfile.TemporaryDirectory(prefix=".microframe-", dir=target if in_place else target.parent) as staging:
            package = Path(staging, "package")  # a folder of its own, as the temporary one is closed to others
            for path, text in content.items():
                (package / path).parent.mkdir(parents=True, exist_ok=True)
                (package / path).write_text(text, encoding="utf-8", newline="\n")
            if in_place:
                _move_into(target, package)
            else:
                package.rename(target)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _check_free(target: Path, given: str | Path) -> None:
    try:
        if target.is_dir():
            if any(target.iterdir()):
                raise UsageError(f"{given}: expected a new or an empty folder, but there is something in it")
        elif target.exists():
            raise UsageError(f"{given}: expected a new or an empty folder, received a file")
        elif not target.parent.is_dir():
            raise UsageError(f"{given}: there is no folder {Path(given).parent}")
    except OSError as error:
        raise UsageError(f"{given}: cannot be read: {error.strerror or error}") from error


def _move_into(target: Path, package: Path) -> None:
    """Move all that is in `package` into `target`, whose identity matters: it may be somebody's current folder."""
    entries = list(package.iterdir())
    try:
        for entry in entries:
            entry.rename(target / entry.name)
    except BaseException:
        for entry in entries:
            if not entry.exists():
                (target / entry.name).rename(entry)
        raise


def _with_type(module: str, names: Names) -> str:
    """The template `module` with the name in configurations set on its class, where it doesn't follow from that's."""
    parts = [node for node in ast.parse(module).body if isinstance(node, ast.ClassDef) and node.name == "PartName"]
    if not (parts and names.has_own_type):
        return module
    lines = module.splitlines()
    end = parts[0].body[0].end_lineno  # of the docstring
    return "\n".join([*lines[:end], "", f'    type = "{names.plugin}"', *lines[end:], ""])


def _words(names: Names, kind: str) -> dict[str, str]:
    """What the words in templates stand for; each template is a module that works as it is."""
    return {
        f"{_TEMPLATES}.{kind}": names.module,
        "microframe_part_name": names.module,
        "microframe-part-name": names.distribution,
        "PartName": names.class_name,
        "part_name": names.plugin,
        "part-name": names.command,
        "CURRENT_VERSION": __version__,
    }


def _replace(text: str, words: dict[str, str]) -> str:
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(rf"\b(?:{pattern})\b", lambda match: words[match[0]], text)


def _template(name: str) -> str:
    return files(_TEMPLATES).joinpath(name).read_text(encoding="utf-8")


def _sort_imports(source: str, own: str) -> str:
    """`source` with its imports as they are sorted where microframe is one of others' packages and `own` is one's own.

    Each stands on a line of its own, with no other code in between; ``from __future__`` stays the first.
    """
    lines = source.splitlines(keepends=True)
    numbers = [number for number, line in enumerate(lines) if line.startswith(("import ", "from "))][1:]
    groups: list[list[str]] = [[], [], []]
    for number in numbers:
        package = lines[number].split()[1].partition(".")[0]
        groups[2 if package == own else package not in sys.stdlib_module_names].append(lines[number])
    block = "\n".join("".join(sorted(group, key=_import_order)) for group in groups if group)
    return "".join([*lines[: numbers[0]], block, *lines[numbers[-1] + 1 :]])


def _import_order(line: str) -> tuple[bool, list[str]]:
    """Plain imports first, then by the name of the module."""
    return line.startswith("from "), line.split()[1].split(".")
