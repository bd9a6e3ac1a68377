"""Questions that open a chat, so that a model can write the text that its exits learn from.

Every form is asked of every topic. Topics are shared out among the splits, so that what is
measured are chats about something that no exit has seen.
"""

from pathlib import Path

from ee_jax.atomic_io import expanded
from ee_jax.errors import UserError

PACKAGED = "chat"  # the name of the questions below
EVERY = 10  # of so many topics or lines, one calibrates and one tests

FORMS = (
    "What is {}?",
    "Explain {} to a child.",
    "Tell me something surprising about {}.",
    "Write a short story about {}.",
    "Write a poem about {}.",
    "Give me five tips about {}.",
    "Why do people care about {}?",
    "What are common mistakes with {}?",
    "Summarize the history of {} in one paragraph.",
    "What would you ask an expert on {}?",
    "Write an email to a friend about {}.",
    "List three advantages and three disadvantages of {}.",
    "How could a school lesson about {} begin?",
    "What is the difference between good and bad {}?",
    "Describe {} without using its name.",
    "Make up a riddle about {}.",
)

TOPICS = (
    "bicycles", "bread", "volcanoes", "the moon", "prime numbers", "friendship", "coffee",
    "the Roman Empire", "photosynthesis", "chess", "gardening", "electric cars", "sleep",
    "the ocean", "maps", "bees", "music theory", "budgets", "the human heart", "libraries",
    "football", "recycling", "fractions", "winter", "public speaking", "cats",
    "the printing press", "solar energy", "cheese", "bridges", "dreams", "earthquakes",
    "time zones", "honesty", "spreadsheets", "rivers", "vaccines", "the violin",
    "job interviews", "dinosaurs", "tea", "probability", "trains", "mountains", "handwriting",
    "the internet", "soup", "birds", "taxes", "memory", "black holes", "knitting", "democracy",
    "potatoes", "hiking", "glass", "the alphabet", "patience", "algorithms", "coral reefs",
    "museums", "clouds", "running", "the Great Wall of China", "pets", "batteries", "movies",
    "rice", "gravity", "markets", "Shakespeare", "camping", "water", "habits", "robots",
    "the brain", "festivals", "geometry", "whales", "cooking for one", "light", "deserts",
    "small businesses", "languages", "trees", "weather forecasts", "kindness", "airplanes",
    "the stock market", "salt", "painting", "insects", "passwords", "yoga", "castles",
    "teamwork", "chocolate", "magnets", "homework", "space travel",
)  # fmt: skip


def chat_prompts(where: str) -> dict[str, list[str]]:
    """What a user says first, for each split of a run.

    Args:
      where: `chat`, the questions of the package; or a text file with a prompt a line, of which
        every tenth calibrates, and the one after it tests.

    Returns:
      Prompts of `train`, `calibration` and `test`, none in two of them.

    Raises:
      UserError: the file cannot be read, or has too few different lines.
    """
    groups = (
        [[form.format(topic) for form in FORMS] for topic in TOPICS]
        if where == PACKAGED
        else [[line] for line in _lines(where)]
    )
    place = {0: "calibration", 1: "test"}
    found: dict[str, list[str]] = {"train": [], "calibration": [], "test": []}
    for number, group in enumerate(groups):
        found[place.get(number % EVERY, "train")] += group
    return found


def _lines(where: str) -> list[str]:
    path = Path(expanded(where))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"config field `data.prompts` names {where}, which cannot be read ({error}): give "
            f"`{PACKAGED}`, or a text file with a prompt a line"
        ) from None
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(lines) < EVERY:
        raise UserError(
            f"{path} has {len(lines)} different prompts: it takes {EVERY} at least, so that "
            "some are left to calibrate and to test"
        )
    return lines
