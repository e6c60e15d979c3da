"""The conformance kit: the rules for every component, as checks that report a fault and how to mend it.

A contributor's test file needs no more than this; pytest shows each check as a test of its own:

```python
from astrojepa_bench.testing import MaskerChecks
from astrojepa_ringlike import Ringlike


class TestRinglike(MaskerChecks):
    factory = Ringlike
```

`astrojepa-bench check NAME` runs the same checks: on a CPU, in seconds, on invented galaxies, without a network.
"""

from astrojepa_bench.testing.checks import Check, NotApplicable, Outcome
from astrojepa_bench.testing.conformance import (
    DatasetChecks,
    EncoderChecks,
    EvaluatorChecks,
    MaskerChecks,
    ObjectiveChecks,
)
from astrojepa_bench.testing.report import UNBUILT, Report, absent, checks_of, conform, subject_of

__all__ = [
    "UNBUILT",
    "Check",
    "DatasetChecks",
    "EncoderChecks",
    "EvaluatorChecks",
    "MaskerChecks",
    "NotApplicable",
    "ObjectiveChecks",
    "Outcome",
    "Report",
    "absent",
    "checks_of",
    "conform",
    "subject_of",
]
