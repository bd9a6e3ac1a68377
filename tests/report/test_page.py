"""The page of a run, and the words of its finding."""

import io
from html.parser import HTMLParser

from rich.console import Console

from ee_jax.report import text
from ee_jax.report.figures import svg
from ee_jax.report.findings import findings, headline
from ee_jax.report.render import to_markdown, to_terminal
from ee_jax.report.report import make_report, write
from ee_jax.report.tables import speed_table
from tests.report.conftest import made

VOID = {"meta", "link", "br", "hr", "img"}


class Page(HTMLParser):
    """Collects tags, text, what is loaded; every tag must be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words, self.loads, self.ids = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def text(self):
        return " ".join(" ".join(self.words).split())


def test_the_page_is_whole_and_loads_nothing(results):
    html = make_report(made(results)).page
    shown = Page(html)
    assert shown.open == []
    assert all(load.startswith(("#", "data:")) for load in shown.loads)
    assert "@import" not in html
    assert "url(http" not in html
    assert len(shown.ids) == len(set(shown.ids))
    assert shown.tags.count("table") == 3
    assert shown.tags.count("figure") == 2


def test_the_page_says_what_was_found_and_how(results):
    text = Page(make_report(made(results)).page).text()
    assert headline(made(results)) in text
    for word in (
        "0.97, no gain",
        "interleaved",
        "3 rounds",
        "compile static 1.2 s",
        "2 x cpu: Example",
    ):
        assert word in text
    for word in ("0123456789ab", "jax 0.11.0", "22,713,216", '"tolerances"', "checksum abc123"):
        assert word in text


def test_everything_is_escaped(results):
    evil = "<script>alert('x')</script>"
    results |= {
        "name": evil,
        "device": evil,
        "config": {evil: evil},
        "metrics": [evil],
    }
    for strategy in results["strategies"].values():
        for point in strategy["points"]:
            point["metrics"] = {evil: point["quality"]}
    results["versions"][evil] = evil
    results["strategies"][evil] = results["strategies"].pop("frozen")
    html = make_report(made(results)).page
    shown = Page(html)
    assert "script" not in shown.tags
    assert evil in shown.text()


def test_a_page_without_calibration_or_timing(results):
    for strategy in results["strategies"].values():
        strategy["calibrated"] = []
        strategy["points"] = [
            point | {"measured_speedup": {}, "calibrated_for": []}
            for point in strategy["points"]
        ]
    text = Page(make_report(made(results)).page).text()
    assert (
        "Within 1 point of the best full model's 83.0 % accuracy, joint ran 3.20 of 6 blocks "
        "(FLOPs speed-up 1.80; speed was not measured)."
    ) in text.replace("\u00a0", " ")
    assert "How it was measured" not in text
    assert "nothing was timed" in text
    assert "No threshold was calibrated in this run." in text


def test_headline_names_a_strategy_once(results):
    assert headline(made(results)) == (
        "Within 1 point of the best full model's 83.0 % accuracy, "
        "joint ran 1.70 times as fast at batch 1 and 1.50 times as fast at batch 32."
    )


def test_headline_says_where_nothing_was_gained(results):
    """Joint's 0.62 loses 1.1 points now; its 0.8 runs 1.40 at batch 1, 0.97 at batch 32."""
    results["strategies"]["joint"]["points"][3]["quality"] = 0.819
    assert headline(made(results)) == (
        "Within 1 point of the best full model's 83.0 % accuracy, "
        "joint ran 1.40 times as fast at batch 1 and nothing was gained at batch 32."
    )


def test_headline_where_nothing_was_gained_at_all(results):
    for point in results["strategies"]["joint"]["points"]:
        point["quality"] -= 0.1 * (point["threshold"] < 1)
    assert headline(made(results)).startswith("Nothing was gained: within 1 point of")


def test_a_weak_full_model_does_not_make_the_headline(results):
    """Frozen is fast near its own full model, which is 12 points below joint's."""
    frozen = results["strategies"]["frozen"]
    frozen["points"][0] |= {"quality": 0.71, "measured_speedup": {"1": 5.0}}
    assert "5.00" not in headline(made(results))


def test_findings_are_the_calibrated_thresholds(results):
    said, fell_back = findings(made(results))
    assert said == (
        "joint, empirical 1 % and ltt 5 % (threshold 0.62): 82.0 % accuracy on the test split, "
        f"{text.MINUS}1.0 points against the full model, 25.0 % answered unlike it, mean depth "
        "3.20 of 6; 1.70 times as fast at batch 1 and 1.50 times as fast at batch 32."
    )
    assert fell_back == (
        "joint, ltt 2 %: no early exit could be calibrated, so the full model answers."
    )


def test_write_returns_what_it_wrote(results, tmp_path):
    paths = write(make_report(made(results)), tmp_path / "report")
    assert sorted(path.name for path in paths) == [
        "calibration.csv",
        "calibration.md",
        "exit_depths.png",
        "exits.csv",
        "exits.md",
        "quality_depth.png",
        "report.html",
        "table.csv",
        "table.md",
    ]
    assert all(path.stat().st_size > 100 for path in paths)
    table = (tmp_path / "report" / "table.md").read_text(encoding="utf-8")
    assert table == to_markdown(speed_table(made(results)))


def test_outside_text_cannot_command_a_terminal_or_hide_in_a_page(results):
    """A strategy's name reaches table, terminal, figure and page: escaped in each."""
    name = "j\x1b]0;x\x07o\u202ei$n$t"
    results["strategies"] = {name: results["strategies"]["joint"]}
    report = make_report(made(results))
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(to_terminal(report.tables["table"]))
    drawn = svg(report.figures["quality_depth.png"], "q")
    texts = [report.page, to_markdown(report.tables["table"]), console.export_text(), drawn]
    for each in texts:
        assert not {"\x1b", "\x07", "\u202e"} & {*each}
        assert "x1b" in each
    assert "$" in drawn
