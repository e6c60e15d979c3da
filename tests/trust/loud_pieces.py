"""An objective that prints wherever it can, and one at whose third step a person interrupts."""

import atexit
import os
import signal
import subprocess
import sys

from astrojepa_file_sound_pieces import Spreads

from astrojepa_bench.plugin import hookimpl


def shout(name):
    """Print as Python, by the file descriptor, to what `sys` remembers, and through a program."""
    print(f"{name} NOISE")
    os.write(1, b"NOISE by number\n")
    print("NOISE to what was stdout", file=sys.__stdout__, flush=True)
    subprocess.run(["echo", "NOISE of a program"], check=True)


shout("import")
atexit.register(shout, "exit")


class Loud(Spreads):
    """Prints at every step."""

    version = 1

    def loss(self, batch, draw, streams):
        shout("loss")
        return super().loss(batch, draw, streams)


class Stopped(Spreads):
    """The signal of a person at the keyboard comes at the third step, if the environment asks for it."""

    version = 1

    def loss(self, batch, draw, streams):
        if self.done == 2 and "INTERRUPT" in os.environ:
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(batch, draw, streams)


@hookimpl
def astrojepa_objectives():
    return {"loud": Loud, "stopped": Stopped}
