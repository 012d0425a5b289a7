"""Groups of images, each of one folder, one kind of name and one suffix, of which some are the masks of others."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from retinue.data.decoding.image_file import image_size
from retinue.data.decoding.mask_file import same_aspect
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.masks.content import BLURRED, COLORS, GRAY, IDS, IMAGE, Look, look_at
from retinue.data.readers.masks.names import (
    have_mask_words,
    have_words,
    names_image,
    names_mask,
    own_word_pattern,
    split_name,
    without_number,
)
from retinue.data.storage.file_names import IMAGE_SUFFIXES, looks_like_image

LOOKS_PER_GROUP = 3
GROUPS_PER_SERIES = 12  # of groups with the same words and suffix, so many are looked at
SAMPLE = 60  # names of a folder in which a word of its own is looked for
OWN_WORD_FRACTION = 0.2  # more than this fraction of the names of a folder contain a word of its own


@dataclass(eq=False)
class Group:
    """Images of one folder with the same words in their names and the same suffix.

    Attributes:
        folder: The folder, relative to the root of the tree.
        words: The words in the names, see `mask_names.split_name`.
        suffix: The suffix in lower case.
        split: The split that the folder is named after, or "".
        names: The file names of each key.
        numbered: Whether the numbers at the end of the names count the masks of one image.
    """

    folder: str
    words: tuple[str, ...]
    suffix: str
    split: str
    names: dict[str, list[str]] = field(default_factory=dict)
    numbered: bool = False

    @property
    def names_mask(self) -> bool:
        """Whether names of files or folders say that these are masks."""
        return names_mask(self.folder, self.words)

    @property
    def names_image(self) -> bool:
        """Whether names of files or folders say that these are images."""
        return names_image(self.folder, self.words)

    @property
    def pattern(self) -> str:
        """The files for messages, relative to the root of the tree, such as "masks/*.png" or "*_mask.png"."""
        key, names = next(iter(self.names.items()))
        stem = os.path.splitext(names[0])[0]
        start = stem.lower().find(key)
        text = f"{stem[:start]}*{stem[start + len(key) :]}" if start >= 0 and self.words else "*"
        return os.path.join(self.folder, text + self.suffix)


def group_images(tree: FileTree) -> list[Group]:
    """Return the groups of the images of a tree, with the masks of an image under the key of the image."""
    if not any(_may_hold_masks(folder, names) for folder, names in tree.names.items()):
        return []
    groups = _group(tree, {})
    unmatched = {group.folder for group in _unmatched(groups, only_lossless=False)}
    own_words = _own_words(tree, unmatched) if unmatched else {}
    if own_words:
        groups = _group(tree, own_words)
    _remove_endings(groups)
    known = groups_by_key(groups)
    for group in groups:
        _join_numbered(group, known)
    _match_numbers(groups)
    return groups


def groups_by_key(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """Return the groups that have each key."""
    owners: dict[str, list[Group]] = {}
    for group in groups:
        for key in group.names:
            owners.setdefault(key, []).append(group)
    return owners


class GroupLooks:
    """What the pixels of groups look like. Some files of each group are decoded, and few groups of one kind."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._looks: dict[Group, Look | None] = {}
        self._series: dict[tuple[object, ...], list[Look]] = {}

    def of(self, group: Group) -> Look | None:
        """Return the typical look of a group; None if none of its files can be decoded."""
        if group not in self._looks:
            series = self._series.setdefault(
                (group.words, group.suffix, group.names_mask, group.names_image, group.numbered), []
            )
            if len(series) < GROUPS_PER_SERIES:
                look = self._typical(self._look_at_some(group))
                if look:
                    series.append(look)
            else:
                look = self._typical(series)
            self._looks[group] = look
        return self._looks[group]

    def is_mask_of(self, mask: Group, image: Group) -> bool:
        """Return whether the files of one group look like masks of those of the other, and not the reverse.

        A word for images in both names tells nothing: image_1_1stHO.png is a mask of image_1.jpg.
        """
        of_mask, of_image = self.of(mask), self.of(image)
        if of_mask is None:
            return of_image is not None and mask.names_mask and not image.names_mask
        mask_kind, image_kind = of_mask.kind, of_image.kind if of_image else IMAGE
        if mask.names_mask and not image.names_mask:
            if mask_kind >= BLURRED:
                return mask_kind >= image_kind
            return mask_kind == GRAY and image_kind == IMAGE
        if image.names_mask and not mask.names_mask:
            return False
        if mask_kind < COLORS or _names_image_besides(mask, image):
            return False
        if mask_kind == image_kind:
            has_fewer = of_image is not None and of_mask.num_values * 2 <= of_image.num_values
            return has_fewer and self._sizes_fit(mask, image)
        return mask_kind > image_kind and self._sizes_fit(mask, image)

    def could_be_masks(self, group: Group) -> bool:
        """Return whether files of a group may be masks: JPEGs are, only if a name says so."""
        return group.names_mask or FORMAT_IS_LOSSLESS[group.suffix]

    def looks_like_masks(self, group: Group) -> bool:
        """Return whether a group has few values or colors."""
        look = self.of(group)
        return look is not None and look.kind in (COLORS, IDS)

    def _look_at_some(self, group: Group) -> list[Look]:
        names = [files[0] for files in group.names.values()]
        picked = [names[index] for index in evenly(len(names), LOOKS_PER_GROUP)]
        looks = [look_at(self._tree.path(group.folder, name)) for name in picked]
        return [look for look in looks if look]

    @staticmethod
    def _typical(looks: list[Look]) -> Look | None:
        """Return the look in the middle, by kind."""
        return sorted(looks, key=lambda look: (look.kind, -look.num_values))[len(looks) // 2] if looks else None

    def _sizes_fit(self, mask: Group, image: Group) -> bool:
        """Return whether masks have the sizes, or at least the aspects, of their images."""
        keys = [key for key in mask.names if key in image.names]
        fits = []
        for index in evenly(len(keys), LOOKS_PER_GROUP):
            try:
                sizes = [
                    image_size(self._tree.path(group.folder, group.names[keys[index]][0])) for group in (mask, image)
                ]
            except (OSError, ValueError):
                continue
            fits.append(same_aspect(*sizes) or same_aspect(sizes[0][::-1], sizes[1]))
        return bool(fits) and sum(fits) * 2 >= len(fits)


def _names_image_besides(mask: Group, image: Group) -> bool:
    """Return whether words or folders of masks say that they are images, without those that their images have, too."""
    words = tuple(word for word in mask.words if word not in image.words)
    return names_image("" if mask.folder == image.folder else mask.folder, words)


_LOSSLESS = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in (".jpg", ".jpeg", ".jpe", ".jfif"))
# A JPEG holds no ids; whether a WebP does is only known from its pixels.
FORMAT_IS_LOSSLESS = {suffix: suffix in _LOSSLESS for suffix in IMAGE_SUFFIXES}


def _may_hold_masks(folder: str, names: Sequence[str]) -> bool:
    """Return whether a folder has images without losses, or names that say that images are masks."""
    lower = [name.lower() for name in names]
    if any(name.endswith(_LOSSLESS) for name in lower):
        return True
    return any(map(looks_like_image, lower)) and (names_mask(folder) or have_mask_words(lower))


def _group(tree: FileTree, own_words: dict[str, re.Pattern[str]]) -> list[Group]:
    groups: dict[tuple[str, tuple[str, ...], str], Group] = {}
    for folder, names in tree.names.items():
        pattern = own_words.get(folder)
        stems = [os.path.splitext(name) for name in names]
        is_plain = pattern is None and not have_words(stem for stem, _ in stems)
        for name, (stem, suffix) in zip(names, stems, strict=True):
            suffix = suffix.lower()
            if suffix not in FORMAT_IS_LOSSLESS:
                continue
            key, words = (stem.lower(), ()) if is_plain else split_name(stem, pattern)
            group = groups.setdefault((folder, words, suffix), Group(folder, words, suffix, tree.split_of(folder)))
            group.names.setdefault(key or os.sep + folder, []).append(name)
    return [group for group in groups.values() if group.names]


def _join_numbered(group: Group, known: dict[str, list[Group]]) -> None:
    """Put masks that are numbered, as benign_mask_1, under the key of their image, where there is such an image."""
    if not group.words or not any(map(_is_mask_word, group.words)):
        return
    joined: dict[str, list[str]] = {}
    for key, names in group.names.items():
        shorter = without_number(key)
        is_numbered = len(known[key]) == 1 and any(owner is not group for owner in known.get(shorter, ()))
        group.numbered |= is_numbered
        joined.setdefault(shorter if is_numbered else key, []).extend(names)
    group.names = joined


def _is_mask_word(word: str) -> bool:
    return names_mask("", (word,))


def _unmatched(groups: Sequence[Group], only_lossless: bool) -> list[Group]:
    """Return the groups most of whose keys no other group has, or those of them that may hold ids."""
    owners = groups_by_key(groups)
    return [
        group
        for group in groups
        if (FORMAT_IS_LOSSLESS[group.suffix] or not only_lossless)
        and sum(len(owners[key]) > 1 for key in group.names) * 2 < len(group.names)
    ]


def _own_words(tree: FileTree, folders: Collection[str]) -> dict[str, re.Pattern[str]]:
    """Return, for each folder whose names consist of the names of images and a text, the pattern of such texts.

    In folders of JPEGs only, which are images, such a text is an ending like _Clipped.
    """
    stems = {stem for names in tree.images.values() for stem in names}
    patterns = {}
    for folder in folders:
        names = list(tree.images[folder])
        sample = [names[index] for index in evenly(len(names), SAMPLE)]
        counts = Counter(affix for stem in sample for affix in _affixes(stem, stems))
        if not any(FORMAT_IS_LOSSLESS[os.path.splitext(name)[1].lower()] for name in tree.images[folder].values()):
            counts = Counter({affix: count for affix, count in counts.items() if _is_ending(*affix)})
        affixes = [affix for affix, count in counts.items() if count > max(1, OWN_WORD_FRACTION * len(sample))]
        if affixes:
            patterns[folder] = own_word_pattern(affixes)
    return patterns


def _remove_endings(groups: Sequence[Group]) -> None:
    """Remove the ending of all keys of a group, as _IRRG, where others have the keys without it."""
    known = groups_by_key(groups)
    for group in _unmatched(groups, only_lossless=False):
        common = os.path.commonprefix([key[::-1] for key in group.names])[::-1]
        match = re.search(r"[ _.-][^ _.-]*[^\W\d_].*$", common)
        if not match or len(group.names) < 2:
            continue
        stripped = {key: key.removesuffix(match.group()) for key in group.names}
        if sum(key in known for key in stripped.values()) * 2 > len(stripped):
            group.names = {stripped[key]: names for key, names in group.names.items()}
            group.words = (*group.words, match.group())


def _match_numbers(groups: Sequence[Group]) -> None:
    """Give groups without a match the keys of a group near them whose names hold the same numbers, as in DRIVE."""
    numbered = {group: numbers for group in groups if (numbers := _keys_by_number(group))}
    for group in _unmatched(groups, only_lossless=True):
        near = [
            other
            for other in numbered
            if other is not group
            and os.path.dirname(other.folder) == os.path.dirname(group.folder)
            and numbered[other].keys() == numbered.get(group, {}).keys()
            and other.names_image
        ]
        if len(near) == 1 and not group.names_image:
            keys = numbered[near[0]]
            group.names = {keys[number]: group.names[key] for number, key in numbered[group].items()}


def _keys_by_number(group: Group) -> dict[int, str]:
    """Return the keys of a group by the first number in each; empty if a key has none or two share one."""
    found: dict[int, str] = {}
    for key in group.names:
        match = re.search(r"\d+", key)
        if not match or int(match.group()) in found:
            return {}
        found[int(match.group())] = key
    return found


def _affixes(stem: str, stems: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield what stands behind (true) or before (false) the longest name of another image within a name."""
    lengths = range(len(stem) - 1, 0, -1)
    behind = next((stem[length:] for length in lengths if stem[:length] in stems), None)
    before = next((stem[:-length] for length in lengths if stem[-length:] in stems), None)
    for affix, at_end in ((behind, True), (before, False)):
        if affix and re.search(r"[^\W\d_]", affix):
            yield affix, at_end


def _is_ending(text: str, at_end: bool) -> bool:
    """Return whether a text stands at the end of names, behind a separator, as in a_Clipped.jpg."""
    return at_end and text[0] in " _.-"


def evenly(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` indices below `count`, evenly spaced, without the last ones."""
    return sorted({int(index) for index in np.linspace(0, count, min(count, wanted), endpoint=False)})
