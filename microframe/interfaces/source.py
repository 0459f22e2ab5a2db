"""The source interface: where data comes from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from microframe.arrays import Array
from microframe.component import Component

if TYPE_CHECKING:
    from microframe.tables import Delimiter


class Rows(Protocol):
    """An array-like whose first axis are samples: a NumPy array, a memory map, or an open HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> Any: ...

    def __getitem__(self, rows: Any) -> Any: ...


@dataclass(frozen=True)
class Dataset:
    """What a source gives.

    Attributes:
        inputs: (samples, *features); may be an open HDF5 dataset, which is then read in blocks.
        target: (samples,) for labels or one value, (samples, outputs) for several; None where there is none.
        feature_names: a name for each column of two-dimensional inputs, or None.
        target_names: a name for each target column, or None.
        missing: what a NaN in the inputs means: an error, or to be filled with the mean of the training part.
        target_columns: where the targets stood in a table, from 0, so that one without column names can be recognised;
            empty for other data.
        delimiter: what stood between the cells of a table of text, so that others like it are read alike.
    """

    inputs: Rows
    target: Array | None = None
    feature_names: tuple[str, ...] | None = None
    target_names: tuple[str, ...] | None = None
    missing: Literal["error", "mean"] = "error"
    target_columns: tuple[int, ...] = ()
    delimiter: Delimiter | None = None


class Source(Component):
    """A place that data is read from."""

    kind = "source"

    @abstractmethod
    def load(self) -> Dataset:
        """Read the data, or open it where it is read in blocks.

        Raises:
            DataError: it is not there, or not as described; names the file, and the row and column where it can.
        """
