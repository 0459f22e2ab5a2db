from __future__ import annotations

import shutil
import subprocess

import pytest


@pytest.fixture
def complete(microframe, plugin_folder):
    """What a shell is told when Tab is pressed after `line`; importing a plugin would show on stderr."""
    plugin_folder("marker", "raise SystemExit('a plugin was imported')")
    plugin_folder("same", "raise SystemExit('a plugin was imported')", distribution="dist-one")
    variables = plugin_folder("same", "raise SystemExit('a plugin was imported')", distribution="dist-two")

    def run(line, **more):
        words = line.split(" ")
        request = {"_MICROFRAME_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        result = microframe(PYTHONPROFILEIMPORTTIME="1", **request, **variables, **more)
        assert result.code == 0
        imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
        assert "click" in imported
        assert not imported & {"numpy", "h5py", "pluggy"}
        assert "a plugin was imported" not in result.stderr
        return {suggestion.partition(",")[2] for suggestion in result.stdout.split()}

    return run


def test_commands_and_options_are_completed_without_numpy_h5py_or_a_plugin(complete):
    assert complete("microframe t") == {"train"}
    assert complete("microframe config ") == {"schema", "show", "validate"}
    assert complete("microframe train --ep") == {"--epochs"}
    assert complete("microframe nothing --ep") == set()


def test_names_of_plugins_are_completed_from_metadata(complete):
    assert {"standard", "marker", "same"} <= complete("microframe plugins info ")
    assert complete("microframe plugins info mark") == {"marker"}
    assert complete("microframe plugins info --kind layer sta") == {"standard"}
    assert complete("microframe train net.toml --without mark") == {"marker"}
    assert complete("microframe plugins list --without sa") == {"same"}
    assert complete("microframe plugins list --without nobody") == set()


def test_names_of_the_environment_are_completed_too(complete, tmp_path):
    (tmp_path / "my_swish.py").write_text("raise SystemExit('a plugin was imported')")
    named = {"MICROFRAME_PLUGIN": "my_swish.py", "MICROFRAME_NO_PLUGINS": "1"}
    assert complete("microframe plugins info my", **named) == {"my_swish"}
    assert complete("microframe plugins info mark", **named) == {"marker"}, "also of those that are left out"


def test_a_variable_that_means_nothing_completes_nothing(complete):
    assert complete("microframe plugins info mark", MICROFRAME_NO_PLUGINS="maybe") == set()


def test_subcommands_and_files_of_plugins_are_completed(complete):
    assert {"info", "list"} <= complete("microframe plugins ")
    assert complete("microframe train net.toml --plugin sw") == {"sw"}, "the shell completes files itself"


@pytest.mark.parametrize(
    ("shell", "marks"),
    [
        ("bash", ["_MICROFRAME_COMPLETE=bash_complete", "complete -o"]),
        ("zsh", ["#compdef microframe", "_MICROFRAME_COMPLETE=zsh_complete"]),
        ("fish", ["_MICROFRAME_COMPLETE=fish_complete", "complete --no-files --command microframe"]),
    ],
)
def test_a_script_is_printed_for_each_shell(shell, marks, microframe):
    result = microframe("completion", shell)
    assert (result.code, result.stderr) == (0, "")
    assert all(mark in result.stdout for mark in marks)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_takes_the_script(microframe):
    script = microframe("completion", "bash").stdout
    shown = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ncomplete -p microframe"], capture_output=True, encoding="utf-8", check=True
    )
    assert shown.stdout.endswith("-F _microframe_completion microframe\n")


def test_another_shell_is_a_usage_error_that_lists_those_there_are(refused):
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in refused(2, "completion", "tcsh")
