"""Holds calls and answers against the models of Microsoft's own client of Azure DevOps.

Reads JSON lines of `method`, `path`, `asked`, `status` and `told`; prints a line for each
difference, and ends with 1 where there is one. Fields may be missing, unknown ones may not be
there, and what is there is of the described type. The client's models tell no words of
enumerations, and no routes.
"""

import json
import re
import sys

import isodate
from azure.devops.v7_1.build import models as build
from azure.devops.v7_1.git import models as git
from azure.devops.v7_1.pipelines import models as pipelines
from azure.devops.v7_1.pipelines_checks import models as checks
from azure.devops.v7_1.task_agent import models as agents
from azure.devops.v7_1.work_item_tracking import models as work

OF_GIT = "/_apis/git/repositories/[^/]+"
TICKET = "/_apis/wit/workitems"
THREADS = f"{OF_GIT}/pullRequests/[0-9]+/threads"
# Method, path, the models' module, what is sent, what is answered.
CALLS = [
    ("GET", f"{OF_GIT}/commits/[^/]+", git, None, "GitCommit"),
    ("GET", f"{OF_GIT}/commits/[^/]+/statuses", git, None, "list[GitStatus]"),
    ("POST", f"{OF_GIT}/commits/[^/]+/statuses", git, "GitStatus", "GitStatus"),
    ("GET", f"{OF_GIT}/pullRequests/[0-9]+/statuses", git, None, "list[GitPullRequestStatus]"),
    (
        "POST",
        f"{OF_GIT}/pullRequests/[0-9]+/statuses",
        git,
        "GitPullRequestStatus",
        "GitPullRequestStatus",
    ),
    (
        "GET",
        f"{OF_GIT}/pullRequests/[0-9]+/iterations",
        git,
        None,
        "list[GitPullRequestIteration]",
    ),
    ("GET", f"{OF_GIT}/pullRequests/[0-9]+/commits", git, None, "list[GitCommitRef]"),
    ("POST", f"{OF_GIT}/pullrequestquery", git, "GitPullRequestQuery", "GitPullRequestQuery"),
    ("GET", f"{OF_GIT}/refs", git, None, "list[GitRef]"),
    ("POST", f"{OF_GIT}/refs", git, "[GitRefUpdate]", "list[GitRefUpdateResult]"),
    ("GET", THREADS, git, None, "list[GitPullRequestCommentThread]"),
    ("POST", THREADS, git, "GitPullRequestCommentThread", "GitPullRequestCommentThread"),
    (
        "PATCH",
        f"{THREADS}/[0-9]+",
        git,
        "GitPullRequestCommentThread",
        "GitPullRequestCommentThread",
    ),
    ("PATCH", f"{THREADS}/[0-9]+/comments/[0-9]+", git, "Comment", "Comment"),
    ("POST", "/_apis/wit/wiql", work, "Wiql", "WorkItemQueryResult"),
    ("POST", rf"{TICKET}/\$\w+", work, "[JsonPatchOperation]", "WorkItem"),
    ("PATCH", f"{TICKET}/[0-9]+", work, "[JsonPatchOperation]", "WorkItem"),
    ("POST", "/_apis/pipelines/[0-9]+/runs", pipelines, "RunPipelineParameters", "Run"),
    ("GET", "/_apis/build/builds", build, None, "list[Build]"),
    ("GET", "/_apis/build/builds/[0-9]+/artifacts", build, None, "list[BuildArtifact]"),
    ("GET", "/_apis/distributedtask/environments", agents, None, "list[EnvironmentInstance]"),
    ("GET", "/_apis/pipelines/checks/configurations", checks, None, "list[CheckConfiguration]"),
]
# The client has no models of these; the last is a file.
UNKNOWN = ["/_apis/pipelines/approvals", "/oidctoken", "/zip"]
# The settings of a check are of its kind; the model of a check leaves them out.
SETTINGS = {"Approval": "ApprovalConfigSettings", "Task Check": "TaskCheckConfig"}


def is_time(value):
    try:
        isodate.parse_datetime(value)
    except ValueError:
        return False
    return True


PLAIN = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "long": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
    "iso-8601": lambda value: isinstance(value, str) and is_time(value),
    "object": lambda value: True,
}


def differences(module, kind, value, place):
    if value is None:
        return
    if kind.startswith("list["):
        if not isinstance(value, dict) or set(value) - {"count", "value"} or "value" not in value:
            yield f"{place} is no list of the service: {value}"
        else:
            yield from differences(module, f"[{kind[5:-1]}]", value["value"], place)
    elif kind.startswith("["):
        if not isinstance(value, list):
            yield f"{place} is no list: {value}"
            return
        for at, item in enumerate(value):
            yield from differences(module, kind[1:-1], item, f"{place}[{at}]")
    elif kind.startswith("{"):
        if not isinstance(value, dict):
            yield f"{place} is no object: {value}"
            return
        for key, item in value.items():
            yield from differences(module, kind[1:-1], item, f"{place}.{key}")
    elif kind in PLAIN:
        if not PLAIN[kind](value):
            yield f"{place} is no {kind}: {value}"
    elif kind == "ReferenceLinks":
        # By name: the model shows them as one list.
        for name, link in value.items():
            if not isinstance(link, dict) or set(link) != {"href"}:
                yield f"{place}.{name} is no link: {link}"
    else:
        yield from of_model(module, kind, value, place)


def of_model(module, kind, value, place):
    fields = {field["key"]: field["type"] for field in getattr(module, kind)._attribute_map.values()}
    if kind == "CheckConfiguration" and "settings" in value:
        fields["settings"] = SETTINGS[value["type"]["name"]]
    if not isinstance(value, dict):
        yield f"{place} is no {kind}: {value}"
        return
    for name, item in value.items():
        if name in fields:
            yield from differences(module, fields[name], item, f"{place}.{name}")
        else:
            yield f"{place}: a {kind} has no `{name}`"


def main():
    found = []
    for line in sys.stdin:
        call = json.loads(line)
        path = call["path"]
        if any(path.endswith(end) for end in UNKNOWN):
            continue
        name = f"{call['method']} {path}"
        known = [
            rest
            for method, end, *rest in CALLS
            if method == call["method"] and re.search(f"{end}$", path)
        ]
        if not known:
            found.append(f"{name} is not described")
            continue
        [(module, asked, told)] = known
        if asked:
            found += differences(module, asked, call["asked"], f"{name}: sent")
        elif call["asked"] is not None:
            found.append(f"{name}: sent a body")
        if call["status"] < 300:
            found += differences(module, told, call["told"], f"{name}: answered")
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
