"""`ee-jax predict RUN_OR_MODEL [FILE|-] --threshold T`."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from ee_jax.cli.parser import add_command, add_precision, number, real
from ee_jax.errors import UserError

MOST = 2**16  # texts of a compiled batch
MORE = (
    "FILE holds a text a line, or is a table (.tsv, .csv, .jsonl, .parquet) with a column text "
    "or sentence, or text_a and text_b; - is standard input, a text a line. One line comes out "
    "for each: label, probability, depth, confidence; or what an encoder-decoder writes of it, "
    "its tokens, their mean depth. A summary goes to standard error."
)


def add(commands: Any) -> None:
    """Adds the command."""
    text = "answers of a trained model to new texts, each from its own depth"
    command = add_command(commands, "predict", predict, text, epilog=MORE)
    command.set_defaults(keeps_programs=True)
    where = "a run's folder, that of a strategy in it, or an exported model's"
    command.add_argument("model", metavar="RUN_OR_MODEL", help=where)
    command.add_argument("file", metavar="FILE", nargs="?", default="-", help="default: -")
    how = command.add_mutually_exclusive_group()
    above = "an exit answers above this confidence (default: 1, all blocks run)"
    how.add_argument("--threshold", type=real, metavar="T", help=above)
    chosen = 'the threshold that the run chose so, e.g. "ltt 2 %%"'
    how.add_argument("--calibrated", metavar="LABEL", help=chosen)
    command.add_argument("--batch", type=number, default=32, metavar="N", help="default: 32")
    command.add_argument("--text-column", metavar="NAME", help="of a table: the text")
    command.add_argument("--pair-column", metavar="NAME", help="the second text of a pair")
    glue = "FILE is GLUE's test file of the model's task: print a submission"
    command.add_argument("--submission", action="store_true", help=glue)
    most = "that an encoder-decoder writes of a text, at most (default: 128)"
    command.add_argument("--tokens", type=number, default=128, metavar="N", help=most)
    add_precision(command, default=None)
    command.add_argument("--json", action="store_true", help="print JSON lines")


def predict(arguments: Namespace) -> None:
    """Prints a line for each text, and a summary on standard error."""
    if arguments.batch > MOST:
        raise UserError(
            f"--batch {arguments.batch}: give at most {MOST}, they are all in memory"
        )
    from ee_jax.runs.classifier import TrainedClassifier
    from ee_jax.runs.trained import load_answering

    model = load_answering(arguments.model, arguments.precision)
    threshold = 1.0 if arguments.threshold is None else arguments.threshold
    if arguments.calibrated is not None:
        threshold = model.threshold_of(arguments.calibrated)
    start = time.perf_counter()
    says = isinstance(model, TrainedClassifier)
    for line in (_lines if says else _written)(arguments, model, threshold):
        print(line, flush=arguments.file == "-")
    sys.stdout.flush()
    summarize = _summarize if says else _summarize_written
    summarize(model, time.perf_counter() - start)


def _written(arguments: Namespace, model: Any, threshold: float) -> Iterator[str]:
    from ee_jax.data.dataset_dir import Columns
    from ee_jax.data.unlabelled import read_unlabelled
    from ee_jax.display import plain

    if arguments.submission or arguments.pair_column:
        raise UserError(f"{arguments.model} writes: leave out --submission, --pair-column")
    texts = read_unlabelled(arguments.file, Columns(arguments.text_column))
    if not arguments.json:
        yield "\t".join(("text", "tokens", "mean depth"))
    asked = {"threshold": threshold, "tokens": arguments.tokens}
    for text in model.stream(texts, arguments.batch, **asked):
        depth = text.mean_depth
        if arguments.json:
            yield json.dumps({"text": text, "depths": text.depths, "mean_depth": depth})
        else:
            shown = "" if depth is None else f"{depth:.2f}"
            yield f"{plain(text)}\t{len(text.tokens)}\t{shown}"


def _summarize_written(model: Any, seconds: float) -> None:
    found = model.work
    print(
        f"{found.texts:,} texts of {found.tokens:,} tokens, {found.mean_depth:.2f} of "
        f"{model.exits[-1]} blocks in the mean; {found.tokens / seconds:.1f} tokens a second "
        "with compilation",
        file=sys.stderr,
    )


def _lines(arguments: Namespace, model: Any, threshold: Any) -> Iterator[str]:
    from ee_jax.data.dataset_dir import Columns
    from ee_jax.data.unlabelled import read_submission, read_unlabelled

    asked = (threshold, arguments.batch)
    if arguments.submission:
        if arguments.file == "-":
            raise UserError("--submission needs FILE, the official test file")
        rows = read_submission(model.data, arguments.file)
        yield "index\tprediction"
        for index, answer in zip(rows.index, model.stream(rows.texts, *asked), strict=True):
            yield f"{index}\t{rows.written(answer.label)}"
        return
    columns = Columns(arguments.text_column, arguments.pair_column)
    # A person who types wants an answer; a file is read ahead, to put like lengths together.
    ahead = {"ahead": 1} if arguments.file == "-" else {}
    texts = read_unlabelled(arguments.file, columns)
    if not arguments.json:
        yield "\t".join(("label", "probability", "depth", "confidence"))
    for answer in model.stream(texts, *asked, **ahead):
        yield json.dumps(answer._asdict()) if arguments.json else _row(answer)


def _row(answer: Any) -> str:
    from ee_jax.display import plain

    label = answer.label if isinstance(answer.label, str) else f"{answer.label:.4f}"
    sure = "" if answer.probability is None else f"{answer.probability:.4f}"
    return f"{plain(label)}\t{sure}\t{answer.depth}\t{answer.confidence:.4f}"


def _summarize(model: Any, seconds: float) -> None:
    found = model.work.summary(model.exits[-1])
    cut = f"; {found['cut']:,} were cut at {model.longest} tokens" if found["cut"] else ""
    print(
        f"{found['texts']:,} texts, {found['mean_depth']:.2f} of {model.exits[-1]} blocks in "
        f"the mean, {100 * found['share_of_flops']:.0f} % of the full model's FLOPs; "
        f"{found['texts'] / seconds:.1f} texts a second with compilation{cut}",
        file=sys.stderr,
    )
