"""Infrastructure tests: does the version load, predict, and do so fast enough?

The model is loaded in a process of its own, with the packages that it asks for,
or with those of this job. What was found is appended to the table `model_checks`,
and what the packages there say of their licences to `model_packages`.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from datetime import datetime, timezone
from pathlib import Path

import mlflow
import pandas as pd
import registry
from lakehouse import Lakehouse

CALLS = 100


def probe(folder, rows_file):
    """Runs in the child: prints what it finds as JSON."""
    started = time.perf_counter()
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    rows = pd.read_parquet(rows_file)
    first = model.predict(rows.head(1))
    found = {"loads": 1.0, "cold_start_s": time.perf_counter() - started, "predicts": float(len(first) == 1)}
    example = mlflow.models.Model.load(folder).load_input_example(folder)
    # Without one, nothing is known: no limit holds then.
    found["predicts_example"] = float("nan") if example is None else float(len(model.predict(example)) == len(example))
    times = []
    for at in range(CALLS):
        row = rows.iloc[[at % len(rows)]]
        begun = time.perf_counter()
        model.predict(row)
        times.append(1000 * (time.perf_counter() - begun))
    times = pd.Series(times)
    found |= {f"p{q}_ms": float(times.quantile(q / 100)) for q in (50, 95, 99)}
    begun = time.perf_counter()
    model.predict(rows)
    found["rows_per_s"] = len(rows) / (time.perf_counter() - begun)
    try:
        import resource

        found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    except ImportError:
        pass
    print(json.dumps({"checks": found, "packages": packages()}))


def licence(package):
    """As the package says it: an expression of SPDX, or the words of its classifiers."""
    if expression := package.get("License-Expression"):
        return expression
    words = [word.split(" :: ") for word in package.get_all("Classifier") or []]
    words = [parts[-1] for parts in words if parts[0] == "License" and parts[-1] != "OSI Approved"]
    lines = (package.get("License") or "").strip().splitlines()
    return "; ".join(words) or (lines[0] if lines else "")


def packages():
    found = {package.name: package for package in importlib.metadata.distributions()}
    return [{"package": name, "package_version": found[name].version, "licence": licence(found[name].metadata)} for name in sorted(found)]


def python_of(folder, environment, place):
    """The interpreter that loads the model; one of its own is made at `place`."""
    if environment == "job":
        return sys.executable
    venv.create(place, with_pip=True)
    python = os.path.join(place, "Scripts" if os.name == "nt" else "bin", "python")
    requirements = os.path.join(folder, "requirements.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements, "pyarrow"], check=True)
    return python


def missing_features(folder, features):
    """Columns of the signature that the feature table does not have."""
    signature = mlflow.models.Model.load(folder).signature
    return float(len(set(signature.inputs.input_names()) - set(features.columns))) if signature else float("nan")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("schema")
    parser.add_argument("--candidate", default="latest")
    parser.add_argument("--environment", choices=["own", "job"], default="own")
    parser.add_argument("--rows", type=int, default=1000)
    arguments = parser.parse_args()
    name = f"{arguments.schema}.late_arrival"
    mlflow.set_registry_uri("databricks-uc")
    version = registry.resolve(name, arguments.candidate)
    lakehouse = Lakehouse(arguments.schema)
    evaluated = lakehouse.read("evaluation").head(arguments.rows)
    features = lakehouse.read("features").set_index("flight_id").loc[evaluated["flight_id"]].reset_index()
    found, installed = {"loads": 0.0}, []
    with tempfile.TemporaryDirectory() as scratch:
        folder = mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=scratch)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        found["size_mb"] = size / 1e6
        found["missing_features"] = missing_features(folder, features)
        rows = os.path.join(scratch, "rows.parquet")
        features.to_parquet(rows)
        python = python_of(folder, arguments.environment, os.path.join(scratch, "environment"))
        command = [python, __file__, "--probe", folder, rows]
        child = subprocess.run(command, capture_output=True, text=True)
        print(child.stderr[-2000:], file=sys.stderr)
        if child.returncode == 0:
            seen = json.loads(child.stdout.splitlines()[-1])
            found |= seen["checks"]
            installed = seen["packages"]
            # The same rows must give what the evaluation has seen.
            again = registry.load(name, version)
            from flights import model

            found["skew"] = float(abs(model.predict(again, features) - evaluated["candidate"].to_numpy()).max())
    at = datetime.now(timezone.utc).isoformat()
    if installed:
        rows = [{"model": name, "version": int(version), **package, "at": at} for package in installed]
        lakehouse.append("model_packages", pd.DataFrame(rows))
    results = pd.DataFrame(
        [{"model": name, "version": int(version), "check": check, "value": value, "at": at} for check, value in found.items()]
    )
    lakehouse.append("model_checks", results)
    print(results[["check", "value"]].to_string(index=False))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--probe"]:
        probe(*sys.argv[2:4])
    else:
        main()
