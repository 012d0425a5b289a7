"""`retinue explain`: what a model looks at, as pictures, arrays and a page."""

import io
import itertools
import json
import logging
from pathlib import Path

import jinja2
import numpy as np
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.schema import DataConfig
from retinue.configs.suggestions import did_you_mean
from retinue.data.decoding.decode import decode_image, read_encoded_bytes
from retinue.data.storage.atomic_files import atomic_write
from retinue.explain import METHODS, sanity_checks, visualization
from retinue.explain.layers import feature_map_output, layer_output
from retinue.pipeline.explaining.explainers import open_explainer
from retinue.pipeline.explaining.explanation_request import ExplanationOptions, NothingToExplain, class_index
from retinue.pipeline.explaining.methods import GIVES_MAP, Methods, drawn, of_model, outlined
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.prediction.reader import reason_of
from retinue.pipeline.runs.run import refuse_existing, to_csv
from retinue.tasks.fonts import printable

logger = logging.getLogger(__name__)

DEFAULT = ("grad-cam", "occlusion", "saliency")
MAX_PIXELS = DataConfig().max_pixels  # what is larger is said to be too large, as elsewhere
SHOWN = 720  # pixels of the longer side of what is drawn on


def explain(
    model,
    images=(),
    out=None,
    *,
    methods=DEFAULT,
    class_name=None,
    box=None,
    point=None,
    layer=None,
    channel=None,
    weights=None,
    check=False,
):
    """Explain what a model says about photos or clips, and write pictures and arrays into the new folder `out`.

    model: a run folder, a classifier's export folder (occlusion only), or the name of a backbone. weights: of the
    backbone, see `backbones.load_weights`; by default those of ImageNet.
    images: see `sources.find_files`; feature-visualization and filters need none. methods: names of
    `explain.METHODS`, or "all".
    class_name: the class to explain. By default a classifier's answer for each photo; of a detector the class of the
    best box; of a segmentation the largest class that is not called background.
    box: of a detector, the N-th box from 1, the best first (with class_name, of that class). point: of a segmentation,
    (x, y) in pixels of the photo: the region around it, instead of all pixels of the class.
    layer: the name of the layer for activations, grad-cam, neuron-gradient, deconvnet, guided-backprop, deep-dream and
    filters. channel: of the layer, for neuron-gradient, deconvnet, guided-backprop, deep-dream and, instead of a class,
    feature-visualization. check: also the checks of
    checks.py, as `NAME/checks.csv`, `NAME/forgotten.csv` and a plot.

    Of a video model each stream is explained, by the methods of `clip_model.METHODS`.
    For each photo `NAME.png`, a sheet of all methods, and `NAME/METHOD.npy`, float32 in the photo's own size, `[h, w]`
    or `[h, w, c]`; for all of them `index.html` and `explained.json`. For a clip `NAME/STREAM-METHOD.npy`, float32
    `[k, H, W]` or `[k, H, W, c]`, k snippets in `video.frame_size`.
    Returns the number of files that could not be read or have no such box or region. Raises UsageError for a method,
    class, layer or model that is not there, and RetinueError when no photo could be explained.
    """
    methods = _chosen(methods, bool(images))
    if out is None:
        raise UsageError("--out is missing: a new folder for the pictures")
    refuse_existing(out)
    needing = [name for name in methods if METHODS[name].needs_image]
    if needing and not images:
        raise UsageError(f"{', '.join(needing)}: needs a photo; give one after MODEL")
    if box is not None and box < 1:
        raise UsageError(f"--box {box}: boxes are counted from 1, the best first")
    explainer, wanted = open_explainer(model, weights), ExplanationOptions(class_name, box, point)
    explainer.check(wanted)
    files = list(find_files(images, clips=explainer.is_video)) if images else []
    if explainer.is_video:
        methods = _of_clips(explainer, methods, layer, channel, check)
    _refuse_impossible(explainer, methods, class_name, channel)
    if check and explainer.classes is None:
        raise UsageError(f"--sanity-checks: follows a class, and the weights of {explainer.name} have no classifier")
    if explainer.model is not None and not explainer.is_video:  # wrong names are told before anything is done
        _refuse_layer(explainer.model, methods, layer, channel)
    if "feature-visualization" in methods and class_name is None and channel is None and not files:
        raise UsageError("feature-visualization without a photo needs --class NAME")
    return _Job(explainer, methods, wanted, layer, channel, check, Path(out)).run(files)


def _chosen(methods, with_images):
    chosen = []
    for name in (methods,) if isinstance(methods, str) else methods:
        if name == "all":
            chosen += [known for known, entry in METHODS.items() if with_images or not entry.needs_image]
        elif name in METHODS:
            chosen.append(name)
        else:
            hint = did_you_mean(name, METHODS, limit=2)
            raise UsageError(f"--method {name}: there is no such method{hint} (methods: all, {', '.join(METHODS)})")
    return tuple(dict.fromkeys(chosen))


def _of_clips(explainer, methods, layer, channel, check):
    """The methods that a video model can be explained by; what it can't is told."""
    from retinue.pipeline.explaining import clip_model

    others = [name for name in methods if name not in clip_model.METHODS]
    if len(others) == len(methods):
        can = ", ".join(clip_model.METHODS)
        raise UsageError(
            f"{', '.join(others)}: is for photos, and {explainer.name} is a video model; what can be: {can}"
        )
    for option, given in (("--channel", channel is not None), ("--sanity-checks", check)):
        if given:
            raise UsageError(f"{option}: is for photos, and {explainer.name} is a video model")
    if others:
        logger.warning(f"left out {', '.join(others)}: for photos, not for clips")
    if layer is not None:
        layer_output(explainer.model, layer)
    return tuple(name for name in methods if name in clip_model.METHODS)


def _refuse_impossible(explainer, methods, class_name, channel):
    others = [name for name in methods if name != "occlusion"]
    if explainer.model is None and others:
        raise UsageError(
            f"{explainer.name}: is an export, which holds no Keras model, so {', '.join(others)} can't be done; "
            "give the "
            "run folder that it came from, or --method occlusion"
        )
    of_class = [
        name
        for name in methods
        if METHODS[name].needs_class and not (name == "feature-visualization" and channel is not None)
    ]
    if explainer.classes is None and (of_class or class_name):
        can = ", ".join(name for name in METHODS if not METHODS[name].needs_class)
        raise UsageError(
            f"{explainer.name}: its weights have no classifier, so {', '.join(of_class) or '--class'} can't be done; "
            f"what can: {can}, and feature-visualization with --layer and --channel"
        )
    if methods == ("feature-visualization",) and not explainer.makes_class_images:
        raise UsageError(f"feature-visualization: is for classifiers, and {explainer.name} is none; use {DEFAULT[0]}")


def _refuse_layer(model, methods, layer, channel):
    if layer is not None:
        layer_output(model, layer)
    if channel is None:
        return
    able = ("neuron-gradient", "deconvnet", "guided-backprop", "deep-dream", "feature-visualization")
    if not set(methods) & set(able):
        raise UsageError(f"--channel {channel}: is for {', '.join(able)}; give one of them as --method")
    name, output = feature_map_output(model, layer)
    if not 0 <= channel < output.shape[-1]:
        raise UsageError(f"--channel {channel}: {name} has {output.shape[-1]} channels, 0 to {output.shape[-1] - 1}")


class _Job:
    """One call of `explain`."""

    def __init__(self, explainer, methods, wanted, layer, channel, check, out):
        self.explainer, self.methods, self.wanted, self.layer, self.channel = explainer, methods, wanted, layer, channel
        self.check, self.out = check, out
        self.rows, self.names, self.said, self.of_model = [], set(), set(), {}
        if explainer.is_video:
            self.method = {
                name: Methods(stream, explainer.layer_of(name, layer)) for name, stream in explainer.streams.items()
            }
        else:
            self.method = Methods(explainer, layer, channel)

    def run(self, files):
        reasons = []
        if not files:
            self._without_photo()
        for file in files:
            try:
                if self.explainer.is_video:
                    self._explain_clip(file)
                else:
                    self._explain(file, _read(file))
            except NothingToExplain as error:
                reasons.append(f"{file}: {error}")
                if len(files) > 1:  # of one file it is the error that the command ends with
                    logger.warning(reasons[-1])
        if files and len(reasons) == len(files):
            more = f" (and {len(files) - 1:,} more like it)" if len(files) > 1 else ""
            raise RetinueError(f"{reasons[0]}{more}; there is nothing to explain")
        self._write_page()
        logger.info(f"written  {self.out / 'index.html'}, with a PNG and the arrays of each picture beside it")
        return len(reasons)

    def _without_photo(self):
        label, name = None, self.explainer.name
        if self.wanted.class_name is not None:
            label = class_index(self.wanted.class_name, self.explainer.classes, name)
            name = self.explainer.classes[label]
        cells, arrays = self._of_model(label)
        self._write(name, cells, arrays, {"file": None, "class": None if label is None else name})

    def _explain(self, file, photo):
        explainer = self.explainer
        image, shown = explainer.prepare(photo), visualization.resize_longer_side(photo, SHOWN)
        question = explainer.ask(photo, image, self.wanted)
        entry, caption = {"file": str(file)}, [printable(Path(file).name)]
        if question.label is not None:
            entry |= {"class": question.label, "score": question.score} | question.facts
            caption.append(f"{question.label} {question.score:.1%}")
            logger.info(f"{file}: explaining {question.words}")
        cells, arrays, maps = [(outlined(shown, question.region), caption)], {}, {}
        for method in self.methods:
            if not METHODS[method].needs_image:
                continue
            try:
                found, words = self.method(method, image, photo, question)
            except UsageError as error:
                self._skip(method, error)
                continue
            placed = found if method == "deep-dream" else explainer.place(found, photo.shape)
            arrays[method] = placed
            picture = drawn(method, shown, placed)
            cells.append(
                (outlined(picture, question.region) if METHODS[method].needs_class else picture, [method, words])
            )
            if method in GIVES_MAP:
                maps[method] = found
        if self.check and maps:
            cells.append(self._checked(image, question, maps, entry))
        more, more_arrays = self._of_model(question.column)
        self._write(Path(file).stem, cells + more, arrays | more_arrays, entry)

    def _explain_clip(self, file):
        clip = self.explainer.ask(file, self.wanted)
        logger.info(f"{file}: explaining {clip.words}")
        cells, arrays, columns = [], {}, len(clip.snippets)
        for part in clip.streams:
            seen = f"{part.seen} of {printable(Path(file).name)}"
            for number, picture, score in zip(clip.snippets, part.shown, part.scores, strict=True):
                cells.append((picture, [f"{seen}, {number} of {clip.of}", f"{clip.label} {score:.1%}"]))
            for method in self.methods:
                placed = []
                for image, picture in zip(part.images, part.shown, strict=True):
                    try:
                        found, words = self.method[part.stream](method, image, None, part.question)
                    except UsageError as error:
                        self._skip(method, error)
                        break
                    placed.append(self.explainer.place(found))
                    cells.append((drawn(method, picture, placed[-1]), [f"{method}, {part.seen}", words]))
                if placed:
                    arrays[f"{part.stream}-{method}"] = np.stack(placed)
        entry = {"file": str(file), "class": clip.label, "score": clip.score, "streams": clip.stream_scores}
        self._write(Path(file).stem, cells, arrays, entry | {"snippets": clip.snippets, "of": clip.of}, columns)

    def _of_model(self, label):
        """Cells and arrays of what is the same for every photo, or for every photo of a class."""
        cells, arrays = [], {}
        for method in self.methods:
            if METHODS[method].needs_image:
                continue
            if method == "feature-visualization" and not self.explainer.makes_class_images:
                self._skip(method, "is for classifiers")
                continue
            key = (method, label if METHODS[method].needs_class else None)
            try:
                if key not in self.of_model:
                    self.of_model[key] = of_model(method, self.explainer, label, self.layer, self.channel)
            except UsageError as error:
                self._skip(method, error)
                continue
            cells += self.of_model[key][0]
            arrays |= self.of_model[key][1]
        return cells, arrays

    def _skip(self, method, error):
        """Of several methods, one that can't be done for this model is left out and said once."""
        if len(self.methods) == 1:
            raise error
        if method not in self.said:
            logger.warning(f"left out {method}: {error}")
            self.said.add(method)

    def _checked(self, image, question, maps, entry):
        shuffled = np.random.default_rng(0).permutation(image.shape[0] * image.shape[1]).reshape(image.shape[:2])
        curves, forgotten = {}, {}
        for method, found in [*maps.items(), ("random order", shuffled)]:
            found = GIVES_MAP[method](found) if method in maps else found
            curves[method] = sanity_checks.curves(question.predict, image, question.column, found)
            again = self.method.forgetful(method, image, question)
            if again:
                forgotten[method] = sanity_checks.randomization(*again)
        entry["checks"] = {
            method: {"deletion": round(one.deletion_area, 4), "insertion": round(one.insertion_area, 4)}
            for method, one in curves.items()
        }
        for method, layers in forgotten.items():
            entry["checks"][method]["forgotten"] = round(layers[-1][1], 4)
        for method, areas in entry["checks"].items():
            words = f", all forgotten: correlation {areas['forgotten']:.2f}" if "forgotten" in areas else ""
            logger.info(f"  {method:<22} deletion {areas['deletion']:.3f}, insertion {areas['insertion']:.3f}{words}")
        entry["curves"], entry["layers"] = curves, forgotten
        return sanity_checks.draw(curves, forgotten), ["checks", "deletion, insertion, and layers forgotten"]

    def _write(self, stem, cells, arrays, entry, columns=4):
        name = self._free_name(stem)
        folder = self.out / name
        for method, found in arrays.items():
            content = io.BytesIO()
            np.save(content, np.asarray(found, np.float32))
            atomic_write(folder / f"{method}.npy", content.getvalue())
        curves, layers = entry.pop("curves", {}), entry.pop("layers", {})
        if curves:
            atomic_write(folder / "checks.csv", to_csv(_curve_rows(curves)))
            rows = [
                {"method": method, "layer": layer, "correlation": round(value, 4)}
                for method, found in layers.items()
                for layer, value in found
            ]
            if rows:
                atomic_write(folder / "forgotten.csv", to_csv(rows))
        sheet = io.BytesIO()
        Image.fromarray(visualization.contact_sheet(cells, columns)).save(sheet, "PNG")
        atomic_write(self.out / f"{name}.png", sheet.getvalue())
        self.rows.append(entry | {"sheet": f"{name}.png"})

    def _free_name(self, stem):
        stem = drawing_safe(stem)
        endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        name = next(stem + ending for ending in endings if stem + ending not in self.names)
        self.names.add(name)
        return name

    def _write_page(self):
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        page = environment.get_template("explain.html.j2").render(
            model=self.explainer.name,
            rows=self.rows,
            methods={name: METHODS[name].description for name in self.methods},
        )
        atomic_write(self.out / "index.html", page.encode("utf-8", "backslashreplace"))
        atomic_write(self.out / "explained.json", json.dumps(self.rows, indent=1) + "\n")


def _read(file):
    try:
        return decode_image(tf.constant(read_encoded_bytes(file))).numpy()
    except (OSError, tf.errors.OpError) as error:
        raise NothingToExplain(f"can't be read ({reason_of(file, MAX_PIXELS, str(error))})") from None


def _curve_rows(curves):
    return [
        {
            "method": method,
            "share": round(float(share), 4),
            "deletion": round(float(deletion), 6),
            "insertion": round(float(insertion), 6),
        }
        for method, one in curves.items()
        for share, deletion, insertion in zip(one.fractions, one.deletion, one.insertion, strict=True)
    ]


def drawing_safe(stem):
    """A photo's or class's name as that of a file, on any system."""
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in printable(stem)).strip(".-")[:80] or "picture"
