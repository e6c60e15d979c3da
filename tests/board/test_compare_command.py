"""`leaderboard compare` on the command line and `compare` in Python: the same words, the same numbers."""

import json

import pytest

import astrojepa_bench
from astrojepa_bench.cli import main
from astrojepa_bench.results.store import Store


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_run):
    """Return a folder in which alpha stands ten points above beta."""
    out = tmp_path_factory.mktemp("out")
    for objective, mean in (("alpha", 0.8), ("beta", 0.7)):
        for seed in range(3):
            Store(out).write(make_run(objective, "random", seed, mean + 0.004 * seed))
    return out


def test_what_is_printed_is_a_sentence_for_each_metric(folder, capsys):
    """Headline first, neighbours after it."""
    assert main(["leaderboard", "compare", "alpha+random", "beta+random", "--out", str(folder)]) == 0
    first, second = capsys.readouterr().out.strip().split("\n\n")

    assert "is better than beta + random + vit-micro in linear accuracy: +10.0 points" in " ".join(
        first.split()
    )
    assert "in k-NN accuracy: +10.0 points" in " ".join(second.split())


def test_json_and_python_hold_the_same_numbers(folder, capsys):
    """Nothing else is on stdout."""
    assert (
        main(["leaderboard", "compare", "alpha+random", "beta+random", "--out", str(folder), "--json"]) == 0
    )
    found = json.loads(capsys.readouterr().out)["comparisons"]

    assert found == [
        each.facts() for each in astrojepa_bench.compare("alpha+random", "beta+random", out=folder)
    ]
    assert found[0]["effect"] == pytest.approx(10)


def test_in_python_a_comparison_is_an_object(folder):
    """Effect, interval and verdict of the headline; all in words, in a table, and in short."""
    found = astrojepa_bench.compare("alpha+random", "beta+random", out=folder)
    low, high = found.interval

    assert 0 < low < found.effect < high
    assert (found.verdict, len(found)) == ("better", 2)
    assert "is better than beta + random + vit-micro in linear accuracy: +10.0 points" in found[0].sentence
    assert found.text.count("points") >= 2
    assert found.table["effect"].tolist() == [each.facts()["effect"] for each in found]
    assert "+10.0 points" in repr(found)
    assert len(repr(found)) < 250
    assert f"[{low:+.1f}, {high:+.1f}]" in found._repr_html_()


def test_an_unknown_entry_is_one_line_and_code_2(folder, capsys):
    """With what there is."""
    assert main(["leaderboard", "compare", "alfa+random", "beta+random", "--out", str(folder)]) == 2
    assert "no entry is called 'alfa+random'; did you mean 'alpha+random'" in capsys.readouterr().err
