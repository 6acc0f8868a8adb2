import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from equizoo.pipelines import particles_files
from equizoo.pipelines.particles_files import read_systems
from equizoo.pipelines.particles_systems import BadSystems

HEADER = "system,particle,x,y,z,vx,vy,vz,q\n"
ROWS = ["a,2,1,0,0,0.1,0,0,-1", "a,1,0,0,0,0,0,0,1", "b,1,0,2,0,0,0,0,1", "b,2,0,0,3,0,0,0,1"]


def arrays(count: int = 2) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "pos": rng.normal(size=(count, 5, 3)),
        "vel": rng.normal(size=(count, 5, 3)),
        "charge": np.ones((count, 5)),
    }


@pytest.mark.parametrize(
    "names", [("pos", "vel", "charge"), ("loc", "v", "q"), ("positions", "velocities", "charges")]
)
def test_npz(tmp_path: Path, names: tuple[str, ...]) -> None:
    given = arrays()
    np.savez(tmp_path / "a.npz", **dict(zip(names, given.values(), strict=True)))
    systems = read_systems(tmp_path / "a.npz")
    assert np.array_equal(systems.pos, given["pos"])
    assert np.array_equal(systems.vel, given["vel"])
    assert not systems.single


def test_an_npz_of_one_system_is_a_batch_of_one(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{key: array[0] for key, array in arrays().items()})
    systems = read_systems(tmp_path / "a.npz")
    assert systems.shape == (1, 5)
    assert not systems.single


def test_csv_is_sorted_by_particle(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "\n".join(ROWS) + "\n\n")
    systems = read_systems(tmp_path / "a.csv")
    assert systems.names == ("a", "b")
    assert systems.pos[0].tolist() == [[0, 0, 0], [1, 0, 0]]
    assert systems.vel[0, 1].tolist() == [0.1, 0, 0]
    assert systems.charge.tolist() == [[1, -1], [1, 1]]


def test_particles_keep_their_numbers(tmp_path: Path) -> None:
    rows = [row.replace(",2,", ",30,", 1).replace(",1,", ",07,", 1) for row in ROWS[:2]]
    (tmp_path / "a.csv").write_text(HEADER + "\n".join([*rows, *ROWS[2:]]))
    assert read_systems(tmp_path / "a.csv").particles == (("07", "30"), ("1", "2"))
    (tmp_path / "a.csv").write_text(HEADER + "\n".join([rows[0].replace("0.1", "inf"), rows[1]]))
    with pytest.raises(BadSystems, match="the velocity of particle 30 is not finite"):
        read_systems(tmp_path / "a.csv")


def test_csv_without_names_is_one_system_in_the_order_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("q;x;y;z;vx;vy;vz\n1;5;0;0;0;0;0\n-1;4;0;0;0;0;0\n", encoding="utf-8-sig")
    systems = read_systems(str(tmp_path / "a.csv"))
    assert systems.names == ("1",) and systems.particles == (("1", "2"),)
    assert systems.pos[0, :, 0].tolist() == [5, 4]


CSV = {
    "x,y,z\n1,2,3\n": "a.csv: the file has no column vx, vy, vz, q",
    "": "the file has no column",
    HEADER: "the file has no particles",
    HEADER + ROWS[0].replace("0.1", "fast"): "line 2: vx is 'fast', which is not a number",
    HEADER + "\n".join([*ROWS, ROWS[0]]): "line 6: particle 2 of this system is there already",
    HEADER + "\n".join(ROWS[:3]): "system b has 1 particles and system a has 2",
    HEADER + ROWS[0] + ",7": "line 2 has more cells than the header",
    HEADER + "a,nan,1,0,0,0,0,0,1": "particle is 'nan', which is not a number",
    HEADER + "a,1,1,0": "line 2: z is '', which is not a number",
    HEADER + "a,1,1,0,0,0,0,inf,1\n" + ROWS[0]: "system a: the velocity of particle 1 is not finite",
}


@pytest.mark.parametrize("text", CSV, ids=range(len(CSV)))
def test_a_bad_csv_says_where(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadSystems, match=CSV[text]):
        read_systems(tmp_path / "a.csv")


def test_files_that_are_not_read(tmp_path: Path) -> None:
    for name, message in (("a.xyz", "only .npz, .csv"), ("no.npz", "cannot be read: No such file")):
        with pytest.raises(BadSystems, match=message):
            read_systems(tmp_path / name)


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays())
    whole = path.read_bytes()
    np.savez_compressed(path, **arrays(50))
    packed = path.read_bytes()
    damaged = [whole[:300] + b"\xff" * 40 + whole[340:], packed[:57] + b"\xff" * 40 + packed[97:]]
    for data in (whole[: len(whole) // 2], b"", b"PK\x03\x04", *damaged):
        path.write_bytes(data)
        with pytest.raises(BadSystems, match=r"a\.npz: "):
            read_systems(path)


def test_pickles_and_missing_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays() | {"charge": np.array([[object()]])})
    with pytest.raises(BadSystems, match=r"an array cannot be read .*Object arrays"):
        read_systems(path)
    np.savez(path, pos=np.zeros((2, 3)), vel=np.zeros((2, 3)))
    with pytest.raises(BadSystems, match="no array 'charge'; its arrays are"):
        read_systems(path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **{key: np.zeros((2000, 5, 3)) for key in ("pos", "vel", "charge")})
    monkeypatch.setattr(particles_files, "_LARGEST", 2**20 // 2)
    assert path.stat().st_size < 2**20 // 2
    with pytest.raises(BadSystems, match="the arrays are larger than"):
        read_systems(path)
    monkeypatch.setattr(particles_files, "_LARGEST", 100)
    with pytest.raises(BadSystems, match="the file is larger than"):
        read_systems(path)


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 3)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for name in ("pos", "vel", "charge"):
            archive.writestr(f"{name}.npy", content.getvalue())
    with pytest.raises(BadSystems, match=r"a\.npz: "):
        read_systems(tmp_path / "a.npz")
