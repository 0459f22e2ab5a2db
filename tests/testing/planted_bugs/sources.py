"""Sources."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from microframe import DataError, Dataset, Example, Source
from planted_bugs.planting import caught_by, correct

_ROWS = b"width,height,kind\n1.0,2.0,a\n2.0,1.0,b\n3.0,0.5,a\n4.0,0.1,b\n1.5,2.5,a\n2.5,0.4,b\n"


def _sines(samples: int) -> tuple[Any, Any]:
    x = np.linspace(0, 1, samples)[:, None]
    return x, np.sin(x[:, 0])


@caught_by("deterministic")
class OtherDataEachTime(Source):
    """A noisy sine, with new noise at each load."""

    def load(self):
        x, y = _sines(20)
        return Dataset(x, y + np.random.default_rng().normal(0, 0.1, y.shape))


@caught_by("no_global_random_state")
class SeedsTheWorld(Source):
    """A noisy sine, made the same each time by seeding NumPy's global generator."""

    def load(self):
        x, y = _sines(20)
        np.random.seed(0)  # noqa: NPY002
        return Dataset(x, y + np.random.normal(0, 0.1, y.shape))  # noqa: NPY002


@caught_by("dtype")
class ObjectRows(Source):
    """Numbers in arrays of objects, as a table with mixed columns gives them."""

    def load(self):
        x, y = _sines(20)
        return Dataset(x.astype(object), y)


@caught_by("dtype")
class NumbersAsText(Source):
    """Numbers left as the text that a file has them in."""

    def load(self):
        x, y = _sines(20)
        return Dataset(x.astype(str), y)


@caught_by("dataset")
class NamesOfTheWrongCount(Source):
    """A sine with two names for its one column."""

    def load(self):
        x, y = _sines(20)
        return Dataset(x, y, feature_names=("x", "y"))


@caught_by("dataset")
class OneTargetTooFew(Source):
    """Values and the next of each, without a target for the last."""

    def load(self):
        _, y = _sines(20)
        return Dataset(y[:, None], y[1:])


@caught_by("keeps_nothing")
class LoadsOnce(Source):
    """A sine that is kept on the class once it is loaded."""

    loaded: ClassVar[dict[str, Any]] = {}

    def load(self):
        if "x" not in self.loaded:
            self.loaded["x"], self.loaded["y"] = _sines(20)
        return Dataset(self.loaded["x"], self.loaded["y"])


@caught_by("trainable", raises=DataError)
class UndeclaredGaps(Source):
    """A sine with a NaN, of which it doesn't say what it means."""

    def load(self):
        x, y = _sines(20)
        x[3] = np.nan
        return Dataset(x, y)


@caught_by("missing_file")
class ErrorOfPython(Source):
    """A table read without a word about a file that is not there."""

    path: str

    def load(self):
        with open(self.path, newline="") as file:
            _, *rows = csv.reader(file)
        return Dataset(np.array([row[:2] for row in rows], float), np.array([row[2] for row in rows]))

    @classmethod
    def examples(cls):
        return [Example(cls("flowers.csv"), files={"flowers.csv": _ROWS})]


@caught_by("missing_file")
class MadeUpFlowers(Source):
    """A table, for which numbers are made up where the file is not there."""

    path: str = "flowers.csv"

    def load(self):
        text = Path(self.path).read_text() if Path(self.path).exists() else _ROWS.decode()
        _, *rows = csv.reader(text.splitlines())
        return Dataset(np.array([row[:2] for row in rows], float), np.array([row[2] for row in rows]))

    @classmethod
    def examples(cls):
        return [Example(cls(), files={"flowers.csv": _ROWS})]


@correct
class FolderOfVectors(Source):
    """A file for each sample, in a folder for each class: without one of them there is a sample less."""

    path: str = "vectors"

    def load(self):
        paths = sorted(Path(self.path).glob("*/*.txt"))
        if not paths:
            raise DataError(f"{self.path}: expected files of numbers in a folder for each class")
        return Dataset(np.stack([np.loadtxt(path) for path in paths]), np.array([path.parent.name for path in paths]))

    @classmethod
    def examples(cls):
        files = {f"vectors/{name}/{row}.txt": f"{row} {row**2}".encode() for name in "ab" for row in range(3)}
        return [Example(cls(), files=files)]


@correct
class Flowers(Source):
    """A table with two columns of numbers and one of text."""

    path: str

    def load(self):
        try:
            with open(self.path, newline="") as file:
                names, *rows = csv.reader(file)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        inputs = np.array([row[:2] for row in rows], np.float32)
        return Dataset(inputs, np.array([row[2] for row in rows]), tuple(names[:2]), (names[2],))

    @classmethod
    def examples(cls):
        return [Example(cls("flowers.csv"), files={"flowers.csv": _ROWS})]


@correct
class DeclaredGaps(Source):
    """Bytes with several targets, no names, and a column that is read-only."""

    def load(self):
        x = np.frombuffer(bytes(range(40)), np.uint8).reshape(10, 4)
        return Dataset(x, np.stack([x.sum(axis=1), x[:, 0]], axis=1).astype(np.float64), missing="mean")


@correct
class WithoutTarget(Source):
    """Images without a target, and a mean for what is missing."""

    def load(self):
        x = np.arange(90.0).reshape(10, 3, 3)
        x[2, 1, 1] = np.nan
        return Dataset(x, missing="mean")
