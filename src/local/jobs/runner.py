"""Runs one task of the embedded workspace in the task's own environment.

Reads a JSON specification, gives the code what it finds on Databricks
(`dbutils`, widgets, task values), runs it, and writes a JSON result. When the
workspace dies, standard input closes and the whole process group ends.
"""

import builtins
import json
import os
import runpy
import signal
import sys
import threading
import traceback
import types


class NotebookExit(BaseException):
    """`dbutils.notebook.exit(value)`."""


def unsupported(feature):
    def refuse(*_args, **_kwargs):
        raise NotImplementedError(f"the embedded workspace does not have {feature}")

    return refuse


class Missing:
    """A part of dbutils that is not here: every use of it says so."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, verb):
        return unsupported(f"{self._name}.{verb}")


class Widgets:
    def __init__(self, given):
        self._given = given
        self._defaults = {}

    def text(self, name, defaultValue="", label=None):
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name, defaultValue, choices, label=None):
        self._defaults[name] = str(defaultValue)

    combobox = multiselect = dropdown

    def get(self, name):
        if name in self._given:
            return self._given[name]
        if name in self._defaults:
            return self._defaults[name]
        raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")

    def getAll(self):
        return {**self._defaults, **self._given}

    def remove(self, name):
        self._defaults.pop(name, None)

    def removeAll(self):
        self._defaults.clear()


class TaskValues:
    def __init__(self, known, path):
        self._known = known
        self._path = path
        self._own = {}

    def set(self, key, value):
        self._own[key] = value
        with open(self._path + ".tmp", "w") as file:
            json.dump(self._own, file)
        os.replace(self._path + ".tmp", self._path)

    def get(self, taskKey, key, default=None, debugValue=None):
        try:
            return self._known[taskKey][key]
        except KeyError:
            if default is not None:
                return default
            raise ValueError(f"no task value {key} was set by task {taskKey}") from None


class Notebook:
    run = staticmethod(unsupported("dbutils.notebook.run"))

    @staticmethod
    def exit(value=""):
        raise NotebookExit(str(value))


def make_dbutils(spec):
    values = TaskValues(spec["task_values"], spec["values_path"])
    return types.SimpleNamespace(
        widgets=Widgets(spec.get("widgets", {})),
        jobs=types.SimpleNamespace(taskValues=values),
        notebook=Notebook(),
        fs=Missing("dbutils.fs"),
        secrets=Missing("dbutils.secrets"),
        library=types.SimpleNamespace(restartPython=lambda: None),
    )


def provide_runtime(dbutils):
    """Lets `from databricks.sdk.runtime import dbutils` find ours."""
    module = types.ModuleType("dbruntime")

    class UserNamespaceInitializer:
        @classmethod
        def getOrCreate(cls):
            return cls()

        def get_namespace_globals(self):
            return {"dbutils": dbutils, "spark": None}

    module.UserNamespaceInitializer = UserNamespaceInitializer
    sys.modules["dbruntime"] = module


def run_notebook(path, namespace):
    with open(path, encoding="utf-8") as file:
        source = file.read()
    for number, cell in enumerate(source.split("# COMMAND ----------")):
        magic = [line[len("# MAGIC "):] for line in cell.splitlines() if line.startswith("# MAGIC ")]
        first = magic[0].strip() if magic else ""
        if first.startswith("%run "):
            target = os.path.join(os.path.dirname(path), first[len("%run "):].strip().strip("\"'"))
            run_notebook(target if target.endswith(".py") else target + ".py", namespace)
        elif first and not first.startswith(("%md", "%python")):
            command = first.split()[0]
            raise NotImplementedError(f"the embedded workspace does not have the magic command {command}")
        code = "\n".join(line for line in cell.splitlines() if not line.startswith("# MAGIC"))
        # Line numbers in a traceback are those of the file.
        before = sum(part.count("\n") for part in source.split("# COMMAND ----------")[:number])
        exec(compile("\n" * before + code, path, "exec"), namespace)


def run_wheel(spec):
    from importlib import import_module, metadata

    package, entry = spec["package_name"], spec["entry_point"]
    same = lambda name: name.replace("-", "_").lower() == package.replace("-", "_").lower()
    named = [point for point in metadata.entry_points(name=entry) if point.dist and same(point.dist.metadata["Name"])]
    if named:
        named[0].load()()
        return
    module = import_module(package.replace("-", "_"))
    if not hasattr(module, entry):
        raise AttributeError(f"package {package} has no entry point {entry}")
    getattr(module, entry)()


def run(spec, dbutils):
    if spec["kind"] == "notebook":
        os.chdir(os.path.dirname(spec["path"]))
        sys.path.insert(0, os.path.dirname(spec["path"]))
        run_notebook(spec["path"], {"__name__": "__main__", "dbutils": dbutils, "spark": None})
    elif spec["kind"] == "wheel":
        sys.argv = [spec["entry_point"], *spec["args"]]
        run_wheel(spec)
    else:
        sys.argv = [spec["path"], *spec["args"]]
        sys.path.insert(0, os.path.dirname(spec["path"]))
        runpy.run_path(spec["path"], run_name="__main__")


def end_with_the_workspace():
    sys.stdin.buffer.read()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def write(path, result):
    with open(path + ".tmp", "w") as file:
        json.dump(result, file)
    os.replace(path + ".tmp", path)


def main():
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    sys.path.pop(0)
    threading.Thread(target=end_with_the_workspace, daemon=True).start()
    dbutils = make_dbutils(spec)
    builtins.dbutils = dbutils
    provide_runtime(dbutils)
    result, code = {}, 0
    try:
        run(spec, dbutils)
    except NotebookExit as exit_value:
        result["result"] = str(exit_value)
    except SystemExit as exit_code:
        if exit_code.code not in (None, 0):
            result["error"] = f"SystemExit: {exit_code.code}"
            code = 1
    except BaseException as error:
        trace = traceback.format_exc()
        print(trace, file=sys.stderr)
        result["error"] = f"{type(error).__name__}: {error}"
        result["trace"] = trace
        code = 1
    sys.stdout.flush()
    write(spec["result_path"], result)
    sys.stderr.flush()
    os._exit(code)


main()
