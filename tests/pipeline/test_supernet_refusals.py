"""What cannot train a supernet is refused by its key, before anything is measured or trained."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Tailorbird = Callable[..., tuple[int, str, str]]

RECIPE = """
name = "refused"
[space]
{space}
[latency]
runtime = "own_code:Simulator"
rounds = 2
[accuracy]
{accuracy}
evaluations = 10
"""
ELASTIC = 'name = "digits-elastic"'
STITCHED = 'name = "digits-resnet"\nmax_stitches = 1'
OWN = 'module = "own_shared_net:space"'
DATA = 'module = "users_module:good"'


def refusal(tailorbird: Tailorbird, command: str, space: str, accuracy: str) -> str:
    """The one sentence of a command that refuses what it is given, with nothing done."""
    Path("r.toml").write_text(RECIPE.format(space=space, accuracy=accuracy))
    code, out, err = tailorbird(command, "r.toml")
    assert code == 2, err
    assert not out
    assert err.count("\n") == 1
    assert not list(Path("runs").rglob("*.safetensors"))
    assert not list(Path("runs").rglob("*.sqlite"))
    return err.removeprefix("tailorbird: ").rstrip()


SUPERNET = "since a supernet is trained for digits-elastic.*: drop it"
STITCHES = "since anchors and stitches are trained for digits-resnet.*: drop it"
KEYS = [
    (ELASTIC, "train_epochs = 1", rf"\[accuracy\] train_epochs has no part .* {SUPERNET}"),
    (ELASTIC, "stitch_epochs = 1", rf"stitch_epochs .* {SUPERNET}"),
    (ELASTIC, "stitch_images = 1", rf"stitch_images .* {SUPERNET}"),
    (ELASTIC, "stitch_rank = 1", rf"stitch_rank .* {SUPERNET}"),
    (ELASTIC, 'anchors = "installed"', rf"anchors .* {SUPERNET}"),
    (ELASTIC, "anchors = { a = 'a.pt' }", rf"anchors .* {SUPERNET}"),
    (OWN, "stitch_epochs = 1", "since a supernet is trained for own-net"),
    (STITCHED, "supernet_epochs = 1", rf"\[accuracy\] supernet_epochs has no part .* {STITCHES}"),
    (STITCHED, 'rule = "sandwich"', rf"rule .* {STITCHES}"),
    (STITCHED, 'rule = "own_rules:pair"', rf"rule .* {STITCHES}"),
    (
        ELASTIC,
        'routes = "stitches"',
        r"routes = 'stitches' is for spaces with stitches, but digits-elastic.* has none: take one "
        r"of 'uniform', 'log-macs', 'resources'",
    ),
    (
        ELASTIC,
        "learning_rates = { stitch = 0.1 }",
        r"\[accuracy.learning_rates\] stitch has no part .* has no stitch: drop it",
    ),
    (
        ELASTIC,
        "learning_rates = { embedding = 0, block = 0, head = 0 }",
        r"learning_rates\] must be above 0 for something, .* 0 for every part of digits-elastic",
    ),
    (
        ELASTIC,
        'distillation = "soft"',
        r"distillation = 'soft' needs answers to learn from, but with rule = 'single-path' "
        r"networks have the labels alone: name a teacher, or another rule",
    ),
    (ELASTIC, 'rule = "single-path"\ndistillation = "hard"', r"distillation = 'hard' needs answ"),
    (ELASTIC, 'rule = "sorted"\ndistillation = "soft"', r"distillation = 'soft' needs answ"),
    (
        ELASTIC,
        'rule = "strict-fairness"\nroutes = "uniform"',
        r"routes = 'uniform' has no part with rule = 'strict-fairness', which chooses networks by "
        r"itself: drop it",
    ),
    (ELASTIC, 'rule = "probability-shift"\nroutes = "log-macs"', r"'log-macs' has no part with r"),
    (
        ELASTIC,
        'distillation = "none"\nteacher = "users_module:teacher"',
        r"teacher has nothing to teach with distillation = \"none\"",
    ),
    (ELASTIC, "supernet_epochs = 0", r"supernet_epochs.* 1.* got 0"),
    (ELASTIC, "supernet_epoch = 1", "did you mean 'supernet_epochs'"),
    (
        ELASTIC,
        'rule = "sandwih"',
        r"'single-path', 'sandwich', .* or a Python path of your own, .*, but got 'sandwih'",
    ),
    (STITCHED, 'largest = "w.pt"', rf"largest .* {STITCHES}"),
    (ELASTIC, 'importance = "l1"', "importance sorts the weights of largest, which is not given"),
    (
        ELASTIC,
        'largest = "w.pt"\nimportance = "l3"',
        r"\[accuracy\] importance' must be 'l1', 'taylor' or 'none', but got 'l3'",
    ),
    (ELASTIC, "largest = 3", r"\[accuracy\] largest must have a path as file, but got 3"),
    (
        ELASTIC,
        'largest = { file = "w.pt", kei = "a" }',
        r"there is no key 'kei' in \[accuracy\] largest, which has file and key",
    ),
    (ELASTIC, 'largest = "w.pt"\ntrained = "v.pt"', "weights are there already: drop largest"),
    (ELASTIC, "share_of_anchors = 0.5", rf"share_of_anchors .* {SUPERNET}"),
    (
        STITCHED.replace("= 1", "= 0"),
        "share_of_anchors = 0.5",
        r"share_of_anchors has no part in this recipe, since digits-resnet.* has anchors alone",
    ),
    (
        ELASTIC,
        'rule = "sandwich"\nroutes_per_step = 2',
        r"routes_per_step = 2 has no part with rule = 'sandwich', which trains several networks",
    ),
    (
        ELASTIC,
        "shared_learning_rates = { stitch = 0.1 }",
        r"\[accuracy.shared_learning_rates\] stitch has no part .* has no stitch: drop it",
    ),
    (
        ELASTIC,
        "shared_learning_rates = { embedding = 0, block = 0, head = 0 }",
        r"shared_learning_rates\] must be above 0 for something, .* every part of digits-elastic",
    ),
    (STITCHED, "share_of_anchors = 1.0", "share_of_anchors.* 1"),
    (ELASTIC, 'anchors_from = "largest"', rf"anchors_from .* {SUPERNET}"),
    (STITCHED, 'anchors_from = "biggest"', r"anchors_from' must be 'labels' or 'largest', but got"),
    (
        STITCHED,
        "stitch_epochs = 0\nroutes_per_step = 2",
        r"routes_per_step has no part with stitch_epochs = 0, by which routes are not trained",
    ),
    (
        STITCHED,
        "shared_learning_rates = { embedding = 0, block = 0, stitch = 0, head = 0 }",
        r"shared_learning_rates\] must be above 0 for something, .* every part of digits-resnet",
    ),
    (ELASTIC, 'optimizer = "adam"', r"optimizer' must be 'adamw' or 'sgd', but got 'adam'"),
    (ELASTIC, 'schedule = "linear"', r"'one-cycle' or 'cosine', but got 'linear'"),
    (ELASTIC, "label_smoothing = 1.0", r"label_smoothing.* 1"),
    (ELASTIC, "weight_decay = -0.1", r"weight_decay.* 0"),
    (ELASTIC, "decay_norms = 1", r"decay_norms.* but got 1"),
    (ELASTIC, 'trained = "v.pt"\nclip = 1.0', "weights are there already: drop clip"),
    (ELASTIC, 'routes = "log"', r"'uniform', 'log-macs' or 'resources', but got 'log'"),
    (ELASTIC, 'routes = "own_rules:in_order"', r"but got 'own_rules:in_order'"),
]


@pytest.mark.parametrize(("space", "accuracy", "law"), KEYS)
def test_keys_that_are_for_other_trainings_are_refused(
    tailorbird: Tailorbird, space: str, accuracy: str, law: str
) -> None:
    told = refusal(tailorbird, "run", space, accuracy)
    assert re.search(law, told), told


@pytest.mark.parametrize(
    ("space", "accuracy", "law"),
    [
        (ELASTIC, "supernet_epochs = 5", "below supernet_epochs, .* is 5 beside 5"),
        (STITCHED, "train_epochs = 5", "below train_epochs, .* is 5 beside 5"),
        (STITCHED, "train_epochs = 6\nstitch_epochs = 3", "below stitch_epochs, .* 5 beside 3"),
        (ELASTIC, "finetune_epochs = 2", "below finetune_epochs, .* is 5 beside 2. Lower it, or"),
    ],
)
@pytest.mark.parametrize("command", ["profile", "train"])
def test_a_warm_up_must_leave_something_of_every_stage(
    tailorbird: Tailorbird, command: str, space: str, accuracy: str, law: str
) -> None:
    told = refusal(tailorbird, command, space, f"warm_up_epochs = 5\n{accuracy}")
    assert re.search(rf"^\[accuracy\] warm_up_epochs must be {law}", told), told


@pytest.mark.parametrize("command", ["profile", "train", "search", "report", "export"])
def test_every_command_refuses_keys_that_are_for_other_trainings(
    tailorbird: Tailorbird, command: str
) -> None:
    told = refusal(tailorbird, command, STITCHED, 'rule = "sandwich"')
    assert re.search(STITCHES, told), told


@pytest.mark.parametrize(
    ("space", "accuracy", "law"),
    [
        (
            ELASTIC,
            'module = "users_module:last_channel"',
            r"There is no training for digits-elasti",
        ),
        (
            f"{ELASTIC}\nn_classes = 7",
            DATA,
            r"'mine' has n_classes = 10, and .* n_classes = 7. Give",
        ),
        (OWN, 'module = "users_module:empty"', r"an image at least"),
        (OWN, 'module = "users_module:nan"', r"must be finite, but image 4"),
        (f'{OWN}\nblock = "Outer"', DATA, r"\[space\] module = 'own_shared_net:space'"),
        ('name = "nasbench201"', DATA, "There is no training for nasbench201"),
    ],
)
@pytest.mark.parametrize("command", ["run", "train"])
def test_data_and_spaces_that_do_not_fit_are_refused(
    tailorbird: Tailorbird, command: str, space: str, accuracy: str, law: str
) -> None:
    told = refusal(tailorbird, command, space, accuracy)
    assert re.search(law, told), told


RULES = [
    ("no_rule", "It must give a tailorbird.training.Rule, but gave list"),
    ("no_passes", "n_passes must be the passes .* 1 or more, but is 0"),
    ("half_a_pass", r"n_passes must be .* but is 0\.5"),
    ("fewer_passes", "n_passes must be at least the number of networks .* is 1 for 2 of them"),
    ("no_rows", r"rows must be rows of \d choices each, integers, one row at least, .*\(0, \d\)"),
    ("one_row", r"rows must be rows of \d choices each, .* of shape \(\d,\)"),
    ("narrow_rows", r"rows must be rows of \d choices each, .* of shape \(1, \d\)"),
    ("ragged_rows", r"rows must be one array of integers, but they are not \(ValueError"),
    ("float_rows", r"integers, .* but it gave float64 of shape"),
    ("rows_out_of_range", r"canonical encodings of the space, but it gave \[\[99, "),
    ("negative_rows", r"canonical encodings of the space, but it gave \[\[-9, "),
    ("uncanonical", r"canonical encodings of the space, but it gave .*space.repair"),
    ("chance", "the same rows for the same step, or what is resumed ends up different"),
    ("many_losses", r"one number that gradients can be had of, but .* a tensor of shape \(2, 10\)"),
    (
        "float_loss",
        r"loss must be one number that gradients can be had of, but .* it is -?0\.\d+\.",
    ),
    ("detached_loss", r"but for network 0 of a step it is one without a gradient\. Make it from"),
    ("nan_loss", "loss must be finite, but for network 0 of a step it is nan"),
    ("raising_loss", r"failed \(LookupError: no loss today\)\. See line \d+ of /"),
    ("exiting_loss", r"failed \(SystemExit: 3\)"),
    ("exiting_rows", r"failed \(SystemExit: 0\)"),
    ("raising", r"failed \(LookupError: no rule today\)\. See line \d+ of /"),
    ("no_function", "failed .TypeError"),
    ("NOT_CALLABLE", "must name what can be called, but got int"),
    ("nothing", r"has no attribute 'nothing'"),
]


@pytest.mark.parametrize(("rule", "law"), RULES)
@pytest.mark.parametrize("command", [pytest.param("run", marks=pytest.mark.slow), "train"])
@pytest.mark.long
def test_a_rule_that_does_not_do_what_it_must_is_refused(
    tailorbird: Tailorbird, command: str, rule: str, law: str
) -> None:
    told = refusal(tailorbird, command, OWN, f'{DATA}\nrule = "own_rules:{rule}"')
    assert told.startswith(f"[accuracy] rule = 'own_rules:{rule}'")
    assert re.search(law, told), told


UNFIT = [
    (
        'module = "own_shared_net:strips"',
        f'{DATA}\nrule = "sorted"',
        r"\[accuracy\] rule = 'sorted': The rule sorted is for networks that lie in each other, "
        r"but smaller ones of own-net.* have weights that larger ones lack, in .*Strip.*\. Take",
    ),
    (
        ELASTIC,
        'rule = "alpha-divergence"\ndistillation = "hard"',
        r"compares probabilities, so distillation must be 'soft', but is 'hard'\. Leave it out",
    ),
    (
        ELASTIC,
        'rule = "alpha-divergence"\ndistillation = "none"',
        r"\[accuracy\] rule = 'alpha-divergence': .* but is 'none'",
    ),
]


@pytest.mark.parametrize(("space", "accuracy", "law"), UNFIT)
@pytest.mark.parametrize("command", ["run", "train"])
def test_rules_that_cannot_serve_are_refused(
    tailorbird: Tailorbird, command: str, space: str, accuracy: str, law: str
) -> None:
    told = refusal(tailorbird, command, space, accuracy)
    assert re.search(law, told), told


BLOCKS = [
    (
        "Ranks",
        r"as many axes in all of them, but 'scale' has shapes \(1,\) and \(1, 1\)\. Give one",
    ),
    ("Drifting", r"must stay as they are built, but 'seen' of stage\d_0-Drifting .* changes in tr"),
    ("Drawn", r"but 'mask' of stage\d_0-Drawn .* depends on chance. Make it persistent"),
    (
        "Doubled",
        r"Windows must be .* each once and .*Doubled.windows\('expand.bias', \(16,\)\) gave an "
        r"index twice for axis 0",
    ),
    ("InPlace", r"must leave its input as it is, but stage\d_0-InPlace .* works in place on it"),
]


@pytest.mark.parametrize(("block", "law"), BLOCKS)
@pytest.mark.parametrize("command", ["run", "train"])
@pytest.mark.long
def test_blocks_whose_weights_cannot_be_shared_are_refused(
    tailorbird: Tailorbird, command: str, block: str, law: str
) -> None:
    told = refusal(tailorbird, command, f'{OWN}\nblock = "{block}"', DATA)
    assert told.startswith("[space] module = 'own_shared_net:space': ")
    assert re.search(law, told), told


def test_blocks_of_networks_between_the_smallest_and_the_largest_are_tried(
    tailorbird: Tailorbird,
) -> None:
    told = refusal(tailorbird, "run", 'module = "own_shared_net:three"', DATA)
    assert "but 'seen' of stage0_" in told
    assert "changes in training" in told


def test_names_that_torch_cannot_have_are_refused(tailorbird: Tailorbird) -> None:
    told = refusal(tailorbird, "run", 'module = "own_shared_net:Called"', DATA)
    assert "some of shared-perceptrons are called 'keys'. Give them another name." in told


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_teacher_and_an_evaluator_are_tried(tailorbird: Tailorbird, command: str) -> None:
    told = refusal(tailorbird, command, OWN, f'{DATA}\nteacher = "users_module:good"')
    assert "must give a torch.nn.Module" in told
    told = refusal(tailorbird, command, OWN, f'{DATA}\nevaluator = "users_module:score_nan"')
    assert told.startswith("[accuracy] evaluator = 'users_module:score_nan'")
