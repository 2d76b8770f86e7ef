import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from tailorbird.training import distillation


def test_losses_are_those_of_the_papers() -> None:
    torch.manual_seed(0)
    logits, images = torch.randn(7, 4), torch.randn(7, 3)
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    teacher = nn.Linear(3, 4)
    with torch.no_grad():
        answers = teacher(images).double().numpy()
    logs = log_softmax(logits.double().numpy(), axis=1)
    own = -np.mean(logs[np.arange(7), labels.numpy()])
    soft = -np.mean(np.sum(softmax(answers, axis=1) * logs, axis=1))
    hard = -np.mean(logs[np.arange(7), answers.argmax(axis=1)])
    assert hard != pytest.approx(own)  # the teacher errs
    losses = {
        distillation.labels_only: own,
        distillation.soft(teacher): (own + soft) / 2,
        distillation.hard(teacher): (own + hard) / 2,
    }
    for loss, expected in losses.items():
        assert loss(logits, labels, images).item() == pytest.approx(expected, rel=1e-5)


def test_a_teacher_does_not_learn() -> None:
    teacher = nn.Linear(3, 4)
    logits = torch.randn(7, 4, requires_grad=True)
    loss = distillation.soft(teacher)(logits, torch.zeros(7, dtype=torch.int64), torch.randn(7, 3))
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert logits.grad is not None
    assert teacher.weight.grad is None
