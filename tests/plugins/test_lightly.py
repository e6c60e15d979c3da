"""Family `lightly:<name>`: each loss is fed as its paper feeds it, or refused with the reason; releases count."""

import importlib
import importlib.util
import pickle

import astrojepa_lightly
import pytest
import torch
from astrojepa_barlow_twins import BarlowTwins
from astrojepa_lightly import REFUSED, SERVED, LightlyLoss
from astrojepa_sigreg import sigreg
from astrojepa_simclr import SimCLR
from astrojepa_vicreg import vicreg_terms
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.options import resolve
from astrojepa_bench.registry import load_registry
from astrojepa_bench.testing import conform, subject_of
from astrojepa_bench.versions import chain_of

SMALL = {"projector": 32, "embedding": 16}
PARTS = {
    "WMSELoss": {"embedding": 8, "w_size": 16},
    "DirectCLRLoss": {"loss_dim": 8},
    "LeJEPALoss": {"sigreg_num_vectors": 32},
    "VISRegLoss": {"num_slices": 32},
}
WARNS = pytest.mark.filterwarnings("ignore:To copy construct from a tensor")  # DCLWLoss of 1.6


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def made(bench, name, encoder="vit", **options):
    small = {} if name == "DirectCLRLoss" else SMALL
    return bench.build(LightlyLoss.member(name), encoder, **{**small, **PARTS.get(name, {}), **options})


# --- what can be asked for ----------------------------------------------------------------------------------


def test_every_loss_of_the_release_is_served_or_refused_with_a_reason(lightly_losses):
    """A loss that a new release brings is noticed here."""
    offered = {name for name, value in vars(lightly_losses).items() if isinstance(value, type)}

    assert offered == {*SERVED, *REFUSED}
    assert not {*SERVED} & {*REFUSED}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_why_in_one_line(lightly_losses, name):
    """And names the loss."""
    with pytest.raises(ConfigError, match=f"lightly's {name} cannot be fed") as caught:
        LightlyLoss.member(name)
    assert REFUSED[name] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(lightly_losses, registry):
    """Letters in other cases, and names of methods."""
    with pytest.raises(ConfigError, match="did you mean lightly:NTXentLoss"):
        registry.get("objective", "lightly:ntxentloss")
    with pytest.raises(ConfigError, match="lightly:BarlowTwinsLoss"):
        registry.get("objective", "lightly:barlow-twins")


def test_emp_ssl_rewards_collapse_which_is_why_it_is_refused(lightly_losses):
    """One point costs less than spread embeddings; a release that mends this may be served."""
    spread = F.normalize(torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    point = spread[:1].expand(64, -1)
    loss = lightly_losses.EMPSSLLoss()

    assert float(loss([point, point])) < float(loss([spread, spread]))


def test_options_of_the_loss_are_options_of_the_objective(lightly_losses, registry):
    """With lightly's defaults, types and words, beside those of the views."""
    offer = registry.get("objective", "lightly:NTXentLoss")
    options = {option.name: option for option in offer.options}

    assert (options["temperature"].type, options["temperature"].default) == ("float", 0.5)
    assert "temperature" in options["temperature"].doc
    assert {"projector", "embedding", "scale", "learning_rate", "batch_size"} <= {*options}
    assert {"memory_bank_size", "gather_distributed", "lightly"}.isdisjoint(options)
    assert resolve(offer, {"temperature": "0.2"})["temperature"] == 0.2
    assert offer.summary.startswith("lightly's NTXentLoss")
    assert not any("projector" in o.name for o in registry.get("objective", "lightly:DirectCLRLoss").options)


def test_the_release_is_a_part_of_the_version(lightly_losses, registry, monkeypatch):
    """Another release may give other numbers, and no integer of ours would say so."""
    before = chain_of(registry.get("objective", "lightly:DCLLoss").factory)
    monkeypatch.setattr(astrojepa_lightly, "release_of", lambda _package: "9.9.9")
    after = chain_of(registry.get("objective", "lightly:DCLLoss").factory)

    assert before["own"] == after["own"] == "v1"
    assert {name for name in before if before[name] != after[name]} == {"partial.lightly"}


def test_an_impossible_option_of_a_loss_is_refused_in_its_own_words(lightly_losses, bench):
    """Its own message, and the name of the library."""
    with pytest.raises(ConfigError, match="lightly's MACLLoss refuses its options: Alpha must be"):
        made(bench, "MACLLoss", alpha=2.0)


# --- without lightly ----------------------------------------------------------------------------------------


def test_without_lightly_one_line_says_what_to_install(registry, monkeypatch):
    """The family is on the list all the same."""

    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(astrojepa_lightly, "release_of", absent)
    with pytest.raises(
        ConfigError, match=r"need the package lightly; run pip install 'astrojepa-bench\[lightly\]'"
    ):
        registry.get("objective", "lightly:NTXentLoss")
    assert "lightly:<name>" in {offer.name for offer in registry.offers("objective")}


def test_without_lightly_the_list_says_so(monkeypatch):
    """In the first line of the family, which is what `list` shows; nothing of lightly is imported for it."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "lightly" else found(name, *more)
    )
    spec = importlib.util.spec_from_file_location("astrojepa_lightly_absent", astrojepa_lightly.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    assert module.LightlyLoss.__doc__.startswith(
        "Not installed, pip install 'astrojepa-bench[lightly]' brings it."
    )


# --- how losses are fed -------------------------------------------------------------------------------------


@WARNS
@pytest.mark.parametrize("name", SERVED)
def test_a_loss_reaches_every_weight_that_learns(lightly_losses, bench, no_draw, name):
    """One finite number, whose slope is finite and reaches the encoder; teachers get none."""
    method = made(bench, name)
    loss = method.loss(bench.batch(32), no_draw, bench.streams())
    loss.total.backward()
    trained = {key: each.grad for key, each in method.named_parameters() if each.requires_grad}

    assert loss.first_non_finite() is None
    assert {key for key, slope in trained.items() if slope is None} == set()
    assert all(bool(slope.isfinite().all()) for slope in trained.values())
    assert any(slope.any() for key, slope in trained.items() if key.startswith("encoder"))


def test_barlow_twins_of_lightly_is_ours(lightly_losses, bench, no_draw):
    """Same views, same projector, same weights: the two objectives give one loss."""
    ours = bench.build(BarlowTwins, projector=24).loss(bench.batch(), no_draw, bench.streams())
    theirs = made(bench, "BarlowTwinsLoss", projector=24, embedding=24).loss(
        bench.batch(), no_draw, bench.streams()
    )

    torch.testing.assert_close(ours.total, theirs.total, rtol=1e-5, atol=1e-5)


def test_vicreg_of_lightly_is_ours(lightly_losses):
    """Three terms with the weights of the released code."""
    views = 0.6 * torch.randn(2, 30, 9, generator=torch.Generator().manual_seed(0)) + 0.2
    terms = vicreg_terms(*views)
    ours = 25 * terms["invariance"] + 25 * terms["variance"] + terms["covariance"]

    torch.testing.assert_close(ours, lightly_losses.VICRegLoss()(*views), rtol=1e-5, atol=1e-5)


def test_sigreg_of_lightly_is_ours(lightly_losses):
    """Its slices come from the global generator: from one seed they are the same."""
    views = torch.randn(3, 40, 8, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = lightly_losses.SIGReg(num_vectors=64)(views)

    ours = sigreg(views, torch.Generator().manual_seed(0), slices=64)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_views_are_those_of_the_shipped_objectives(lightly_losses, bench):
    """A row of this family differs from theirs in its loss, its projector, and the recipe, which nobody tuned."""
    recipe = {"learning_rate": 2e-3, "batch_size": 128}
    pair = made(bench, "NTXentLoss"), bench.build(SimCLR, projector=32, embedding=16, **recipe)

    assert torch.equal(*(method.views(bench.batch(), bench.streams()) for method in pair))
    assert len({method.recipe() for method in pair}) == 1


def test_simsiam_stops_the_gradient_of_what_is_predicted(lightly_losses, bench):
    """A prediction of a constant target leaves no slope on it."""
    method = made(bench, "NegativeCosineSimilarity")
    first, second = torch.randn(2, 8, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    answers = method.predictor(first), method.predictor(second)
    expected = -(
        F.cosine_similarity(answers[0], second.detach()) + F.cosine_similarity(answers[1], first.detach())
    )
    views = torch.stack([first, second]).detach().requires_grad_()
    held = torch.autograd.grad(method.compared(views), views)[0]
    slope = torch.autograd.grad(expected.mean() / 2, (first, second))

    torch.testing.assert_close(held, torch.stack(slope))


def test_what_tico_remembers_belongs_to_its_weights(lightly_losses, bench, no_draw):
    """Its running covariance is a buffer, so a resumed run goes on with it; its teacher follows."""
    method = made(bench, "TiCoLoss")
    method.loss(bench.batch(), no_draw, bench.streams())
    kept = method.state_dict()["criterion.C"]

    assert kept.shape == (16, 16)
    assert float(kept.trace()) == pytest.approx(0.1, rel=1e-4)  # a tenth of unit vectors' mean square
    assert {"teacher.embed.weight", "teacher_head.0.weight", "start_left"} <= method.state_dict().keys()


def test_an_objective_can_go_to_another_process(lightly_losses, bench):
    """Its class is found by name there."""
    method = made(bench, "MMCRLoss")

    assert type(pickle.loads(pickle.dumps(method))) is type(method)
    with pytest.raises(AttributeError, match="has no attribute 'Other_Loss'"):
        _ = astrojepa_lightly.Other_Loss


@pytest.mark.slow
def test_a_member_keeps_the_rules(lightly_losses, registry):
    """The conformance kit finds no fault."""
    found = conform(subject_of(registry.get("objective", "lightly:FroSSLLoss")))
    assert {outcome.id for outcome in found.faults} == set()


@pytest.mark.slow
@WARNS
@pytest.mark.parametrize("name", SERVED)
def test_no_loss_collapses_as_it_is_fed(lightly_losses, bench, name):
    """After 60 steps on new views the projections of galaxies point to more directions than before."""
    method = made(bench, name, "linear")

    def spread():
        with torch.no_grad():
            return bench.spread(method.projected(bench.batch(32, 8), bench.streams())[0])

    before = spread()
    bench.train(method, 60, learning_rate=2e-3, galaxies=32)
    assert spread() > before + 0.05
