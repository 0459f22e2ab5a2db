"""The model: a network with what it takes to use it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from microframe.arrays import Array, Shape
from microframe.checkpoint import Checkpoint
from microframe.checks import DataDigests
from microframe.configuration import Configuration, Training, read_configuration
from microframe.errors import DataError, ModelFileError, ModelPluginError, PluginError, UsageError
from microframe.evaluation import BATCH_ROWS, evaluate, fuse, metrics_beside, outputs
from microframe.frames import in_order
from microframe.history import History
from microframe.interfaces import Callback, Layer, Loss, Metric, Optimizer
from microframe.interfaces.callback import Listener
from microframe.manifest import read_manifest
from microframe.network import Network
from microframe.packing import pack, unpack
from microframe.preparation import Parts, check_inputs
from microframe.providers import Record, record_all
from microframe.quiet import quietly
from microframe.randomness import generator
from microframe.samples import Samples, Split, as_rows
from microframe.storage import Code, ModelFile, write_model_file
from microframe.stored_configuration import StoredConfiguration

if TYPE_CHECKING:
    from microframe.summary import Summary
    from microframe.tables import Delimiter

Named = str | Mapping[str, Any]
"""A component by its name, or by a mapping with ``type`` and fields."""


class Model:
    """Layers, and everything that belongs to them: configuration, weights, classes, history.

    Args:
        layers: from the input to the output, as components, names or mappings.
        dtype: what is computed in, ``"float32"`` or ``"float64"``.

    Attributes:
        layers: what the network is made of.
        dtype: what is computed in.
        threshold: with a single output for two classes, above it a prediction is the second class.
        history: the record of training; empty before.
        classes: the names of the classes, as they were in the training data; None for other targets.
        feature_names: a name for each input column, or None.
        target_names: a name for each target, or None.
        target_columns: where the targets stood in the table of the training data; empty for other data.
        delimiter: what stood between the cells of the table of the training data; None for data of another kind.
        is_single_value: whether the targets were one value for each sample, (samples,), as predictions then are.
        data_digests: the digests of the data that the model was trained on.
        fill: what replaces a missing value in each input column, or None.
        parts: which rows of the data were trained on, validated on and held out for a test; None before training.
        results: loss and metrics by part, from the end of training.
        records: arrays that callbacks recorded, by name.
        is_fitted: whether the layers that learn from the data before training have, and the columns are known.

    Raises:
        ConfigError: the layers are not valid, or do not connect.
    """

    def __init__(self, layers: Sequence[Layer | Named], *, dtype: Literal["float32", "float64"] = "float32") -> None:
        self._set_up(Configuration.parse({"layers": list(layers), "dtype": dtype}))

    def _set_up(self, configuration: Configuration) -> None:
        self._configuration: Configuration | None = configuration
        self._stored: StoredConfiguration | None = None
        self.layers = configuration.layers
        self.dtype = configuration.dtype
        self.threshold = 0.5
        self.history = History()
        self.classes: tuple[Any, ...] | None = None
        self.feature_names: tuple[str, ...] | None = None
        self.target_names: tuple[str, ...] | None = None
        self.target_columns: tuple[int, ...] = ()
        self.delimiter: Delimiter | None = None
        self.is_single_value = False
        self.data_digests: DataDigests | None = None
        self.fill: Array | None = None
        self.parts: Parts | None = None
        self.results: dict[str, dict[str, Any]] = {}
        self.records: dict[str, Array] = {}
        self._checkpoint: Checkpoint | Callable[[], Checkpoint] | None = None
        self.is_fitted = False
        self._network: Network | None = None

    @classmethod
    def from_config(cls, source: str | os.PathLike[str] | Mapping[str, Any] | Configuration) -> Model:
        """A model from a TOML or JSON file, a mapping of the same shape, or a configuration.

        Raises:
            ConfigError: something is wrong; holds all problems.
        """
        if isinstance(source, str | os.PathLike):
            configuration = read_configuration(os.fspath(source))
        else:
            configuration = source if isinstance(source, Configuration) else Configuration.parse(source)
        model = cls.__new__(cls)
        model._set_up(configuration)
        return model

    @property
    def configuration(self) -> Configuration:
        """What the model was made from, with the training it has seen.

        Of a model from a file, the parts that only training needs are looked up when this is first read, so that
        predicting does without the plugins that provide them. A `ProviderVersionWarning` names one that is installed in
        another version than the file records.

        Raises:
            ModelFileError: what the file says of them is not valid.
            PluginError: a plugin that provides one of them is missing, broken or too old.
        """
        if self._configuration is None:
            assert self._stored is not None
            self._configuration = self._stored.whole(self.layers)
        return self._configuration

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What an exact continuation of the training needs, or None.

        Of a model from a file it is read from there when it is first asked for, as predicting does without.

        Raises:
            ModelFileError: that file is gone, or another one now.
        """
        if callable(self._checkpoint):
            self._checkpoint = self._checkpoint()
        return self._checkpoint

    @checkpoint.setter
    def checkpoint(self, checkpoint: Checkpoint | Callable[[], Checkpoint] | None) -> None:
        self._checkpoint = checkpoint

    @property
    def network(self) -> Network:
        """The built network.

        Raises:
            UsageError: the model has not been built.
        """
        if self._network is None:
            raise UsageError("the model has no weights yet: call fit, or build with the shape of one input sample")
        return self._network

    @property
    def weights(self) -> dict[str, dict[str, Array]]:
        """The parameters by layer and name: views, so that writing into one changes the model."""
        return self.network.weights

    @property
    def is_built(self) -> bool:
        """Whether the model has weights."""
        return self._network is not None

    def build(self, input_shape: Shape, *, seed: int = 0) -> Model:
        """Build the network for samples of `input_shape` and initialise its weights from `seed`.

        Raises:
            ConfigError: a layer cannot work on its input's shape.
        """
        rng = generator(seed, "weights")
        self._network = Network(self.layers, tuple(input_shape), self.dtype, rng)
        return self

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        loss: Loss | Named | None = None,
        optimizer: Optimizer | Named | None = None,
        metrics: Sequence[Metric | Named] | None = None,
        epochs: int | None = None,
        batch_size: int | Literal["all"] | None = None,
        shuffle: bool | None = None,
        seed: int | None = None,
        callbacks: Sequence[Callback | Named] | None = None,
        validation: float | tuple[Any, ...] | None = None,
        split: Split | None = None,
        sample_weight: Any = None,
        resume: bool = False,
        progress: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> History:
        """Train.

        Args:
            x: inputs, (samples, *shape): an array, anything with ``__array__``, or an open HDF5 dataset, which is read
                in blocks. Without it the data comes from the configuration's ``[data]``.
            y: targets: labels of any kind for a loss of classes, values otherwise.
            loss, optimizer, metrics, epochs, batch_size, shuffle, seed, callbacks: as in the configuration's
                ``[training]``, whose values they replace.
            validation: a share of the samples to hold out, or ``(x, y)`` or ``(x, y, sample_weight)``.
            split: how rows are held out; see `microframe.configuration.Data`.
            sample_weight: a weight for each sample.
            resume: continue the training that the model's checkpoint is of.
            progress: show epochs, loss, metrics and the time left on stderr; see `microframe.progress.Display`.
            listeners: callbacks of this call only, which are not saved with the model.

        Returns:
            The history, also kept as `history`.

        Raises:
            ConfigError: a setting is wrong.
            DataError: the data does not fit the network or the loss.
            TrainingDivergedError: the loss stopped being finite; the model is as it was after the last good epoch.
            UsageError: there is nothing to resume, or no loss or data is given anywhere.
        """
        given = {
            "loss": loss,
            "optimizer": optimizer,
            "metrics": metrics,
            "epochs": epochs,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "seed": seed,
            "callbacks": callbacks,
        }
        from microframe.fitting import begin, choose_data
        from microframe.progress import Display

        training = self._training(given)
        data = choose_data(self.configuration, x, y, validation, split, sample_weight)
        with Display() as display:
            shown = [display] if progress else []
            begin(self, training, data, resume=resume, listeners=[*listeners, *shown]).train()
        return self.history

    def set_training(self, training: Training) -> None:
        """Note in the configuration how the model is trained."""
        self._configuration = dataclasses.replace(self.configuration, training=training)
        self.threshold = training.loss.threshold

    def __call__(self, x: Array) -> Array:
        """The network's output for a batch, with as little around it as can be; keeps nothing, safe from threads.

        Args:
            x: (batch, *input_shape).
        """
        network = self.network
        if type(x) is not np.ndarray or x.dtype is not network.input_dtype or x.shape[1:] != network.input_shape:
            x = np.asarray(x, network.input_dtype)
            check_inputs(x.shape[1:], network.input_shape)
        return quietly(network.forward, x)

    def outputs(self, x: Any, *, batch_size: int = BATCH_ROWS) -> Array:
        """The network's output for any number of samples, (samples, *output_shape), computed batch by batch.

        Args:
            x: as for `fit`; missing values are filled where the training data had them filled.
            batch_size: how many samples are worked on at once.
        """
        if not (isinstance(batch_size, int | np.integer) and batch_size >= 1):
            raise UsageError(f"batch_size: expected a whole number of at least 1, received {batch_size!r}")
        inputs = as_rows(in_order(x, self.feature_names), self.network.input_dtype)
        check_inputs(inputs.shape[1:], self.network.input_shape)
        return outputs(self.network, Samples(inputs, fill=self.fill), batch_size)

    def predict(self, x: Any, *, batch_size: int = BATCH_ROWS) -> Array:
        """Predictions: the names of classes (samples,), or values in the shape of the targets of the training."""
        return self.decide(self.outputs(x, batch_size=batch_size))

    def decide(self, output: Array) -> Array:
        """What `predict` makes of the network's output."""
        if self.classes is None:
            return output[:, 0] if self.is_single_value else output
        self._check_numbers(output)
        names: Array = np.array(self.classes)
        is_binary = output.shape[1:] == (1,)
        numbers: Array = output[:, 0] > self.threshold if is_binary else output.argmax(axis=-1)
        return names[numbers.astype(np.intp)]

    def _check_numbers(self, output: Array) -> None:
        """Raise DataError if an output is NaN, which would pass for the first class."""
        undefined = np.isnan(output).any(axis=tuple(range(1, output.ndim)))
        if undefined.any():
            row = int(np.flatnonzero(undefined)[0])
            causes = "its inputs or among the weights"
            raise DataError(f"row {row} (from 0): the network's output is NaN; is there a NaN among {causes}?")

    def predict_proba(self, x: Any, *, batch_size: int = BATCH_ROWS) -> Array:
        """The probability of each class, (samples, classes), in the order of `classes`.

        Raises:
            UsageError: the network's outputs are not probabilities.
        """
        return self.probabilities(self.outputs(x, batch_size=batch_size))

    def probabilities(self, output: Array) -> Array:
        """What `predict_proba` makes of the network's output."""
        self._check_numbers(output)
        last = self.layers[-1]
        activation = last.final_activation
        probabilities = None if activation is None else activation.probabilities(output)
        if probabilities is None:
            name = last.type if activation is None else activation.type
            raise UsageError(f"the network ends in {name!r}, which gives no probabilities; softmax and sigmoid do")
        return probabilities

    def evaluate(
        self, x: Any, y: Any, *, metrics: Sequence[Metric | Named] | None = None, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Loss and metrics, by name; the metrics are those of the training unless given."""
        training = self._training({"metrics": metrics})
        from microframe.fitting import labelled_samples

        samples = labelled_samples(self, training.loss, x, y, sample_weight)
        network, activation, loss = fuse(self.network, training.loss)
        return evaluate(network, activation, loss, metrics_beside(training.loss, training.metrics), samples)

    def save(
        self, path: str | os.PathLike[str], *, resumable: bool = True, checkpoint: Checkpoint | None = None
    ) -> None:
        """Write one file that holds everything; a file at `path` is replaced, whole or not at all.

        Args:
            path: where; usually ends in ``.h5``.
            resumable: whether to save what an exact continuation needs; without it the file is about a third as large.
                A model from a file reads it from there only now, so that file must not have been replaced or removed.
            checkpoint: what that is; the model's own unless given.

        Raises:
            ConfigError: a part of the model is of a class that nobody registered.
            ModelFileError: the file cannot be written, or the one that the model is from is gone or another one now.
        """
        write_model_file(path, *pack(self, (checkpoint or self.checkpoint) if resumable else None))

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        mmap: bool = False,
        sha256: str | None = None,
        check: bool | None = None,
        allow_nonfinite: bool = False,
        isolate: bool = False,
    ) -> Model:
        """The model in a file.

        Only the plugins that provide its layers are imported. A `ProviderVersionWarning` names one that is installed in
        another version than the file records; what an older version of a component saved is upgraded by it.

        Args:
            path: the file.
            mmap: whether weights are views of the file instead of copies: a large model is there at once, and processes
                share its memory. They are read-only; training, or asking the network for its `parameters`, copies
                them. Saving over the file leaves them as they are, but a program that cuts the file short in place
                ends this process (SIGBUS). Windows lets nobody replace a file that is mapped.
            sha256: what the digest of the file itself must be, in hexadecimal; checked before anything is read from it.
            check: whether the digests of the tensors are checked, and that weights are finite; default True, but for
                `mmap`, where that would read everything.
            allow_nonfinite: whether weights may be NaN or infinite.
            isolate: whether a process of its own, with limited time and memory, reads and checks the whole file first;
                only the very bytes that it saw are then loaded.

        Raises:
            ModelFileError: it is refused; `ModelFileError.code` says why.
            ModelPluginError: a plugin that provides one of the model's parts is missing, broken or too old; the message
                has the line that installs all that is missing. It is a `PluginError` as well.
        """
        model = cls.__new__(cls)
        options: dict[str, Any] = {"allow_nonfinite": allow_nonfinite, "isolate": isolate}
        with ModelFile(path, sha256=sha256, check=not mmap if check is None else check, **options) as file:
            manifest = read_manifest(file)
            stored = manifest.configuration(file.path)
            try:
                model._set_up(stored.network())
                model._configuration, model._stored = None, stored
                model._network = unpack(file, manifest, model, mmap=mmap)
            except (ModelFileError, Warning):  # the latter where warnings are to be errors
                raise
            except MemoryError as error:
                found = "more than there is memory for"
                raise ModelFileError(path, Code.MEMORY, "the whole file", found) from error
            except PluginError as error:
                raise ModelPluginError(path, Code.PLUGIN, "/manifest", f"{path}: {error}") from error
            except Exception as error:
                # a component may raise anything at values that it would not have saved
                raise ModelFileError(path, Code.CONFIG, "/manifest", f"not valid here: {error}") from error
        return model

    def stored_configuration(self) -> tuple[Mapping[str, Any], dict[str, Record]]:
        """The configuration as plain values, and who provides its components, by kind and name, for a file.

        Of a model from a file whose training parts nobody has asked for, those are as in that file.
        """
        if self._configuration is None:
            assert self._stored is not None
            return self._stored.with_layers(self.layers)
        return self._configuration.to_config(), record_all(self._configuration)

    def summary(self, input_shape: Shape | None = None) -> Summary:
        """The layers with their shapes and parameter counts; prints well, also in a notebook.

        Args:
            input_shape: the shape of one sample, for a model that is not built yet.
        """
        from microframe.summary import Summary

        if self._network is None and input_shape is None:
            raise UsageError("the model is not built: give summary the shape of one input sample")
        network = self._network or Network(self.layers, input_shape or (), self.dtype)
        return Summary.of(network)

    def __repr__(self) -> str:
        kinds = ", ".join(layer.type for layer in self.layers)
        size = f", {self._network.parameter_count} parameters" if self._network is not None else ", not built"
        return f"Model({kinds}{size})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_() if self.is_built else f"<code>{self!r}</code>"

    def _training(self, given: Mapping[str, Any]) -> Training:
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.configuration.training is not None:
            return dataclasses.replace(self.configuration.training, **chosen)
        if "loss" not in chosen:
            raise UsageError("no loss is given: pass loss=..., or configure [training]")
        return Training(**chosen)


load = Model.load
