"""GLUE tasks of a few rows: the official ones but for the number of rows."""

from dataclasses import replace
from typing import ClassVar

from ee_jax.data.glue import Cola, Sst2

# Enough that some are held out for each split.
MORE = 100
ROWS = {"train": 4 + MORE, "dev": 2}

SST2 = {
    "train": 'sentence\tlabel\na " fine film \t1\nfine film \t1\nnot\u2028again \t0\ndull\t0\n'
    + "".join(f"film number {n} \t1\n" for n in range(MORE)),
    "dev": "sentence\tlabel\nit ' s charming \t1\nbleak \t0\n",
}
COLA = {
    "train": 'gj04\t1\t\t"Go," she said.\nad03\t0\t*\tHim go.\nw_80\t1\t\tGo.\n'
    + "w_80\t0\t*\tI goes.\n"
    + "".join(f"gj04\t1\t\tIt is number {n}.\n" for n in range(MORE)),
    "dev": "gj04\t1\t\tIt rains.\ngj04\t0\t*\tRains it not.",  # no newline at the end
}


class TinySst2(Sst2, skip_registration=True):
    name = "tiny_sst2"
    TASK: ClassVar = replace(Sst2.TASK, rows=ROWS)


class TinyCola(Cola, skip_registration=True):
    name = "tiny_cola"
    TASK: ClassVar = replace(Cola.TASK, rows=ROWS)
