"""What keeps runs from being compared, in words."""

from collections.abc import Callable, Sequence

from ee_jax.report.results import Results, is_language
from ee_jax.report.text import checksums


def notes(runs: Sequence[Results]) -> list[str]:
    """A sentence for each thing in which the runs differ and should not."""
    languages = [results for results in runs if is_language(results)]
    found = (
        _unlike("Not comparable, the data differ", runs, _data),
        _unlike("Perplexity is not comparable, the tokens differ", languages, _tokens),
        _unlike("Speed is not comparable, the devices differ", runs, lambda r: r["device"]),
    )
    return [note for note in found if note]


def _unlike(said: str, runs: Sequence[Results], what: Callable[[Results], str]) -> str:
    """Empty where all runs are alike."""
    different = dict.fromkeys(map(what, runs))
    return f"{said}: {'; '.join(different)}." if len(different) > 1 else ""


def _data(results: Results) -> str:
    data = results["data"]
    return f"{data['name']} {data['version']} (checksum {checksums(data['checksum'])})"


def _tokens(results: Results) -> str:
    """One text is other tokens to another tokenizer, and perplexity is a mean over tokens."""
    judged = min(strategy["tokens"] for strategy in results["strategies"].values())
    vocabulary, length = results["model"]["vocabulary"], results["data"]["length"]
    return f"{judged:,} of a vocabulary of {vocabulary:,} in rows of {length}"
