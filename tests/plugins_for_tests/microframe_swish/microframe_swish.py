import numpy as np

import microframe


class Swish(microframe.Activation):
    """x * sigmoid(beta x)  (Ramachandran et al., 2017, arXiv:1710.05941)."""

    needs_input = True
    beta: float = 1.0

    def forward(self, x, out):
        np.divide(x, 1 + np.exp(-self.beta * x), out=out)

    def backward(self, dy, x, y, out):
        # With s = sigmoid(beta x), y = x s and s' = beta s (1 - s), so y' = s + beta x s (1 - s) = s + beta y (1 - s).
        s = 1 / (1 + np.exp(-self.beta * x))
        np.multiply(dy, s + self.beta * y * (1 - s), out=out)


@microframe.hookimpl
def microframe_components():
    return [Swish]
