"""Whether `--compat` says what the tool itself says, on example data that comes with the tools.

    compat.py data FOLDER                 pairs of Parquet files (in an environment of benches/peers/nannyml.txt)
    compat.py evidently FOLDER BINARY     BINARY is lakegate-drift-check (in an environment of benches/peers/evidently.txt)
    compat.py nannyml FOLDER BINARY       (in an environment of benches/peers/nannyml.txt)

Each prints one line of JSON per pair: columns, equal verdicts on them, and the largest difference of a score.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

# Identifiers and times differ whatever the data does.
LEFT_OUT = ("id", "identifier", "timestamp", "PassengerId", "Name", "Ticket", "Cabin")


def data(folder):
    import nannyml
    import pandas

    folder.mkdir(parents=True, exist_ok=True)
    examples = pathlib.Path(nannyml.__file__).parent / "datasets/data"
    for base in sorted(examples.glob("*_reference.*")):
        current = base.with_name(base.name.replace("_reference", "_analysis"))
        read = pandas.read_csv if base.suffix == ".csv" else pandas.read_parquet
        before, now = read(base), read(current)
        kept = [name for name in before if name in now and name not in LEFT_OUT]
        name = base.name.split("_reference")[0]
        before[kept].to_parquet(folder / f"{name}.base.parquet", index=False)
        now[kept].to_parquet(folder / f"{name}.current.parquet", index=False)


def ours(tool, folder, binary, base, current):
    """The verdict on the table, and by column the score and the verdict."""
    command = [binary, "--baseline", base, "--current", current, "--compat", tool, "--report-dir", folder / "reports", "--fail-on", "never"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    result = json.loads((folder / "reports/drift-check.result.json").read_text())
    told = {column["column"]: column.get("compat") for column in result["columns"]}
    return result["state"] == "drift", {name: (it["score"], it["drifted"]) for name, it in told.items() if it}


def evidently(before, now):
    from evidently import Report
    from evidently.presets import DataDriftPreset

    snapshot = Report([DataDriftPreset()]).run(reference_data=before, current_data=now)
    first, *metrics = snapshot.dict()["metrics"]
    found = {}
    for metric in metrics:
        config = metric["config"]
        score = float(metric["value"])
        tested = "p_value" in metric["metric_name"]
        threshold = config.get("threshold") or (0.05 if tested else 0.1)
        found[config["column"]] = (score, score < threshold if tested else score >= threshold)
    return first["value"]["share"] >= 0.5, found


def nannyml(before, now):
    import nannyml as tool

    text = [name for name in before if before[name].dtype.kind in "ObUS" or str(before[name].dtype) in ("str", "string", "category")]
    calculator = tool.UnivariateDriftCalculator(column_names=list(before), treat_as_categorical=text, chunk_number=10)
    frame = calculator.fit(before).calculate(now).filter(period="analysis").to_df(multilevel=False).iloc[-1]
    pairs = {name: (f"{name}_jensen_shannon_value", f"{name}_jensen_shannon_alert") for name in before}
    return None, {name: (float(frame[value]), bool(frame[alert])) for name, (value, alert) in pairs.items()}


def compare(tool, folder, binary):
    import pandas

    judge = {"evidently": evidently, "nannyml": nannyml}[tool]
    for base in sorted(folder.glob("*.base.parquet")):
        current = base.with_name(base.name.replace(".base.", ".current."))
        table, theirs = judge(pandas.read_parquet(base), pandas.read_parquet(current))
        our_table, found = ours(tool, folder, binary, base, current)
        differ = [name for name in theirs if name not in found or found[name][1] != theirs[name][1]]
        off = [abs(found[name][0] - score) for name, (score, _) in theirs.items() if name in found and math.isfinite(score)]
        told = {
            "tool": tool,
            "data": base.name.split(".")[0],
            "columns": len(theirs),
            "same verdict": len(theirs) - len(differ),
            "same on the table": table is None or table == our_table,
            "largest difference of a score": max(off, default=0.0),
            "differ": {name: [found.get(name), theirs[name]] for name in differ},
        }
        print(json.dumps(told, default=str))


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    folder = pathlib.Path(folder).absolute()
    if what == "data":
        data(folder)
    else:
        compare(what, folder, rest[0])
