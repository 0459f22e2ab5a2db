"""scikit-learn's MLPClassifier, which trains a network of the same size in the same way from its own start."""

from __future__ import annotations

import time
import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from tasks import ADAM, SEED, Array, Task, samples


def train(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for an epoch, from the difference between a fit of all epochs and one of the first."""
    x, labels = samples(task)
    warnings.simplefilter("ignore", ConvergenceWarning)
    first, _ = _fit(task, x, labels, 1)
    seconds, loss = _fit(task, x, labels, task.epochs)
    return {
        "value": (seconds - first) / (task.epochs - 1),
        "finding": f"from its own start, in its own order: last loss {loss:.4f}",
    }


def _fit(task: Task, x: Array, labels: Array, epochs: int) -> tuple[float, float]:
    classifier = MLPClassifier(
        task.sizes[1:-1],
        activation=task.activations[0],
        solver=task.optimizer,
        alpha=0,
        batch_size=task.batch_size,
        learning_rate_init=task.learning_rate,
        beta_1=ADAM["beta_1"],
        beta_2=ADAM["beta_2"],
        epsilon=ADAM["epsilon"],
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=SEED,
    )
    start = time.perf_counter()
    classifier.fit(x, labels)
    return time.perf_counter() - start, float(classifier.loss_)
