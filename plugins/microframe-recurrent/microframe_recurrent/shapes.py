"""What a layer can ask of the shapes that it is built for."""

from __future__ import annotations

from microframe import Shape


def check_shapes(input_shape: Shape, mask_shape: Shape | None = None) -> None:
    """Raise ValueError unless the input is a sequence, and the mask, where there is one, has a number for each step.

    Args:
        input_shape: the shape of one sample of the input.
        mask_shape: that of one sample of the mask, or None.
    """
    if len(input_shape) != 2:
        raise ValueError("an input of shape (time, features)")
    if not all(input_shape):
        raise ValueError("a sequence of at least one step and one feature")
    steps = input_shape[0]
    if mask_shape is not None and tuple(mask_shape) != (steps,):
        raise ValueError(f"a mask of shape ({steps},), a number for each step of the sequence")
