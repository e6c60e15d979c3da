"""Objectives that are told labels or columns, with recipes of every make, pass `check`; who hides it does not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from astrojepa_bench.plugin import Loss, Objective, Recipe, augment


class Semi(Objective):
    """Two views agree for every galaxy; a head tells the classes of those that have one."""

    masks = "ignored"
    labels = "some"

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, classes)

    def recipe(self):
        return Recipe(1e-3, batch_size=16, clip=None, scales_with="sqrt", reference_batch=64)

    def loss(self, batch, draw, streams):
        first, second = (augment(batch.images, streams.local("views")) for _ in range(2))
        views = [self.encoder(view).values.mean(1).float() for view in (first, second)]
        agree = (views[0] - views[1]).square().mean()
        named = self.head(views[0])
        surprise = functional.cross_entropy(named, batch.labels, ignore_index=-1, reduction="sum")
        told = (batch.labels >= 0).sum().clamp(min=1)
        return Loss(agree + surprise / told, {"agree": agree, "surprise": surprise / told})


class Regresses(Objective):
    """Predicts a number that is not always known, with LARS, rates by name and a batch in parts."""

    masks = "ignored"
    columns = ("redshift",)

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 1)

    def recipe(self):
        rates = {"head.*": 5.0, "encoder.embed.*": 0.0}
        return Recipe(
            0.2, batch_size=16, optimiser="lars", rates=rates, accumulation=4, schedule={0: 1.0, 1: 0.1}
        )

    def loss(self, batch, draw, streams):
        redshift = batch.columns["redshift"]
        known = redshift.isfinite()
        said = self.head(self.encoder(batch.images).values.mean(1)).float()[:, 0]
        wrong = torch.where(known, said - redshift.nan_to_num(), 0.0).square()
        return Loss(wrong.sum() / known.sum().clamp(min=1), {})


class Spectra(Objective):
    """Image and spectrum agree; what was seen of a galaxy before is kept in a memory of one row each."""

    masks = "ignored"
    columns = {"spectrum": 24}  # noqa: RUF012 as authors write it

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.spectrum = nn.Linear(24, encoder.dim)
        self.register_buffer("memory", torch.zeros(0, encoder.dim))

    def recipe(self):
        return Recipe(1e-3, batch_size=8, optimiser="muon", hidden="encoder.blocks.*.weight")

    def loss(self, batch, draw, streams):
        if len(self.memory) < batch.galaxies:
            self.memory = torch.zeros(batch.galaxies, self.encoder.dim, device=batch.images.device)
        spectrum = batch.columns["spectrum"]
        known = spectrum.isfinite().all(1).float()
        image = self.encoder(batch.images).values.mean(1).float()
        away = (image - self.spectrum(spectrum.nan_to_num()).float()).square().mean(1)
        before = (image - self.memory[batch.places]).square().mean()
        self.seen = batch.places, image.detach()
        return Loss((away * known).mean() + 0.1 * before, {"before": before})

    @torch.no_grad()
    def after_step(self, progress):
        places, image = self.seen
        self.memory[places] = image


class Hides(Regresses):
    """Reads whatever columns there are."""

    columns = ("redshift",)

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total + sum(column.nansum() for column in batch.columns.values()), {})


class Deaf(Semi):
    """Declares labels and does not listen."""

    def loss(self, batch, draw, streams):
        return Loss(super().loss(batch, draw, streams).terms["agree"], {})


@pytest.mark.slow
@pytest.mark.parametrize("factory", [Semi, Regresses, Spectra], ids=lambda factory: factory.__name__.lower())
def test_an_objective_that_is_told_more_breaks_no_rule(outcomes, factory):
    """With every optimiser it resumes to the same bits, at the edge cases too."""
    if factory is Spectra and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before 2.9")
    assert [str(outcome) for outcome in outcomes("objective", factory).values() if outcome.fix] == []


@pytest.mark.parametrize(("factory", "rule"), [(Hides, "objective-columns"), (Deaf, "objective-labels")])
def test_who_listens_to_other_things_than_it_declares_is_found(fault, factory, rule):
    """What was read stands on the board, so it has to be true."""
    assert fault("objective", rule, factory)
