import base64
import csv
import dataclasses
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from retinue.configs.load import load_config
from retinue.data.dataset import Dataset, Ragged
from retinue.pipeline.reports import sections
from retinue.pipeline.reports.batch_images import write_batch_images
from retinue.pipeline.reports.report import ReportData, write_report
from retinue.pipeline.reports.training_curves import training_section
from retinue.tasks.classification.scores import ClassificationEvaluator
from retinue.tasks.classification.task import Classification
from retinue.tasks.worst_images import WorstImage

NASTY = "<b onclick=\"alert('x')\">&amp;猫</b>"
CLASSES = (NASTY, "plain", "$dollar$")


class Page(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return " ".join(self.text.split())


def gray_image(value, size=(40, 60)):
    return np.full((*size, 3), value, np.uint8)


def single_label(count=12):
    labels = np.arange(count) % 3
    dataset = Dataset(
        "classification",
        [f"/image_folder/{index}.png" for index in range(count)],
        CLASSES,
        {"label": labels},
        np.array(["train", "val"] * (count // 2), object),
        source="/images",
        format="class folders",
    )
    scored = dataset.split("val")
    rows = np.full((len(scored), 3), 0.1, np.float32)
    rows[:, 0] = 0.8  # always the nasty one
    evaluator = ClassificationEvaluator(CLASSES, bootstrap_samples=50)
    evaluator.update([{"scores": row} for row in rows], scored)
    scores = evaluator.scores()
    worst = [
        WorstImage(
            file=scored.files[row],
            truth=[CLASSES[scored.columns["label"][row]]],
            predicted=[{"label": NASTY, "score": 0.8, "right": False}],
            image=gray_image(20 * row),
        )
        for row in scores.worst
    ]
    return dataset, scores, worst


HISTORY = [
    {"epoch": 1, "stage": "head", "loss": 1.0, "val_loss": 0.9, "val_accuracy": 0.3, "learning_rate": 0.001,
     "seconds": 10.0,
     "images_per_second": 50.0, "input_wait_fraction": 0.1, "best": True},
    {"epoch": 2, "stage": "all", "loss": 0.8, "val_loss": 0.7, "val_accuracy": 0.6, "learning_rate": 0.001,
     "seconds": 30.0,
     "images_per_second": 90.0, "input_wait_fraction": 0.3, "best": True},
]  # fmt: skip
RUN_INFO = {
    "versions": {"tensorflow": "2.21.0"}, "command": "retinue train '/my images' --seed 3", "seed": 3, "seconds": 271.4,
    "backbone": "efficientnet_lite0", "weights": "imagenet", "device": "2 CPU cores", "source": "/my images",
    "fingerprint": "abc123", "split": "val",
}  # fmt: skip


def write(folder, dataset, scores, worst, **changes):
    fields = {"history": HISTORY, "run_info": RUN_INFO, "check_summary": ["3 files were <unreadable>."]} | changes
    task = Classification(load_config(), dataset.classes, dataset.multi_label)
    data = ReportData(f"Cells & {NASTY}", task, dataset, scores, worst, **fields)
    path = write_report(folder, data)
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    dataset, scores, worst = single_label()
    return folder, write(folder, dataset, scores, worst), scores


def test_the_page_loads_no_other_file(written):
    _, page, _ = written
    sources = [image["src"] for image in page.all("img")]
    assert len(sources) == 5 + 4  # plots, then the four wrong images
    assert all(source.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for source in sources)
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    html = (written[0] / "report.html").read_text(encoding="utf-8")
    assert "url(" not in html and "http" not in html and "@import" not in html


def test_names_are_never_markup(written):
    _, page, _ = written
    assert not any("onclick" in attributes for _, attributes in page.tags)
    assert f"Cells & {NASTY}" in page.text
    assert f"Always predicting “{NASTY}” would be correct on 33.3%." in page.text
    assert "3 files were <unreadable>." in page.text


def test_the_page_describes_the_result_and_the_training(written):
    _, page, scores = written
    low, high = scores.interval
    for text in (
        "33.3%",
        "Correct on 2 of 6 files.",
        f"95% interval {low:.1%} to {high:.1%}, from 6 files",
        "Fine-tuned in 2 epochs from efficientnet_lite0 (imagenet weights) on 6 files of /my images in 4 min 31 s on "
        "2 CPU cores, at 80 files a second and 25% of the time waiting for files.",
        "retinue train '/my images' --seed 3",
        "The best epoch was chosen by the score on this validation set",
        "The best epoch was 2 of 2, with 60.0% on the validation set.",
        f"The most common confusion: 2 of 2 files of “plain” were predicted as “{NASTY}”.",
        "The mean confidence of a predicted label is 80.0%, and 33.3% of these labels are right: it is overconfident",
        "All mistakes (4), as truth → prediction",
        "With only 6 labels this is a rough estimate.",
        "12 files in 3 classes from /images (class folders): 6 train, 6 val.",
        "tensorflow: 2.21.0",
        "backbone: efficientnet_lite0",
    ):
        assert text in page.words, text


def test_the_sections_come_in_order(written):
    html = (written[0] / "report.html").read_text(encoding="utf-8")
    headings = ["Training", "Confusion matrix", "Results by class", "Calibration of the confidence"]
    headings += ["Worst predictions", "Data", "All metrics", "Settings"]
    positions = [html.index(f"<h2>{heading}</h2>") for heading in headings]
    assert positions == sorted(positions)


def test_every_plot_has_its_numbers_beside_it(written):
    folder = written[0]
    for name in ("curves", "confusion", "per_class", "calibration", "classes"):
        Image.open(folder / f"{name}.png").verify()
    with open(folder / "confusion.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["truth/predicted", *CLASSES] and rows[2] == ["plain", "2", "0", "0"]
    with open(folder / "per_class.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(CLASSES)
    assert rows[1]["precision"] == "" and rows[1]["recall"] == "0.0"  # undefined is empty, not 0
    with open(folder / "classes.csv", encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file)) == {"class": NASTY, "train": "2", "val": "2"}
    assert len((folder / "calibration.csv").read_text().splitlines()) == 1 + 15
    assert len((folder / "curves.csv").read_text().splitlines()) == 1 + 2


def test_scores_json_holds_the_scores(written):
    folder, _, scores = written
    assert json.loads((folder / "scores.json").read_text()) == scores.as_json()


def test_worst_images_are_named_and_captioned(written):
    worst = written[0] / "worst"
    names = sorted(path.name for path in worst.glob("*.jpg"))
    assert len(names) == 4 and names[0].startswith("01_truth-plain_predicted-")
    assert not set("".join(names)) & set("<>\"'&$ /")
    image = np.asarray(Image.open(worst / names[0]))
    assert image.shape[1] == 300 and image.shape[0] > 200  # 60 x 40, enlarged by 5, and a panel below
    with open(worst / "worst.csv", encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    assert first == {
        "image": names[0],
        "file": "/image_folder/1.png",
        "truth": "plain",
        "predicted": NASTY,
        "score": "0.8000",
    }


def test_writing_again_gives_the_same_bytes_and_removes_old_images(tmp_path):
    dataset, scores, worst = single_label()
    write(tmp_path, dataset, scores, worst)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "worst" / "mine.jpg").write_bytes(b"kept")
    write(tmp_path, dataset, scores, worst)
    (tmp_path / "worst" / "mine.jpg").unlink()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first

    (tmp_path / "worst" / "mine.jpg").write_bytes(b"kept")
    page = write(tmp_path, dataset, scores, worst[:1])
    assert sorted(path.suffix for path in (tmp_path / "worst").iterdir()) == [".csv", ".jpg", ".jpg"]
    assert (tmp_path / "worst" / "mine.jpg").read_bytes() == b"kept"
    assert "The 1 worst of 4 mistakes" in page.words


def test_a_report_without_training_and_without_mistakes(tmp_path):
    dataset, _, _ = single_label()
    scored = dataset.split("val")
    evaluator = ClassificationEvaluator(CLASSES, bootstrap_samples=0)
    evaluator.update([{"scores": np.eye(3, dtype=np.float32)[label]} for label in scored.columns["label"]], scored)
    page = write(tmp_path, scored, evaluator.scores(), [], history=[], run_info={}, check_summary=None)
    assert "The best epoch" not in page.text and not (tmp_path / "curves.png").exists()
    assert "There is no wrong prediction to show." in page.text and not (tmp_path / "worst" / "worst.csv").exists()
    assert "it is well calibrated" in page.words
    assert "check of the files" not in page.text and "slightly optimistic" not in page.text
    assert "interval" not in page.text


def test_without_a_validation_set_there_is_no_score(tmp_path):
    dataset, _, _ = single_label()
    training_set = dataset.split("train")
    history = [{key: value for key, value in row.items() if not key.startswith("val_")} for row in HISTORY[:1]]
    info = RUN_INFO | {"weights": "none", "split": None}
    page = write(tmp_path, training_set, None, [], history=history, run_info=info)
    assert "There is no validation set, so there is no score." in page.words
    assert "Trained in 1 epoch from efficientnet_lite0 (random weights) on 6 files of /my images" in page.words
    headings = [heading for heading in ("Training", "Data", "Settings") if heading in page.text]
    assert len(headings) == 3 and "All metrics" not in page.text and "Worst predictions" not in page.text
    assert len(page.all("img")) == 2 and "None" not in page.words
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.html", "curves.png", "curves.csv", "classes.png", "classes.csv"}


def test_the_images_of_a_batch_are_shown_smaller(tmp_path):
    dataset, scores, worst = single_label()
    sheets = {name: tmp_path / f"batch_{name}.jpg" for name in ("training", "validation")}
    for sheet in sheets.values():
        write_batch_images(sheet, np.zeros((16, 300, 300, 3), np.uint8), ["cat"] * 16)
    page = write(tmp_path, dataset, scores, worst, batch_images=sheets)
    shown = [image for image in page.all("img") if "larger" in image["alt"]]
    assert [image["alt"] for image in shown] == [
        "Training (larger: batch_training.jpg)",
        "Validation (larger: batch_validation.jpg)",
    ]
    jpeg = base64.b64decode(shown[0]["src"].removeprefix("data:image/jpeg;base64,"))
    assert max(Image.open(io.BytesIO(jpeg)).size) == sections.SHEET_SIDE < max(Image.open(sheets["training"]).size)
    assert page.text.index("Data") < page.text.index("Input images") < page.text.index("All metrics")


def test_a_check_without_problems_is_reported(tmp_path):
    dataset, scores, worst = single_label()
    assert "The check of the files found no problems." in write(tmp_path, dataset, scores, worst, check_summary=[]).text


def test_at_most_twenty_images_are_shown_and_large_ones_are_shrunk(tmp_path):
    dataset, scores, worst = single_label()
    small, large = (dataclasses.replace(worst[0], image=gray_image(9, size)) for size in ((30, 30), (1500, 3000)))
    many = [large, *[small] * 23, worst[0]]
    page = write(tmp_path, dataset, scores, many)
    assert len(page.all("figure")) == 20 and len(list((tmp_path / "worst").glob("*.jpg"))) == 20
    assert Image.open(sorted((tmp_path / "worst").glob("01_*.jpg"))[0]).width == 1024


def test_files_with_several_labels(tmp_path):
    names = ("sky", "sea", "sand")
    truth = [[0], [1], []]
    dataset = Dataset(
        "classification", ["a.png", "caf\udce9.png", "c.png"], names, {"labels": Ragged.from_rows(truth, np.int64)}
    )
    rows = np.array([[0.9, 0.2, 0.1], [0.3, 0.4, 0.2], [0.6, 0.1, 0.7]], np.float32)
    evaluator = ClassificationEvaluator(names, multi_label=True, bootstrap_samples=20)
    evaluator.update([{"scores": row} for row in rows], dataset)
    scores = evaluator.scores()
    task = Classification(load_config(), names, multi_label=True)
    predictions = task.postprocess({"scores": rows})
    worst = []
    for row in scores.worst:
        true_names, predicted = task.summarize_errors(predictions[row], [names[label] for label in truth[row]])
        worst.append(WorstImage(dataset.files[row], true_names, predicted, gray_image(50)))
    page = write(tmp_path, dataset, scores, worst, history=[], run_info={})
    captions = page.words[page.words.index("Worst predictions") :]
    assert "no label → sand 70%, sky 60%" in captions
    assert "sea → no labelcaf\\udce9.png" in captions  # a file name that is not UTF-8
    assert "Confusion matrix" not in page.text and not (tmp_path / "confusion.csv").exists()
    assert "3 files in 3 classes. 3 files were <unreadable>." in page.words
    assert sorted(path.name for path in (tmp_path / "worst").glob("*.jpg")) == [
        "01_truth-none_predicted-sand+sky.jpg",
        "02_truth-sea_predicted-none.jpg",
    ]


def test_no_metric_is_plotted_where_no_epoch_has_it():
    """A run that is scored on a test set alone has curves of loss and learning rate, and no empty axes."""
    history = [{"epoch": 1, "stage": "all", "loss": 0.5, "learning_rate": 1e-3, "best": True}]
    plain = training_section(history, None).plots[0]
    assert training_section(history, "accuracy").plots[0].png == plain.png
    validated = [history[0] | {"val_accuracy": 0.9, "val_loss": 0.4}]
    assert training_section(validated, "accuracy").plots[0].png != plain.png
