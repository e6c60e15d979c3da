"""The examples of the guide on newer roles do what it says of them, in the bench itself."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.geometry.patches import covered
from astrojepa_bench.registry import load_registry
from astrojepa_bench.streams import Streams
from astrojepa_bench.testing import conform, subject_of
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress
from astrojepa_bench.versions import chain_of

GUIDE = (Path(__file__).parents[1] / "plugins" / "README.md").read_text()
SECTION = GUIDE.partition("\n## What newer methods need\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", SECTION, re.M | re.S)
GRID = PatchGrid.tiling(64, 8)
SIZES = MaskSizes(16, 4, 6)
OFFERED = {
    "annealed": "objective", "gathering": "masker", "curious": "objective", "followed": "masker",
    "summary": "encoder", "stripes:2": "masker", "spread": "evaluator",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Put the examples of the section into a folder, a file each."""
    path = tmp_path_factory.mktemp("examples")
    for number, text in enumerate(EXAMPLES):
        (path / f"guide_{number}.py").write_text(text)
    return path


@pytest.fixture(scope="module")
def offer(folder):
    """Return a function that finds what the examples offer."""
    registry = load_registry([folder])
    return lambda name: registry.get(OFFERED[name], name)


def drawn(masker, step=0, progress=1.0, hint=None, images=64):
    """Draw masks as a training does."""
    streams = Streams(0, step, torch.device("cpu"), progress=progress)
    return MaskDraw(masker, streams)(torch.rand(images, 3, 64, 64), SIZES, hint)


@pytest.mark.slow
@pytest.mark.parametrize("name", OFFERED)
def test_example_keeps_the_rules_of_its_role(offer, name):
    """What is shown to be copied is in order."""
    assert [str(fault) for fault in conform(subject_of(offer(name))).faults] == []


def test_a_hint_moves_the_masks_of_who_takes_it_and_of_nobody_else(offer):
    """With all weight on the first eight patches targets lie there; without a hint an eighth of them does."""
    followed, gathering = (offer(name).factory(GRID) for name in ("followed", "gathering"))
    hint = torch.zeros(64, GRID.patches)
    hint[:, :8] = 5.0

    assert (drawn(followed, hint=hint).targets < 8).float().mean() > 0.95
    assert abs((drawn(followed).targets < 8).float().mean() - 1 / 8) < 0.03
    assert torch.equal(drawn(gathering, hint=hint).targets, drawn(gathering).targets)


def test_a_curriculum_follows_the_progress_of_the_run(offer):
    """Six patches lie as far apart as uniform ones at the first step, and ever closer together."""
    masker = offer("gathering").factory(GRID)
    spreads = []
    for progress in (0.0, 0.5, 1.0):
        targets = drawn(masker, progress=progress).targets
        place = torch.stack([targets // 8, targets % 8], dim=-1).double()
        spreads.append(float(place.var(dim=2).sum(dim=-1).mean()))

    assert abs(spreads[0] - 2 * (8**2 - 1) / 12 * 64 / 63) < 0.6  # of six of 64 places, without replacement
    assert spreads[0] > 2 * spreads[1] > 2 * spreads[2]


def test_a_schedule_reaches_the_loss(offer):
    """At half the run the temperature is half-way; the loss is the cross-entropy at that temperature."""
    spec = ImageSpec(("r",), 64, (0.1,), (0.1,))
    torch.manual_seed(0)
    encoder = offer("summary").factory(spec)
    objective = offer("annealed").factory(encoder, encoder.grid, 2)
    batch = GalaxyBatch(torch.rand(8, 1, 64, 64), torch.arange(8), torch.full((8,), -1))
    losses, fresh = [], torch.arange(8)
    for progress in (0.0, 0.5, 1.0):
        streams = Streams(0, 0, torch.device("cpu"), progress=progress)
        losses.append(objective.loss(batch, None, streams))
    again = Streams(0, 0, torch.device("cpu"))
    views = [objective._placed(batch.images, again.local(f"view {view}")) for view in range(2)]

    assert [loss.terms["temperature"].item() for loss in losses] == pytest.approx([0.5, 0.3, 0.1])
    for loss, temperature in zip(losses, (0.5, 0.3, 0.1), strict=True):
        expected = F.cross_entropy(views[0] @ views[1].T / temperature, fresh)
        assert loss.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_family_has_members_and_says_which(folder):
    """A name that there is, and one that there is not."""
    registry = load_registry([folder])
    two, three = (registry.get("masker", f"stripes:{width}") for width in (2, 3))
    masks = drawn(two.factory(GRID))

    assert (two.factory.width, three.factory.width) == (2, 3)
    assert chain_of(two.factory).keys() == chain_of(three.factory).keys()
    assert not bool((covered(GRID, masks.targets).gather(1, masks.context)).any())
    with pytest.raises(ConfigError, match="no masker 'stripes:5'; the width is 1, 2, 3 or 4"):
        registry.get("masker", "stripes:5")


@pytest.mark.slow
def test_the_examples_run_together_in_the_bench(folder, tmp_path, capsys, monkeypatch):
    """From one folder: guided masks on an encoder with a class token, and a schedule, trained and scored."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 8, 512, "vit-micro", "tests"))
    few = ["--budget", "tiny", "--set", "dataset.galaxies=300", "--set", "objective.frozen=0.5"]
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--device", "cpu", "--json"]
    words = ["run", "--plugin", str(folder), "-m", "followed,gathering", "-e", "summary", "-E", "spread"]
    assert main([*words, "-o", "annealed,curious", "--no-floors", *few, *places]) == 0
    records = [json.loads(Path(each).read_text()) for each in json.loads(capsys.readouterr().out)["records"]]
    by_name = {(record["objective"], record["masker"]): record for record in records}
    annealed = by_name["annealed", "none"]
    steps = annealed["training"]["steps"]
    temperatures = dict(annealed["training"]["term_curves"]["temperature"])

    assert {masker for objective, masker in by_name if objective == "curious"} == {"followed", "gathering"}
    assert {record["status"] for record in records} <= {"ok", "collapsed"}
    assert annealed["health"]["steps_without_encoder"] == -(-steps // 2) - 1 > 0  # all before half the run
    assert temperatures[steps] == pytest.approx(0.5 - 0.4 * (steps - 1) / steps, abs=1e-4)
    metrics = {score["metric"] for score in annealed["scores"] if score["evaluator"] == "spread"}
    assert metrics == {"directions", "directions of class"}
    assert annealed["provenance"]["plugins"]["objective"] == f"file {folder.name}/guide_0.py"


def test_before_step_keeps_the_encoder_as_it_was(offer):
    """In the first tenth of a run the head learns alone; then the encoder moves too."""
    spec = ImageSpec(("r",), 64, (0.1,), (0.1,))
    encoder = offer("summary").factory(spec)
    objective = offer("annealed").factory(encoder, encoder.grid, 2, frozen=0.5)
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.1)
    batch = GalaxyBatch(torch.rand(8, 1, 64, 64), torch.arange(8), torch.full((8,), -1))
    moved = []
    for step in range(4):
        before = {name: value.detach().clone() for name, value in objective.named_parameters()}
        optimiser.zero_grad(set_to_none=True)
        objective.loss(batch, None, Streams(0, step, torch.device("cpu"), progress=step / 4)).total.backward()
        objective.before_step(Progress(step + 1, 4))
        optimiser.step()
        moved.append(
            {
                name.partition(".")[0]
                for name, value in objective.named_parameters()
                if not torch.equal(value, before[name])
            }
        )

    assert moved == [{"head"}, {"encoder", "head"}, {"encoder", "head"}, {"encoder", "head"}]
