"""TFRecord files and tf.Example messages."""

import gzip

import pytest

from retinue.data.readers.tfrecords.file import masked_crc32c, parse_example, read_records

# Written by TensorFlow 2.21: {"a": [b"x", b"yz"], "b": [0.5, -2.0], "c": [3, -1, 300], "d": an empty feature}.
BY_TENSORFLOW = bytes.fromhex(
    "440000000000000043592e9a0a420a0e0a016112090a070a01780a02797a0a110a0162120c120a0a080000003f000000c00a160a016312111a"
    "0f0a0d03ffffffffffffffffff01ac020a050a0164120006a19187"
)


def test_what_tensorflow_writes_is_read(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(BY_TENSORFLOW * 2)
    records = list(read_records(str(path)))
    assert len(records) == 2 and records[0] == records[1] == BY_TENSORFLOW[12:-4]
    features = parse_example(records[0])
    assert features["a"] == [b"x", b"yz"] and features["d"] == []
    assert features["b"].tolist() == [0.5, -2] and features["c"].tolist() == [3, -1, 300]
    path.write_bytes(gzip.compress(BY_TENSORFLOW, mtime=0))
    assert list(read_records(str(path))) == records[:1]


def test_the_checksum_is_that_of_its_definition():
    # RFC 3720, B.4: the CRC-32C of 32 zeros is 8a9136aa; it is rotated by 15 bits, and a282ead8 is added.
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


def test_values_that_are_not_packed_are_read():
    # Field 1 of a FloatList as two single values (wire type 5), and of an Int64List as one (wire type 0).
    floats = b"\x12\x0a" + b"\x0d\x00\x00\x00\x3f" + b"\x0d\x00\x00\x00\xc0"
    entry = b"\x0a\x01b\x12" + bytes([len(floats)]) + floats
    numbers = b"\x1a\x03\x08\xac\x02"
    other = b"\x0a\x01c\x12" + bytes([len(numbers)]) + numbers
    features = b"".join(b"\x0a" + bytes([len(part)]) + part for part in (entry, other))
    parsed = parse_example(b"\x0a" + bytes([len(features)]) + features)
    assert parsed["b"].tolist() == [0.5, -2] and parsed["c"].tolist() == [300]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no records at all", "is not a TFRecord file"),
        (BY_TENSORFLOW[:-1], "ends in the middle of record 1"),
        (BY_TENSORFLOW + BY_TENSORFLOW[:9], "ends in the middle of record 2"),
        (BY_TENSORFLOW + b"\x45" + BY_TENSORFLOW[1:], "is damaged at record 2"),
        (gzip.compress(BY_TENSORFLOW, mtime=0)[:-12], "compressed data is damaged at record 1"),
    ],
)
def test_damaged_files_are_named(tmp_path, content, message):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_records(str(path)))


@pytest.mark.parametrize("end", range(1, 68))
def test_a_message_that_ends_early_raises_an_error_or_has_fewer_features(end):
    try:
        assert len(parse_example(BY_TENSORFLOW[12:][:end])) < 4
    except ValueError:
        pass
