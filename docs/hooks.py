"""What pages take from files of the repository when the site is built, so nothing is copied.

A comment says where: `<!-- cards configs -->` is the cards of the Python files of a folder,
`<!-- studies -->` the studies that have a README, `<!-- changelog -->` the changelog, and
`<!-- quickstart table -->` the README's table.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIELD = re.compile(r"([A-Z][a-z]+):\s+(.*)")  # of a card, such as `Hardware:  2 CPU cores.`


def on_page_markdown(markdown: str, **_: object) -> str:
    """The page with its comments replaced; MkDocs calls this."""
    for pattern, make in MADE.items():
        markdown = re.sub(pattern, lambda found, make=make: make(*found.groups()), markdown)
    return markdown


def cards(folder: str) -> str:
    """A heading and a table for each Python file of a folder that describes an experiment."""
    return "\n\n".join(card(path) for path in files(folder))


def files(folder: str) -> list[Path]:
    """The files that have a `get_config()` or a `STUDY`."""
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if is_experiment(path)]


def is_experiment(path: Path) -> bool:
    """Whether `ee-jax run` or `ee-jax reproduce` takes the file."""
    text = path.read_text()
    return bool(re.search(r"^(def get_config\(|STUDY\b)", text, re.MULTILINE))


def card(path: Path) -> str:
    """The card of a file, which is its docstring: a title, words, and fields."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    title, _, rest = docstring.partition("\n")
    words, fields = read_card(rest)
    name = path.relative_to(ROOT).as_posix()
    rows = [f"| {key} | {shown(key, lines)} |" for key, lines in fields.items()]
    table = "\n".join(["| | |", "| --- | --- |", f"| File | `{name}` |", *rows])
    return "\n\n".join(part for part in (f"### {title.rstrip('.')}", words, table) if part)


def read_card(text: str) -> tuple[str, dict[str, list[str]]]:
    """The words before the fields, and each field's lines."""
    words: list[str] = []
    fields: dict[str, list[str]] = {}
    for line in text.strip().splitlines():
        if found := FIELD.fullmatch(line):
            fields[found[1]] = [found[2]]
        elif fields and line.startswith(" "):
            fields[[*fields][-1]].append(line.strip())
        else:
            words.append(line)
    return "\n".join(words).strip(), fields


def shown(key: str, lines: list[str]) -> str:
    """A cell of a table; of a command its first lines are code, what follows are words."""
    if key != "Command":
        return " ".join(lines).replace("|", "\\|")
    command, notes = [lines[0]], lines[1:]
    while notes and (command[-1].endswith("\\") or notes[0].startswith("--")):
        command[-1] = command[-1].rstrip("\\").rstrip()
        command.append(notes.pop(0))
    return f"`{' '.join(command)}`" + (f"<br>{' '.join(notes)}" if notes else "")


def studies() -> str:
    """The folders of `experiments` that have a README, with its title and first words."""
    rows = []
    for path in sorted((ROOT / "experiments").glob("*/README.md")):
        title, words = first_words(path.read_text())
        rows.append(f"| `{path.parent.relative_to(ROOT)}/` | {title} | {words} |")
    return "\n".join(["| Folder | Title | What it is |", "| --- | --- | --- |", *rows])


def first_words(text: str) -> tuple[str, str]:
    """The title of a README and its first paragraph, links to other files as plain words."""
    title, _, rest = text.partition("\n")
    paragraph = " ".join(rest.strip().split("\n\n")[0].split())
    plain = re.sub(r"\[([^]]*)\]\((?!http)[^)]*\)", r"\1", paragraph)
    return title.removeprefix("# "), plain.replace("|", "\\|")


def changelog() -> str:
    """The changelog, its own title left out."""
    return (ROOT / "CHANGELOG.md").read_text().partition("\n")[2].strip()


def quickstart_table() -> str:
    """The table of the README."""
    return "\n".join(_table_lines((ROOT / "README.md").read_text()))


def _table_lines(text: str) -> Iterator[str]:
    inside = text.partition("<!-- quickstart table -->")[2]
    yield from inside.partition("<!-- /quickstart table -->")[0].strip().splitlines()


MADE = {
    r"<!-- cards (\w+) -->": cards,
    r"<!-- studies -->": studies,
    r"<!-- changelog -->": changelog,
    r"<!-- quickstart table -->": quickstart_table,
}
