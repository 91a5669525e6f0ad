"""How long a step takes to its command's first line, beside a Node action and one that installs from PyPI.

    start.py ACT BINARY     `act`, and a released lakegate-job-run

All three run under act on this machine, with warm caches; each time is from the line before the step to the
first line of the step's own program, the median of 7 runs.
"""

import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHA = "1" * 40
RUNS = 7

NODE = {"name": "node", "description": "node", "runs": {"using": "node24", "main": "index.js"}}
PIP = {
    "name": "pip",
    "description": "pip",
    "runs": {
        "using": "composite",
        "steps": [
            {
                "shell": "bash",
                "run": "python3 -m venv $RUNNER_TEMP/v && $RUNNER_TEMP/v/bin/pip install -q databricks-sdk==0.156.0"
                " && $RUNNER_TEMP/v/bin/python -c 'import databricks.sdk; print(\"FIRST\")'; rm -rf $RUNNER_TEMP/v",
            }
        ],
    },
}


def repository(folder):
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.test", "-C", str(folder)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://github.com/acme/x"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)


def suite(place, binary):
    """The actions at a release, and a mirror with its archive."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    home, mirror = place / "suite", place / "mirror"
    mirror.mkdir()
    shutil.copytree(ROOT / "actions", home / "actions")
    archive = mirror / f"lakegate-job-run-{version}-{platform.machine()}-unknown-linux-musl.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=9) as packed:
        packed.add(binary, "lakegate-job-run")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (home / "actions/checksums.txt").write_text(f"{digest}  {archive.name}\n")
    repository(home)
    return home, mirror


def consumer(place, mirror):
    home = place / "consumer"
    (home / ".github/workflows").mkdir(parents=True)
    for name, action in (("node", NODE), ("pip", PIP)):
        (home / name).mkdir()
        (home / name / "action.yml").write_text(json.dumps(action))
    (home / "node/index.js").write_text("console.log('FIRST');\n")
    ours = {"uses": f"lakegate/lakegate/actions/job-run@{SHA}", "with": {"job": "x", "mirror": str(mirror)}}
    steps = {"lakegate": ours, "node": {"uses": "./node"}, "pip": {"uses": "./pip"}}
    for name, step in steps.items():
        before = [{"uses": f"actions/checkout@{SHA}"}, {"run": "echo BEFORE"}]
        job = {"runs-on": "ubuntu-latest", "steps": [*before, step | {"continue-on-error": True}]}
        workflow = {"on": "push", "jobs": {"one": job}}
        (home / f".github/workflows/{name}.yml").write_text(json.dumps(workflow))
    repository(home)
    return home, list(steps)


def seconds(act, home, name, suite_home, place):
    command = [act, "push", "-W", f".github/workflows/{name}.yml", "-P", "ubuntu-latest=-self-hosted"]
    command += ["--no-cache-server", f"--local-repository=lakegate/lakegate@{SHA}={suite_home}"]
    command += ["--env", f"RUNNER_TOOL_CACHE={place / 'tools'}", "--env", "DATABRICKS_CONFIG_FILE=/nonexistent"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DATABRICKS_", "LAKEGATE_"))}
    run = subprocess.Popen(command, cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    before, said = None, []
    for line in run.stdout:
        said.append(line)
        if re.search(r"\| BEFORE", line):
            before = time.perf_counter()
        elif before and re.search(r"\| FIRST|no workspace is configured", line):
            took = time.perf_counter() - before
            run.kill()
            run.wait()
            return took
    sys.exit("".join(said))


def main():
    act, binary = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        suite_home, mirror = suite(place, binary)
        home, names = consumer(place, mirror)
        for name in names:
            seconds(act, home, name, suite_home, place)
        found = {name: [] for name in names}
        for _ in range(RUNS):
            for name in names:
                found[name].append(seconds(act, home, name, suite_home, place))
        for name in names:
            print(json.dumps({"action": name, "seconds": round(statistics.median(found[name]), 3)}))


if __name__ == "__main__":
    main()
