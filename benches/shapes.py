#!/usr/bin/env python3
"""Pairs of tables of other shapes than generate.py's: `shapes.py SHAPE OUTDIR` writes baseline_SHAPE.parquet and current_SHAPE.parquet.

    wide         20,000 rows of 800 columns of numbers and 200 of categories
    ties         1,000,000 rows of 40 columns of numbers with 20 values each, and no dictionary in the file
    categories   1,000,000 rows of 10 columns of 5,000 categories, falling in frequency
"""

import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def categories(random, rows, count):
    ranks = (random.random(rows) ** 2 * count).astype(np.int32)
    return pa.DictionaryArray.from_arrays(ranks, [f"category {rank}" for rank in range(count)]).cast(pa.string())


def wide(random, moved):
    columns = {f"x{at}": random.normal(moved if at % 10 == 0 else 0.0, 1.0, 20_000) for at in range(800)}
    return columns | {f"c{at}": categories(random, 20_000, 20) for at in range(200)}


def ties(random, moved):
    return {f"n{at}": random.integers(0, 20 + moved * (at % 4 == 0), 1_000_000).astype(float) for at in range(40)}


def many(random, moved):
    return {f"c{at}": categories(random, 1_000_000, 5_000 + moved * 50 * at) for at in range(10)}


shape, folder = sys.argv[1], pathlib.Path(sys.argv[2])
make = {"wide": wide, "ties": ties, "categories": many}[shape]
for moved, side in enumerate(("baseline", "current")):
    table = pa.table(make(np.random.default_rng([20260101, moved]), moved))
    pq.write_table(table, folder / f"{side}_{shape}.parquet", row_group_size=131_072, use_dictionary=shape != "ties")
