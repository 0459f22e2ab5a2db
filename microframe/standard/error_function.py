"""The error function, which NumPy lacks."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array
from microframe.standard.constants import ONE

# p and P below, from its leading coefficient; fitted in 40-digit arithmetic by Lawson's iteration, which makes the
# largest error of erf small: 2e-17 and 1e-9.
# fmt: off
_ERF_DOUBLE = (
    0.3,
    (0.017389916738767348, -0.18547434597530835, 0.8699819303376216, -2.345858526216912, 4.0492387430076375,
     -4.862560967120572, 4.3534114249515765, -2.763677541447384, 1.4923049818743939, -0.3831611264044945,
     0.2796222965669999, 0.1377897492283293, 0.17186868488087254, 0.16912477957847336),
)
_ERF_SINGLE = (
    0.45,
    (0.09258535953736426, -0.4941795944167551, 0.8573166738939282, -0.3759584704329433, 0.4602613259242333,
     0.20098147610286618, 0.2589932305013437),
)
# fmt: on


def erf(x: Array, out: Array, scratch: Array, scale: float = 1.0) -> None:
    """Write the error function at scale * x, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to there, into `out`.

    1 - t P(t) exp(-x^2) with t = 1 / (1 + p x) and a polynomial P for positive x: the form of Hastings (1955; 7.1.26
    in Abramowitz and Stegun) with more terms. Off by less than 3e-15 in float64 and 5e-7 in float32.

    Args:
        x: any shape, float64 or float32.
        out: of the shape of `x`, but not `x` itself.
        scratch: likewise.
        scale: a factor on `x`.
    """
    pole, (leading, *coefficients) = _ERF_DOUBLE if x.dtype == np.float64 else _ERF_SINGLE
    np.absolute(x, scratch)
    scratch *= pole * scale
    scratch += ONE[x.dtype]
    np.reciprocal(scratch, scratch)
    np.multiply(scratch, leading, out)
    for coefficient in coefficients:
        out += coefficient
        out *= scratch
    np.multiply(x, x, scratch)
    scratch *= -scale * scale
    np.exp(scratch, scratch)
    out *= scratch
    np.subtract(ONE[x.dtype], out, out)
    np.copysign(out, x, out)
