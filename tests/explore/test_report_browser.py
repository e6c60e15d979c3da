"""A report in Chromium: nothing is fetched or complained of, and it is usable on a phone and in the dark."""

import re
import shutil
import subprocess

import pytest
from matplotlib.figure import Figure

from astrojepa_bench.explore.report_page import ReportPicture, ReportSection, Table, TableCell, Text, render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
LINK = "https://www.legacysurvey.org/viewer?ra="
# Asks the page what a reader would see; the page itself runs no script, so its policy is lifted for the question.
PROBE = """<script>
addEventListener("load", () => {
  const pictures = [...document.images];
  const facts = {
    loaded: pictures.filter(picture => picture.complete && picture.naturalWidth > 0).length,
    pictures: pictures.length,
    overflow: document.documentElement.scrollWidth - innerWidth,
    beyond: Math.max(...[...document.querySelectorAll("table")].map(table =>
      table.getBoundingClientRect().right - table.parentElement.getBoundingClientRect().right)),
    width: innerWidth,
    requests: performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).length,
    page: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color,
  };
  document.title = "facts " + JSON.stringify(facts);
});
</script>"""


def small_figure(width):
    figure = Figure(figsize=(width, 2))
    figure.subplots().plot([0, 1])
    return figure


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a page with everything on it that could be too wide."""
    facts = [["1", TableCell("J0001" * 12, "index 3", f"{LINK}1.5&dec=2"), "In-between Round Smooth"]] * 3
    scores = [
        [TableCell("recall of Unbarred Tight Spiral Galaxies ↑", "share of them " * 6)]
        + ["0.6133 ± 0.0199"] * 8
    ]
    sections = [
        ReportSection("Scores", [Text("word " * 80), Text("a warning", "warning"), Text("not here", "absent"),
                                 Table(["metric"] + [f"untrained vit-{i}" for i in range(8)], scores,
                                       numbers=frozenset(range(1, 9)))]),
        ReportSection("Map", [ReportPicture.of(small_figure(side), "a line") for side in (9, 4)]),
        ReportSection("Anomalies", [Table(["rank", "id", "class"] + [f"mahalanobis distance {i}" for i in range(9)],
                                    [[*row, *["123.45678"] * 9] for row in facts],
                                    numbers=frozenset(range(3, 12)))]),
        ReportSection("Provenance", [Table(["what", "value"], [["options", "x" * 300]], code=True)]),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(
        render("<b>A run</b>", "of a test", sections, [("zoo", "licence: CC BY 4.0. Cite: Doe.")])
    )
    return path


def chromium(page, *flags):
    """Open a page without a network; give the page as it ended and what Chromium logged."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--enable-logging=stderr", "--log-level=0", "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={page.parent / 'profile'}", "--hide-scrollbars", "--timeout=15000", *flags,
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return done.stdout, done.stderr


def facts_of(page, *flags):
    probed = page.with_name("probed.html")
    open_policy = re.sub(r"<meta http-equiv=.*?>", "", page.read_text())
    probed.write_text(open_policy.replace("</head>", f"{PROBE}</head>"))
    dom, _ = chromium(probed, "--dump-dom", *flags)
    found = re.search(r"<title>facts ({.*?})</title>", dom)
    return {key: value.strip('"') for key, value in re.findall(r'"(\w+)":("[^"]*"|-?[\d.]+)', found[1])}


def test_console_stays_silent_under_the_pages_own_policy(page):
    """A blocked image, style or request would be an error on the console."""
    dom, log = chromium(page, "--dump-dom")

    assert "CONSOLE" not in log
    assert "&lt;b&gt;A run&lt;/b&gt;" in dom


def test_policy_would_be_broken_aloud(page):
    """The control: an image from elsewhere is refused, and the console says so."""
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text().replace("</main>", '<img src="https://example.org/x.png"></main>'))

    assert "Content Security Policy" in chromium(broken, "--dump-dom")[1]


def test_pictures_load_and_nothing_is_requested(page):
    """Every picture has pixels, and none came from outside the file."""
    facts = facts_of(page, "--window-size=1200,900")

    assert facts["loaded"] == facts["pictures"] == "2"
    assert facts["requests"] == "0"


def test_page_fits_a_narrow_window(page):
    """At 1000 px, at 500, the narrowest window of Chromium, and in a frame of 400: only pictures scroll."""
    for width in (1000, 500):
        facts = facts_of(page, f"--window-size={width},900")
        assert float(facts["overflow"]) <= 0
        assert float(facts["beyond"]) <= 0.5, width
    frame = page.with_name("frame.html")
    inner = page.with_name("probed.html").name
    inside = {
        "document.documentElement.scrollWidth - innerWidth":
            "frames[0].document.documentElement.scrollWidth - frames[0].innerWidth",
        "width: innerWidth": "width: frames[0].innerWidth",
        "document.querySelectorAll": "frames[0].document.querySelectorAll",
    }  # fmt: skip
    script = PROBE
    for outer, inner_text in inside.items():
        script = script.replace(outer, inner_text)
    frame.write_text(
        f'<!doctype html><title>t</title>{script}<iframe src="{inner}" width="400" height="800" style="border:0">'
    )
    dom, _ = chromium(frame, "--dump-dom", "--allow-file-access-from-files")
    found = dict(
        re.findall(r'"(\w+)":("[^"]*"|-?[\d.]+)', re.search(r"<title>facts ({.*?})</title>", dom)[1])
    )

    assert found["width"] == "400"
    assert float(found["overflow"]) <= 0
    assert float(found["beyond"]) <= 0.5


def test_page_turns_dark_with_its_reader(page):
    """Light ink on a dark page, and the other way round."""
    light, dark = (
        facts_of(page),
        facts_of(page, "--force-dark-mode", "--blink-settings=preferredColorScheme=0"),
    )

    def brightness(colour):
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness(light["page"]) > brightness(light["ink"]) + 300
    assert brightness(dark["ink"]) > brightness(dark["page"]) + 300
