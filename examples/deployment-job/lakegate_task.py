"""Runs one command of Lakegate as the task of a job: lakegate_task.py BINARY SHA256 EVIDENCE COMMAND..."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile


def signed_in(variables):
    if "DATABRICKS_TOKEN" in variables:
        return variables
    # What the job's own identity is let in with.
    from databricks.sdk.core import Config

    config = Config()
    token = config.authenticate()["Authorization"].removeprefix("Bearer ")
    return {**variables, "DATABRICKS_HOST": config.host, "DATABRICKS_TOKEN": token}


def main():
    binary, digest, evidence, *command = sys.argv[1:]
    # The folder of this file, which came here with the policy.
    policy = next(path for path in sys.path if os.path.exists(os.path.join(path, "lakegate.yml")))
    os.makedirs(evidence, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copyfile(binary, os.path.join(scratch, "lakegate"))
        with open(copy, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            sys.exit(f"{binary} has the sha256 {found}, not {digest}: it was not run")
        os.chmod(copy, 0o755)
        told = subprocess.run(
            [copy, *command, f"--config={policy}/lakegate.yml", f"--report-dir={evidence}"],
            env=signed_in(dict(os.environ)),
        )
    sys.exit(told.returncode)


if __name__ == "__main__":
    main()
