"""Recognizing image formats, and other content in place of an image, by the first bytes of a file."""

import struct

from retinue.data.decoding.file_problem import COPY_AGAIN, RESAVE, Problem
from retinue.data.decoding.netpbm import is_netpbm

FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
    ".pgm": "Netpbm",
    ".ppm": "Netpbm",
    ".pbm": "Netpbm",
    ".pnm": "Netpbm",
}
BMP_HEADER_SIZES = [struct.pack("<H", size) for size in (12, 40, 52, 56, 64, 108, 124)]

# Of a file in the ISO base media format: brands at the beginning, and the image format that they stand for.
FORMAT_OF_BRAND = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
}
GENERIC_BRANDS = (b"mif1", b"msf1", b"mif2", b"miaf")  # the brands that follow them decide
MAX_BRANDS = 16
HEAD_BYTES = 16 + 4 * MAX_BRANDS  # bytes by which a format is recognized

_RAW_CURE = "develop it to TIFF, PNG or JPEG, for example with darktable-cli or rawpy"
_SCIENTIFIC_CURE = "convert it to PNG or TIFF of 16 bits, for example with Fiji (Bio-Formats)"
_DICOM_CURE = (
    "convert it to PNG or TIFF of 16 bits, for example with dcm2pnm of DCMTK or with pydicom, and one window for all"
)
_NIFTI_CURE = "convert its slices to PNG or TIFF of 16 bits, for example with nibabel"
_ARRAY_CURE = "save its images as PNG or TIFF"

# Content that retinue cannot decode: position and bytes of the signature, and the problem.
OTHER_CONTENT = (
    (0, b"version https://git-lfs", Problem("not downloaded", "a Git LFS pointer, not the image", "run git lfs pull")),
    (4, b"ftypcrx", Problem("unsupported", "the raw file of a camera (CR3)", _RAW_CURE)),
    (4, b"ftyp", Problem("not an image", "a video", "use it with the task video, or remove it")),
    (128, b"DICM", Problem("unsupported", "a DICOM file", _DICOM_CURE)),
    (344, b"n+1\0", Problem("unsupported", "a NIfTI volume", _NIFTI_CURE)),
    (344, b"ni1\0", Problem("unsupported", "a NIfTI volume", _NIFTI_CURE)),
    (0, b"IIRO", Problem("unsupported", "the raw file of a camera (ORF)", _RAW_CURE)),
    (0, b"IIRS", Problem("unsupported", "the raw file of a camera (ORF)", _RAW_CURE)),
    (0, b"MMOR", Problem("unsupported", "the raw file of a camera (ORF)", _RAW_CURE)),
    (0, b"IIU\0", Problem("unsupported", "the raw file of a camera (RW2)", _RAW_CURE)),
    (0, b"FUJIFILMCCD-RAW", Problem("unsupported", "the raw file of a camera (RAF)", _RAW_CURE)),
    (0, b"FOVb", Problem("unsupported", "the raw file of a camera (X3F)", _RAW_CURE)),
    (0, b"\0MRM", Problem("unsupported", "the raw file of a camera (MRW)", _RAW_CURE)),
    (0, b"ZISRAWFILE", Problem("unsupported", "a microscope's file (CZI)", _SCIENTIFIC_CURE)),
    (0, b"\xda\xce\xbe\x0a", Problem("unsupported", "a microscope's file (ND2)", _SCIENTIFIC_CURE)),
    (0, b"SIMPLE  =", Problem("unsupported", "a FITS file", "convert it to TIFF, for example with astropy")),
    (0, b"v/1\x01", Problem("unsupported", "an OpenEXR image", "convert it to floating-point TIFF")),
    (0, b"#?RADIANCE", Problem("unsupported", "a Radiance HDR image", "convert it to floating-point TIFF")),
    (0, b"\x89HDF\r\n", Problem("not an image", "an HDF5 file", _ARRAY_CURE)),
    (0, b"\x93NUMPY", Problem("not an image", "a NumPy array", _ARRAY_CURE)),
    (0, b"MATLAB 5.0", Problem("not an image", "a MATLAB file", _ARRAY_CURE)),
    (0, b"P7\n", Problem("unsupported", "a PAM image", RESAVE)),
    (0, b"PF\n", Problem("unsupported", "a PFM image", "convert it to floating-point TIFF")),
    (0, b"Pf\n", Problem("unsupported", "a PFM image", "convert it to floating-point TIFF")),
    (0, b"\xff\x0a", Problem("unsupported", "a JPEG XL image", RESAVE)),
    (4, b"JXL ", Problem("unsupported", "a JPEG XL image", RESAVE)),
    (4, b"jP  ", Problem("unsupported", "a JPEG 2000 image", RESAVE)),
    (0, b"\xff\x4f\xff\x51", Problem("unsupported", "a JPEG 2000 image", RESAVE)),
    (0, b"8BPS", Problem("unsupported", "a Photoshop file", RESAVE)),
    (0, b"\0\0\1\0", Problem("unsupported", "an icon (ICO)", RESAVE)),
    (0, b"%PDF", Problem("not an image", "a PDF", "save its pages as PNG")),
    (0, b"PK\3\4", Problem("not an image", "a zip archive", "extract it")),
    (0, b"\x1f\x8b", Problem("not an image", "a gzip archive", "extract it")),
)


def format_of(content: bytes) -> str:
    """Recognize an image format.

    Args:
        content: The content of a file, or at least its first `HEAD_BYTES` bytes.

    Returns:
        "JPEG", "PNG", "GIF", "WebP", "TIFF", "BMP", "AVIF", "HEIC" or "Netpbm", or "" for content that retinue cannot
        decode.
    """
    if content[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if content[:2] == b"BM" and content[14:16] in BMP_HEADER_SIZES:
        return "BMP"
    if is_netpbm(content):
        return "Netpbm"
    if content[4:8] == b"ftyp":
        return _format_of_brands(content)
    return ""


def _format_of_brands(content: bytes) -> str:
    """Return the format that the brands of a file in the ISO base media format stand for, or "".

    See ISO/IEC 14496-12, section 4.3: the size of the box, "ftyp", the major brand, a version, and compatible brands.
    """
    major = content[8:12]
    if major not in GENERIC_BRANDS:
        return FORMAT_OF_BRAND.get(major, "")
    end = min(struct.unpack(">I", content[:4])[0], HEAD_BYTES)
    brands = [content[start : start + 4] for start in range(16, end, 4)]
    return next((FORMAT_OF_BRAND[brand] for brand in brands if brand in FORMAT_OF_BRAND), "HEIC")


def describe_other_content(content: bytes) -> Problem:
    """Describe the content of a file that is not an image of a supported format.

    Args:
        content: The first bytes of the file, at most 4096.
    """
    for position, signature, problem in OTHER_CONTENT:
        if content[position : position + len(signature)] == signature:
            return problem
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return Problem("not an image", "a web page", "download the image again")
    if b"<svg" in start:
        return Problem("unsupported", "an SVG drawing", "save it as PNG")
    if content[:16].strip(b"\0") == b"":
        return Problem("broken", "the file begins with zeros, so it was not copied completely", COPY_AGAIN)
    try:
        content[:512].decode("utf-8")
        return Problem("not an image", "text instead of an image", "remove it, or download the image again")
    except UnicodeDecodeError:
        return Problem("not an image", "an unknown image format", RESAVE)
