"""Evaluators that break their word: none has a score, each is named, and no other loses one."""

import sys

from astrojepa_bench.plugin import Evaluation, Evaluator, Score, hookimpl

OFFERED, EXPECTED = {}, {}


class Mute(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text")


def throw(error):
    raise error


def becomes(**facts):
    """Make a constructor that declares other facts than its class does."""

    def __init__(self):
        vars(self).update(facts)

    return __init__


def offered(name, evaluate, **facts):
    """Offer an evaluator that evaluates like this."""
    facts = {
        "evaluate": evaluate,
        "__doc__": f"Evaluates {name}.",
        "__module__": __name__,
        "version": 1,
        **facts,
    }
    OFFERED[name], EXPECTED[name] = type(name, (Evaluator,), facts), "not scored"


def score(value=0.5, metric="share", n=5, **more):
    return Score("hostile", metric, value, True, n, **more)


offered("e-value-error", lambda self, features: throw(ValueError("boom of an evaluator")))
offered("e-key-error", lambda self, features: features.test.features["nowhere"])
offered("e-exits", lambda self, features: sys.exit(0))
offered("e-keyboard", lambda self, features: throw(KeyboardInterrupt()))
offered("e-memory", lambda self, features: throw(MemoryError()))
offered("e-mute", lambda self, features: throw(Mute()))
offered("e-generator-exit", lambda self, features: throw(GeneratorExit()))
offered("e-dict", lambda self, features: {"accuracy": 1.0})
offered("e-none", lambda self, features: None)
offered("e-nan", lambda self, features: Evaluation((score(float("nan")),)))
offered("e-chance-nan", lambda self, features: Evaluation((score(chance=float("nan")),)))
offered("e-se-infinite", lambda self, features: Evaluation((score(item_se=float("inf")),)))
offered("e-n-half", lambda self, features: Evaluation((score(n=2.5),)))
offered("e-metric-number", lambda self, features: Evaluation((score(metric=3),)))
offered("e-scores-text", lambda self, features: Evaluation("abc"))
offered("e-selection-nan", lambda self, features: Evaluation((score(),), selection={"C": float("nan")}))
offered("e-init", lambda self, features: None, __init__=lambda self: throw(ValueError("not today")))
offered("e-init-exits", lambda self, features: None, __init__=lambda self: sys.exit(0))
offered("e-requires-none", lambda self, features: Evaluation((score(),)), __init__=becomes(requires=None))
offered("e-metrics-text", lambda self, features: Evaluation((score(),)), __init__=becomes(metrics=("share",)))


@hookimpl
def astrojepa_evaluators():
    return OFFERED
