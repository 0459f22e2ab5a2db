from __future__ import annotations

import copy
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from microframe import Model, ModelFileError, load
from microframe.standard.layers import BatchNorm, Dense, Standardize
from microframe.standard.optimizers import Adam
from microframe.storage import ModelFile, write_model_file


def train(model: Model, epochs: int, **options: object) -> Model:
    x = np.random.default_rng(0).normal(size=(40, 3))
    settings = {"loss": "mean_squared_error", "optimizer": Adam(0.01, average=0.9), "batch_size": 8, "metrics": ["r2"]}
    model.fit(x, x @ [1.0, 2.0, 3.0], epochs=epochs, **settings | options)
    return model


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    """A file of a network with trained parameters and two kinds of state, and what an exact continuation needs."""
    train(Model([Standardize(), Dense(8, "tanh"), BatchNorm(), Dense(1)]), 2).save(tmp_path / "model.h5")
    return tmp_path / "model.h5"


def arrays(model: Model) -> dict[str, np.ndarray]:
    network = model.network
    return {
        f"{layer}/{name}": array
        for views in (network.weights, network.state)
        for layer, own in views.items()
        for name, array in own.items()
    }


def owner_of(array: np.ndarray) -> object:
    """What the memory of an array is from."""
    return owner_of(array.base) if isinstance(array, np.ndarray) else array


def assert_mapped(model: Model) -> None:
    """Every array is a part of one map of the file, which nobody can write to."""
    for name, array in arrays(model).items():
        assert type(array) is np.ndarray, name
        assert not array.flags.owndata, name
        assert not array.flags.writeable, name
        assert array.ctypes.data % 64 == 0, name


def test_predictions_are_those_of_the_model_that_is_read(path, x):
    mapped, read = load(path, mmap=True), load(path)
    assert_mapped(mapped)
    assert arrays(mapped).keys() == arrays(read).keys()
    np.testing.assert_array_equal(mapped.outputs(x), read.outputs(x))
    np.testing.assert_array_equal(mapped(x[:1]), read(x[:1]))
    assert mapped.evaluate(x, x[:, 0]) == read.evaluate(x, x[:, 0])
    assert type(mapped(x[:1])) is np.ndarray
    assert_mapped(mapped)


def test_all_arrays_lie_in_one_map(path):
    mapped = load(path, mmap=True)
    places = {name: array.ctypes.data for name, array in arrays(mapped).items()}
    assert max(places.values()) - min(places.values()) < path.stat().st_size
    assert len({id(owner_of(array)) for array in arrays(mapped).values()}) == 1


def test_nothing_is_copied_by_looking(path, x):
    mapped = load(path, mmap=True)
    repr(mapped)
    str(mapped.summary())
    mapped.predict(x)
    mapped.evaluate(x, x[:, 0])
    assert mapped.configuration.training.epochs == 2
    assert mapped.checkpoint is not None
    assert_mapped(mapped)


def test_writing_into_a_mapped_array_is_an_error_and_leaves_the_file_alone(path):
    before = path.read_bytes()
    mapped = load(path, mmap=True)
    for array in arrays(mapped).values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
            array.flags.writeable = True
    assert path.read_bytes() == before


def test_asking_for_the_vector_of_parameters_copies_once_and_the_network_uses_the_copy(path, x):
    mapped, read = load(path, mmap=True), load(path)
    network = mapped.network
    parameters = network.parameters
    assert network.parameters is parameters
    np.testing.assert_array_equal(parameters, read.network.parameters)
    assert parameters.flags.writeable
    assert all(np.shares_memory(array, parameters) for layer in network.weights.values() for array in layer.values())
    for layer, states in network.state.items():
        for name, array in states.items():
            np.testing.assert_array_equal(array, read.network.state[layer][name])
            assert array.flags.writeable
    network.parameters *= 2
    read.network.parameters *= 2
    np.testing.assert_array_equal(mapped.outputs(x), read.outputs(x))


def test_a_network_without_parameters_can_be_mapped(tmp_path, x):
    Model([Standardize()]).build((3,)).save(tmp_path / "model.h5")
    mapped = load(tmp_path / "model.h5", mmap=True)
    assert_mapped(mapped)
    assert mapped.network.parameters.shape == (0,)
    np.testing.assert_array_equal(mapped.outputs(x), x)


def test_what_was_split_off_before_uses_the_copy_as_well(path, x):
    model = Model([Dense(4, "tanh")]).build((3,))
    model.save(path)
    network = load(path, mmap=True).network
    logits, _ = network.split_final_activation()
    again = copy.copy(logits)
    again.parameters[:] = 0
    for each in (network, logits, again):
        assert each.parameters is again.parameters
        assert not each.forward(x).any()


def test_a_mapped_model_trains_on_as_one_that_was_read_and_leaves_the_file_alone(path, everything):
    before = path.read_bytes()
    continued = [train(load(path, mmap=mmap), 4, resume=True) for mmap in (True, False)]
    assert everything(continued[0]) == everything(continued[1])
    assert everything(continued[0]) == everything(
        train(Model([Standardize(), Dense(8, "tanh"), BatchNorm(), Dense(1)]), 4)
    )
    afresh = [train(load(path, mmap=mmap), 1) for mmap in (True, False)]
    assert everything(afresh[0]) == everything(afresh[1])
    assert path.read_bytes() == before


@pytest.mark.parametrize("resumable", [True, False])
def test_a_mapped_model_is_saved_over_its_own_file(path, x, resumable):
    mapped = load(path, mmap=True)
    before = mapped.outputs(x)
    load(path).save(path.with_name("expected.h5"), resumable=resumable)
    mapped.save(path, resumable=resumable)
    assert path.read_bytes() == path.with_name("expected.h5").read_bytes()
    assert_mapped(mapped)
    np.testing.assert_array_equal(mapped.outputs(x), before)
    np.testing.assert_array_equal(load(path, mmap=True).outputs(x), before)


def test_a_file_that_is_replaced_or_removed_stays_what_the_model_sees(path, x):
    mapped = load(path, mmap=True)
    before = mapped.outputs(x)
    train(load(path), 1).save(path)
    np.testing.assert_array_equal(mapped.outputs(x), before)
    assert (load(path, mmap=True).outputs(x) != before).any()
    if os.name == "posix":
        path.unlink()
        np.testing.assert_array_equal(mapped.outputs(x), before)


COPIES = {"pickle": lambda model: pickle.loads(pickle.dumps(model)), "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_has_arrays_of_its_own_and_trains_on(path, x, kind, everything):
    mapped = load(path, mmap=True)
    other = COPIES[kind](mapped)
    np.testing.assert_array_equal(other.outputs(x), mapped.outputs(x))
    for name, array in arrays(other).items():
        assert not np.shares_memory(array, arrays(mapped)[name])
    assert everything(train(other, 4, resume=True)) == everything(train(load(path), 4, resume=True))
    assert_mapped(mapped)


def test_a_shallow_copy_shares_the_map(path, x):
    mapped = load(path, mmap=True)
    other = copy.copy(mapped)
    assert_mapped(other)
    np.testing.assert_array_equal(other.outputs(x), mapped.outputs(x))


def test_threads_share_a_mapped_model_also_while_one_of_them_makes_it_writable(path, x):
    expected = load(path).outputs(x)
    for _ in range(20):
        mapped = load(path, mmap=True)
        ready = threading.Barrier(5)

        def predict(model=mapped, ready=ready):
            ready.wait()
            return [model.outputs(x) for _ in range(20)]

        def own(model=mapped, ready=ready):
            ready.wait()
            return model.network.parameters

        with ThreadPoolExecutor(5) as pool:
            predicted = [pool.submit(predict) for _ in range(3)]
            owned = [pool.submit(own) for _ in range(2)]
            for future in predicted:
                for output in future.result():
                    np.testing.assert_array_equal(output, expected)
            assert owned[0].result() is owned[1].result()
        np.testing.assert_array_equal(mapped.outputs(x), expected)


def damaged(path, array: np.ndarray):
    content = path.read_bytes()
    assert content.count(array.tobytes()) == 1
    path.write_bytes(content.replace(array.tobytes(), np.zeros_like(array).tobytes()))


def code_of(path, **options) -> str:
    with pytest.raises(ModelFileError) as error:
        load(path, mmap=True, **options)
    return error.value.code


def test_digests_are_checked_on_request_as_that_reads_everything(path):
    model = train(Model([Dense(8), Dense(1)]), 1)
    model.save(path, resumable=False)
    damaged(path, model.weights["dense_1"]["kernel"])
    assert not load(path, mmap=True).weights["dense_1"]["kernel"].any()
    assert code_of(path, check=True) == "E_DIGEST"


def test_weights_that_are_not_finite_are_found_on_request(path):
    model = Model([Dense(8)]).build((3,))
    model.weights["dense_1"]["kernel"][0, 0] = np.nan
    model.save(path)
    assert np.isnan(load(path, mmap=True).weights["dense_1"]["kernel"][0, 0])
    assert np.isnan(load(path, mmap=True, check=True, allow_nonfinite=True).weights["dense_1"]["kernel"][0, 0])
    assert code_of(path, check=True) == "E_NONFINITE"


def test_structure_and_manifest_are_checked_in_any_case(path):
    with ModelFile(path) as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    tensors["weights/dense_1/bias"] = np.zeros(9, np.float32)
    write_model_file(path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)
    assert code_of(path) == "E_TENSORS"
    path.write_bytes(path.read_bytes()[:-1])
    assert code_of(path) == "E_TRUNCATED"
    assert code_of(path, sha256="0" * 64) == "E_FILE_DIGEST"
    assert code_of(path, isolate=True) == "E_TRUNCATED"
