"""Catalogs of folders: eras, compositions, and the division into training and held-out works."""

from dataclasses import replace

import pytest

from specjax.cli.errors import UserError
from specjax.papers.mvnet.catalog import list_works, resolve_eras
from specjax.papers.mvnet.dataset import MuseumConfig

SOUNDS = (
    "Bach__Fugue__bwv_846.0.ogg",
    "Bach__Fugue__bwv_846.1.ogg",
    "Bach__Fugue__bwv_846__Shi05M.0.ogg",
    "Bach__Italian_concerto.0.ogg",
    "Haydn__Sonatas__32-1.0.ogg",
    "Haydn__Sonatas__32-1_no_repeat.0.ogg",
    "Haydn__Sonatas__32-1_no_repeat__Na03.1.ogg",
    "Prokofiev__Toccata.0.ogg",
    "Prokofiev__Toccata__Dossin07.5.ogg",
    "Schubert__Impromptu_op.90_D.899__1.0.ogg",
    "Schubert__Impromptu_op.90_D.899__4.0.ogg",
    "lute__file_118.3.ogg",
)
COMPOSITIONS = (
    "Bach__Fugue__bwv_846",
    "Bach__Italian_concerto",
    "Haydn__Sonatas__32-1",
    "Prokofiev__Toccata",
    "Schubert__Impromptu_op.90_D.899__1",
    "Schubert__Impromptu_op.90_D.899__4",
    "lute__file_118",
)


def make_folder(folder, eras=("baroque", "modern"), sounds=SOUNDS, pictures=("a.jpg", "b.png", "c.GIF")):
    for era in eras:
        for kind, names in (("audio", sounds), ("images", pictures)):
            (folder / kind / era).mkdir(parents=True)
            for name in names:
                (folder / kind / era / name).touch()
    return MuseumConfig(source=str(folder), eras=tuple(eras), held_out_share=0.3)


def write(path, *lines):
    path.write_text("\n".join(lines))
    return str(path)


def held_out(catalog, era=0):
    return [
        s.name.split("/")[1]
        for s, out in zip(catalog.sounds, catalog.sound_held_out, strict=True)
        if out and s.era == era
    ]


def test_eras_of_the_paper_come_first_and_in_its_order(tmp_path):
    config = make_folder(tmp_path, ("modern", "antiquity", "renaissance", "zen"))
    (tmp_path / "audio" / ".hidden").mkdir()
    assert resolve_eras(replace(config, eras=())).eras == ("renaissance", "modern", "antiquity", "zen")
    assert resolve_eras(replace(config, eras=("zen", "modern"))).eras == ("zen", "modern")


def test_performances_scores_and_repeats_are_one_composition(tmp_path):
    catalog = list_works(make_folder(tmp_path))
    expected = [f"{era}/{name}" for era in ("baroque", "modern") for name in COMPOSITIONS]
    assert list(catalog.compositions) == expected
    by_file = {
        sound.name: catalog.compositions[number]
        for sound, number in zip(catalog.sounds, catalog.composition, strict=True)
    }
    assert by_file["modern/Haydn__Sonatas__32-1_no_repeat__Na03.1.ogg"] == "modern/Haydn__Sonatas__32-1"
    assert by_file["baroque/Prokofiev__Toccata__Dossin07.5.ogg"] == "baroque/Prokofiev__Toccata"


def test_last_compositions_and_pictures_of_each_era_are_held_out(tmp_path):
    catalog = list_works(make_folder(tmp_path))
    for era in (0, 1):
        assert held_out(catalog, era) == list(SOUNDS[-2:])
    assert [name.name for name, out in zip(catalog.pictures, catalog.picture_held_out, strict=True) if out] == [
        "baroque/c.GIF",
        "modern/c.GIF",
    ]
    sides = [
        {c for c, o in zip(catalog.composition, catalog.sound_held_out, strict=True) if o == side} for side in (0, 1)
    ]
    assert not sides[0] & sides[1]


def test_pattern_of_the_user_and_files_that_it_does_not_match(tmp_path):
    config = make_folder(tmp_path, sounds=("x-1.wav", "x-2.wav", "y-1.wav", "odd.wav"))
    catalog = list_works(replace(config, composition=r"(.*)-\d"))
    assert catalog.compositions[:3] == ("baroque/odd", "baroque/x", "baroque/y")
    assert catalog.composition[:4] == (0, 1, 1, 2)


def test_list_of_compositions_takes_the_place_of_the_pattern(tmp_path):
    config = make_folder(tmp_path, sounds=("1.wav", "2.wav", "3.wav"))
    lines = [
        f"{era}/{name}\tpiece {number}" for era in config.eras for name, number in (("1.wav", 1), ("2", 2), ("3", 1))
    ]
    catalog = list_works(replace(config, composition_list=write(tmp_path / "list", *lines, "")))
    assert catalog.compositions[:2] == ("baroque/piece 1", "baroque/piece 2")
    assert catalog.composition[:3] == (0, 1, 0)
    for bad, message in (
        (lines[1:], "does not name 'baroque/1.wav'"),
        ([*lines, "modern/1.wav"], "line 7 has no composition"),
        ([*lines, "modern/4.wav\tx"], "line 7 names 'modern/4.wav', which is not in the data"),
    ):
        with pytest.raises(UserError, match=message):
            list_works(replace(config, composition_list=write(tmp_path / "list", *bad)))


def test_split_lists_and_leaks(tmp_path):
    config = make_folder(tmp_path)
    lute, concerto = [[f"{era}/{name}" for era in config.eras] for name in (SOUNDS[-1], SOUNDS[3])]
    catalog = list_works(replace(config, held_out_list=write(tmp_path / "held_out", *lute)))
    assert held_out(catalog) == [SOUNDS[-1]]
    assert len(catalog.sounds) == 2 * len(SOUNDS)
    both = replace(config, held_out_list=write(tmp_path / "out", *lute), train_list=write(tmp_path / "in", *concerto))
    assert len(list_works(both).sounds) == 4

    leaking = write(tmp_path / "leak", *lute, "baroque/Bach__Fugue__bwv_846__Shi05M.0.ogg")
    with pytest.raises(UserError, match=r"composition 'baroque/Bach__Fugue__bwv_846' is both to train on \("):
        list_works(replace(config, held_out_list=leaking))
    with pytest.raises(UserError, match="composition 'baroque/lute__file_118' is both"):
        list_works(replace(both, train_list=both.held_out_list))
    with pytest.raises(UserError, match="line 1 names 'gone.ogg', which is not in the data"):
        list_works(replace(config, held_out_list=write(tmp_path / "gone", "gone.ogg")))
    with pytest.raises(UserError, match="no usable sound files of the era 'modern' are left to hold out"):
        list_works(replace(config, held_out_list=write(tmp_path / "one", lute[0])))


def test_bad_folders_raise(tmp_path):
    config = make_folder(tmp_path / "good")
    with pytest.raises(UserError, match="missing does not exist: name a folder of the subfolders audio and images"):
        resolve_eras(replace(config, source=str(tmp_path / "missing")))
    (tmp_path / "half" / "audio" / "modern").mkdir(parents=True)
    with pytest.raises(UserError, match="images does not exist"):
        resolve_eras(MuseumConfig(source=str(tmp_path / "half")))
    with pytest.raises(UserError, match="has the eras baroque, modern, but not 'gothic' of data.eras"):
        resolve_eras(replace(config, eras=("baroque", "gothic")))
    (tmp_path / "good" / "audio" / "gothic").mkdir()
    with pytest.raises(UserError, match="the era 'gothic' is in .*audio but not in .*images"):
        resolve_eras(replace(config, eras=()))
    (tmp_path / "good" / "audio" / "gothic").rename(tmp_path / "good" / "images" / "gothic")
    with pytest.raises(UserError, match="the era 'gothic' is in .*images but not in .*audio"):
        resolve_eras(replace(config, eras=()))
    for kind in ("audio", "images"):
        (tmp_path / "one" / kind / "modern").mkdir(parents=True)
    with pytest.raises(UserError, match="has 1 eras, expected at least two"):
        resolve_eras(MuseumConfig(source=str(tmp_path / "one")))


def test_eras_with_too_few_works_raise(tmp_path):
    with pytest.raises(UserError, match="the era 'baroque' has 1 compositions, of which 1 would be held out"):
        list_works(make_folder(tmp_path / "a", sounds=("x.0.ogg", "x.1.ogg")))
    with pytest.raises(UserError, match="the era 'baroque' has 1 pictures"):
        list_works(make_folder(tmp_path / "b", pictures=("a.jpg",)))
    with pytest.raises(UserError, match="contains no pictures"):
        list_works(make_folder(tmp_path / "c", pictures=("a.txt",)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"composition": "(.*"}, "is not a regular expression"),
        ({"composition": ".*"}, "has no group"),
        ({"eras": ("modern",)}, "name at least two eras"),
        ({"eras": ("modern", "modern")}, "twice"),
        ({"held_out_share": 0.0}, "must lie between 0 and 1"),
        ({"pictures_per_clip": 0}, "must be at least 1"),
    ],
)
def test_settings_out_of_range_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        MuseumConfig(**settings)


def test_performances_of_a_real_set_do_not_leak(real_data):
    config = resolve_eras(MuseumConfig(source=str(real_data / "musart")))
    catalog = list_works(config)
    assert len(catalog.compositions) == 91
    divided = set(zip(catalog.composition, catalog.sound_held_out, strict=True))
    assert len(divided) == 91
