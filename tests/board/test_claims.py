"""Claims: their numbers come from records, and a sentence that the records stop supporting is named."""

import dataclasses
import re

import pytest

from astrojepa_bench.board.claim_answers import difference
from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import CLAIMS, Claims, read_claims
from astrojepa_bench.board.compare import Compared
from astrojepa_bench.board.findings import FINDINGS, claim_faults, findings_of, updated
from astrojepa_bench.board.table import build_board
from astrojepa_bench.errors import ConfigError, DataError

TEXT = """
headlines = ["wins"]
[places.sim]
title = "simulated galaxies"
[[chapters]]
title = "Who wins?"
text = "Three seeds."
[[chapters.tables]]
on = "sim"
entries = ["alpha+random", "untrained+none"]
metrics = ["linear.accuracy", "kmeans.purity"]
[[chapters.claims]]
id = "wins"
says = "`alpha` beats `beta` by {effect} [{low}, {high}]."
on = "sim"
compare = ["alpha+random", "beta+random"]
asserts = "better"
[[chapters.claims]]
id = "ties"
says = "`beta` and `gamma` cannot be told apart ({effect})."
on = "sim"
compare = ["beta+random", "gamma+random"]
asserts = "undecided"
effect_at_most = 1
[[chapters.claims]]
id = "masks"
says = "`brightness` is worth {effect} over {blocks}."
on = "sim"
factor = ["masker:brightness", "masker:random"]
asserts = "undecided"
[[chapters.claims]]
id = "high"
says = "`alpha` reads {value} ± {sd}."
on = "sim"
entry = "alpha+random"
at_least = 75
[[chapters.claims]]
id = "holds"
says = "`alpha` collapses in {collapsed} of {runs}."
on = "sim"
collapsed = "alpha+random"
at_most = 0
"""


def make(text, tmp_path):
    (tmp_path / CLAIMS).write_text(text)
    return read_claims(tmp_path)


@pytest.fixture
def claims(tmp_path):
    return make(TEXT, tmp_path)


@pytest.fixture(scope="module")
def world(make_run):
    """Make records in which every claim holds; an entry may be shifted, or its runs end in another way."""

    def runs(shift=None, status=None):
        jitter = (-0.008, 0.0, 0.008)
        means = {"alpha": 0.80, "beta": 0.70, "gamma": 0.701}
        found = [
            make_run(
                objective, masker, seed,
                mean + jitter[(seed + turn) % 3] + (shift or {}).get((objective, masker), 0.0),
                status=(status or {}).get((objective, masker), "ok"),
            )
            for turn, (objective, mean) in enumerate(means.items())
            for masker in ("random", "brightness")
            for seed in range(3)
        ]  # fmt: skip
        floors = [make_run("untrained", "none", s, 0.6 + jitter[s], standing="floor") for s in range(3)]
        return [*found, *floors]

    return runs


def checker(runs, claims):
    return Checker(build_board(runs), claims)


def test_what_the_records_support_stands_with_their_numbers(world, claims):
    """No number of a sentence is typed in."""
    found = checker(world(), claims).checked()

    assert claim_faults(found) == []
    assert found[0].sentence.startswith("`alpha` beats `beta` by +10.0 [+")
    assert found[2].sentence == "`brightness` is worth +0.0 over alpha, beta, gamma."
    assert found[3].sentence == "`alpha` reads 80.0 ± 0.8."
    assert found[4].sentence == "`alpha` collapses in 0 of 3."


BRIGHT = [(objective, "brightness") for objective in ("alpha", "beta", "gamma")]


def both(objective, by):
    """Shift an objective under both maskers, so that their difference stays."""
    return {"shift": dict.fromkeys([(objective, "random"), (objective, "brightness")], by)}


@pytest.mark.parametrize(
    ("change", "fallen", "reason"),
    [
        (both("beta", 0.1), {"wins", "ties"}, "asserts 'better', the records say"),
        (both("gamma", 0.1), {"ties"}, "asserts 'undecided', the records say 'worse'"),
        ({"shift": dict.fromkeys(BRIGHT, 0.1)}, {"masks"}, "asserts 'undecided', the records say 'better'"),
        (both("alpha", -0.06), {"high"}, "at least 75, the records say 74.0"),
        ({"status": {("alpha", "random"): "collapsed"}}, {"holds"}, "at most 0, the records say 3.0"),
        (both("beta", 0.012), {"ties"}, "an effect of at most 1, the records say 1.10"),
    ],
)
def test_records_that_change_break_the_sentences_that_rest_on_them(world, claims, change, fallen, reason):
    """Those and no others, and for the right reason."""
    found = checker(world(**change), claims).checked()

    assert {each.claim.id for each in found if each.fault} == fallen
    assert reason in " ".join(claim_faults(found))


def test_the_page_shows_broken_sentences_as_broken(world, claims, tmp_path):
    """And the board's first lines leave them out."""
    good = findings_of(tmp_path, build_board(world()))
    bad = findings_of(tmp_path, build_board(world(**both("beta", 0.2))))

    assert good.faults == ()
    assert "do not support" not in good.files[FINDINGS]
    assert "| `alpha + random + vit-micro`" in good.files[FINDINGS]
    assert "55.0" in good.files[FINDINGS]
    assert [text.startswith("`alpha` beats `beta` by +10.0 [") for text in good.headlines] == [True]
    assert (
        "**The records do not support this: it asserts 'better', the records say 'worse'"
        in bad.files[FINDINGS]
    )
    assert bad.headlines == ()
    assert any(fault.startswith("claim 'wins': it asserts 'better'") for fault in bad.faults)


def test_a_table_that_cannot_be_made_is_a_fault_and_no_crash(world, claims, tmp_path):
    """A board must be built of records that lack what a table asks for."""
    found = findings_of(tmp_path, build_board([run for run in world() if run.objective != "untrained"]))

    assert any("a table of 'Who wins?' cannot be made: 'untrained+none' means 0" in f for f in found.faults)
    assert "cannot be made" in found.files[FINDINGS]


def test_an_average_says_where_it_hides_differences(world, tmp_path):
    """One masker that helps one objective alone; the test is of all maskers, and the sentence of them."""
    claims = make(TEXT.replace("over {blocks}.", "over {blocks}.{interaction}"), tmp_path)
    alike, unlike = (
        checker(world(shift), claims).checked()[2].sentence
        for shift in (None, {("alpha", "brightness"): 0.1})
    )

    assert alike == "`brightness` is worth +0.0 over alpha, beta, gamma."
    assert unlike.endswith(
        " What the masker does depends on the objective (interaction p < 0.001), which averages hide."
    )


def test_tables_take_headings_and_say_which_cells_rest_on_fewer_seeds(world, tmp_path):
    """A metric that two of three seeds were scored by."""
    asked = (
        '"nuisance.accuracy_size_1"]\n[chapters.tables.titles]\n"nuisance.accuracy_size_1" = "small ones %"'
    )
    make(TEXT.replace('"kmeans.purity"]', asked), tmp_path)
    records = [
        run.model_copy(update={"scores": [*run.scores, run.scores[0].model_copy(
            update={"evaluator": "nuisance", "metric": "accuracy_size_1", "value": 0.25}
        )]})
        if run.seed < 2 else run
        for run in world()
    ]  # fmt: skip
    page = findings_of(tmp_path, build_board(records)).files[FINDINGS]

    assert "| small ones %" in page
    assert page.count("0.250 (2 seeds) |") == 2


def test_folders_without_claims_have_none(world, tmp_path):
    """Nothing is rendered, nothing is at fault."""
    assert findings_of(tmp_path, build_board(world())).files == {}


def test_marked_passages_of_other_documents_follow(world, claims):
    """Nothing else of them is touched."""
    found = checker(world(), claims).checked()
    text = "Before. <!-- claim:wins -->old<!-- end --> After."

    assert updated(text, found) == f"Before. <!-- claim:wins -->{found[0].sentence}<!-- end --> After."
    with pytest.raises(ConfigError, match="'lost' is marked and not made"):
        updated("<!-- claim:lost -->x<!-- end -->", found)


def test_marked_passages_of_a_chapter_are_filled(world, tmp_path):
    """So that an answer in a few lines can say what claims further down say."""
    mark = "Three seeds. <!-- claim:wins --><!-- end -->"
    make(TEXT.replace('text = "Three seeds."', f'text = "{mark}"'), tmp_path)
    found = findings_of(tmp_path, build_board(world()))

    assert f"Three seeds. <!-- claim:wins -->{found.headlines[0]}<!-- end -->" in found.files[FINDINGS]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('asserts = "better"', "", "it asserts nothing"),
        ('entry = "alpha+random"', 'entry = "alpha+random"\nasserts = "better"', "asserts is a verdict"),
        ('collapsed = "alpha', 'entry = "beta+random"\ncollapsed = "alpha', "about entry and collapsed"),
        ('entry = "alpha+random"', 'entry = "alpha+random"\neffect_at_least = 2', "of a difference, and entry has"),
        ('entry = "alpha+random"', 'figure = { file = "../far.json", value = "x" }', "no file of the board"),
        ('id = "ties"', 'id = "wins"', "two claims are called 'wins'"),
        ('on = "sim"\ncompare = ["beta', 'on = "moon"\ncompare = ["beta', "'moon' is no place"),
        ('headlines = ["wins"]', 'headlines = ["loses"]', "headline 'loses' is no claim"),
        ('title = "Who wins?"', 'title = "Who wins?', "is no TOML"),
    ],
)  # fmt: skip
def test_a_file_that_claims_nothing_in_order_is_refused(tmp_path, old, new, message):
    """In one line that names it and the fault."""
    with pytest.raises(DataError, match=message) as caught:
        make(TEXT.replace(old, new, 1), tmp_path)
    assert CLAIMS in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{effect} [{low}", "{value} [{low}", r"it has the slot \{value\}"),
        ('"beta+random"]\nasserts = "b', '"delta+random"]\nasserts = "b', r"'delta\+random' means 0 entries"),
        ('title = "simulated galaxies"', 'title = "x"\nfingerprint = "beef"', "means 0 sections"),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_checked_is_not_taken_as_true(world, tmp_path, old, new, reason):
    """It fails like one that is wrong."""
    found = checker(world(), make(TEXT.replace(old, new, 1), tmp_path)).checked()
    assert any(re.search(reason, each.fault) for each in found)


def test_claims_without_chapters_are_no_claims():
    """A file has at least places and chapters."""
    with pytest.raises(ValueError, match="chapters"):
        Claims.model_validate({"places": {}})


def test_a_lift_after_more_images_is_claimed_in_a_section_of_its_own(make_run, world, tmp_path):
    """The budget's name tells them apart; `small` alone still means runs of its own images."""

    def longer(by):
        each = {"budget": "small 64px 250000 seen"}
        runs = [make_run("alpha", "random", seed, 0.63 + by + 0.004 * seed, **each) for seed in range(3)]
        floors = [make_run("untrained", "none", s, 0.63, standing="floor", **each) for s in range(3)]
        return [run.model_copy(update={"budget": "small"}) for run in [*runs, *floors]]

    short = (
        'budget = "small"\n[places.long]\ntitle = "the same"\nbudget = "small, 250,000 images"\n[[chapters]]'
    )
    lift = """
[[chapters.claims]]
id = "learns"
says = "After 250,000 images it learns: {effect} [{low}, {high}]."
on = "long"
compare = ["alpha+random", "untrained+none"]
asserts = "better"
at_least = 0
effect_at_least = 2
"""
    claims = make(TEXT.replace("[[chapters]]", short, 1) + lift, tmp_path)
    found = checker([*world(), *longer(0.05)], claims)

    assert claim_faults(found.checked()) == []
    assert [each.budget for each in found.board.sections] == ["small", "small, 250,000 images"]
    assert found.checked()[-1].sentence.startswith("After 250,000 images it learns: +5.4 [+")
    (lost,) = claim_faults(checker([*world(), *longer(0.0)], claims).checked())
    assert "'learns': it asserts" in lost


@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.1, 2.0, "above"), (-2.0, -0.1, "below"), (-0.1, 0.1, "open")]
)
def test_an_exploratory_claim_is_settled_by_the_side_of_its_interval(low, high, side):
    """No family gives it a verdict, and still it must fall when the records turn."""
    names, middle = ("real", "alpha", "profile", "exploratory", "linear.accuracy"), (low + high) / 2
    found = Compared(*names, middle, low, high, "exploratory", "")

    assert difference(found, {}).settled == f"exploratory: {side}"
    assert difference(dataclasses.replace(found, verdict="better"), {}).settled == "better"
