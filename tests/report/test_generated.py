"""The page of a text and what the terminal shows of it."""

import html.parser

import pytest

from ee_jax.report.generated import colour, depth_table, headline, heat, numbers, page

TOKENS = [("<b>", 2, 0.91), (" & so", 4, 0.2), ("\n", 8, 0.5)]


@pytest.fixture
def record():
    return {
        "model": "some/model",
        "prompt": "Say <i>",
        "text": "<b> & so\n",
        "threshold": 0.9,
        "confidence": "max_prob",
        "policy": "propagate",
        "draft": None,
        "sampling": {"temperature": 0.0, "top_k": 0, "top_p": 1.0},
        "seed": 0,
        "blocks": 8,
        "exits": [2, 4, 8],
        "generated": [
            {"id": n, "name": f"t{n}", "text": text, "depth": depth, "confidence": sure}
            for n, (text, depth, sure) in enumerate(TOKENS)
        ],
        "speed": {
            "tokens_per_second": 30.0,
            "static_tokens_per_second": 20.0,
            "mean_depth": 14 / 3,
            "ideal_speedup": 12 / 7,
            "flops_speedup": 1.1,
            "measured_speedup": 1.5,
            "repeats": 3,
        },
    }


@pytest.fixture
def speculated(record):
    nothing = {"depth": None, "confidence": None}
    speed = {**record["speed"], "mean_depth": None, "acceptance": 0.5, "tokens_a_pass": 3.0}
    del speed["flops_speedup"]
    return {
        **record,
        "draft": 2,
        "threshold": None,
        "generated": [{**token, **nothing} for token in record["generated"]],
        "speed": speed,
    }


class Tokens(html.parser.HTMLParser):
    """The spans of the text: (title, style, text)."""

    def __init__(self, text):
        super().__init__()
        self.found, self.title, self.loaded = [], None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.title = (given["title"], given.get("style")) if "title" in given else None
        self.loaded += [given[name] for name in ("src", "href") if name in given]

    def handle_data(self, data):
        if self.title:
            self.found.append((*self.title, data))

    def handle_endtag(self, tag):
        self.title = None


def test_the_page_shows_every_token_as_it_is_and_needs_nothing_else(record):
    shown = Tokens(page(record))
    assert [text for _, _, text in shown.found] == [text for text, _, _ in TOKENS]
    assert shown.found[0][0] == "t0, depth 2, confidence 0.910"
    warmth = [float(style.removeprefix("--heat: ")) for _, style, _ in shown.found]
    assert warmth == sorted(warmth)
    assert warmth[0] < warmth[1] < warmth[2]
    assert shown.loaded == ["data:,"]


def test_a_speculated_text_has_no_depths(speculated):
    shown = Tokens(page(speculated))
    assert [(title, style) for title, style, _ in shown.found] == [
        ("t0", None), ("t1", None), ("t2", None),
    ]  # fmt: skip
    assert headline(speculated).startswith("50.0 % of the drafts accepted, 3.00 tokens a pass")
    assert "50.0 % of the drafts accepted, 3.00 tokens a pass; " in numbers(speculated)


def test_drafts_that_were_never_sure_enough_to_be_made(speculated):
    speculated["speed"] |= {"acceptance": None, "tokens_a_pass": 1.0}
    assert headline(speculated).startswith("No drafts, 1.00 tokens a pass")
    assert "; no drafts, 1.00 tokens a pass; " in numbers(speculated)
    assert "<dd>none made</dd>" in page(speculated)


def test_one_line_of_numbers(record):
    assert numbers(record) == (
        "30.0 tokens/s; all 8 blocks 20.0; mean depth 4.67; "
        "speed-up 1.50 measured, 1.71 ideal, 1.10 FLOPs"
    )
    assert headline(record) == "4.67 blocks a token: 1.50 times as fast as all 8."


def test_tokens_are_counted_where_they_stopped(record):
    record["generated"][1]["depth"] = 2
    rows = depth_table(record).rows
    assert [row["tokens"] for row in rows] == [2, 0, 1]
    assert [row["mean"] for row in rows] == [pytest.approx((0.91 + 0.2) / 2), None, 0.5]


def test_warmth_runs_from_the_first_exit_to_the_last():
    assert [heat(depth, (2, 4, 8)) for depth in (2, 5, 8)] == [0, 0.5, 1]
    assert heat(6, (6,)) == 1
    assert colour(2, (2, 8)) == "rgb(63,140,214)"
    assert colour(5, (2, 8)) == "rgb(147,112,196)"
    assert colour(8, (2, 8)) == "rgb(214,90,60)"
    assert colour(None, (2, 8)) == ""
