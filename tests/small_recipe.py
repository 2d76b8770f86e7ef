"""The recipe of a run that takes seconds."""

_TEXT = """
name = "{name}"
[space]
name = "digits-resnet"
max_stitches = 1
[device]
name = "{device}"
batch = 4
[latency]
rounds = 2
{latency}
[accuracy]
train_epochs = 1
{accuracy}
evaluations = 12
[search]
population = 12
generations = 5
[report]
networks = 3
random_networks = 2
"""


def small(
    name: str = "small",
    *,
    device: str = "local",
    latency: str = "",
    accuracy: str = "stitch_epochs = 1",
) -> str:
    """Its text.

    Args:
        name: of the run.
        device: its name in [device].
        latency: more lines of [latency].
        accuracy: more lines of [accuracy].
    """
    return _TEXT.format(name=name, device=device, latency=latency, accuracy=accuracy)
