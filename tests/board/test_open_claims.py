"""Open claims: the records choose the sentence, and one that has moved from what was committed is named."""

import itertools
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import CLAIMS, Claims, read_claims
from astrojepa_bench.board.findings import FINDINGS, VERDICTS, updated
from astrojepa_bench.board.render import check_board, doubts, read_board, write_board
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.store import Store

PLACES = {
    "gz": {"title": "real galaxies", "fingerprint": "beef", "effort": "small 64px 25000 seen"},
    "sim": {"title": "simulated galaxies", "fingerprint": "f00d"},
}
CONTESTANTS = ("alpha", "beta", "gamma", "delta", "epsilon")
TERA = 1e12


@pytest.fixture(scope="module")
def world(make_run):
    """Make records; what entries read on real or on simulated galaxies may be moved, and what they cost."""

    def runs(
        seeds=3, shift=None, anomalies=None, cost=None, later=0.0, status="ok", contestants=CONTESTANTS[:2]
    ):
        rng = np.random.default_rng(1)

        def made(objective, masker, seed, place, mean, **changed):
            dataset, fingerprint = ("hdf5", "beef") if place == "gz" else ("synthetic", "f00d")
            linear = (
                mean
                + (shift or {}).get((objective, masker), 0.0)
                + later * (seed >= 3)
                + 0.006 * rng.normal()
            )
            found = (anomalies or {}).get(place, {}).get(objective, 0.8) + 0.004 * rng.normal()
            values = {("linear", "accuracy"): linear, ("anomaly", "auroc_physical"): found}
            scores = [
                dict(evaluator=e, metric=m, value=v, chance=0.4, higher_is_better=True, n=608)
                for (e, m), v in values.items()
            ]
            flops = (cost or {}).get(objective, 1.0) * TERA * (objective != "untrained")
            return make_run(
                objective, masker, seed, scores=scores, dataset=dataset, fingerprint=fingerprint,
                budget="small 64px 25000 seen", cost={"flops": flops, "train_seconds": 9.0},
                health={"context_galaxy_share": 0.25}, **changed,
            )  # fmt: skip

        last, found = contestants[-1], []
        for place, seed in itertools.product(anomalies or ("gz",), range(seeds)):
            found += [
                made(each, "random", seed, place, 0.80 - 0.01 * at, status=status if each == last else "ok")
                for at, each in enumerate(contestants)
            ]
            found.append(made("alpha", "brightness", seed, place, 0.80))
            found.append(made("untrained", "none", seed, place, 0.70, standing="floor"))
        return found

    return runs


FOUR = {verdict: f"{verdict}: {{effect}} [{{low}}, {{high}}], {{reach}}, {{half}}, {{margin}}, {{needs}}."
        for verdict in ("better", "worse", "equivalent", "undecided")}  # fmt: skip


def claims_of(**claim):
    """Make a file of one claim."""
    return Claims.model_validate(
        {"places": PLACES, "chapters": [{"title": "?", "claims": [{"id": "it", "on": "gz", **claim}]}]}
    )


def told(records, out=Path(), settled=None, **claim):
    """Check one claim."""
    (found,) = Checker(build_board(records), claims_of(**claim), out, settled).checked()
    return found


MASKERS = {"compare": ("alpha+brightness", "alpha+random"), "says": FOUR}


@pytest.mark.parametrize(
    ("seeds", "by", "verdict"),
    [(3, 0.1, "better"), (3, -0.1, "worse"), (20, 0.0, "equivalent"), (3, 0.012, "undecided")],
)
def test_the_records_choose_the_sentence(world, seeds, by, verdict):
    """Twenty seeds call two maskers equal within two points; three leave a point open, and say what is open."""
    records = world(seeds, {("alpha", "brightness"): by})
    found = told(records, **MASKERS)

    assert (found.fault, found.settled) == ("", verdict)
    assert found.sentence.startswith(f"{verdict}: {'-' if found.sentence.split()[1][0] == '-' else '+'}")
    assert ", 2, " in found.sentence
    assert ("seeds of each would show one of" in found.sentence) is (verdict == "undecided")


def test_a_verdict_that_moved_is_named(world):
    """Against the one that was committed, whichever it was."""
    records = world(3, {("alpha", "brightness"): 0.1})

    assert told(records, settled={"it": "better"}, **MASKERS).fault == ""
    fault = told(records, settled={"it": "undecided"}, **MASKERS).fault
    assert fault.startswith("it was settled as 'undecided', the records say 'better' ([+")


@pytest.mark.slow
def test_the_first_seeds_alone_may_say_less(world):
    """What three seeds could not have seen, of the same runs."""
    records = world(20, {("alpha", "brightness"): 0.02})

    assert told(records, **MASKERS).settled == "better"
    few = told(records, seeds=3, **MASKERS)
    assert few.settled == "undecided"


SIDES = {
    verdict: f"{verdict}: {{better}} | {{worse}} | {{undecided_count}} of {{count}} | {{most}} {{effect}}"
    for verdict in ("better", "worse", "both", "undecided")
}
LIFTS = {"lifts": "self-supervised", "metric": "anomaly.auroc_physical", "says": SIDES}


@pytest.mark.slow
def test_for_whom_training_hurts(world):
    """Names, counts and the worst of them; another one that falls is another verdict."""

    def falling(**values):
        return world(anomalies={"gz": values}, contestants=CONTESTANTS[:4])

    found = told(falling(beta=0.7, gamma=0.6), **LIFTS)
    assert found.settled == "worse: worse `beta` (random), `gamma` (random)"
    assert found.sentence.startswith(
        "worse: none | `beta` (random), `gamma` (random) | 3 of 5 | `gamma` (random) -2"
    )
    more = told(falling(beta=0.7, gamma=0.6, delta=0.6), settled={"it": found.settled}, **LIFTS)
    assert more.fault.startswith(f"it was settled as '{found.settled}'")
    assert told(falling(), **LIFTS).settled == "undecided"
    assert told(falling(beta=0.7, delta=0.95), **LIFTS).settled.startswith("both: better `delta`")


LEADS = {
    "leads": "self-supervised",
    "says": {"one": "{leaders} of {of}", "several": "{leaders}; {best} {value} %"},
}


def test_who_may_lead(world):
    """One that stands far above the rest leads alone; entries that tie lead together."""
    several = told(world(), **LEADS)
    assert several.settled.startswith("several: `alpha` (")
    alone = world(shift={("beta", "random"): 0.15})
    assert told(alone, **LEADS).sentence == "`beta` (random) of 3"
    assert "settled as" in told(alone, settled={"it": several.settled}, **LEADS).fault


def test_where_one_entry_stands(world):
    """Alone at the top, among those that may be, or behind."""
    says = "{place}: {first}-{last} of {of}"
    asked = {"rank": "beta+random", "says": dict.fromkeys(("first", "leading", "behind"), says)}
    first, behind = (world(shift={("beta", "random"): by}) for by in (0.15, -0.15))

    assert told(first, **asked).sentence == "1: 1-1 of 3"
    assert told(world(), **asked).settled == "leading"
    assert "the records say 'behind'" in told(behind, settled={"it": "leading"}, **asked).fault


COST = {
    "cost": ("alpha+random", "beta+random"),
    "says": {"dearer": "{ratio} times ({first}, {second})", "cheaper": "less", "equal": "as much"},
}


def test_what_it_costs(world):
    """Operations of training, as a ratio and in TFLOP."""
    assert told(world(cost={"alpha": 6.9}), **COST).sentence == "6.9 times (6.9, 1)"
    assert told(world(), **COST).settled == "equal"
    assert "settled as 'dearer'" in told(world(cost={"alpha": 0.5}), settled={"it": "dearer"}, **COST).fault
    unknown = COST | {"cost": ("alpha+random", "untrained+none")}
    assert "untrained + none + vit-micro took are not known" in told(world(), **unknown).fault


AGREES = {
    "on": "sim",
    "agreement": "gz",
    "metric": "anomaly.auroc_physical",
    "says": {verdict: f"{verdict} {{rho}} of {{entries}}" for verdict in ("alike", "opposite", "undecided")},
}


def test_whether_the_simulator_may_be_trusted(world):
    """Equal orders are alike, reversed ones opposite; the interval decides, and the bounds are about it."""
    rising = {name: 0.5 + 0.1 * at for at, name in enumerate(CONTESTANTS)}
    falling = {name: 1.4 - value for name, value in rising.items()}
    alike, opposite = (
        world(2, anomalies={"gz": rising, "sim": other}, contestants=CONTESTANTS)
        for other in (rising, falling)
    )

    assert told(alike, **AGREES).settled == "alike"
    found = told(opposite, settled={"it": "alike"}, **AGREES)
    assert found.settled == "opposite"
    assert found.sentence.startswith("opposite -1.00 of")
    assert found.fault.startswith("it was settled as 'alike', the records say 'opposite' ([-")
    bound = AGREES | {"says": "{rho}", "at_least": 0.0}
    assert told(alike, **bound).fault == ""
    assert "at least 0, the records say -" in told(opposite, **bound).fault


@pytest.mark.slow
def test_how_forecasts_came_out(world):
    """Later seeds like the first ones are inside; ones that lie ten points off are not."""
    says = {"kept": "{inside} of {forecasts}", "missed": "missed", "wide": "wide"}
    asked = {"forecasts": True, "says": says, "at_least": 30, "on": ""}

    many = world(11)
    assert told(many, **asked).settled in ("kept", "wide")
    assert told(many, **asked).fault == told(many, **asked | {"on": "gz"}).fault == ""
    assert told(world(11, later=0.1), **asked).settled == "missed"
    assert "at least 30, the records say 4" in told(world(4), **asked).fault


def test_how_often_it_collapses(world):
    """None, or all."""
    says = {verdict: f"{verdict}: {{collapsed}} of {{runs}}" for verdict in ("none", "some", "all")}
    asked = {"collapsed": "beta+random", "says": says}
    assert told(world(), **asked).sentence == "none: 0 of 3"
    assert "settled as 'none'" in told(world(status="collapsed"), settled={"it": "none"}, **asked).fault


def test_what_masks_show(world):
    """A column of the board that is no score."""
    asked = {
        "entry": "alpha+random",
        "metric": "masks.context_galaxy_share",
        "says": "{value} %",
        "at_most": 30,
    }
    assert told(world(), **asked).sentence == "25.0 %"
    assert "at most 10, the records say 25.0" in told(world(), **asked | {"at_most": 10}).fault


FIGURE = {"on": "", "says": "{value} % [{low}, {high}]", "at_least": 80}


def test_numbers_of_other_files(world, tmp_path):
    """By keys and places in lists; a file that changed breaks the sentence."""
    path = tmp_path / "noise.json"
    path.write_text(json.dumps({"ceiling": {"accuracy": 91.2, "interval": [90, 92]}}))
    found = {"file": "noise.json", "value": "ceiling.accuracy", "low": "ceiling.interval.0"}
    assert told(world(), tmp_path, figure=found, **FIGURE).sentence == "91.2 % [90.0, 91.2]"
    wrong = {
        "holds no number 'ceiling.share', but None": found | {"value": "ceiling.share"},
        "holds no number 'ceiling.interval.2', but None": found | {"value": "ceiling.interval.2"},
        "lost.json cannot be read": found | {"file": "lost.json"},
    }
    for message, figure in wrong.items():
        assert message in told(world(), tmp_path, figure=figure, **FIGURE).fault

    path.write_text(json.dumps({"ceiling": {"accuracy": 70, "interval": [60]}}))
    assert "at least 80, the records say 60.0" in told(world(), tmp_path, figure=found, **FIGURE).fault
    path.write_text(json.dumps({"ceiling": {"accuracy": math.nan, "interval": [60]}}))
    assert "but nan" in told(world(), tmp_path, figure=found, **FIGURE).fault  # within no bounds


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (
            {"compare": ("a+b", "a+c"), "says": {"better": "x"}},
            "says nothing for worse, equivalent, undecided",
        ),
        (
            {"compare": ("a+b", "a+c"), "says": {**FOUR, "best": "x"}},
            "a sentence for 'best', but of compare the",
        ),
        ({"compare": ("a+b", "a+c"), "says": {"better": "x"}, "asserts": "worse"}, "says nothing for worse"),
        (
            {"cost": ("a+b", "a+c"), "says": "x", "asserts": "better"},
            "asserts 'better' is no verdict of cost",
        ),
        ({"entry": "a+b", "says": {"better": "x"}}, "but of entry there are no verdicts"),
        ({"entry": "a+b", "says": "x", "at_least": 1, "seeds": 3}, "seeds belongs to compare"),
        ({"leads": "a", "says": "x", "at_least": 1, "metric": "knn.accuracy"}, "metric belongs to compare"),
        ({"entry": "a+b", "says": "x", "at_least": 1, "on": ""}, "it stands nowhere"),
        ({"agreement": "moon", "says": "x", "at_least": 0}, "'moon' is no place"),
    ],
)
def test_claims_that_would_leave_something_unsaid_are_refused(claim, message):
    """Whatever comes out must have its sentence before the runs."""
    with pytest.raises(ValueError, match=message):
        claims_of(**claim)


def test_without_a_margin_nothing_is_equivalent():
    """So no sentence need be written for it."""
    three = {verdict: text for verdict, text in FOUR.items() if verdict != "equivalent"}
    claims_of(compare=("a+b", "a+c"), metric="anomaly.auroc_physical", says=three)


TEXT = """
headlines = ["it"]
[places.gz]
title = "real galaxies"
fingerprint = "beef"
[[chapters]]
title = "Who?"
[[chapters.claims]]
id = "it"
on = "gz"
compare = ["alpha+brightness", "alpha+random"]
[chapters.claims.says]
better = "`brightness` wins by {size}."
worse = "`random` wins by {size}."
equivalent = "They are equal within {margin}."
undecided = "{reach} is not excluded."
"""


@pytest.fixture
def folder(world, tmp_path):
    """A board with an open claim, built."""
    out = tmp_path / "board"
    for record in world(3, {("alpha", "brightness"): 0.1}):
        Store(out).write(record)
    (out / CLAIMS).write_text(TEXT)
    write_board(out)
    return out


@pytest.mark.slow
def test_a_board_writes_its_own_findings_and_says_when_a_verdict_moves(folder, world, capsys):
    """New records: `check` names the claim, `build` says so once and writes the other sentence."""
    assert check_board(folder) == []
    assert json.loads((folder / VERDICTS).read_text()) == {"it": "better"}
    assert "- `brightness` wins by 9." in (folder / FINDINGS).read_text()

    shutil.rmtree(folder / "runs")
    for record in world(3, {("alpha", "brightness"): -0.1}):
        Store(folder).write(record)
    (fault,) = [line for line in check_board(folder) if line.startswith("claim")]
    assert fault.startswith("claim 'it': it was settled as 'better', the records say 'worse'")
    capsys.readouterr()
    assert main(["leaderboard", "build", str(folder)]) == 0
    assert "settled as 'better'" in capsys.readouterr().err
    assert "- `random` wins by 1" in (folder / FINDINGS).read_text()
    assert check_board(folder) == doubts(folder, read_board(folder)) == []


def test_a_damaged_file_of_verdicts_is_one_line(folder):
    """It says how to mend it."""
    (folder / VERDICTS).write_text("[1]")
    with pytest.raises(DataError, match=r"holds no verdicts; delete it and run `leaderboard build"):
        check_board(folder)


def test_what_cannot_be_known_yet_says_so(world, tmp_path):
    """Records come in one after the other; nothing stands with its slots open."""
    (tmp_path / CLAIMS).write_text(TEXT.replace('"alpha+random"]', '"omega+random"]'))
    (found,) = Checker(build_board(world()), read_claims(tmp_path)).checked()

    assert found.sentence == "Not known yet (it)."
    assert "'omega+random' means 0 entries" in found.fault
    assert found.settled == ""


def test_while_runs_of_a_place_come_in_nothing_there_is_known(world, tmp_path):
    """What is claimed there is counted and left out, whatever the records say so far."""
    text = TEXT.replace('fingerprint = "beef"', 'fingerprint = "beef"\ncomplete = false')
    for record in world():
        Store(tmp_path).write(record)
    (tmp_path / CLAIMS).write_text(text)
    (found,) = Checker(read_board(tmp_path), read_claims(tmp_path)).checked()
    write_board(tmp_path)

    assert (found.fault, found.settled, found.awaited) == ("", "", True)
    assert updated("<!-- claim:it -->old<!-- end -->", [found]).endswith("-->Not known yet (it).<!-- end -->")
    assert "1 of 1 sentences are not known yet" in (tmp_path / FINDINGS).read_text()
    assert "real galaxies" not in (tmp_path / FINDINGS).read_text()
    assert check_board(tmp_path) == []


def test_slots_of_all_sentences_are_looked_at(world, tmp_path):
    """The records may choose any of them one day."""
    (tmp_path / CLAIMS).write_text(TEXT.replace("{size}", "{sized}"))  # in one that is not said
    (found,) = Checker(build_board(world()), read_claims(tmp_path)).checked()

    assert "it has the slot {sized}" in found.fault
