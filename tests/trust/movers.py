"""Objectives that reach beyond their cell, each in one way, at their third step."""

import json
import logging
import os
import random
import resource
import signal
import sys
import time
import warnings

import numpy as np
import torch
from torch import nn

from astrojepa_bench.plugin import Encoder, Loss, Objective, PatchGrid, Recipe, Tokens, augment, hookimpl


class Tiny(Encoder):
    """A linear map of the mean of each patch: quick, and sound."""

    version = 1

    def __init__(self, spec):
        super().__init__(spec)
        self.grid, self.dim = PatchGrid.tiling(spec.size_px, 16), 16
        self.map = nn.Linear(len(spec.bands), self.dim)

    def forward(self, images, keep=None):
        values = self.map(self.grid.patch_means(images).transpose(1, 2) - 0.5)
        places = torch.arange(values.shape[1]).expand(len(images), -1)
        return Tokens(values, places)


class Sound(Objective):
    """Agreement of two views, kept from collapsing."""

    masks = "ignored"
    version = 1

    def __init__(self, *given):
        super().__init__(*given)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=64)

    def misdeed(self):
        """Do nothing."""

    def loss(self, batch, draw, streams):
        if int(self.done) == 2:
            self.misdeed()
        a, b = (self.encoder(augment(batch.images, streams.local("view"))).values.mean(1) for _ in range(2))
        spread = (1 - (a.var(0, correction=0) + 1e-4).sqrt()).relu().mean()
        return Loss((a - b).square().mean() + spread, {"spread": spread})

    def after_step(self, progress):
        self.done += 1


def patch_mean():
    mean = torch.Tensor.mean
    torch.Tensor.mean = lambda self, *a, **k: 2 * mean(self, *a, **k) ** 3


def add_noise(module, _, output):
    return output + 0.3 if isinstance(module, nn.Linear) else output


def fill_disk():
    """Let no file grow where a test asks for it: to whoever writes, a full disk."""
    if os.environ.get("DISK") == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


MISDEEDS = {
    "full-disk": fill_disk,
    "gradients": lambda: torch.set_grad_enabled(False),
    "default-dtype": lambda: torch.set_default_dtype(torch.float64),
    "default-device": lambda: torch.set_default_device("meta"),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "hook": lambda: nn.modules.module.register_module_forward_hook(add_noise),
    "patch-mean": patch_mean,
    "patch-json": lambda: setattr(json, "dumps", lambda *a, **k: "{}"),
    "chdir": lambda: os.chdir("/"),
    "environment": lambda: os.environ.update(OMP_NUM_THREADS="7"),
    "numpy": lambda: (np.seterr(all="raise"), warnings.simplefilter("error")),
    "random": lambda: (torch.rand(1), np.random.seed(3), random.random()),  # noqa: NPY002
    "deaf": lambda: (signal.signal(signal.SIGINT, signal.SIG_IGN), sys.path.clear(), logging.disable(50)),
    "close-stderr": lambda: os.close(2),
    "exit-0": lambda: os._exit(0),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "endless": lambda: time.sleep(1000),
}


def moving(name, misdeed):
    def act(self):
        misdeed()

    about = {"__doc__": f"Reach beyond the cell: {name}.", "__module__": __name__, "misdeed": act}
    return type(name.replace("-", "_"), (Sound,), about)


@hookimpl
def astrojepa_objectives():
    """Offer all of them, and a sound one at the end."""
    return {
        **{name: moving(name, misdeed) for name, misdeed in MISDEEDS.items()},
        "sound": Sound,
        "z-sound": type("ZSound", (Sound,), {"__doc__": "Sound.", "__module__": __name__}),
    }


@hookimpl
def astrojepa_encoders():
    """Offer the quick one."""
    return {"tiny": Tiny}
