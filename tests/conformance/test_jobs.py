import io
import time

import pytest
from databricks.sdk.errors import InvalidParameterValue, NotFound
from databricks.sdk.service.jobs import (
    ConditionTask, ConditionTaskOp, JobParameterDefinition, NotebookTask, RunIf, RunJobTask, RunLifeCycleState,
    RunResultState, SparkPythonTask, SubmitTask, Task, TaskDependency,
)
from databricks.sdk.service.workspace import ImportFormat


@pytest.fixture
def script(client, folder):
    def write(text, name="main.py"):
        client.workspace.upload(f"{folder}/{name}", io.BytesIO(text.encode()), format=ImportFormat.AUTO, overwrite=True)
        return f"{folder}/{name}"

    return write


def task(key, path, *parameters, depends_on=(), **more):
    dependencies = [one if isinstance(one, TaskDependency) else TaskDependency(task_key=one) for one in depends_on]
    return Task(
        task_key=key,
        spark_python_task=SparkPythonTask(python_file=path, parameters=list(parameters)),
        depends_on=dependencies or None,
        **more,
    )


@pytest.fixture
def run(client, name):
    def start(*tasks, parameters=(), values=None, **more):
        job = client.jobs.create(name=name, tasks=list(tasks), parameters=list(parameters) or None, **more)
        waiter = client.jobs.run_now(job.job_id, job_parameters=values)
        for _ in range(600):
            found = client.jobs.get_run(waiter.run_id)
            if found.state.life_cycle_state in (
                RunLifeCycleState.TERMINATED, RunLifeCycleState.INTERNAL_ERROR, RunLifeCycleState.SKIPPED,
            ):
                return found
            time.sleep(0.05)
        raise TimeoutError(found)

    return start


def result(run, key):
    return [one.state.result_state for one in run.tasks if one.task_key == key][-1]


def output(client, run, key):
    return client.jobs.get_run_output([one.run_id for one in run.tasks if one.task_key == key][-1])


def test_a_script_gets_its_parameters_and_its_output_is_kept(client, script, run):
    path = script("import sys; print('hello', *sys.argv[1:])")
    done = run(task("only", path, "{{job.parameters.month}}", "{{job.run_id}}"),
               parameters=[JobParameterDefinition(name="month", default="01")], values={"month": "07"})
    assert done.state.result_state == RunResultState.SUCCESS
    assert output(client, done, "only").logs == f"hello 07 {done.run_id}\n"
    assert [(one.name, one.value) for one in done.job_parameters] == [("month", "07")]


def test_a_failure_names_its_error(client, script, run):
    path = script("def f():\n    raise ValueError('no data for July')\nf()")
    done = run(task("load", path), task("train", path, depends_on=["load"]))
    assert done.state.result_state == RunResultState.FAILED
    assert "no data for July" in done.state.state_message
    assert result(done, "train") == RunResultState.UPSTREAM_FAILED
    told = output(client, done, "load")
    assert told.error == "ValueError: no data for July"
    assert "in f" in told.error_trace and "no data for July" in told.logs
    assert done.status.termination_details.code.value == "RUN_EXECUTION_ERROR"
    assert done.status.termination_details.type.value == "CLIENT_ERROR"


def test_a_notebook_reads_widgets_and_returns_a_value(client, folder, script, run):
    source = """# Databricks notebook source
# MAGIC %md
# MAGIC # Title

# COMMAND ----------
# MAGIC %run ./shared

# COMMAND ----------
dbutils.widgets.text("month", "01")
dbutils.widgets.text("year", "2013")

# COMMAND ----------
dbutils.notebook.exit(twice(dbutils.widgets.get("year") + "-" + dbutils.widgets.get("month")))
"""
    script("# Databricks notebook source\ndef twice(text):\n    return text + text\n", "shared.py")
    script(source, "note.py")
    notebook = Task(task_key="note", notebook_task=NotebookTask(f"{folder}/note", base_parameters={"month": "07"}))
    done = run(notebook)
    assert done.state.result_state == RunResultState.SUCCESS, done.state.state_message
    assert output(client, done, "note").notebook_output.result == "2013-072013-07"


def test_task_values_and_conditions_choose_the_way(script, run):
    path = script("dbutils.jobs.taskValues.set(key='auc', value=0.8)")
    nothing = script("", "nothing.py")
    check = Task(
        task_key="check",
        condition_task=ConditionTask(op=ConditionTaskOp.GREATER_THAN, left="{{tasks.train.values.auc}}", right="0.7"),
        depends_on=[TaskDependency(task_key="train")],
    )
    done = run(
        task("train", path), check,
        task("promote", nothing, depends_on=[TaskDependency("check", outcome="true")]),
        task("alarm", nothing, depends_on=[TaskDependency("check", outcome="false")]),
    )
    assert done.state.result_state == RunResultState.SUCCESS, done.state.state_message
    assert result(done, "promote") == RunResultState.SUCCESS
    assert result(done, "alarm") == RunResultState.EXCLUDED


def test_run_if_decides_after_a_failure(script, run):
    bad, fine = script("raise SystemExit(3)", "bad.py"), script("", "fine.py")
    done = run(
        task("bad", bad),
        task("always", fine, depends_on=["bad"], run_if=RunIf.ALL_DONE),
        task("onfail", fine, depends_on=["bad"], run_if=RunIf.AT_LEAST_ONE_FAILED),
    )
    assert (result(done, "always"), result(done, "onfail")) == (RunResultState.SUCCESS, RunResultState.SUCCESS)
    assert done.state.result_state == RunResultState.SUCCESS_WITH_FAILURES


def test_a_task_is_tried_again_and_each_attempt_is_kept(client, folder, script, run):
    path = script(f"import os, pathlib\nmark = pathlib.Path('/tmp') / '{folder.split('/')[-1]}'\n"
                  "first = not mark.exists()\nmark.touch()\nassert not first\nmark.unlink()")
    done = run(task("flaky", path, max_retries=2))
    assert done.state.result_state == RunResultState.SUCCESS, done.state.state_message
    attempts = [(one.attempt_number, one.state.result_state) for one in done.tasks]
    assert attempts == [(0, RunResultState.FAILED), (1, RunResultState.SUCCESS)]


def test_a_task_that_takes_too_long_is_ended(script, run):
    done = run(task("slow", script("import time; time.sleep(60)"), timeout_seconds=1))
    assert done.state.result_state == RunResultState.TIMEDOUT


def test_cancel_kills_the_whole_process_group(client, folder, script, name):
    mark = f"/tmp/{name}.alive"
    child = f"while true; do date +%s%N > {mark}; sleep 0.1; done"
    path = script(f"import subprocess, time\nsubprocess.Popen(['sh', '-c', {child!r}])\ntime.sleep(60)")
    waiter = client.jobs.submit(run_name=name, tasks=[SubmitTask(task_key="t", spark_python_task=SparkPythonTask(path))])
    import pathlib

    while not pathlib.Path(mark).exists():
        time.sleep(0.05)
    client.jobs.cancel_run(waiter.run_id)
    for _ in range(100):
        run = client.jobs.get_run(waiter.run_id)
        if run.state.life_cycle_state == RunLifeCycleState.TERMINATED:
            break
        time.sleep(0.05)
    assert run.state.result_state == RunResultState.CANCELED
    last = pathlib.Path(mark).read_text()
    time.sleep(0.4)
    assert pathlib.Path(mark).read_text() == last
    pathlib.Path(mark).unlink()


def test_the_same_token_is_the_same_run(client, script, name):
    job = client.jobs.create(name=name, tasks=[task("t", script(""))])
    runs = {client.jobs.run_now(job.job_id, idempotency_token=name).run_id for _ in range(3)}
    assert len(runs) == 1


def test_a_job_starts_another(client, script, run, name):
    inner = client.jobs.create(name=f"{name}-inner", tasks=[task("t", script("print('inner')"))])
    done = run(Task(task_key="outer", run_job_task=RunJobTask(job_id=inner.job_id)))
    assert done.state.result_state == RunResultState.SUCCESS
    child = output(client, done, "outer").run_job_output.run_id
    assert client.jobs.get_run(child).job_id == inner.job_id


def test_a_repair_runs_what_failed_and_what_follows(client, folder, script, run):
    first, second = script("print(1)", "a.py"), script("raise ValueError('x')", "b.py")
    done = run(task("a", first), task("b", second, depends_on=["a"]), task("c", first, depends_on=["b"]))
    assert done.state.result_state == RunResultState.FAILED
    script("print(2)", "b.py")
    client.jobs.repair_run(done.run_id, rerun_all_failed_tasks=True).result()
    again = client.jobs.get_run(done.run_id)
    assert again.state.result_state == RunResultState.SUCCESS
    assert [one.task_key for one in again.tasks].count("a") == 1
    assert [one.task_key for one in again.tasks].count("b") == 2


def test_settings_are_kept_reset_updated_and_listed(client, script, name):
    job = client.jobs.create(name=name, tasks=[task("t", script(""))], tags={"a": "1"})
    from databricks.sdk.service.jobs import JobSettings

    client.jobs.update(job.job_id, new_settings=JobSettings(tags={"a": "2"}))
    assert client.jobs.get(job.job_id).settings.tags == {"a": "2"}
    client.jobs.reset(job.job_id, JobSettings(name=f"{name}-2", tasks=[task("u", script(""))]))
    settings = client.jobs.get(job.job_id).settings
    assert (settings.name, settings.tags, settings.tasks[0].task_key) == (f"{name}-2", None, "u")
    assert [one.job_id for one in client.jobs.list(name=f"{name}-2")] == [job.job_id]
    client.jobs.delete(job.job_id)
    with pytest.raises(NotFound):
        client.jobs.get(job.job_id)


def test_a_job_that_cannot_run_is_refused_when_it_is_made(client, script, name):
    path = script("")
    with pytest.raises(InvalidParameterValue, match="depends on 'nobody'"):
        client.jobs.create(name=name, tasks=[task("t", path, depends_on=["nobody"])])
    with pytest.raises(InvalidParameterValue, match="cycle"):
        client.jobs.create(name=name, tasks=[task("a", path, depends_on=["b"]), task("b", path, depends_on=["a"])])


def test_an_environment_has_its_dependencies(client, script, run):
    from databricks.sdk.service.compute import Environment
    from databricks.sdk.service.jobs import JobEnvironment

    environment = JobEnvironment("default", Environment(environment_version="3", dependencies=["iniconfig==2.1.0"]))
    path = script("from importlib.metadata import version; print(version('iniconfig'))")
    done = run(task("t", path, environment_key="default"), environments=[environment])
    assert done.state.result_state == RunResultState.SUCCESS, done.state.state_message
    assert output(client, done, "t").logs == "2.1.0\n"


def test_runs_are_listed(client, script, run):
    done = run(task("t", script("")))
    assert [one.run_id for one in client.jobs.list_runs(job_id=done.job_id)] == [done.run_id]
    assert [one.run_id for one in client.jobs.list_runs(job_id=done.job_id, active_only=True)] == []


def test_a_wheel_runs_by_its_entry_point(client, folder, run):
    import zipfile

    from databricks.sdk.service.compute import Environment
    from databricks.sdk.service.jobs import JobEnvironment, PythonWheelTask

    info = "greeter-1.0.dist-info"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("greeter/__init__.py", "import sys\ndef main():\n    print('hello', *sys.argv[1:])\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\nRequires-Dist: iniconfig==2.1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\ngreet = greeter:main\n")
        archive.writestr(f"{info}/RECORD", "")
    path = f"{folder}/greeter-1.0-py3-none-any.whl"
    client.workspace.upload(path, io.BytesIO(packed.getvalue()), format=ImportFormat.RAW)
    work = PythonWheelTask(package_name="greeter", entry_point="greet", named_parameters={"name": "Anna"})
    environment = JobEnvironment("default", Environment(environment_version="3", dependencies=[path]))
    done = run(Task(task_key="t", python_wheel_task=work, environment_key="default"), environments=[environment])
    assert done.state.result_state == RunResultState.SUCCESS, done.state.state_message
    assert output(client, done, "t").logs == "hello --name=Anna\n"
