from __future__ import annotations

from unittest import mock

import h5py

from microframe import samples as samples_module
from microframe.standard.metrics import Accuracy
from microframe.standard.optimizers import Adam


def test_a_file_read_in_blocks_is_resumed_too(tmp_path, everything, classifier, three_classes, stop_at):
    x, y = three_classes()
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 400):
        file["x"] = x
        settings = {"loss": "cross_entropy", "epochs": 3, "batch_size": 8}
        whole, parts = classifier(), classifier()
        whole.fit(file["x"], y, **settings)
        parts.fit(file["x"], y, **settings, listeners=[stop_at(2, 3)])
        parts.fit(file["x"], y, resume=True)
    assert everything(parts) == everything(whole)


def test_an_hdf5_dataset_in_order_trains_like_the_array(tmp_path, everything, noisy_model, three_classes):
    x, y = three_classes()
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 500):
        file["x"] = x
        models = []
        for inputs in (x, file["x"]):
            model = noisy_model()
            settings = {"loss": "cross_entropy", "metrics": [Accuracy()], "epochs": 4, "batch_size": 8}
            model.fit(inputs, y, **settings, shuffle=False, validation=0.2)
            models.append(model)
    assert everything(models[0]) == everything(models[1])


def test_an_hdf5_dataset_is_learnt_from(tmp_path, classifier, three_classes):
    x, y = three_classes(90)
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 500):
        file["x"] = x
        history = classifier().fit(file["x"], y, loss="cross_entropy", optimizer=Adam(0.03), epochs=30)
    assert history["loss"][-1] < 0.4 * history["loss"][0]
