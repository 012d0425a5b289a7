"""`retinue explain`: what a classifier looks at, as pictures, arrays and a page."""

import difflib
import io
import itertools
import json
from pathlib import Path

import jinja2
import numpy as np
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decode import decode_image, encoded_bytes
from retinue.data.files import atomic_write
from retinue.explain import METHODS, checks, pictures
from retinue.explain.layers import layer_output
from retinue.pipeline.explain_methods import GIVES_MAP, Methods, drawn, of_model
from retinue.pipeline.explained import open_subject
from retinue.pipeline.run import refuse_existing, to_csv
from retinue.pipeline.sources import find_files
from retinue.tasks.fonts import printable

DEFAULT = ("grad-cam", "occlusion", "saliency")
SHOWN = 720  # pixels of the longer side of what is drawn on


def explain(model, images=(), out=None, *, methods=DEFAULT, class_name=None, layer=None, check=False, say=print):
    """Explain what a classifier says about photos, and write pictures and arrays into the new folder `out`.

    model: a run folder, an export folder (occlusion only), or the name of a backbone, with its ImageNet weights.
    images: see `sources.find_files`; class-image and filters need none. methods: names of `explain.METHODS`, or "all".
    class_name: the class to explain, by default the one that the model gives each photo. layer: the name of the layer
    for activations, grad-cam, hidden, deconvnet, guided, dream and filters. check: also the checks of checks.py, as
    `NAME/checks.csv`, `NAME/forgotten.csv` and a plot. say: prints a line.

    For each photo `NAME.png`, a sheet of all methods, and `NAME/METHOD.npy`, float32 in the photo's own size, `[h, w]`
    or `[h, w, c]`; for all of them `index.html` and `explained.json`.
    Returns the number of files that could not be read. Raises UsageError for a method, class, layer or model that is
    not there, and RetinueError when no photo could be read.
    """
    methods = _chosen(methods, bool(images))
    if out is None:
        raise UsageError("--out is missing: a new folder for the pictures")
    refuse_existing(out)
    files = list(find_files(images, say=say)) if images else []
    needing = [name for name in methods if METHODS[name][1]]
    if needing and not files:
        raise UsageError(f"{', '.join(needing)}: needs a photo; give one after MODEL")
    subject = open_subject(model)
    _refuse_impossible(subject, methods, class_name)
    if layer is not None and subject.model is not None:
        layer_output(subject.model, layer)  # a wrong name is told before anything is done
    target = None if class_name is None else subject.index_of(class_name)
    if "class-image" in methods and target is None and not files:
        raise UsageError("class-image without a photo needs --class NAME")
    job = _Job(subject, methods, target, layer, check, Path(out), say)
    return job.run(files)


def _chosen(methods, with_images):
    chosen = []
    for name in (methods,) if isinstance(methods, str) else methods:
        if name == "all":
            chosen += [known for known, (_, needs_photo, _) in METHODS.items() if with_images or not needs_photo]
        elif name in METHODS:
            chosen.append(name)
        else:
            near = difflib.get_close_matches(name, METHODS, n=2, cutoff=0.4)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(f"--method {name}: unknown; {hint}There are: all, {', '.join(METHODS)}")
    return tuple(dict.fromkeys(chosen))


def _refuse_impossible(subject, methods, class_name):
    others = [name for name in methods if name != "occlusion"]
    if subject.model is None and others:
        raise UsageError(
            f"{subject.name}: is an export, which holds no Keras model, so {', '.join(others)} can't be done; give the "
            "run folder that it came from, or --method occlusion"
        )
    of_class = [name for name in methods if METHODS[name][2]]
    if subject.classes is None and (of_class or class_name):
        can = ", ".join(name for name in METHODS if not METHODS[name][2])
        raise UsageError(
            f"{subject.name}: its weights have no classifier, so {', '.join(of_class) or '--class'} can't be done; "
            f"what can: {can}"
        )


class _Job:
    """One call of `explain`."""

    def __init__(self, subject, methods, target, layer, check, out, say):
        self.subject, self.methods, self.target, self.layer = subject, methods, target, layer
        self.check, self.out, self.say = check, out, say
        self.rows, self.names, self.said, self.of_model = [], set(), set(), {}
        self.method = Methods(subject, layer)

    def run(self, files):
        failures = 0
        if not files:
            name = self.subject.name if self.target is None else self.subject.classes[self.target]
            cells, arrays = self._of_model(self.target)
            self._write(name, cells, arrays, {"file": None, "class": self.target and name})
        for file in files:
            try:
                photo = decode_image(tf.constant(encoded_bytes(file))).numpy()
            except (OSError, tf.errors.OpError) as error:
                reason = getattr(error, "strerror", None) or str(getattr(error, "message", error)).splitlines()[0]
                self.say(f"{file}: can't be read ({reason})")
                failures += 1
                continue
            self._explain(file, photo)
        if files and failures == len(files):
            raise RetinueError(f"{files[0]}: none of the {failures} photos could be read")
        self._write_page()
        self.say(f"written  {self.out / 'index.html'}, with a PNG and the arrays of each picture beside it")
        return failures

    def _explain(self, file, photo):
        subject, target = self.subject, self.target
        image, shown = subject.prepare(photo), pictures.fitted(photo, SHOWN)
        entry, caption = {"file": str(file)}, [printable(Path(file).name)]
        if subject.classes is not None:
            scores = subject.predict(image[None])[0]
            best = int(scores.argmax())
            target = best if target is None else target
            entry |= {"class": subject.classes[target], "score": float(scores[target])}
            caption.append(f"{subject.classes[target]} {scores[target]:.1%}")
            others = "" if target == best else f"; its answer is {subject.classes[best]}, {scores[best]:.1%}"
            self.say(f"{file}: explaining {subject.classes[target]}, {scores[target]:.1%}{others}")
        cells, arrays, maps = [(shown, caption)], {}, {}
        for method in self.methods:
            if not METHODS[method][1]:
                continue
            try:
                found, words = self.method(method, image, photo, target)
            except UsageError as error:
                self._skip(method, error)
                continue
            placed = found if method == "dream" else subject.place(found, photo.shape)
            arrays[method] = placed
            cells.append((drawn(method, shown, placed), [method, words]))
            if method in GIVES_MAP:
                maps[method] = found
        if self.check and maps:
            cells.append(self._checked(file, image, target, maps, entry))
        more, more_arrays = self._of_model(target)
        self._write(Path(file).stem, cells + more, arrays | more_arrays, entry)

    def _of_model(self, target):
        """Cells and arrays of what is the same for every photo, or for every photo of a class."""
        cells, arrays = [], {}
        for method in self.methods:
            if METHODS[method][1]:
                continue
            key = (method, target if METHODS[method][2] else None)
            try:
                if key not in self.of_model:
                    self.of_model[key] = of_model(method, self.subject, target, self.layer)
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
            self.say(f"left out {method}: {error}")
            self.said.add(method)

    def _checked(self, file, image, target, maps, entry):
        subject = self.subject
        shuffled = np.random.default_rng(0).permutation(subject.size**2).reshape(subject.size, subject.size)
        curves, forgotten = {}, {}
        for method, found in [*maps.items(), ("random order", shuffled)]:
            found = GIVES_MAP[method](found) if method in maps else found
            curves[method] = checks.curves(subject.predict, image, target, found)
            again = self.method.forgetful(method, image, target)
            if again:
                forgotten[method] = checks.randomisation(*again)
        entry["checks"] = {
            method: {"deletion": round(one.deletion_area, 4), "insertion": round(one.insertion_area, 4)}
            for method, one in curves.items()
        }
        for method, layers in forgotten.items():
            entry["checks"][method]["forgotten"] = round(layers[-1][1], 4)
        for method, areas in entry["checks"].items():
            words = f", all forgotten: correlation {areas['forgotten']:.2f}" if "forgotten" in areas else ""
            self.say(f"  {method:<22} deletion {areas['deletion']:.3f}, insertion {areas['insertion']:.3f}{words}")
        entry["curves"], entry["layers"] = curves, forgotten
        return checks.draw(curves, forgotten), ["checks", "deletion, insertion, and layers forgotten"]

    def _write(self, stem, cells, arrays, entry):
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
        Image.fromarray(pictures.contact_sheet(cells)).save(sheet, "PNG")
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
            model=self.subject.name, rows=self.rows, methods={name: METHODS[name][0] for name in self.methods}
        )
        atomic_write(self.out / "index.html", page.encode("utf-8", "backslashreplace"))
        atomic_write(self.out / "explained.json", json.dumps(self.rows, indent=1) + "\n")


def _curve_rows(curves):
    return [
        {
            "method": method,
            "share": round(float(share), 4),
            "deletion": round(float(deletion), 6),
            "insertion": round(float(insertion), 6),
        }
        for method, one in curves.items()
        for share, deletion, insertion in zip(one.shares, one.deletion, one.insertion, strict=True)
    ]


def drawing_safe(stem):
    """A photo's or class's name as that of a file, on any system."""
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in printable(stem)).strip(".-")[:80] or "picture"
