"""Checks every shape and type annotation of the ruler and of the contestants while the tests run.

And shares between the processes of a test run what takes long to make.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported; processes that tests start inherit it

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # here and in what tests start, Ctrl-C is heard

import pytest
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException
from hypothesis import settings
from jaxtyping import install_import_hook

settings.register_profile("patient", deadline=None)  # beside another process nobody is on time
settings.load_profile("patient")
PLUGINS = [path.stem for path in (Path(__file__).parents[1] / "plugins").glob("astrojepa_*.py")]
AS_MYPY_READS = BeartypeConf(is_pep484_tower=True)  # a whole number is a float


def check(function):
    """Check a function's annotations on every call, except hints that only mypy reads (`Self`)."""
    try:
        return beartype(function, conf=AS_MYPY_READS)
    except BeartypeDecorHintException:
        return function


# The hook knows its checker by the name of a module, and tests are no package.
sys.modules["annotations_checked"] = checker = ModuleType("annotations_checked")
checker.check = check

# Before anything of ours is imported, or it would be imported unchecked.
install_import_hook(["astrojepa_bench", *PLUGINS], "annotations_checked.check")


def pytest_xdist_auto_num_workers(config):
    """Run folders in two processes; for single files their start would take longer than the tests."""
    if all(Path(argument.partition("::")[0]).suffix == ".py" for argument in config.args):
        return 0
    config.option.dist = "worksteal"  # neighbours stay together, and with them the fixtures of their module
    return 2


@pytest.fixture
def uncompared(monkeypatch):
    """Load thousands of real galaxies without looking for copies, which takes seconds; see tests/data/splitting."""
    import numpy as np

    from astrojepa_bench.data import extras, table  # not before the hook above

    monkeypatch.setattr(table, "copies_among", lambda *_: np.empty((0, 2), dtype=np.int64))
    monkeypatch.setattr(extras, "showing", lambda new, *_: np.zeros(len(new.rows), dtype=bool))


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Fill a folder once, whichever process of the test run needs it first; tests only read it."""
    from astrojepa_bench.files import locked  # not before the hook above

    base = tmp_path_factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"

    def folder_of(name, fill):
        folder, finished = root / name, root / f"{name}.finished"
        with locked(folder):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # left by a process that failed half-way
                folder.mkdir(parents=True)
                fill(folder)
                finished.touch()
        return folder

    return folder_of
