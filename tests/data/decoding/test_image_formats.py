"""Content that retinue cannot decode is recognized by its bytes, whatever the name of the file says."""

import struct

import pytest

from retinue.data.decoding.image_file import probe
from retinue.data.decoding.image_formats import format_of


def brands(*names):
    box = b"ftyp" + names[0] + bytes(4) + b"".join(names[1:])
    return struct.pack(">I", len(box) + 4) + box


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (brands(b"avif"), "AVIF"),
        (brands(b"avis", b"avif"), "AVIF"),
        (brands(b"heic", b"mif1"), "HEIC"),
        (brands(b"mif1", b"miaf", b"avif"), "AVIF"),
        (brands(b"mif1", b"heic"), "HEIC"),
        (brands(b"isom", b"mp41"), ""),
        (brands(b"qt  "), ""),
    ],
)
def test_the_brands_of_a_file_decide(content, expected):
    assert format_of(content + bytes(100)) == expected


@pytest.mark.parametrize(
    ("content", "reason", "cure"),
    [
        (bytes(128) + b"DICM" + bytes(50), "a DICOM file", "dcm2pnm"),
        (bytes(344) + b"n+1\0", "a NIfTI volume", "nibabel"),
        (brands(b"crx ", b"isom"), "camera (CR3)", "develop it"),
        (b"IIRO" + bytes(50), "camera (ORF)", "develop it"),
        (b"FUJIFILMCCD-RAW 0201", "camera (RAF)", "develop it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file", "save its images"),
        (b"SIMPLE  =                    T", "a FITS file", "astropy"),
        (b"\x1f\x8b\x08\0" + b"\x99" * 50, "a gzip archive", "extract"),
        (brands(b"isom"), "a video", "task video"),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.dcm"])
def test_other_content_is_named_with_a_cure(tmp_path, name, content, reason, cure):
    (tmp_path / name).write_bytes(content)
    problem = probe(tmp_path / name).problem
    assert reason in problem.reason and cure in problem.cure
