"""The maps of a predicted class in the report and in TensorBoard."""

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from retinue.data.dataset import Dataset
from retinue.explain import grad_cam
from retinue.pipeline.explaining.training_maps import add_class_maps, class_map_callbacks
from retinue.tasks.worst_images import WorstImage


def test_images_with_a_predicted_label_get_the_map_of_this_label(tiny_model):
    model, task = tiny_model.build(), tiny_model.task
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    label = [{"label": "cherry", "score": 0.9, "right": False}]
    items = [WorstImage("a.png", ["apple"], [], image), WorstImage("b.png", ["apple"], label, image)]
    first, second = add_class_maps(task, model, items)
    assert first.class_map is None and second.file == "b.png"
    expected = grad_cam.draw(image, grad_cam.grad_cam(model, image[None], 2)[0])
    np.testing.assert_array_equal(second.class_map, expected)


def test_a_task_without_class_maps_gets_none(tiny_model, monkeypatch, tmp_path):
    monkeypatch.setattr(tiny_model.task, "has_class_maps", False, raising=False)
    label = [{"label": "cherry", "score": 0.9, "right": False}]
    items = [WorstImage("b.png", ["apple"], label, np.zeros((16, 16, 3), np.uint8))]
    assert add_class_maps(tiny_model.task, tiny_model.build(), items) == items
    dataset = Dataset("classification", ["b.png"], tiny_model.classes, {"label": np.array([0])})
    assert class_map_callbacks(tiny_model.task, tiny_model.build(), dataset, tmp_path) == []


def test_tensorboard_gets_a_map_of_each_readable_image_for_its_true_class(tiny_model, image_folder, tmp_path):
    files = [str(image_folder / "2.png"), str(image_folder / "gone.png"), str(image_folder / "6.bmp")]
    dataset = Dataset("classification", files, tiny_model.classes, {"label": np.array([1, 0, 2])})
    model = tiny_model.build()
    (callback,) = class_map_callbacks(tiny_model.task, model, dataset, tmp_path)
    callback.set_model(model)
    callback.on_epoch_end(0)
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    names = [tag.rpartition("/")[2] for tag in events.Tags()["tensors"]]
    assert sorted(names) == ["0 bean", "2 cherry"]
