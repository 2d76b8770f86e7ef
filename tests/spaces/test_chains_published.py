"""Chains held to what was published of their networks."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from tailorbird import spaces
from tailorbird.published.data_folder import data_folder
from tailorbird.spaces import IntArray, Workload
from tailorbird.spaces.chains import Chain, OFAMobileNetV3
from tailorbird.spaces.chains.workloads import strided
from tailorbird.spaces.footprint import count_macs, n_macs

LUT_KINDS = {
    "first_conv": "first_conv",
    "mb_block": "MBConv",
    "final_expand": "final_expand_layer",
    "feature_mix": "feature_mix_layer",
    "classifier": "classifier",
}


def chain(name: str) -> Chain:
    space = spaces.get(name)
    assert isinstance(space, Chain)
    return space


def raw_rows(space: Chain, table: pd.DataFrame, *, text: bool = False) -> IntArray:
    columns = [
        [v.choices.index(str(value)) for value in table[v.name]] if text else table[v.name]
        for v in space.variables
    ]
    return np.column_stack(columns).astype(np.int64)


def count_params(space: Chain, X: IntArray) -> NDArray[np.int64]:
    with torch.device("meta"):
        each = [sum(p.numel() for p in w.build().parameters()) for w in space.workloads]
    return np.asarray(space.count_workloads(X) @ np.array(each))


def check_footprint(space: Chain, X: IntArray, params: pd.Series, macs: pd.Series) -> None:
    """All rows by their workloads, and some by their whole network."""
    np.testing.assert_array_equal(count_params(space, X), params)
    np.testing.assert_array_equal(count_macs(space, X), macs)
    for i in np.random.default_rng(0).choice(len(X), 5, replace=False):
        with torch.device("meta"):
            network = space.build(X[i]).eval()
        assert sum(p.numel() for p in network.parameters()) == params.iloc[i]
        assert n_macs(network, (space.input_shape,)) == macs.iloc[i]


def lut_key(workload: Workload) -> str:
    """Of nsganetv2's table."""
    kind, params, (shape,) = LUT_KINDS[workload.op], dict(workload.params), workload.inputs
    if kind == "classifier":
        return f"{kind}-input:{params['width']}-output:{params['classes']}"
    batch, width, side, _ = shape
    to, stride = int(params["to"]), int(params.get("stride", 1))
    _, _, side_behind, _ = strided((batch, width, side, side), to, stride)
    key = f"{kind}-input:{side}x{side}x{width}-output:{side_behind}x{side_behind}x{to}"
    if kind == "MBConv":
        has_shortcut = int(stride == 1 and width == to)
        key += f"-expand:{params['expand']}-kernel:{params['kernel']}-stride:{stride}"
        key += f"-idskip:{has_shortcut}-se:{params['se']}"
    return key


def lut() -> dict[str, float]:
    table = pd.read_csv(data_folder() / "ofa_mbv3_lut_i7_8700k.csv.gz")
    return dict(zip(table["key"], table["mean"], strict=True))


@pytest.mark.data("nasbench_macro.parquet")
def test_macro_mobilenets_have_the_published_size() -> None:
    table = pd.read_parquet(data_folder() / "nasbench_macro.parquet")
    space = chain("macro-mobilenetv2")
    X = space.repair(raw_rows(space, table))
    check_footprint(space, X, table["params"], table["flops"])  # which are multiply-adds
    assert len(np.unique(X, axis=0)) == space.size


@pytest.mark.data("ofa_mbv3_dynast_acc.parquet")
def test_ofa_mobilenets_have_the_published_size() -> None:
    table = pd.read_parquet(data_folder() / "ofa_mbv3_dynast_acc.parquet")
    space = chain("ofa-mobilenetv3")
    X = space.repair(raw_rows(space, table, text=True))
    check_footprint(space, X, table["params"], table["macs"])


@pytest.mark.data("ofa_mbv3_lut_i7_8700k.csv.gz", "ofa_mbv3_dynast_acc.parquet:lat_ms_i7_8700k_lut")
def test_latencies_of_ofa_are_sums_over_its_workloads() -> None:
    table = pd.read_parquet(data_folder() / "ofa_mbv3_dynast_acc.parquet")
    space, latency = chain("ofa-mobilenetv3"), lut()
    X = space.repair(raw_rows(space, table, text=True))
    ours = space.count_workloads(X) @ np.array([latency[lut_key(w)] for w in space.workloads])
    assert np.abs(ours - table["lat_ms_i7_8700k_lut"]).max() < 1e-3


@pytest.mark.data("ofa_mbv3_lut_i7_8700k.csv.gz")
@pytest.mark.parametrize("width_mult", [1.0, 1.2])
def test_workloads_of_ofa_are_those_of_the_table_at_every_resolution(width_mult: float) -> None:
    latency, found = lut(), 0
    for resolution in range(96, 257, 4):
        workloads = Chain(OFAMobileNetV3(1, resolution, width_mult)).workloads
        keys = {lut_key(w) for w in workloads}
        assert len(keys) == len(workloads)
        assert keys <= set(latency)
        found += len(keys)
    assert found == 41 * 95


@pytest.mark.data("fbnet_help.parquet")
def test_latencies_of_fbnets_are_linear_in_their_workloads() -> None:
    # HW-NAS-Bench's Pixel 3 latencies are sums of a table by layer, which nobody here has.
    table = pd.read_parquet(data_folder() / "fbnet_help.parquet")
    space = chain("fbnet")
    counts = space.count_workloads(space.repair(raw_rows(space, table))).toarray().astype(float)
    latency = table["lat_ms_pixel3"].to_numpy(np.float64)
    fitted = counts @ np.linalg.lstsq(counts, latency)[0]
    assert np.abs(fitted - latency).max() < 1e-4
