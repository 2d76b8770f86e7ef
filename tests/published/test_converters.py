"""Originals in, rows out: a few lines of each, as they were published."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from tailorbird.published import (
    help_tables,
    macro_table,
    ofa_accuracy_table,
    ofa_latency_table,
)

# IntelLabs/DyNAS-T, notebooks/data/mbnv3w10_evoga_acc.csv, lines 1 to 3.
EVOLVED = """\
Sub-network,Date,Model Parameters,Latency (ms),MACs,Top-1 Acc (%)
"{'wid': None, 'ks': [5, 7, 5, 5, 3, 3, 3, 7, 5, 5, 3, 7, 7, 3, 3, 3, 5, 5, 5, 5], \
'e': [4, 3, 4, 4, 4, 6, 3, 4, 4, 3, 4, 3, 3, 6, 6, 6, 4, 3, 4, 4], 'd': [2, 3, 2, 4, 3], \
'r': [224]}",2022-11-01 05:40:09.265694,5029656,0,255502624,75.448
"{'wid': None, 'ks': [5, 5, 5, 5, 3, 7, 7, 7, 7, 5, 7, 3, 3, 3, 5, 5, 5, 7, 5, 5], \
'e': [4, 3, 6, 3, 6, 6, 3, 3, 6, 4, 4, 6, 3, 4, 3, 6, 4, 4, 3, 4], 'd': [3, 3, 3, 4, 3], \
'r': [224]}",2022-11-01 05:42:03.079087,4761632,0,297261792,76.042
"""
# mikelzc1990/nsganetv2, data/i7-8700K_lut.yaml.
TIMED = """\
MBConv-input:100x100x16-output:50x50x24-expand:3-kernel:3-stride:2-idskip:0-se:0:
  mean: 0.4878215789794922
  var: 3.5368975659366697e-07
first_conv-input:96x96x3-output:48x48x24:
  mean: 0.09580326080322266
  var: 1.0659823601599783e-07
"""
RUNS = {
    f"notebooks/data/mbnv3w10_{run}.csv"
    for run in (
        "evoga_acc",
        "evonsga2_acc_macs",
        "evounsga3_acc_macs_params",
        "linasga_acc",
        "linasnsga2_acc_macs",
    )
}


def test_evaluations_of_dynas_keep_their_place_in_each_search(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text(EVOLVED)
    files = dict.fromkeys(sorted(RUNS), tmp_path / "run.csv")
    table = ofa_accuracy_table.convert(files)
    assert len(table) == 10
    assert table["run"].tolist()[::2] == [
        "evonsga2_acc_macs",
        "linasnsga2_acc_macs",
        "evounsga3_acc_macs_params",
        "evoga_acc",
        "linasga_acc",
    ]
    assert table["step"].tolist() == [0, 1] * 5
    last = table.iloc[-1]
    assert [last[f"ks{slot:02}"] for slot in range(20)][:6] == [5, 5, 5, 5, 3, 7]
    assert [last[f"e{slot:02}"] for slot in range(20)][-4:] == [4, 4, 3, 4]
    assert [last[f"d{slot}"] for slot in range(5)] == [3, 3, 3, 4, 3]
    assert (last["params"], last["macs"]) == (4_761_632, 297_261_792)
    assert last["top1"] == np.float32(76.042)
    assert [*table][-4:] == ["d4", "params", "macs", "top1"]  # no sum that nobody published


def test_blocks_of_ofa_have_their_facts(tmp_path: Path) -> None:
    (tmp_path / "lut.yaml").write_text(TIMED)
    table = ofa_latency_table.convert({"lut.yaml": tmp_path / "lut.yaml"})
    assert len(table) == 2
    block, first = table.iloc[0], table.iloc[1]
    assert block["key"] == TIMED.partition(":\n")[0]
    assert (block["mean"], block["var"]) == (0.4878215789794922, 3.5368975659366697e-07)
    assert (block["kind"], block["input"], block["output"]) == ("MBConv", "100x100x16", "50x50x24")
    assert block[["expand", "kernel", "stride", "idskip", "se"]].tolist() == [3, 3, 2, 0, 0]
    assert (first["kind"], first["output"]) == ("first_conv", "48x48x24")
    assert first[["expand", "se"]].isna().all()


def test_networks_of_macro_keep_their_order(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(
        '{"02012100": {"test_acc": [89.47000122070312, 88.94999694824219, 89.16999816894531],'
        ' "mean_acc": 89.19666544596355, "std": 0.21312667374448538, "params": 890666,'
        ' "flops": 47327744}}'
    )
    row = macro_table.convert({"all.json": tmp_path / "all.json"}).iloc[0]
    assert row["arch"] == "02012100"
    assert [row[f"l{layer}"] for layer in range(8)] == [0, 2, 0, 1, 2, 1, 0, 0]
    assert row["acc1"] == np.float32(88.94999694824219)
    assert row["flops"] == 47_327_744


def test_cells_stand_in_the_order_of_their_index(tmp_path: Path) -> None:
    texts = {
        "|none~0|+|nor_conv_3x3~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|": 1,
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|": 0,
    }
    torch.save(texts, tmp_path / "texts.pt")
    torch.save([2.5, 7.125], tmp_path / "board_1.pt")
    files = {
        "data/nasbench201/str_arch2idx.pt": tmp_path / "texts.pt",
        "data/nasbench201/latency/board_1.pt": tmp_path / "board_1.pt",
    }
    table = help_tables.nasbench201(files)
    assert table["index"].tolist() == [0, 1]
    assert table["arch_str"].tolist() == [*texts][::-1]
    operations = ["op_0_1", "op_0_2", "op_1_2", "op_0_3", "op_1_3", "op_2_3"]
    assert table[operations].to_numpy().tolist() == [[0] * 6, [0, 3, 1, 2, 0, 4]]
    assert table["lat_ms_board_1"].tolist() == [2.5, 7.125]


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made-by-a-pickle",)


def test_no_code_of_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save([Runs()], "arch.pt")
    with pytest.raises(pickle.UnpicklingError):
        help_tables.fbnet({"data/fbnet/arch.pt": Path("arch.pt")})
    assert not Path("made-by-a-pickle").exists()
