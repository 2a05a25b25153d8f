"""Maps that were made elsewhere: what is read, what is refused and why, and the rows of them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluator.catalog import key_of, lacks_maps, register, scoped_registry
from evaluator.errors import MapUnusable, Mismatch, NotFound, UsageError
from evaluator.images import find_images
from evaluator.interfaces import SessionSettings
from evaluator.map_files import MapsMethod, check_one_each, method_of, name_of, sha256_of
from evaluator.measuring.session import open_session
from evaluator.plan import RunPlan, cell_identity, validated_plan
from evaluator.records import Failure, Row, Unit, UnitResult
from evaluator.references import as_reference, as_spec
from evaluator.user_code import allow, changed, permitted, sources_of
from evaluator.user_code_checks import described_maps
from evaluator.user_code_facts import Code

PATHS = (b"n01/a.jpg", b"n01/b.png", b"caf\xc3\xa9/\xff.png")
MAP = np.arange(12, dtype=np.float32).reshape(3, 4)


def npy(values: object, **options: bool) -> bytes:
    stream = BytesIO()
    np.save(stream, np.asarray(values), **options)
    return stream.getvalue()


def folder_of(root: Path, files: dict[bytes, bytes]) -> Path:
    for path, data in files.items():
        file = Path(os.fsdecode(os.path.join(os.fsencode(root), path)))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return root


def archive_of(root: Path, files: dict[bytes, bytes]) -> Path:
    root.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root.with_suffix(".npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(name_of(path), data)
    return root.with_suffix(".npz")


Made = Callable[[Path, dict[bytes, bytes]], Path]
PLACES = pytest.mark.parametrize("made", [folder_of, archive_of])


def read(place: Path, path: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return method_of((place,)).stores[0].read(path)


# -- what is read
# --------------------------------------------------------------------------------------------------


@PLACES
@pytest.mark.parametrize("path", PATHS)
def test_a_map_stands_under_its_image_s_path_or_that_without_its_ending(
    tmp_path: Path, made: Made, path: bytes
) -> None:
    whole = made(tmp_path / "whole", {path + b".npy": npy(MAP)})
    assert read(whole, path).tolist() == MAP.tolist()
    short = made(tmp_path / "short", {path.rpartition(b".")[0] + b".npy": npy(MAP[None])})
    assert read(short, path).tolist() == MAP.tolist()


@PLACES
def test_two_images_that_would_share_a_map_are_refused_by_name(tmp_path: Path, made: Made) -> None:
    images = [b"n01/a.jpg", b"n01/a.png", b"n01/b.png"]
    short = {b"n01/a.npy": npy(MAP), b"n01/b.npy": npy(MAP)}
    shared = made(tmp_path / "shared", short)
    with pytest.raises(UsageError, match=r"^n01/a\.jpg and n01/a\.png would both have") as error:
        check_one_each(["mine.py:MyCAM", f"maps:{shared}"], images)
    assert "n01/a.png.npy" in error.value.hint
    check_one_each([f"maps:{shared}"], images[1:])
    with pytest.raises(UsageError, match="would both have"):
        check_one_each([f"maps:{shared}"], images, {f"maps:{shared}": 1})
    check_one_each([f"maps:{shared}"], images, {f"maps:{shared}": 2})  # of an earlier version
    own = made(tmp_path / "own", short | {b"n01/a.jpg.npy": npy(MAP + 1)})
    check_one_each([f"maps:{own}"], images)
    assert read(own, images[0]).tolist() == (MAP + 1).tolist()
    assert read(own, images[1]).tolist() == MAP.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_is_a_map(tmp_path: Path, dtype: type[np.generic]) -> None:
    folder_of(tmp_path, {b"n01/.keep": b""})
    Image.fromarray(MAP.astype(dtype)).save(tmp_path / "n01" / "a.jpg.png")
    assert read(tmp_path, b"n01/a.jpg").tolist() == MAP.tolist()


def pickled() -> bytes:
    return npy([{"a": 1}], allow_pickle=True)


def headed(shape: str) -> bytes:
    """A header that tells of more values than there are."""
    return npy(MAP).replace(b"(3, 4), }", shape.encode() + b", }")


@PLACES
@pytest.mark.parametrize(
    ("data", "reason", "told"),
    [
        (b"no map", "map-broken", ""),
        (npy(MAP)[:-5], "map-broken", ""),
        (pickled(), "map-broken", "allow_pickle"),
        (headed("(3, 4000000000)"), "map-broken", ""),
        (npy(["a"]), "map-broken", "no numbers"),
        (npy(MAP * 1j), "map-broken", "complex"),
        (npy(np.zeros((2, 3, 4))), "map-size", "2 x 3 x 4"),
        (npy(np.zeros((0, 4))), "map-size", "0 x 4"),
        (npy(np.zeros((1, 5000), np.uint8)), "map-size", "1 x 5000"),
        (npy(1.0), "map-size", "one number"),
        (npy([[np.nan, 1.0]]), "map-not-finite", "1 value"),
        (npy([[1e300, 1.0]]), "map-not-finite", "1 value"),
    ],
)
def test_what_is_no_map_has_a_reason(
    tmp_path: Path, made: Made, data: bytes, reason: str, told: str
) -> None:
    place = made(tmp_path / "maps", {PATHS[0] + b".npy": data})
    with pytest.raises(MapUnusable) as error:
        read(place, PATHS[0])
    assert error.value.reason == reason
    assert told in error.value.message


@PLACES
def test_an_image_without_a_map_and_one_that_leads_out_have_none(
    tmp_path: Path, made: Made
) -> None:
    folder_of(tmp_path, {b"out.npy": npy(MAP)})
    place = made(tmp_path / "maps", {PATHS[0] + b".npy": npy(MAP)})
    for path in (PATHS[1], b"../out", b"n01/../../out"):
        with pytest.raises(MapUnusable) as error:
            read(place, path)
        assert error.value.reason == "map-missing"


def test_no_link_is_followed(tmp_path: Path) -> None:
    folder_of(tmp_path, {b"out/b.npy": npy(MAP), b"maps/a.npy": npy(MAP)})
    (tmp_path / "maps" / "b.npy").symlink_to(tmp_path / "out" / "b.npy")
    (tmp_path / "maps" / "n").symlink_to(tmp_path / "out")
    for path in (b"b", b"n/b"):
        with pytest.raises(MapUnusable) as error:
            read(tmp_path / "maps", path)
        assert error.value.reason == "map-missing"


def test_a_folder_that_becomes_a_link_leads_nowhere(tmp_path: Path) -> None:
    folder_of(tmp_path, {b"out/b.npy": npy(MAP), b"maps/n/b.npy": npy(MAP)})
    store = method_of((tmp_path / "maps",)).stores[0]
    (tmp_path / "maps" / "n").rename(tmp_path / "n")
    (tmp_path / "maps" / "n").symlink_to(tmp_path / "out")
    with pytest.raises(MapUnusable, match="leads out"):
        store.read(b"n/b")


@PLACES
def test_a_map_that_changes_under_the_run_is_not_read(tmp_path: Path, made: Made) -> None:
    place = made(tmp_path / "maps", {PATHS[0] + b".npy": npy(MAP)})
    store = method_of((place,)).stores[0]
    made(tmp_path / "maps", {PATHS[0] + b".npy": npy(MAP.repeat(2, 0))})
    with pytest.raises(MapUnusable, match="changed") as error:
        store.read(PATHS[0])
    assert error.value.reason == "map-changed"


# -- names and hashes
# --------------------------------------------------------------------------------------------------


@PLACES
def test_the_name_has_the_stem_and_the_hash_of_what_is_in_it(tmp_path: Path, made: Made) -> None:
    files = {path + b".npy": npy(MAP) for path in PATHS}
    place = made(tmp_path / "my maps.v2", files)
    key = method_of((place,)).key
    assert key_of(f"{key}:a=1") == key_of(key) == key
    assert key.startswith("maps:my_maps")
    assert key.endswith(sha256_of((place,))[:8])
    changed_place = made(tmp_path / "other" / "my maps.v2", files | {b"c.npy": npy(MAP + 1)})
    assert sha256_of((changed_place,)) != sha256_of((place,))
    assert sha256_of((place, place)) != sha256_of((place,))


def test_a_spec_names_both_places_with_their_absolute_paths(tmp_path: Path) -> None:
    spec = as_spec("maps:first.npz:second=sub/second", tmp_path)
    assert spec is not None
    assert spec.reference.maps == (tmp_path / "first.npz", tmp_path / "sub" / "second")
    assert spec.reference.short == "maps:first.npz:second=second"
    assert as_reference(spec.reference.text) == spec.reference
    assert spec.reference.file is None


def test_places_without_maps_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    for name, kind in (("gone", NotFound), ("", UsageError), ("text.npz", UsageError)):
        with pytest.raises(kind):
            sha256_of((tmp_path / name,))


def test_changed_maps_are_not_those_that_were_allowed(tmp_path: Path) -> None:
    folder_of(tmp_path, {b"a.npy": npy(MAP)})
    reference = as_reference(f"maps:{tmp_path}")
    allow({reference.text: sources_of(reference).sha256})
    permitted(reference)
    folder_of(tmp_path, {b"b.npy": npy(MAP)})
    with pytest.raises(Mismatch, match="has changed"):
        permitted(reference)
    assert changed(reference, "a", "b").startswith("maps:")


# -- rows
# --------------------------------------------------------------------------------------------------

NETWORK = "synthetic_cnn"
COUNT = 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = random.integers(0, 256, (96, 96, 3), np.uint8)
        (folder / f"n{number % 2}").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"n{number % 2}" / f"{number}.png")
    return folder


def evaluated(data: Path, methods: dict[str, Code | None], **plan: object) -> UnitResult:
    """One unit of all images; the code of methods that are made elsewhere is allowed."""
    codes = [code for code in methods.values() if code is not None]
    with scoped_registry():
        for code in codes:
            register(code)
        asked = planned(data, methods, **plan)
        settings = SessionSettings(asked, str(data), allowed={c.reference: c.sha256 for c in codes})
        session = open_session(settings)
        session.load(0)
        images = find_images(data, seed=0).images
        unit = Unit(0, 0, 0, tuple(range(len(methods))), asked.methods, images)
        result = session.evaluate(unit)
        session.close()
    return result


def planned(data: Path, methods: dict[str, Code | None], **plan: object) -> RunPlan:
    codes = [vars(code) for code in methods.values() if code is not None]
    values = {"data": str(data), "backbones": [NETWORK], "methods": [*methods], "code": codes}
    return validated_plan(values | plan)


def maps_code(*places: Path) -> Code:
    text = "maps:" + ":second=".join(map(str, places))
    return described_maps(Code("method", text, text, sources_of(as_reference(text)).sha256))


def stored(data: Path, rows: tuple[Row, ...], cell: int) -> dict[bytes, bytes]:
    paths = {image.id: image.path for image in find_images(data, seed=0).images}
    return {
        paths[row.image] + b".npy": npy(np.frombuffer(row.map or b"", "<f4").reshape(8, 8))
        for row in rows
        if row.cell == cell
    }


@PLACES
def test_our_own_maps_read_back_give_our_own_rows(data: Path, tmp_path: Path, made: Made) -> None:
    ours = evaluated(data, {"gradcam": None}).rows
    place = made(tmp_path / "maps", stored(data, ours, 0))
    code = maps_code(place)
    theirs = evaluated(data, {code.key: code}).rows
    assert len(theirs) == len(ours) == COUNT
    for one, other in zip(ours, theirs, strict=True):
        for name in ("y", "o", "average_drop", "average_increase", "complexity"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), abs=1e-3), name
        assert (other.coherency, other.adcc) == (None, None)
        assert not other.degenerate


def test_one_broken_map_costs_one_row_also_of_maps_of_many_sizes(
    data: Path, tmp_path: Path
) -> None:
    images = find_images(data, seed=0).images
    sizes = [(5, 5), (3, 7), (200, 300)]
    random = np.random.default_rng(1)
    files = {
        image.path + b".npy": npy(random.random(size))
        for image, size in zip(images, sizes, strict=False)
    }
    place = folder_of(tmp_path, files | {images[3].path + b".npy": npy([[np.nan]])})
    code = maps_code(place)
    found = evaluated(data, {code.key: code}, map_side=16)
    assert [row.image for row in found.rows] == [0, 1, 2]
    assert [len(row.map or b"") for row in found.rows] == [2 * 5 * 5, 2 * 7 * 7, 2 * 16 * 16]
    (failure,) = found.failures
    assert failure == Failure(0, 3, "", "map-not-finite", "1 value of it are not finite")


def test_metrics_that_need_more_maps_than_there_are_lack_them(tmp_path: Path) -> None:
    folder_of(tmp_path, {b"a.npy": npy(MAP)})
    alone, both = maps_code(tmp_path), maps_code(tmp_path, tmp_path)
    with scoped_registry():
        register(alone)
        register(both)
        lacking = {key: lacks_maps(alone.key, key) for key in ("coherency", "adcc", "arcc")}
        assert all(lacking.values())
        assert not any(lacks_maps(both.key, key) for key in lacking)
        assert not lacks_maps(alone.key, "deletion")
        for code in (alone, both):
            assert lacks_maps(code.key, "max_sensitivity")
            assert lacks_maps(code.key, "efficient_mprt")
        assert not lacks_maps("gradcam", "max_sensitivity")


def test_the_content_of_maps_is_in_the_identity_of_what_is_measured(
    data: Path, tmp_path: Path
) -> None:
    from evaluator.records import LoadedBackbone

    loaded = LoadedBackbone("n", "w", "s", "l", 1, 8, 8, True, ())
    found = set()
    for number in range(2):
        folder_of(tmp_path / str(number) / "maps", {b"a.npy": npy(MAP + number)})
        code = maps_code(tmp_path / str(number) / "maps")
        with scoped_registry():
            register(code)
            plan = planned(data, {code.key: code})
            found.add(cell_identity(plan, plan.backbones[0], loaded, code.key))
    assert len(found) == 2


def test_maps_cost_no_forwards(tmp_path: Path) -> None:
    folder_of(tmp_path, {b"a.npy": npy(MAP)})
    kind = method_of((tmp_path,))
    assert issubclass(kind, MapsMethod)
    assert kind().forwards(1280, True) == 1
