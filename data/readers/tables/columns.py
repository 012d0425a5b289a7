"""The columns of tables that retinue knows, and the names that people and tools give them."""

import re
from collections.abc import Iterable

# Other names of each column, the plainest first. Case, spaces and punctuation don't matter: "X_Min" is "xmin".
SYNONYMS: dict[str, tuple[str, ...]] = {
    "file": (
        *(
            "filename",
            "filenames",
            "filepath",
            "filepaths",
            "image",
            "images",
            "fname",
            "imagefile",
            "imagefilename",
            "imagepath",
            "imagename",
            "img",
            "imgfile",
        ),
        *("imgfilename", "imgpath", "imgname", "path", "relativepath", "fullpath", "photo", "imageurl", "imageuri"),
        *(
            "imgurl",
            "url",
            "uri",
            "gcsuri",
            "video",
            "videopath",
            "videoname",
            "clip",
            "clippath",
            "imageindex",
            "imageid",
        ),
        *("imgid", "videoid", "idcode", "id", "patientid", "frame", "name"),
    ),
    "label": (
        *("labels", "class", "classname", "classlabel", "labelname", "category", "categoryname", "target"),
        *(
            "tag",
            "tags",
            "species",
            "breed",
            "disease",
            "diagnosis",
            "dx",
            "findinglabels",
            "annotationtag",
            "displayname",
            "choice",
            "name",
            "classid",
        ),
        *("classidx", "classindex", "labelid", "labelidx", "categoryid", "targetid"),
    ),
    "x1": ("xmin", "left", "minx", "xtl", "startx", "xstart", "xleft", "leftx", "tlx", "topleftx", "upperleftx"),
    "y1": ("ymin", "top", "miny", "ytl", "starty", "ystart", "ytop", "topy", "tly", "toplefty", "upperlefty"),
    "x2": ("xmax", "right", "maxx", "xbr", "endx", "xend", "xright", "rightx", "brx", "bottomrightx", "lowerrightx"),
    "y2": ("ymax", "bottom", "maxy", "ybr", "endy", "yend", "ybottom", "bottomy", "bry", "bottomrighty", "lowerrighty"),
    "x0": (),
    "y0": (),
    "x": (),
    "y": (),
    "xc": ("xcenter", "centerx", "cx", "xcentre", "centrex", "xmid", "midx"),
    "yc": ("ycenter", "centery", "cy", "ycentre", "centrey", "ymid", "midy"),
    "w": ("width",),
    "h": ("height",),
    "bbox": ("box", "boundingbox", "bndbox", "bboxes", "boxes", "boxesstring"),
    "objects": (),
    "width": ("imagewidth", "imgwidth", "originalwidth"),
    "height": ("imageheight", "imgheight", "originalheight"),
    "mask": ("masks", "maskpath", "maskfile", "maskfilename", "maskname", "segmentation", "labelpath", "labelfile"),
    "start": ("starttime", "begin", "starttimestamp"),
    "end": ("endtime", "stop", "endtimestamp"),
    "split": ("set", "subset", "fold", "partition", "usage", "datasplit", "dataset", "mlusage"),
    "group": ("groups", "groupid", "patient", "patientid", "subject", "subjectid"),
    "crowd": ("iscrowd", "isgroupof", "groupof"),
    "difficult": ("isdifficult",),
}
BOX_PREFIXES = ("boundingbox", "bndbox", "bbox", "box", "roi", "rect")  # "bbox_x1" is x1 and "bbox_width" is w
PREFIXED_RANK = 1  # of such a name, between our own names and their synonyms
CORNER_SUFFIX = "corner"  # "Upper left corner X" is upperleftx
WORD_RANK = 100  # of a name that ends in one of `LABEL_WORDS`
IDS_OF_LABELS = ("classid", "classidx", "classindex", "labelid", "labelidx", "categoryid", "targetid")
# A column whose name ends in one of these words holds labels, as "cell_type" and "tree species" do,
LABEL_WORDS = ("label", "class", "category", "type", "species", "breed", "diagnosis")
# unless its name begins with one of these.
NO_LABEL_WORDS = ("file", "image", "img", "source", "box", "bbox", "annotation", "data", "media", "mime", "shape")
WEAK_FILES = (
    "imageindex",
    "imageid",
    "imgid",
    "videoid",
    "idcode",
    "id",
    "patientid",
    "frame",
    "name",
)  # often something else
# Columns of which it is known that they don't hold labels. They are ignored.
OTHER_COLUMNS = (
    *("confidence", "score", "source", "area", "depth", "isoccluded", "occluded", "istruncated", "truncated"),
    *("isdepiction", "isinside", "index", "unnamed0", "annotationid", "objectid", "boxid", "imagesource", "filesize"),
    *("pose", "occlusion", "truncation", "segmented", "annotator", "radid", "date", "time", "timestamp", "comment"),
    *("notes", "note", "imagewidth", "imageheight", "rotation", "license", "folder"),
    *("domain", "latitude", "longitude", "lat", "lon"),
)

_PUNCTUATION = re.compile(r"[\W_]+")
_WORD_ENDS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")


def plain(name: str) -> str:
    """Return the name of a column in lower case, without spaces and punctuation."""
    return _PUNCTUATION.sub("", name).lower()


def meanings(name: str) -> dict[str, int]:
    """Return the columns that a name in a header can mean, with the rank of the name: 0 is our own, then the plainest.

    Args:
        name: As it is written in the header.
    """
    key = plain(name)
    found = {column: _rank(column, key) for column in SYNONYMS if _rank(column, key) is not None}
    inner = key.replace(CORNER_SUFFIX, "")
    prefix = next((prefix for prefix in BOX_PREFIXES if inner.startswith(prefix) and inner != prefix), "")
    if prefix or inner != key:
        inner = inner.removeprefix(prefix)
        for column in ("x1", "y1", "x2", "y2", "x0", "y0", "x", "y", "xc", "yc", "w", "h"):
            if _rank(column, inner) is not None:
                found.setdefault(column, PREFIXED_RANK)
    if "label" not in found:
        words = [word.lower() for word in _WORD_ENDS.split(name.strip()) if word]
        if len(words) > 1 and words[-1] in LABEL_WORDS and words[0] not in NO_LABEL_WORDS:
            found["label"] = WORD_RANK
    return {column: rank for column, rank in found.items() if rank is not None}


def is_known(name: str) -> bool:
    """Return whether the name of a column has a meaning, or is known to have none for retinue."""
    return bool(meanings(name)) or plain(name) in OTHER_COLUMNS


def count_known(names: Iterable[str]) -> int:
    """Return how many of the names in a header have a meaning."""
    return sum(bool(meanings(name.strip().strip('"'))) for name in names)


def _rank(column: str, key: str) -> int | None:
    if key == column:
        return 0
    return SYNONYMS[column].index(key) + PREFIXED_RANK + 1 if key in SYNONYMS[column] else None
