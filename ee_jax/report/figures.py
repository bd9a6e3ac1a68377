"""The one style of the figures, and how a figure becomes a file or part of a page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

INK = "#24292f"  # as in report.mplstyle
PAPER = "#fefefe"  # what a hollow mark is filled with
MUTED = "#7d8590"  # readable on white and on black


@contextmanager
def style() -> Iterator[None]:
    """The project's style for what is drawn or saved inside; the caller's settings return."""
    file = resources.files("ee_jax.report") / "report.mplstyle"
    with resources.as_file(file) as path, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            matplotlib.rc_params_from_file(path, use_default_template=False)
        )
        yield


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure; the ending names the format."""
    with style():
        figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)
    return path


def svg(figure: Figure, name: str) -> str:
    """An <svg> element in the colours of the page around it; `name` keeps its ids apart."""
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style():
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(INK, "currentColor").replace(PAPER, "var(--paper, white)")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
