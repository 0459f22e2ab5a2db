import click
import numpy as np

import microframe


@click.command("swish")
@click.argument("x", type=float)
def swish(x):
    """Print the value of the swish function at X."""
    from microframe_swish import Swish

    value = np.array([x])
    Swish().forward(value, value)
    click.echo(f"{value[0]:.6f}")


@microframe.hookimpl
def microframe_commands():
    return [swish]
