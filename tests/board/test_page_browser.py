"""The page in Chromium, over its DevTools pipe: sorting, filtering, keys, colours, a telephone, silence."""

import itertools
import json
import os
import shutil
import subprocess
import time

import pytest

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.table import build_board

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
HOSTILE = "</script><script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">"
PHONE = dict(width=390, height=844, deviceScaleFactor=1, mobile=True)
DESK = dict(width=1280, height=900, deviceScaleFactor=1, mobile=False)
KEYS = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, " ": 32}


class Browser:
    """One headless Chromium with one page, told what to do in messages that end with a zero byte.

    Attributes:
        events: what it reported unasked, by method.
    """

    def __init__(self, profile):
        theirs, self.write = os.pipe()
        self.read, their_write = os.pipe()
        flags = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe"
        command = (
            f'exec "{CHROMIUM}" {flags} "--user-data-dir={profile}" about:blank 3<&{theirs} 4>&{their_write}'
        )
        self.process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(theirs, their_write), stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(their_write)
        self.rest, self.numbers, self.events, self.session = b"", itertools.count(1), [], None
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.tell(f"{domain}.enable")

    def tell(self, method, **parameters):
        """Send one command and return its result."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                self.rest += os.read(self.read, 1 << 20)
            text, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append((answer["method"], answer["params"]))

    def open(self, path, *, fragment="", dark=False, screen=DESK):
        """Load a file and wait until it stands."""
        self.events.clear()
        self.tell("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.tell("Page.navigate", url="about:blank")
        self.tell("Page.navigate", url=path.as_uri() + fragment)
        deadline = time.monotonic() + 30
        while self("document.readyState") != "complete" or self("location.href") == "about:blank":
            assert time.monotonic() < deadline, "the page never loaded"
        return self

    def __call__(self, script):
        """Evaluate an expression in the page."""
        found = self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key):
        """Press and release a key, as a hand would."""
        facts = dict(key=key, code="Space" if key == " " else key, windowsVirtualKeyCode=KEYS[key])
        text = {"Enter": "\r", " ": " "}.get(key)
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.tell("Input.dispatchKeyEvent", **facts, **down)
        self.tell("Input.dispatchKeyEvent", **facts, type="keyUp")

    def close(self):
        self.session = None
        self.tell("Browser.close")
        self.process.wait(30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory, six_entries, make_run):
    """A page with two tabs, long names and hostile ones."""
    curve = [(step, 1.0 / (step + 1)) for step in range(50)]
    runs = [
        *six_entries,
        *(
            make_run(f"objective{i}", "brightness", 0, 0.5 + i / 100, training={"loss_curve": curve})
            for i in range(4)
        ),
        *(make_run("alpha", masker, 0, 0.6, budget="standard") for masker in ("random", "brightness")),
        make_run("a-very-long-name-of-an-objective-" * 3, "unbreakable" * 9),
        make_run(HOSTILE, HOSTILE, options={"objective": {HOSTILE: HOSTILE}}, warnings=[HOSTILE]),
    ]
    page = tmp_path_factory.mktemp("page") / "index.html"
    page.write_text(html_page(build_board(runs), findings=[HOSTILE, "Two."]))
    return page


@pytest.fixture
def opened(browser, path):
    return browser.open(path)


SHOWN = """[...document.querySelectorAll('[role=tabpanel]:not([hidden]) tr.entry:not([hidden]) .open')].map(
  e => e.textContent)"""
SCORES = """[...document.querySelectorAll('[role=tabpanel]:not([hidden]) tbody')].map(
  b => [...b.querySelectorAll(':scope > tr.entry > .score')].map(e => parseFloat(e.dataset.v)))"""


def test_page_is_silent_and_asks_for_nothing(opened, path):
    """Not one request but for the file, no word on the console, nothing obeyed that a record says."""
    requests = [
        facts["request"]["url"] for name, facts in opened.events if name == "Network.requestWillBeSent"
    ]
    said = [name for name, _ in opened.events if name in ("Runtime.consoleAPICalled", "Log.entryAdded",
                                                          "Runtime.exceptionThrown")]  # fmt: skip

    assert {url for url in requests if url != "about:blank"} == {path.as_uri()}
    assert said == []
    assert opened("document.title") == "astrojepa-bench: leaderboard"
    assert opened("document.scripts.length") == 1
    assert opened("document.images.length") == 0
    assert HOSTILE in opened("document.querySelector('.findings li').textContent")


def test_a_broken_policy_would_be_heard(browser, path):
    """The control: a script that is not the page's own is refused, aloud."""
    broken = path.with_name("broken.html")
    broken.write_text(
        path.read_text().replace("</main>", "<script>document.title = 'obeyed'</script></main>")
    )
    browser.open(broken)

    assert any(name == "Log.entryAdded" for name, _ in browser.events)
    assert browser("document.title") != "obeyed"


def test_headings_sort_each_block(opened):
    """Best first, then worst first; rows without the number last; every row keeps what it opens to."""
    heading = "document.querySelector('[role=tabpanel]:not([hidden]) th.score button')"
    opened(f"{heading}.click()")
    assert all(block == sorted(block, reverse=True) for block in opened(SCORES))
    opened(f"{heading}.click()")
    assert all(block == sorted(block) for block in opened(SCORES))
    assert opened(f"{heading}.parentElement.getAttribute('aria-sort')") == "ascending"
    assert opened("""[...document.querySelectorAll('tr.entry')].every(
        row => row.nextElementSibling.id === row.querySelector('.open').getAttribute('aria-controls'))""")
    assert opened("document.querySelector('tbody tr').className") == "block"


def test_words_and_choices_filter_rows(opened):
    """All words must fit; blocks without rows disappear with their heading; the rest is counted aloud."""
    everything = opened(SHOWN)
    opened("""(() => { const words = document.querySelector('form.filter input'); words.value = 'ALPHA random';
        words.dispatchEvent(new Event('input', {bubbles: true})); })()""")
    assert opened(SHOWN) == [name for name in everything if "alpha" in name and "random" in name]
    assert (
        opened("document.querySelector('form.filter output').textContent")
        == f"1 of {len(everything)} entries"
    )
    assert opened("[...document.querySelector('table.board').tBodies].filter(b => !b.hidden).length") == 1
    opened("document.querySelector('form.filter').reset()")
    assert opened(f"new Promise(done => setTimeout(() => done({SHOWN})))") == everything
    opened("""(() => { const s = document.querySelector('select[name=masker]'); s.value = 'multiblock';
        s.dispatchEvent(new Event('input', {bubbles: true})); })()""")
    assert opened(SHOWN) == [name for name in everything if "multiblock" in name]


def test_a_row_opens_to_all_scores_and_commands(opened):
    """A click shows what the row holds, another hides it."""
    row = "document.querySelector('tr.entry')"
    detail = f"{row}.nextElementSibling"
    assert opened(f"{detail}.offsetHeight") == 0
    opened(f"{row}.click()")
    assert opened(f"{detail}.offsetHeight") > 100
    assert opened(f"{row}.querySelector('.open').getAttribute('aria-expanded')") == "true"
    text = opened(f"{detail}.innerText")
    assert "average precision physical" in text
    assert "astrojepa-bench reproduce" in text
    assert "astrojepa-bench run -o alpha" in text
    opened(f"{row}.click()")
    assert opened(f"{detail}.offsetHeight") == 0


def test_keys_are_enough(opened):
    """Tab reaches tabs, headings and rows; arrows change tabs; Enter and space press."""
    opened("document.querySelector('[role=tab]').focus()")
    opened.press("ArrowRight")
    assert opened("document.activeElement.getAttribute('aria-selected')") == "true"
    assert opened("document.querySelectorAll('[role=tabpanel]:not([hidden])').length") == 1
    assert "standard" in opened("document.querySelector('[role=tabpanel]:not([hidden]) h2').textContent")
    opened.press("Home")
    assert opened("document.activeElement === document.querySelector('[role=tab]')")
    seen = []
    for _ in range(25):
        opened.press("Tab")
        seen.append(opened("document.activeElement.className || document.activeElement.tagName"))
        if seen[-1] == "open":
            break
    assert {"INPUT", "SELECT", "BUTTON", "open"} <= set(seen)
    opened.press("Enter")
    assert opened("document.activeElement.closest('tr').nextElementSibling.offsetHeight") > 100
    opened.press(" ")
    assert opened("document.activeElement.closest('tr').nextElementSibling.offsetHeight") == 0
    assert opened("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_every_control_has_a_name(opened):
    """Buttons, fields and drawings that stand for something are named for who cannot see them."""
    assert opened("""[...document.querySelectorAll('button, [role=region], svg[role=img], [role=group]')].every(
        e => (e.getAttribute('aria-label') || e.textContent).trim())""")
    assert opened("[...document.querySelectorAll('input, select')].every(e => e.labels.length === 1)")


def contrast(browser, selector):
    """Return the contrast of a text against what it stands on, as WCAG defines it."""
    return browser(f"""(() => {{
      const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      const light = colour => {{
        const [r, g, b] = colour.match(/[\\d.]+/g).map(v => linear(v / 255));
        return .2126 * r + .7152 * g + .0722 * b;
      }};
      const e = document.querySelector({json.dumps(selector)}), style = getComputedStyle(e);
      let under = e;
      while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;
      const colours = [e.closest('svg') ? style.fill : style.color, getComputedStyle(under).backgroundColor];
      const [high, low] = colours.map(light).sort((x, y) => y - x);
      return (high + .05) / (low + .05);
    }})()""")


READ = (
    "h1", ".lede", ".links a", "tr.entry .open", ".number", ".badge", "tr.block small", "thead th", ".undecided",
    ".chart .label", ".chart .name", "[aria-selected=true]", "figcaption",
)  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_both_colours_can_be_read(browser, path, dark):
    """Text stands out 4.5 to 1 or better from what it stands on, on paper and at night."""
    browser.open(path, dark=dark)
    found = [s for s in READ if browser(f"Boolean(document.querySelector({json.dumps(s)}))")]

    assert len(found) >= len(READ) - 2
    assert {s: contrast(browser, s) for s in found if contrast(browser, s) < 4.5} == {}
    paper = browser("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 380) is dark


def test_the_reader_may_choose_the_colours(browser, path):
    """Against the system's choice, and it is remembered."""
    browser.open(path, dark=True)
    paper = "getComputedStyle(document.body).backgroundColor"
    night = browser(paper)
    browser("document.getElementById('theme').click()")
    assert browser("document.documentElement.dataset.theme") == "light"
    assert browser(paper) != night
    browser.open(path, dark=True)
    assert browser("document.getElementById('theme').textContent") == "Colours: light"
    browser("localStorage.clear()")


def test_page_fits_a_telephone(browser, path):
    """At 390 px nothing but boxes scrolls sideways, open rows included, and controls can be hit with a thumb."""
    browser.open(path, screen=PHONE)
    for tab in range(browser("document.querySelectorAll('[role=tab]').length")):
        browser(f"document.querySelectorAll('[role=tab]')[{tab}].click()")
        browser(
            "document.querySelectorAll('[role=tabpanel]:not([hidden]) tr.entry').forEach(row => row.click())"
        )
        assert browser("innerWidth") == 390
        assert browser("document.documentElement.scrollWidth") <= 390
        assert browser("""[...document.querySelectorAll('[role=tabpanel]:not([hidden]) .detail-box')].every(
            box => box.getBoundingClientRect().width <= 390)""")
    assert browser("[...document.querySelectorAll('[role=tab]')].every(e => e.offsetHeight >= 24)")


def test_a_table_wider_than_the_page_says_so(browser, path):
    """Its last columns are reached by scrolling; where all are seen nothing is said."""
    shown = "document.querySelector('[role=tabpanel]:not([hidden]) .more').offsetHeight > 0"
    browser.open(path, screen=PHONE)
    assert browser(f"new Promise(done => requestAnimationFrame(() => setTimeout(() => done({shown}), 50)))")
    browser.open(path, screen=dict(DESK, width=2400))
    frame = "document.querySelector('[role=tabpanel]:not([hidden]) .scroll')"
    wide = f"{frame}.scrollWidth > {frame}.clientWidth"
    assert browser(f"new Promise(done => setTimeout(() => done(({shown}) === ({wide})), 100))")


def test_links_lead_to_a_tab_and_to_a_row(browser, path):
    """An address with the name of an entry opens its tab and its row."""
    browser.open(path)
    entry = browser("document.querySelectorAll('[role=tabpanel]')[1].querySelector('tr.entry').id")
    browser.open(path, fragment=f"#{entry}")

    assert browser("document.querySelectorAll('[role=tabpanel]')[1].hidden") is False
    assert browser(f"document.getElementById({json.dumps(entry)}).nextElementSibling.offsetHeight") > 100


def test_page_works_without_its_script(browser, path):
    """Where scripts are off, every tab and every row stands open."""
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        assert browser("document.documentElement.classList.contains('js')") is False
        assert browser("[...document.querySelectorAll('tr.detail')].every(row => row.offsetHeight > 100)")
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
