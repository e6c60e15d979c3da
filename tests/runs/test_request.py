"""What a user asks for: read, merged and refused in one line."""

import argparse
from pathlib import Path

import pytest

from astrojepa_bench.cli import arguments
from astrojepa_bench.cli.run import request_from
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.request import make_request, parse_seeds, read_config


def asked(*words):
    parser = argparse.ArgumentParser()
    arguments.run(parser)
    parser.add_argument("--plugin", action="append", default=[])
    return request_from(parser.parse_args(words))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", 3), (2, 2), ("0,4,7", (0, 4, 7)), ("5,", None), ("4,4,1", (4, 1))]
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    """A number counts seeds, a list names them, and a repeated seed counts once."""
    if seeds is None:
        with pytest.raises(ConfigError):
            parse_seeds(text)
    else:
        assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["-3", "0", "", "1.5", "a", "1,-2"])
def test_impossible_seeds_are_refused(text):
    """Nothing but whole numbers, none negative and at least one run, is taken for seeds."""
    with pytest.raises(ConfigError, match="--seeds"):
        parse_seeds(text)


def test_flags_win_over_the_config_file(tmp_path):
    """A TOML file gives what flags leave open; single options merge below the same address."""
    path = tmp_path / "a.toml"
    path.write_text(
        'objectives = ["untrained"]\nseeds = 3\nbudget = "smoke"\n[dataset]\npath = "a.h5"\nlabel = "x"\n'
    )
    request = asked("--config", str(path), "--budget", "small", "--set", "dataset.label=y")
    assert (request.objectives, request.seed_list, request.budget) == (("untrained",), (0, 1, 2), "small")
    assert request.settings == {"dataset": {"path": "a.h5", "label": "y"}}


def test_another_executor_than_the_files_takes_none_of_its_options(tmp_path):
    """As in each task of Slurm, which runs its part on its node by the same file."""
    path = tmp_path / "a.toml"
    path.write_text('objectives = ["untrained"]\nexecutor = "slurm"\nexecutor_options = ["mem=4G"]\n')
    there, here = (asked("--config", str(path), *more) for more in ((), ("--executor", "local")))
    more = asked("--config", str(path), "--executor", "ray", "--executor-option", "memory=4G")
    assert (there.executor, there.executor_options) == ("slurm", ("mem=4G",))
    assert (here.executor, here.executor_options) == ("local", ())
    assert (more.executor, more.executor_options) == ("ray", ("memory=4G",))


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("objektives", "a", "unknown key 'objektives'"),
        ("budget", "smal", "unknown budget 'smal'"),
        ("device", "tpu", "unknown device 'tpu'"),
        ("floors", "perhaps", "floors: "),
    ],
)
def test_a_wrong_field_is_named_in_one_line(field, value, named):
    """Unknown keys, budgets, devices and types end in one line that names what was found."""
    with pytest.raises(ConfigError, match=named) as caught:
        make_request({"objectives": "untrained", field: value})
    assert "\n" not in str(caught.value)


def test_names_may_be_separated_by_commas():
    """Names given twice or with commas are listed once, in order."""
    assert asked("-o", "a,b", "-o", "b,c").objectives == ("a", "b", "c")


def test_a_suite_takes_no_objectives_or_maskers_beside_it():
    """A suite names its own; the rest of a request combines with it."""
    request = asked(
        "--suite", "s", "-e", "pca", "-d", "hdf5", "--seeds", "2", "-E", "knn", "--pretraining", "500"
    )
    assert (request.suite, request.encoders, request.pretraining) == ("s", ("pca",), 500)
    for words in (["-o", "a"], ["-m", "random"]):
        with pytest.raises(ConfigError, match="leave out --objective and --masker"):
            asked("--suite", "s", *words)


def test_places_of_files_come_from_flags_and_from_a_config_file(tmp_path):
    """`--data` may be repeated, and wins over `[data]` key by key."""
    path = tmp_path / "a.toml"
    path.write_text('suite = "s"\n[data]\nreal = "here"\nodd = "there"\n')
    request = asked("--config", str(path), "--data", "real=a/b=c", "--data", "more=d")

    assert request.data == {"real": Path("a/b=c"), "odd": Path("there"), "more": Path("d")}


def test_places_that_are_no_table_are_refused(tmp_path):
    """One path says nothing of which galaxies lie there."""
    path = tmp_path / "a.toml"
    path.write_text('suite = "s"\ndata = "here"\n')
    for more in ([], ["--data", "real=there"]):
        with pytest.raises(ConfigError, match=r"data: Input should be a valid dictionary, found 'here'"):
            asked("--config", str(path), *more)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suite", "s", "--data", "real"], "--data real: expected KEY=PATH"),
        (["--suite", "s", "--data", "=x"], "expected KEY=PATH"),
        (["--suite", "s", "--data", "a=x", "--data", "a=y"], "--data a is given twice"),
        (["-o", "a", "--data", "a=x"], "--data says where the files of a suite lie; give it with --suite"),
        (["--suite", "s", "--data", "a=x", "-d", "hdf5"], "without --dataset"),
        (["--suite", "s", "--data", "a=x", "--set", "dataset.path=y"], "or --set dataset"),
    ],
)
def test_places_of_files_that_reach_nothing_are_refused(words, said):
    """A path that would be ignored is a mistake."""
    with pytest.raises(ConfigError) as caught:
        asked(*words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_grid_is_of_a_suite():
    """There is no other."""
    with pytest.raises(ConfigError, match="grid 'x' is of a suite"):
        make_request({"objectives": "a", "grid": "x"})


def test_nothing_asked_for_is_refused():
    """Neither an objective nor a suite is no request."""
    with pytest.raises(ConfigError, match="name one with --objective, or a --suite"):
        asked("--budget", "smoke")


@pytest.mark.parametrize("galaxies", [0, -5])
def test_pretraining_on_no_galaxy_is_refused(galaxies):
    """At least one galaxy is needed to learn from."""
    with pytest.raises(ConfigError, match="pretraining: Input should be greater than or equal to 1"):
        make_request({"objectives": "a", "pretraining": galaxies})


def config(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return read_config(path)


def test_options_in_a_config_file_are_heard_in_either_form(tmp_path):
    """`[masker]` and `[settings.masker]` set the same; both may stand in one file."""
    short = config(tmp_path, '[masker]\ntau = 0.5\n["masker:blocks"]\ntau = 0.7')
    long = config(tmp_path, '[settings.masker]\ntau = 0.5\n[settings."masker:blocks"]\ntau = 0.7')
    both = config(tmp_path, '[masker]\ntau = 0.5\n[settings."masker:blocks"]\ntau = 0.7')

    assert short == long == both == {"settings": {"masker": {"tau": 0.5}, "masker:blocks": {"tau": 0.7}}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[maskr]\ntau = 1", r"unknown table \[maskr\]; did you mean 'masker'"),
        ("[settings.maskr]\ntau = 1", r"unknown table \[maskr\]"),
        ("[settings]\ntau = 1", r"unknown table \[tau\]"),
        ("[masker]\ntau = 1\n[settings.masker]\ntau = 2", r"sets masker\.tau twice"),
    ],
)
def test_a_table_that_is_no_kind_is_refused(tmp_path, text, complaint):
    """A setting that reaches nothing is a mistake, not a comment."""
    with pytest.raises(ConfigError, match=complaint):
        config(tmp_path, text)
