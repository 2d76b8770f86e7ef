import os
from pathlib import Path

import pytest

from tailorbird import recipe
from tailorbird.errors import RecipeError

GOOD = 'name = "a"\n[space]\nname = "digits-resnet"\n'
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


def load(tmp_path: Path, text: str | bytes) -> recipe.Recipe:
    path = tmp_path / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return recipe.load(path)[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_load(path: Path) -> None:
    read, text = recipe.load(path)
    assert read.name == path.stem
    assert text == path.read_text(encoding="utf-8")


def test_a_guided_search_has_a_quick_predictor_unless_told_otherwise(tmp_path: Path) -> None:
    guided = GOOD + '[search]\nalgorithm = "guided"\n[accuracy]\n'
    for text, name in (
        (GOOD, "auto"),
        (guided, "process-places"),
        (guided + 'predictor = "auto"', "auto"),
        (guided + "predictor_seconds = 3.0", "auto"),
    ):
        assert load(tmp_path, text).predictor == name


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    read = load(tmp_path, GOOD + "kernel = 2\n")
    assert read.space.tables[0].settings == {"kernel": 2}
    assert read.search.max_latency_ms is None
    assert read.report.networks == 16
    assert not read.latency.estimate_missing


@pytest.mark.parametrize(
    ("latency", "schedule"),
    [
        ("", "static"),
        ('runtime = "tvm"', "static"),
        ('runtime = "onnxruntime"', "default"),
        ('schedule = "default"\nruntime = "onnxruntime"', "default"),
        ('runtime = "imported"', "imported"),
    ],
)
def test_the_schedule_follows_the_runtime(tmp_path: Path, latency: str, schedule: str) -> None:
    assert load(tmp_path, f"{GOOD}[latency]\n{latency}").latency.schedule == schedule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the key 'name' is missing"),
        ('name = "a"', r"the table \[space\] is missing"),
        ("name = ", "not valid TOML"),
        (GOOD + "[search]\npopul", "not valid TOML"),
        (b"name = '\xff'", "not text in UTF-8: line 1 holds the byte 0xff"),
        (b"\x7fELF\0\0", "not text in UTF-8: line 1 holds NUL"),
        (GOOD.encode("utf-16"), "must be in UTF-8, but '.*recipe.toml' is in UTF-16. Save it"),
        (GOOD.encode("utf-16-be"), "line 1 holds NUL"),
        (GOOD.encode("utf-32"), "is in UTF-32"),
        (f"{GOOD}kernel = {2**63}", "64 bits, .*, but 'space.kernel' is 9223372036854775808"),
        (f"{GOOD}zz = {'[' * 33}{']' * 33}", "more than 32 deep"),
        (f'{GOOD}[device]\nname = "{1001 * "a"}"', "1,000 char.*, but 'device.name' has 1,001"),
        (f'{GOOD}[device]\nname = "a\\u0000"', r"control characters, but 'device.name' is 'a.x00'"),
        (f'{GOOD}[search]\ndevices = ["\\u001b[31m"]', r"'search.devices.0' is '.x1b\[31m'"),
        (f'"\\u001b[31m" = 1\n{GOOD}', r"no key '.x1b\[31m'"),
        (
            'name = "a"\n[space]\nmodul = "a:b"',
            r"no key '\[space\] modul'; did you mean 'module'\?$",
        ),
        ('name = "a"\n[space]\nnam = "a"', r"no key '\[space\] nam'; did you mean 'name'\?$"),
        (GOOD + 'modul = "a:b"', r"no key '\[space\] modul'; did you mean 'module'"),
        (GOOD + "Name = 3", r"no key '\[space\] Name'; did you mean 'name'"),
        (GOOD + "[accuracy]\nanchors = ['a']", r"\[accuracy\] anchors must be a table"),
        (GOOD + "[accuracy]\nanchors = { a = 'https://b.c/d.pth' }", "nothing is fetched. Downl"),
        (GOOD + "[accuracy]\nanchors = { a = 1 }", r"\[accuracy.anchors\] a must have a path"),
        (GOOD + "[serch]\n", "no key 'serch'; did you mean 'search'"),
        (
            GOOD + '[device]\nendpoint = "a:1"\ntracker = "b:2"\nkey = "c"',
            "an endpoint or a tracker, not both",
        ),
        (GOOD + '[device]\ntracker = "b:2"', "tracker and key go together"),
        (GOOD + '[device]\nkey = "rpi4"', "tracker and key go together"),
        (
            GOOD + '[device]\nendpoint = "a:1"\n[latency]\nruntime = "onnxruntime"',
            "behind a server are measured by TVM",
        ),
        (
            GOOD + '[device]\ntarget = "x86-64"\n[latency]\nruntime = "onnxruntime"',
            r"\[device\] target is for TVM",
        ),
        (GOOD + "[search]\npopulatoin = 3", r"no key '\[search\] populatoin'; did you mean 'popul"),
        (GOOD + '[search]\npopulation = "3"', "valid integer, but got '3'"),
        (GOOD + "[latency]\nestimate_missing = 1", r"estimate_missing'.*valid boolean, but got 1"),
        (GOOD + "[search]\npopulation = true", "valid integer, but got True"),
        (
            GOOD + "[search]\nmax_latency_ms = -1.0",
            r"max_latency_ms.*equal to 0.000000001, but got -1.0",
        ),
        (GOOD + "[search]\nmax_latency_ms = nan", "max_latency_ms"),
        (
            GOOD + '[search]\nalgorithm = "guided"\npopulation = 9',
            '"guided" has no population: drop',
        ),
        (GOOD + "[search]\nbatch = 9", '"nsga2" has no batch: drop it'),
        (GOOD + '[search]\nsampler = "TPESampler"', '"nsga2" has no sampler: drop it'),
        (
            GOOD + '[search]\nobjectives = ["latency"]',
            "objectives.*must be 'accuracy', 'latency_ms'",
        ),
        (GOOD + "[search]\nobjectives = []", r"\[search\] objectives"),
        (GOOD + '[search]\nobjectives = ["peak_mib", "peak_mib"]', "objectives must differ"),
        (GOOD + "[search]\nmax_latency_ms = 5e-324", "equal to 0.000000001, but got 5e-324"),
        (GOOD + "[search]\nmax_peak_mib = 1e-10", "equal to 0.000000001, but got 1e-10"),
        (GOOD + "[search]\nmin_accuracy = 5e-324", "equal to 0.000000001, but got 5e-324"),
        (GOOD + "[search]\npopulation = 1000000", "less than or equal to 100000, but got 1000000"),
        (
            GOOD + "[search]\npopulation = 100000\ngenerations = 101",
            '"nsga2" looks at 10,000,000 networks at most, but population times .* is 10,100,000',
        ),
        (
            GOOD + '[search]\nalgorithm = "random"\ngenerations = 1000000',
            '"random" looks at 1,000,000 networks at most, but .* is 100,000,000',
        ),
        (GOOD + '[search]\nalgorithm = "optuna"\ngenerations = 1001', '"optuna" .* is 100,100'),
        (
            GOOD + "[report]\nrandom_networks = 1000000",
            "less than or equal to 10000, but got 10000",
        ),
        (GOOD + "[report]\nnetworks = 10001", "less than or equal to 10000, but got 10001"),
        (
            GOOD + "[accuracy]\nevaluations = 1000000",
            "less than or equal to 10000, but got 1000000",
        ),
        (GOOD + "[accuracy]\nworkers = 1000", "less than or equal to 256, but got 1000"),
        (GOOD + "[latency]\nrounds = 1000000", "less than or equal to 1000, but got 1000000"),
        (GOOD + "[accuracy]\npredictor_seconds = 1e300", r"equal to 10000000, but got 1e\+300"),
        (GOOD + "[accuracy.learning_rates]\nhead = inf", "learning_rates. head.*, but got inf"),
        (GOOD + '[search]\nobjectives = "accuracy"', "valid list, but got 'accuracy'"),
        (GOOD + "[search]\nmin_accuracy = 95.0", "min_accuracy.*less than 1"),
        (
            GOOD + '[search]\ndevices = ["epyc-avx512"]\nobjectives = ["accuracy", "mega_macs"]',
            'devices are compared by latency: add "latency_ms"',
        ),
        (GOOD + '[search]\nalgorithm = "best"', 'write \\[accuracy\\] predictor = "additive"'),
        (
            GOOD + '[accuracy]\npredictor = "additive"\nzero_cost = ["naswot"]',
            "an additive predictor has no zero_cost",
        ),
        (
            GOOD + '[search]\nalgorithm = "guided"\nobjectives = ["latency_ms", "mega_macs"]',
            "a guided search learns accuracy: add it",
        ),
        (
            GOOD + '[accuracy]\npublished = "snnet"\n[search]\nalgorithm = "guided"',
            'published accuracies are all there.*algorithm = "exact"',
        ),
        (GOOD + "[device]\nthreads = 0", r"'\[device\] threads'.*greater than or equal to 1.* 0"),
        (GOOD + "batch = 2", r"no key '\[space\] batch'; it is \[device\] batch"),
        (
            GOOD + '[latency]\nruntime = "onnx"',
            r"\[latency\] runtime' must be 'tvm', 'onnxruntime', 'openvino', 'torch', 'command', "
            "'imported' or a Python path of your own, 'package.module:name', but got 'onnx'",
        ),
        (
            GOOD + '[latency]\nruntime = "onnxruntime"\nschedule = "static"',
            r"\[latency\] schedule': onnxruntime has the schedule 'default' only, but got 'static'",
        ),
        (
            GOOD + '[latency]\nruntime = "torch"\nschedule = "static"',
            "torch has the schedule 'eager' only",
        ),
        (GOOD + '[latency]\nschedule = "default"', "tvm has the schedule 'static', and tuned:N"),
        (
            GOOD + '[latency]\nschedule = "fast"',
            "and tuned:N for N trials of each kernel, but got 'fast'",
        ),
        (
            GOOD + '[latency]\nruntime = "imported"\nschedule = "static"',
            "imported has the schedule 'imported' only",
        ),
        (GOOD + '[latency]\nruntime = "imported"\nrounds = 3', "measured: drop .latency. rounds"),
        (GOOD.replace('"a"', '"../a"'), "'name'.*pattern"),
        ("seed = -1\n" + GOOD, "'seed'.*greater than or equal to 0"),
        ('name = "a"\nspace = "x"', "'space' must be a table"),
        (GOOD + "[accuracy]\nworkers = 0", r"\[accuracy\] workers.*greater than or equal to 1"),
        (
            GOOD + "[accuracy]\nevaluation_timeout_seconds = 0.0",
            r"\[accuracy\] evaluation_timeout_seconds.*greater than 0",
        ),
        (GOOD + "[accuracy]\nevaluation_timeout_seconds = inf", "finite number"),
        (GOOD + '[accuracy]\nearlier = ""', r"\[accuracy\] earlier.*at least 1 character"),
        (GOOD + '[accuracy]\npublished = "snnet"\nworkers = 2', "nothing is trained: drop workers"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load(tmp_path, text)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 1_000


HUGE = {
    "digits": (f"seed = 1{'0' * 5000}\n{GOOD}", "at most 64 bits.*, but one has thousands"),
    "hexadecimal": (f"seed = 0x{'f' * 5000}\n{GOOD}", "64 bits.*'seed' is an integer of 20000 b"),
    "brackets": (f"{GOOD}[report]\nzz = {'[' * 3000}", "tables or lists more than 32 deep"),
    "braces": (f"{GOOD}zz = {'{a=' * 3000}", "more than 32 deep"),
    "keys": (f"a{'.a' * 100_000} = 1\n{GOOD}", "more than 32 deep"),
    "quoted": ("a" + '."a"' * 100_000 + f" = 1\n{GOOD}", "more than 32 deep"),
    "tables": (f"{GOOD}[{'a . ' * 100_000}a]", "more than 32 deep"),
    "comment": (f"# {'a' * 2**20}\n{GOOD}", "A recipe may have 1 MiB, but '.*recipe.toml' has"),
    "key": (f"{'k' * 10_000} = 1\n{GOOD}", r"no key 'k+\.\.\.k+'; known: accuracy, device"),
    "twice": (f"[{'k' * 10_000}]\n" * 2 + GOOD, r"not valid TOML: .*\.\.\..* line 2"),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_no_recipe_is_as_large_as_is_refused_at_once(tmp_path: Path, name: str) -> None:
    text, message = HUGE[name]
    with pytest.raises(RecipeError, match=message) as caught:
        load(tmp_path, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_editors_may_save_a_recipe_with_a_byte_order_mark(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(f"\ufeff{GOOD}".replace("\n", newline).encode())
    read, text = recipe.load(path)
    assert (read.name, text) == ("a", GOOD)


def test_settings_of_a_users_own_space_are_theirs_alone(tmp_path: Path) -> None:
    text = 'name = "a"\n[space]\nmodule = "a:b"\nnames = ["x\\n"]\nmodules = 3'
    assert load(tmp_path, text).space.tables[0].settings == {"names": ["x\n"], "modules": 3}


def test_what_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero")):
        with pytest.raises(RecipeError, match="must be a plain file"):
            recipe.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no\.toml.*cannot be read: No such file"):
        recipe.load(tmp_path / "no.toml")
    with pytest.raises(RecipeError, match="is a folder"):
        recipe.load(tmp_path)
