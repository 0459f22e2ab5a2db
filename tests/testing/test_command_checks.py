"""What the conformance suite asks of the commands that plugins add."""

from __future__ import annotations

import click
import pytest

from microframe.testing.checks.commands import CHECKS, check_command


@click.command("norms")
@click.argument("file")
def norms(file):
    """Print norms."""


def failed(command):
    return {result.check: result.reason for result in check_command(command) if result.outcome == "failed"}


def test_a_right_command_passes_every_check():
    results = check_command(norms)
    assert [result.check for result in results] == ["name_legal", "name_free", "help"]
    assert {(result.kind, result.component, result.outcome) for result in results} == {("command", "norms", "passed")}


def test_every_check_says_what_it_requires():
    assert all(check.__doc__.endswith(".") for check in CHECKS)


def test_the_name_of_a_built_in_command():
    assert "there is a built-in command 'train'" in failed(click.Command("train", help="Train."))["name_free"]


@pytest.mark.parametrize("name", ["Norms", "norms!", "", None, "two words", "-norms"])
def test_names_that_are_not_legal(name):
    assert f"between them, received {name!r}" in failed(click.Command(name, help="Norms."))["name_legal"]


@pytest.mark.parametrize("name", ["norms", "weight-norms", "weight_norms2"])
def test_names_that_are_legal(name):
    assert failed(click.Command(name, help="Norms.")) == {}


def test_a_command_without_a_docstring():
    assert (
        "'norms --help' to say what the command does, received no docstring" in failed(click.Command("norms"))["help"]
    )


def test_a_command_within_a_group_without_a_docstring():
    group = click.Group("weights", [click.Command("norms"), click.Command("sums", help="Sums.")], help="Weights.")
    assert "'weights norms --help'" in failed(group)["help"]


def test_a_command_without_help():
    silent = click.Command("norms", help="Norms.", add_help_option=False)
    assert "expected 'norms --help' to exit with 0, received" in failed(silent)["help"]


def test_a_command_whose_help_fails():
    class Broken(click.Command):
        def format_help(self, ctx, formatter):
            raise RuntimeError("no words")

    assert "RuntimeError('no words')" in failed(Broken("norms", help="Norms."))["help"]
