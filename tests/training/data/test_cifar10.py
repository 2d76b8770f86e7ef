import numpy as np
import pytest
import torch
from arrays import arrays

from tailorbird.published.data_folder import data_folder
from tailorbird.training.data import cifar10


@pytest.mark.data("cifar10_jpeg_train10k.npz", "cifar10_jpeg_test10k.npz")
def test_cifar_has_three_disjoint_splits_with_all_classes_in_each() -> None:
    data = cifar10.load(data_folder())
    splits = (data.train, data.validation, data.test)
    assert [len(split.labels) for split in splits] == [10_000, 5_000, 5_000]
    assert "jpeg" in data.name
    seen = [{image.tobytes() for image in arrays(split).images} for split in splits]
    assert len(seen[1] & seen[2]) == len(seen[0] & seen[1]) == len(seen[0] & seen[2]) == 0
    for split in splits:
        counts = np.bincount(split.labels, minlength=10)
        assert counts.min() > 0.9 * len(split.labels) / 10
        assert arrays(split).images.dtype == np.float32
    mean, std = (
        arrays(data.train).images.mean(axis=(0, 2, 3)),
        arrays(data.train).images.std(axis=(0, 2, 3)),
    )
    assert abs(mean).max() < 0.3
    assert (abs(std - 1) < 0.2).all()
    x = data.train.batch(np.arange(64))
    one, again = (data.augment(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, again)
    assert one.shape == x.shape
