"""Checks every shape and type annotation of the ruler and of the contestants while the tests run."""

import os
import sys
from pathlib import Path
from types import ModuleType

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported; processes that tests start inherit it

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
