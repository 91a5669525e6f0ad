"""How often a check cries wolf, and what it sees: the same simulated pairs of tables for every tool.

    alarms.py make FOLDER PAIRS ROWS SHIFT     pairs of Parquet files, 40 columns, the current side moved by SHIFT deviations
    alarms.py lakegate FOLDER BINARY           each tool prints its rates as one line of JSON
    alarms.py evidently FOLDER                 (in an environment of benches/peers/evidently.txt)
    alarms.py nannyml FOLDER                   (in an environment of benches/peers/nannyml.txt)
"""

import json
import os
import pathlib
import subprocess
import sys

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"


def side(random, rows, shift):
    """Thirty columns of numbers (normal, lognormal cents, heavy tails) and ten of categories, falling in frequency."""
    columns = {}
    for kind in range(40):
        if kind % 4 == 0:
            categories = [3, 12, 100, 1000][kind // 4 % 4]
            draws = random.random(rows) ** (2.0 - shift) * categories
            columns[f"c{kind}"] = draws.astype(int).astype(str)
            continue
        x = random.normal(size=rows) + shift
        cents = (2.718281828459045**x * 100).round() / 100
        columns[f"x{kind}"] = [x, cents, x / random.random(rows) ** 0.5][kind % 4 - 1]
    return columns


def make(folder, pairs, rows, shift):
    import numpy
    import pyarrow
    import pyarrow.parquet

    folder.mkdir(parents=True, exist_ok=True)
    for pair in range(pairs):
        random = numpy.random.default_rng([pair, rows])
        for name, moved in (("base", 0.0), ("current", shift)):
            table = pyarrow.table(side(random, rows, moved))
            pyarrow.parquet.write_table(table, folder / f"{pair}.{name}.parquet")


def pairs(folder):
    for base in sorted(folder.glob("*.base.parquet")):
        yield base, base.with_name(base.name.replace(".base.", ".current."))


def told(name, found):
    """Found: per pair, whether the table alarmed and the share of its columns that did."""
    count = len(found)
    rates = {
        "tool": name,
        "pairs": count,
        "tables": sum(table for table, _ in found) / count,
        "tables with a drifted column": sum(share > 0 for _, share in found) / count,
        "columns": sum(share for _, share in found) / count,
    }
    print(json.dumps(rates))


def lakegate(folder, binary):
    found = []
    for base, current in pairs(folder):
        command = [binary, "--baseline", base, "--current", current, "--report-dir", folder / "reports", "--fail-on", "never"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
        result = json.loads((folder / "reports/drift-check.result.json").read_text())
        drifted = sum(column["state"] == "drift" for column in result["columns"])
        found.append((result["state"] == "drift", drifted / len(result["columns"])))
    told("lakegate", found)


def evidently(folder):
    import pandas
    from evidently import Report
    from evidently.presets import DataDriftPreset

    found = []
    for base, current in pairs(folder):
        report = Report([DataDriftPreset()])
        snapshot = report.run(reference_data=pandas.read_parquet(base), current_data=pandas.read_parquet(current))
        value = snapshot.dict()["metrics"][0]["value"]
        # The default of the preset: half of the columns make the data drifted.
        found.append((value["share"] >= 0.5, value["share"]))
    told("evidently", found)


def nannyml(folder):
    import warnings

    warnings.filterwarnings("ignore")
    import nannyml as tool
    import pandas

    found = []
    for base, current in pairs(folder):
        before, now = pandas.read_parquet(base), pandas.read_parquet(current)
        text = [name for name in before if name.startswith("c")]
        calculator = tool.UnivariateDriftCalculator(column_names=list(before), treat_as_categorical=text, chunk_number=10)
        frame = calculator.fit(before).calculate(now).filter(period="analysis").to_df(multilevel=False)
        alerts = frame[[name for name in frame if name.endswith("_alert")]].astype(bool)
        # It judges chunk by chunk: the newest one is what a monitor would act on.
        share = alerts.iloc[-1].mean()
        found.append((share >= 0.5, share))
    told("nannyml", found)


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    folder = pathlib.Path(folder).absolute()
    match what:
        case "make":
            make(folder, int(rest[0]), int(rest[1]), float(rest[2]))
        case "lakegate":
            lakegate(folder, *rest)
        case "evidently":
            evidently(folder)
        case "nannyml":
            nannyml(folder)
