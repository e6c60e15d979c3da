"""What a reader sees of a table: names of entries and galaxies, columns, chance, and the notes below."""

import pytest

from astrojepa_bench.board.places import budget_name
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import build_board
from tests.board.conftest import rows_of


def test_entries_told_other_labels_say_so(make_run):
    """Two numbers of labels are two rows, named by what they were told and not by a hash."""
    runs = [make_run(linear=0.7 + n / 1e4) for n in (50, 500)]
    runs = [
        run.model_copy(
            update={"run_id": str(n), "entry_id": str(n), "identity": {**run.identity, "labels": n}}
        )
        for run, n in zip(runs, (50, 500), strict=True)
    ]
    assert sorted(rows_of(runs)) == [f"alpha + random + vit-micro (labels={n})" for n in (50, 500)]


def test_entries_of_one_name_are_told_apart_by_what_differs(make_run):
    """Two temperatures are two rows, each named by its temperature and by nothing that they share."""
    runs = [
        make_run(options={"masker": {"temperature": value, "same": 1}}, chain={"objective": {"own": version}})
        for value, version in ((0.5, "v1"), (1.0, "v1"))
    ]
    assert list(rows_of(runs)) == [
        "alpha + random + vit-micro (masker.temperature=0.5)",
        "alpha + random + vit-micro (masker.temperature=1.0)",
    ]


def test_altered_options_stand_behind_their_piece(make_run):
    """An entry that is not what its name stands for says so, even when it stands alone."""
    altered = {"objective": {"teacher": "none", "width": 32}, "masker": {"temperature": 0.5}}
    assert list(rows_of([make_run(altered=altered)])) == [
        "alpha(teacher=none, width=32) + random(temperature=0.5)"
    ]


def test_of_many_altered_options_three_are_named(make_run):
    """A name stays a name; entries whose named options agree are still told apart."""
    options = [{"objective": dict.fromkeys("abc", 1) | {"d": d}} for d in (1, 2)]
    rows = rows_of([make_run(options=each, altered=each) for each in options])
    assert list(rows) == [f"alpha(a=1, b=1, c=1, …) + random + vit-micro (objective.d={d})" for d in (1, 2)]


def test_entries_that_differ_in_nothing_shown_have_unlike_names(make_run):
    """When the difference is out of sight the entry's id tells rows apart."""
    many = [{f"o{i}": 0 for i in range(9)} | {"z": z} for z in range(2)]
    many = [{**options, **({f"o{i}": 1 for i in range(3)} if options["z"] else {})} for options in many]
    hidden = [dict.fromkeys(("a", "b", "c"), x) | {"d": y} for x, y in ((0, 0), (0, 1), (1, 0))]
    for choices in (many, hidden):
        rows = rows_of([make_run(options={"objective": options}) for options in choices])
        assert len(rows) == len(choices)


def test_columns_without_a_number_are_left_out(make_run):
    """What nobody measured is no column; what somebody measured is."""
    bare = make_run().model_copy(update={"scores": make_run().scores[:2], "health": {}})
    (section,) = build_board([bare]).sections
    keys = [column.key for column in section.columns]
    assert keys == [
        "linear.accuracy",
        "linear.balanced_accuracy",
        "cost.train_seconds",
        "cost.images_per_second",
    ]


def test_a_plugins_evaluator_gets_a_column(make_run):
    """A newcomer sees the number that their evaluator measured."""
    own = dict(evaluator="bars", metric="f1", value=0.25, higher_is_better=True, n=9)
    (section,) = build_board([make_run(scores=[own, {**own, "metric": "second"}])]).sections
    column = next(column for column in section.columns if column.source == "bars")
    assert column.text(section.rows[0].cells[column.key]) == "0.250"


def test_a_plugins_evaluator_describes_its_columns(make_run):
    """Title, unit and digits are its own, read from the record: the plugin need not be installed here."""
    names = ("f1", "f1_detail", "purity_0", "purity_1")
    scores = [dict(evaluator="bars", metric=m, value=0.25, higher_is_better=True, n=9) for m in names]
    metrics = [
        {"name": ".*_detail", "level": "detail"},
        {"name": "f1.*", "title": "bars F1 %", "scale": 100, "digits": 0, "level": "headline"},
        {"name": "purity_1", "level": "headline", "digits": 2, "of a later version": 1},
        {"name": "(", "level": "headline"},
        {"name": "purity_0", "level": "of a later version"},
    ]
    run = make_run(scores=scores, evaluators={"bars": {"version": "v1", "options": {}, "metrics": metrics}})
    (section,) = build_board([run]).sections
    columns = [column for column in section.columns if column.source == "bars"]

    assert [column.title for column in columns] == ["bars F1 %", "bars purity_1"]
    assert [c.text(section.rows[0].cells[c.key]) for c in columns] == ["25", "0.25"]
    assert section.columns.index(columns[0]) < [c.source for c in section.columns].index("cost")


def test_a_column_is_empty_where_its_evaluator_did_not_score(make_run):
    """The watch over training measures a rank too, of other galaxies: it is no score of the evaluator."""
    rank = dict(evaluator="collapse", metric="effective_rank", value=31.0, higher_is_better=True, n=608)
    scored = make_run("alpha", scores=[rank], health={"effective_rank": 10.0})
    unscored = make_run("beta", scores=[], health={"effective_rank": 10.0})
    rows = rows_of([scored, unscored])

    assert rows["alpha + random"].cells["collapse.effective_rank"].mean == 31.0
    assert "collapse.effective_rank" not in rows["beta + random"].cells


def test_an_evaluator_may_be_called_as_anything(make_run):
    """`cost` and `masks` are words of the board; a plugin's evaluator of that name has its own numbers."""
    names = ("cost", "masks", "lift")
    scores = [dict(evaluator=name, metric="m(", value=0.5, higher_is_better=True, n=9) for name in names]
    (section,) = build_board([make_run(scores=scores)]).sections

    assert all(section.rows[0].cells[f"{name}.m("].mean == 0.5 for name in names)


def test_a_class_held_out_of_the_scorer_gets_a_column(make_run):
    """Who asks for it finds it on the board, and nobody else has a column for it."""
    plain = make_run("alpha", "random", 0, 0.7)
    held = dict(evaluator="anomaly", metric="auroc_held_out", value=0.66, higher_is_better=True, n=608)
    asked = make_run("alpha", "random", 0, 0.7, scores=[*plain.facts()["scores"], held])
    titles = [[column.title for column in build_board([run]).sections[0].columns] for run in (plain, asked)]
    assert "held-out class AUROC %" not in titles[0]
    assert "held-out class AUROC %" in titles[1]


def test_skipped_combinations_are_listed_with_their_reason(make_run, lost_run):
    """A pair that cannot mean anything is no row but is not forgotten, once for all its seeds."""
    skipped = [lost_run("skipped", masker="none", seed=s, skip_reason="needs masks") for s in range(2)]
    (section,) = build_board([make_run(), *skipped]).sections
    assert [row.masker for row in section.rows] == ["random"]
    assert section.skipped == (("alpha + none + vit-micro", "needs masks"),)


def test_chance_levels_are_those_of_the_scores(six_entries):
    """The line of chance repeats what evaluators said, and has no number where there is none."""
    (section,) = build_board(six_entries).sections
    assert section.chance["linear.balanced_accuracy"] == pytest.approx(0.2)
    assert section.chance["linear.accuracy"] == pytest.approx(0.4)
    assert "collapse.effective_rank" not in section.chance


def test_the_board_says_what_its_test_set_resolves(six_entries):
    """608 galaxies at 74 %: 1.8 points of standard error, 1.96 sqrt 2 of it between two entries."""
    (section,) = build_board(six_entries).sections
    (note,) = [note for note in section.notes if note.startswith("608 test galaxies")]
    assert "±1.8 points" in note
    assert "from 4.9 points on" in note


def test_the_balanced_accuracy_has_an_error_of_its_own(make_run):
    """It rests on the rarest class; the error of the plain accuracy would flatter it."""
    plain = make_run()
    scores = [
        score.model_copy(update={"item_se": 0.023}) if score.metric == "balanced_accuracy" else score
        for score in plain.scores
    ]
    (section,) = build_board([plain.model_copy(update={"scores": scores})]).sections

    assert any("balanced accuracy of 68.0 % is within ±2.3 points" in note for note in section.notes)


def test_a_suite_titles_galaxies(make_run):
    """A reader knows 'Galaxy Zoo 2', not the loader that read a file."""
    board = build_board([make_run(), make_run(fingerprint="beef")], Rules(titles={"f00d": "Galaxy Zoo 2"}))

    assert {s.fingerprint: s.title for s in board.sections} == {"f00d": "Galaxy Zoo 2", "beef": "synthetic"}
    assert board.rules.titles == {"f00d": "Galaxy Zoo 2"}
    assert [s.title for s in build_board([make_run()]).sections] == ["synthetic"]


def test_why_an_evaluator_had_nothing_to_score_is_said(make_run):
    """A column that is missing has a reason."""
    (section,) = build_board([make_run(not_scored={"anomaly": "no known anomalies"})]).sections
    assert "alpha + random + vit-micro: anomaly not scored: no known anomalies" in section.notes


def test_warnings_of_evaluators_reach_the_reader(make_run):
    """What an evaluator warned of stands below the table, counted, with the entries that it is about."""
    end, tied = "C at the end of its grid", "neighbours are arbitrary"
    runs = [make_run(seed=s, warnings=[end]) for s in range(2)] + [make_run("beta")]
    floor = make_run("untrained", "none", standing="floor", encoder="majority", warnings=[tied])
    (section,) = build_board([*runs, floor]).sections
    assert f"alpha + random + vit-micro (2 runs): {end}" in section.notes
    assert f"untrained + none + majority: {tied}" in section.notes


def test_many_entries_of_one_warning_are_counted(make_run):
    """All of them are called so; of others the first three are named."""
    told = [make_run(name, warnings=["dim"]) for name in "abcde"]
    assert "All entries: dim" in build_board(told).sections[0].notes
    notes = build_board([*told, make_run("silent")]).sections[0].notes
    assert [note.partition(":")[0] for note in notes if note.endswith(": dim")] == [
        "a + random + vit-micro, b + random + vit-micro, c + random + vit-micro and 2 more"
    ]


def test_galaxies_of_one_data_set_are_told_apart_by_their_options(make_run):
    """Two fingerprints of one data set name the option in which they differ; one alone names none."""

    def run(fingerprint, **chosen):
        return make_run(fingerprint=fingerprint, options={"dataset": {"galaxies": 8000, **chosen}})

    centred, shifted = run("f00d", shift=0.0), run("beef", shift=8.0)
    assert [s.title for s in build_board([centred]).sections] == ["synthetic"]
    sections = build_board([centred, shifted]).sections
    assert {s.fingerprint: s.title for s in sections} == {
        "f00d": "synthetic(shift=0.0)",
        "beef": "synthetic(shift=8.0)",
    }


def test_a_budget_names_what_is_unusual_of_it():
    """Its own number of images goes without saying; another one is told, and so is arithmetic."""
    assert budget_name("small", None, "small 64px 25000 seen") == "small"
    assert budget_name("small", None, "small 64px 250000 seen") == "small, 250,000 images"
    assert budget_name("small", None, "small 64px 4200 FLOP") == "small, FLOP-matched"
    assert budget_name("mine", 500, "mine 64px 7 seen") == "mine, 500 pretraining galaxies"
