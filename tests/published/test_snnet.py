import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tailorbird import spaces
from tailorbird.errors import RecipeError
from tailorbird.published import snnet
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces.stitching import StitchSpace
from tailorbird.spaces.stitching.families.digits_resnet import DigitsResNet

has_table = pytest.mark.data("snnet_stitches.csv.gz")


def space(name: str, **settings: object) -> StitchSpace:
    found = spaces.get(name, **settings)
    assert isinstance(found, StitchSpace)
    return found


@has_table
@pytest.mark.parametrize(
    ("name", "n"),
    [("deit-ti-s-b", 71), ("deit3-s-l", 134), ("swin-ti-s-b", 41), ("resnet-18-50", 10)],
)
def test_published_networks_are_joined_where_macs_agree(name: str, n: int) -> None:
    named = space(name)
    table = snnet.snnet(named, data_folder())
    assert len(table.X) == len(table.accuracy) == n
    assert len(np.unique(table.X, axis=0)) == n
    np.testing.assert_array_equal(named.repair(table.X), table.X)
    assert (abs(table.n_macs / table.n_macs_published - 1) <= 0.01).all()
    assert ((table.accuracy > 0.5) & (table.accuracy < 0.9)).all()
    rows = {tuple(row) for row in table.X.tolist()}
    if name != "resnet-18-50":
        assert {tuple(row) for row in named.landmarks.tolist()} <= rows


@has_table
def test_anchors_have_the_accuracies_of_their_papers() -> None:
    """DeiT: 72.2, 79.9 and 81.8 % before; SN-Net's table holds them after joint training."""
    named = space("deit-ti-s-b")
    table = snnet.snnet(named, data_folder())
    found = dict(zip(map(tuple, table.X.tolist()), table.accuracy, strict=True))
    alone = [found[tuple(row)] for row in named.landmarks.tolist()]
    np.testing.assert_allclose(alone, [0.722, 0.799, 0.818], atol=0.02)


@has_table
def test_a_narrower_space_has_fewer_of_them_and_the_batch_does_not_matter() -> None:
    wide = snnet.snnet(space("deit-ti-s-b", batch=4), data_folder())
    assert len(wide.X) == 71
    named = space("deit-ti-s-b", kernel=1)
    narrow = snnet.snnet(named, data_folder())
    assert 3 < len(narrow.X) < 71
    texts = map(space("deit-ti-s-b").describe, wide.X)
    known = dict(zip(texts, wide.accuracy, strict=True))
    for row, accuracy in zip(narrow.X, narrow.accuracy, strict=True):
        assert known[named.describe(row)] == accuracy  # the same network, by another code


@has_table
def test_where_nothing_is_published_a_near_name_is_proposed() -> None:
    named = space("digits-resnet")
    with pytest.raises(RecipeError, match="Nothing is published for 'digits-resnet'"):
        snnet.snnet(named, data_folder())
    impostor = StitchSpace(DigitsResNet(1, name="deit-ti-s-b"), named.rule, max_stitches=1)
    with pytest.raises((RecipeError, ValueError)):
        snnet.snnet(impostor, data_folder())


FILE = "snnet_stitches.csv.gz"
COLUMNS = "source,task,cfg_id,path,front,back,n_blocks,flops,params,score,stitches"
ROWS = [
    "snnet_deit_ti_s_b,imagenet_top1,0,T,-1,-1,12/0/0,1258000000,,72.0,",
    "snnet_deit_ti_s_b,imagenet_top1,1,S,-1,-1,0/12/0,4608000000,,80.0,",
    'snnet_deit_ti_s_b,imagenet_top1,2,T-S,5,6,6/6/0,2950000000,,77.0,"[[5, 6]]"',
    "snnetv2_deit3_s_l_setr,ade20k_miou,0,S,-1,-1,,,,45.0,",
]


def write(folder: Path, rows: list[str], columns: str = COLUMNS) -> Path:
    text = "\n".join([columns, *rows]) + "\n"
    (folder / FILE).write_bytes(gzip.compress(text.encode()))
    return folder


def test_networks_of_a_small_table_are_found(tmp_path: Path) -> None:
    table = snnet.snnet(space("deit-ti-s-b"), write(tmp_path, ROWS))
    assert table.accuracy[:2].tolist() == [0.72, 0.8]


@pytest.mark.parametrize(
    ("row", "old", "new", "message"),
    [
        (0, "72.0", "8204", "row 1, score: must be per cent, 0 to 100, but is 8204"),
        (0, "72.0", "nan", "row 1, score: must be per cent, .*'nan'"),
        (0, "72.0", "1e999", "row 1, score: must be .* is inf"),
        (0, "72.0", "", "row 1, score: must be .* is missing"),
        (0, "72.0", "good", "row 1, score: must be .*'good'"),
        (0, "1258000000", "", "row 1, flops: must be .* is missing"),
        (0, "1258000000", "-5", "row 1, flops: must be .* is -5"),
        (0, ",T,", ",X,", "row 1, path: must be .*'X'"),
        (0, ",T,", ",,", "row 1, path: must be .* is missing"),
        (0, ",T,", ",T-S,", "row 1, front: must be a block of each anchor"),
        (0, "top1,0", "top1,0.5", r"row 1, cfg_id: must be a whole number.* is 0\.5"),
        (0, "top1,0", "top1,-1", "row 1, cfg_id: must be a whole number.* is -1"),
        (0, "top1,0", "top1,1", "row 2 is row 1 again"),
        (0, "-1,-1", "-1,x", "row 1, back: .*'x'"),
        (0, "72.0,", "72.0,,,,,", "cannot be read"),
        (2, "[[5, 6]]", "[[5, 60]]", r"row 3, stitches: must be a block .*'\[\[5, 60\]\]'"),
        (2, "[[5, 6]]", "[[5]]", "row 3, stitches: must be a block"),
        (2, "[[5, 6]]", "[[5, 6.0]]", "row 3, stitches: must be a block"),
        (2, "[[5, 6]]", "[" * 9999, "row 3, stitches: must be a block"),
    ],
)
def test_rows_that_cannot_be_are_refused(
    tmp_path: Path, row: int, old: str, new: str, message: str
) -> None:
    rows = [*ROWS]
    assert old in rows[row]
    rows[row] = rows[row].replace(old, new)
    with pytest.raises(RecipeError, match=message) as caught:
        snnet.snnet(space("deit-ti-s-b"), write(tmp_path, rows))
    assert str(caught.value).count("\n") == 0
    assert FILE in str(caught.value)
    assert "data get snnet" in str(caught.value)


def test_numbers_beyond_those_that_were_published_are_refused(tmp_path: Path) -> None:
    rows = ["snnet_r18_r50,imagenet_top1,10,,-1,-1,,1814000000,,70.0,"]
    with pytest.raises(RecipeError, match="row 1, cfg_id: must be 0 to 9 for this source, but is"):
        snnet.snnet(space("resnet-18-50"), write(tmp_path, rows))


@pytest.mark.parametrize("column", ["source", "cfg_id", "path", "flops", "score", "stitches"])
def test_a_table_that_lacks_a_column_is_refused(tmp_path: Path, column: str) -> None:
    frame = pd.read_csv(write(tmp_path, ROWS) / FILE, dtype=str)
    frame.drop(columns=column).to_csv(tmp_path / FILE, index=False)
    with pytest.raises(RecipeError, match=f"the column {column} is missing"):
        snnet.snnet(space("deit-ti-s-b"), tmp_path)


def test_files_that_are_torn_or_no_table_are_refused(tmp_path: Path) -> None:
    named = space("deit-ti-s-b")
    with pytest.raises(RecipeError, match="there is no such file"):
        snnet.snnet(named, tmp_path)
    whole = (write(tmp_path, ROWS) / FILE).read_bytes()
    bomb = gzip.compress(COLUMNS.encode() + bytes(70 * 2**20), compresslevel=1)
    contents = (b"", b"no gzip", whole[:-9], whole[: len(whole) // 2], gzip.compress(b""), bomb)
    for content in (*contents, gzip.compress(b"\xff\n"), gzip.compress(COLUMNS.encode())):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(RecipeError, match=f"{FILE}' cannot be read") as caught:
            snnet.snnet(named, tmp_path)
        assert str(caught.value).count("\n") == 0
