"""Skeletons and recordings: positions by hand, by an independent computation, and hostile files."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equizoo.data.amc import read_amc, read_motion
from equizoo.data.asf import read_asf, rotation

ASF = """# made for this test
:version 1.10
:name TEST
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   words of any kind
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
    id 1
    name hip
    direction 1 0 0
    length 2
    axis 0 0 0 XYZ
  end
  begin
    id 2
    name thigh
    direction 0 -1 0
    length 3
    axis 0 0 30 XYZ
    dof rx rz
    limits (-160.0 20.0)
           (0.0 0.0)
  end
  begin
    id 3
    name spine
    direction 0 1 0
    length 4
    axis 10 20 30 XYZ
    dof rx ry rz
    limits (-20 45)
           (-30 30)
           (-30 30)
  end
:hierarchy
  begin
    root hip spine
    hip thigh
  end
"""

AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
7
root 1 2 3 0 0 0
thigh 0 0
spine 0 0 0
8
root 1 2 3 10 20 30
thigh 40 50
spine -5 15 25
"""


@pytest.fixture
def write(tmp_path):
    def files(asf=ASF, amc=AMC):
        paths = tmp_path / "body.asf", tmp_path / "body.amc"
        for path, text in zip(paths, (asf, amc), strict=True):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return paths

    return files


def test_positions_at_rest_and_turned(write):
    pos, names = read_motion(*write())
    assert names == ("root", "hip", "thigh", "spine") and pos.shape == (2, 4, 3)
    np.testing.assert_allclose(pos[0], [[1, 2, 3], [3, 2, 3], [3, -1, 3], [1, 6, 3]], atol=1e-12)

    def turn(*angles):
        return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()

    root = turn(10, 20, 30)
    hip = np.array([1, 2, 3]) + root @ [2, 0, 0]
    frame = turn(0, 0, 30)
    thigh = hip + root @ frame @ turn(40, 0, 50) @ frame.T @ [0, -3, 0]
    frame = turn(10, 20, 30)
    spine = np.array([1, 2, 3]) + root @ frame @ turn(-5, 15, 25) @ frame.T @ [0, 4, 0]
    np.testing.assert_allclose(pos[1], [[1, 2, 3], hip, thigh, spine], atol=1e-12)


def test_rotations_agree_with_scipy():
    angles = np.random.default_rng(0).uniform(-4, 4, (20, 3))
    np.testing.assert_allclose(
        rotation(*angles.T), Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12
    )


def test_radians_and_another_order_of_the_root(write):
    asf = ASF.replace("TX TY TZ RX RY RZ", "RX RY RZ TX TY TZ")
    amc = ":RADIANS\n1\nroot 0 0 0 1 2 3\nthigh 0.5 0\nspine 0 0 0\n"
    pos, _ = read_motion(*write(asf, amc))
    degrees = ":DEGREES\n1\nroot 1 2 3 0 0 0\nthigh 28.64788975654116 0\nspine 0 0 0\n"
    expected, _ = read_motion(*write(amc=degrees))
    np.testing.assert_allclose(pos, expected, atol=1e-12)


def test_a_channel_counts_even_if_its_limits_are_zero(write):
    """The released parser takes channels with zero limits for absent."""
    assert [bone.channels for bone in read_asf(write()[0])][2] == ("rx", "rz")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":hierarchy", ":other", "no section :hierarchy"),
        ("name spine", "name hip", "two bones named 'hip'"),
        ("length 2", "length two", "line 22: 'two' is not a number"),
        ("length 2", "length nan", "not a finite number"),
        ("length 2", "", "needs length with 1 values"),
        ("axis 0 0 0 XYZ", "axis 0 0 0 ZYX", "order XYZ"),
        ("dof rx rz", "dof rx tx", "only the angles"),
        ("dof rx rz", "dof rx rx", "only the angles"),
        ("hip thigh", "hip nobody", "there is no bone 'nobody'"),
        ("hip thigh", "hip thigh spine", "hangs on two bones"),
        ("hip thigh", "thigh root", "is the root"),
        ("root hip spine", "root spine", "do not hang on the root"),
        (
            "root hip spine\n    hip thigh",
            "root spine\n    hip thigh\n    thigh hip",
            "do not hang on the root",
        ),
        ("position 0 0 0", "position 0 1 0", "position of its own is not supported"),
        ("TX TY TZ RX RY RZ", "TX TY TZ", "each of tx, ty, tz"),
        ("angle deg", "angle gon", "angles are in deg or rad"),
        (":hierarchy", ":root\n:hierarchy", "a second section :root"),
        ("  end\n:hierarchy", ":hierarchy", "the last bone has no end"),
        ("  begin\n    id 2", "  begin\n begin\n    id 2", "begins inside another"),
    ],
)
def test_damaged_skeletons(write, old, new, message):
    assert old in ASF
    with pytest.raises(ValueError, match=message):
        read_asf(write(asf=ASF.replace(old, new))[0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("thigh 0 0", "thigh 0", "2 channels in the skeleton, 1 here"),
        ("thigh 0 0\n", "", "frame 1 ends without thigh"),
        ("spine -5 15 25\n", "", "frame 2 ends without spine"),
        ("thigh 0 0", "tail 0 0", "no bone 'tail' that moves"),
        ("thigh 0 0", "hip 0 0", "no bone 'hip' that moves"),
        ("thigh 0 0", "thigh 0 0\nthigh 0 0", "a second line for 'thigh'"),
        ("thigh 0 0", "thigh 0 inf", "not a finite number"),
        ("thigh 0 0", "thigh 0 x", "line 6: 'x' is not a number"),
        ("7\n", "", "before the first frame"),
        ("\n8\n", "\n10\n", "frame 10 follows frame 7"),
    ],
)
def test_damaged_recordings(write, old, new, message):
    assert old in AMC
    asf, amc = write(amc=AMC.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_amc(amc, read_asf(asf))


def test_what_is_no_text_or_empty(write):
    for data, message in ((b"\xff\xfe\x00", "not a text file"), (b"", "no section :root")):
        with pytest.raises(ValueError, match=message):
            read_asf(write(asf=data)[0])
    asf, amc = write(amc=b"")
    with pytest.raises(ValueError, match="no frames"):
        read_amc(amc, read_asf(asf))


def test_sizes_are_bounded(write, monkeypatch):
    asf, amc = write()
    bones = read_asf(asf)
    monkeypatch.setattr("equizoo.data.amc.MOST_PLACES", 5)
    with pytest.raises(ValueError, match="more than 1 frames"):
        read_amc(amc, bones)
    monkeypatch.setattr("equizoo.data.asf.MOST_BONES", 3)
    with pytest.raises(ValueError, match="more than 3 bones"):
        read_asf(asf)
    monkeypatch.setattr("equizoo.data.acclaim.LARGEST_FILE", 100)
    with pytest.raises(ValueError, match="larger than"):
        read_asf(asf)


@pytest.mark.parametrize(
    ("unit", "scale"), [("deg", 180 / np.pi), ("Deg", 180 / np.pi), ("rad", 1), ("RAD", 1)]
)
def test_a_recording_without_a_unit_has_that_of_its_skeleton(write, unit, scale):
    asf = ASF.replace("angle deg", f"angle {unit}").replace("axis 0 0 30", "axis 0 0 0")
    asf = asf.replace("axis 10 20 30", "axis 0 0 0")
    frame = f"1\nroot 1 2 3 0 0 0\nthigh {0.5 * scale} 0\nspine 0 0 0\n"
    pos, _ = read_motion(*write(asf, frame))
    np.testing.assert_allclose(pos[0, 2], [3, 2 - 3 * np.cos(0.5), 3 - 3 * np.sin(0.5)], atol=1e-12)
    stated, _ = read_motion(*write(asf, ":RADIANS\n1\nroot 1 2 3 0 0 0\nthigh 0.5 0\nspine 0 0 0\n"))
    np.testing.assert_allclose(pos, stated, atol=1e-12)


def test_positions_too_large_to_be_finite(write):
    asf = ASF.replace("length 4", "length 1e308").replace("direction 0 1 0", "direction 0 10 0")
    with pytest.raises(ValueError, match="the bone that ends in line 43 is too long"):
        read_motion(*write(asf))
    asf = ASF.replace("length 4", "length 1e308")
    amc = AMC.replace("root 1 2 3 10 20 30", "root 0 1.7e308 0 0 0 0").replace("-5 15 25", "0 0 0")
    with pytest.raises(ValueError, match="frame 2 are too large"):
        read_motion(*write(asf, amc))


def test_a_byte_order_mark_and_comments_of_any_bytes(write):
    expected, _ = read_motion(*write())
    marked = [b"\xef\xbb\xbf" + text.encode() + b"# caf\xe9 \xc2\x85\r\n" for text in (ASF, AMC)]
    np.testing.assert_array_equal(read_motion(*write(*marked))[0], expected)
    bare = b"\xef\xbb\xbf" + AMC.split("\n", 1)[1].encode()
    np.testing.assert_array_equal(read_motion(*write(amc=bare))[0], expected)
    with pytest.raises(ValueError, match="line 1 has a byte that is no ASCII"):
        read_asf(write(asf=b"caf\xe9\n")[0])


@pytest.mark.parametrize("start", ["", ":documentation\n"])
def test_many_short_lines_take_little_memory(write, start):
    bones = read_asf(write()[0])
    asf, amc = write(start + "a\n" * 2**20, "a\n" * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no bone 'a' that moves"):
            read_amc(amc, bones)
        with pytest.raises(ValueError, match="more than 100000 lines"):
            read_asf(asf)
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20  # of them 64 for the file
    finally:
        tracemalloc.stop()
