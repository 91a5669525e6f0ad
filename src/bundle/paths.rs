//! Local paths become paths in the workspace.

use std::convert::Infallible;

use serde_json::{Value, json};

use super::{Bundle, BundleError, Kind};

/// Where a task names a file or folder of the bundle.
const TASK_PATHS: [&str; 4] = [
    NOTEBOOK_TASK,
    "/spark_python_task/python_file",
    "/sql_task/file/path",
    "/dbt_task/project_directory",
];

/// Where a pipeline's library does.
const LIBRARY_PATHS: [&str; 3] = [NOTEBOOK_LIBRARY, "/file/path", "/glob/include"];

/// A notebook is kept without the ending of its file.
const NOTEBOOK_TASK: &str = "/notebook_task/notebook_path";
const NOTEBOOK_LIBRARY: &str = "/notebook/path";

/// Every task of a job, and what those run that run another for each of many things.
fn each_task<E>(
    settings: &mut Value,
    act: &mut impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    for task in items(settings, "/tasks") {
        act(task)?;
        task.pointer_mut("/for_each_task/task").map_or(Ok(()), &mut *act)?;
    }
    Ok(())
}

/// A local path becomes one below the bundle's files in the workspace.
fn deployed(value: &mut Value, pointer: &str, files: &str) -> Result<(), String> {
    if let Some(path) = value.pointer_mut(pointer)
        && let Some(local) = path.as_str().filter(|path| is_local(path))
    {
        let mut local = local_path(local)?;
        if matches!(pointer, NOTEBOOK_TASK | NOTEBOOK_LIBRARY) {
            local = local.strip_suffix(".py").map_or(local.clone(), str::to_owned);
        }
        *path = json!(format!("{files}/{local}"));
    }
    Ok(())
}

pub(super) fn translate(bundle: &mut Bundle) -> Result<(), BundleError> {
    let (files, wheels) = (bundle.file_path.clone(), format!("{}/.internal", bundle.artifact_path));
    for (key, resource) in &mut bundle.resources {
        let fail = |message: String| {
            BundleError::new("databricks.yml", format!("resources.{key}: {message}"))
        };
        if resource.kind == Kind::Dashboards
            && let Some(path) = resource.settings.get_mut("file_path")
            && let Some(local) = path.as_str().filter(|path| is_local(path))
        {
            *path = json!(local_path(local).map_err(fail)?);
        }
        for library in items(&mut resource.settings, "/libraries") {
            for pointer in LIBRARY_PATHS {
                deployed(library, pointer, &files).map_err(fail)?;
            }
        }
        // A job whose code is in git has its paths there.
        let is_of_git = resource.settings.get("git_source").is_some_and(Value::is_object);
        let mut task_paths = |task: &mut Value| -> Result<(), String> {
            for pointer in TASK_PATHS.into_iter().filter(|_| !is_of_git) {
                deployed(task, pointer, &files)?;
            }
            for library in items(task, "/libraries") {
                if let Some(wheel) = library["whl"].as_str().filter(|path| is_local(path)) {
                    library["whl"] = json!(wheel_path(&wheels, wheel));
                }
                deployed(library, "/requirements", &files)?;
            }
            Ok(())
        };
        each_task(&mut resource.settings, &mut task_paths).map_err(fail)?;
        for environment in items(&mut resource.settings, "/environments") {
            for dependency in items(environment, "/spec/dependencies") {
                dependency_path(dependency, &files, &wheels).map_err(fail)?;
            }
        }
    }
    Ok(())
}

/// Paths are relative to the file that holds them: makes those of an included
/// file relative to the bundle.
pub(super) fn rebase(part: &mut Value, folder: &str) {
    let prefixed = |value: &mut Value| {
        let Some(text) = value.as_str() else { return };
        let (mark, path) = match text.strip_prefix("-r ") {
            Some(path) => ("-r ", path.trim()),
            None => ("", text),
        };
        if is_local(path) && !path.starts_with("${") {
            *value = json!(format!("{mark}{folder}/{path}"));
        }
    };
    let dashboards = part.pointer_mut("/resources/dashboards").and_then(Value::as_object_mut);
    for dashboard in dashboards.into_iter().flat_map(|dashboards| dashboards.values_mut()) {
        dashboard.get_mut("file_path").into_iter().for_each(prefixed);
    }
    let pipelines = part.pointer_mut("/resources/pipelines").and_then(Value::as_object_mut);
    for pipeline in pipelines.into_iter().flat_map(|pipelines| pipelines.values_mut()) {
        for library in items(pipeline, "/libraries") {
            for pointer in LIBRARY_PATHS {
                library.pointer_mut(pointer).into_iter().for_each(prefixed);
            }
        }
    }
    let jobs = part.pointer_mut("/resources/jobs").and_then(Value::as_object_mut);
    for job in jobs.into_iter().flat_map(|jobs| jobs.values_mut()) {
        let is_of_git = job.get("git_source").is_some_and(Value::is_object);
        let mut of_task = |task: &mut Value| -> Result<(), Infallible> {
            for pointer in TASK_PATHS.into_iter().filter(|_| !is_of_git) {
                task.pointer_mut(pointer).into_iter().for_each(prefixed);
            }
            for library in items(task, "/libraries") {
                for field in ["whl", "requirements"] {
                    library.get_mut(field).into_iter().for_each(prefixed);
                }
            }
            Ok(())
        };
        let Ok(()) = each_task(job, &mut of_task);
        for environment in items(job, "/environments") {
            // A package's name is no path.
            let files = |text: &Value| {
                text.as_str().is_some_and(|text| text.starts_with("-r ") || text.ends_with(".whl"))
            };
            items(environment, "/spec/dependencies").filter(|text| files(text)).for_each(prefixed);
        }
    }
}

/// The items of a list, if there is one.
fn items<'a>(value: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Fills in the patterns of wheels, now that the files are known.
pub(super) fn name_wheels(bundle: &mut Bundle, built: &[String]) -> Result<(), BundleError> {
    let folder = format!("{}/.internal/", bundle.artifact_path);
    for (key, resource) in &mut bundle.resources {
        let name = |value: &mut Value| -> Result<(), BundleError> {
            let Some(pattern) = value.as_str().and_then(|text| text.strip_prefix(&folder)) else {
                return Ok(());
            };
            let glob = globset::Glob::new(pattern).map_err(|error| {
                BundleError::new("databricks.yml", format!("resources.{key}: {error}"))
            })?;
            let matcher = glob.compile_matcher();
            let matching: Vec<_> = built.iter().filter(|wheel| matcher.is_match(wheel)).collect();
            let [wheel] = matching[..] else {
                let message = format!(
                    "resources.{key}: {} built wheels match `{pattern}`, it must be one",
                    matching.len()
                );
                return Err(BundleError::new("databricks.yml", message)
                    .hint("declare the wheel under `artifacts`"));
            };
            *value = json!(format!("{folder}{wheel}"));
            Ok(())
        };
        for environment in items(&mut resource.settings, "/environments") {
            items(environment, "/spec/dependencies").try_for_each(name)?;
        }
        each_task(&mut resource.settings, &mut |task| {
            items(task, "/libraries")
                .filter_map(|library| library.get_mut("whl"))
                .try_for_each(name)
        })?;
    }
    Ok(())
}

fn dependency_path(dependency: &mut Value, files: &str, wheels: &str) -> Result<(), String> {
    let Some(text) = dependency.as_str() else { return Ok(()) };
    if let Some(file) = text.strip_prefix("-r ").map(str::trim).filter(|file| is_local(file)) {
        *dependency = json!(format!("-r {files}/{}", local_path(file)?));
    } else if text.ends_with(".whl") && is_local(text) {
        *dependency = json!(wheel_path(wheels, text));
    }
    Ok(())
}

fn is_local(path: &str) -> bool {
    !path.starts_with('/') && !path.contains("://")
}

/// The wheel keeps its file name; a pattern is filled in once it is built.
fn wheel_path(wheels: &str, path: &str) -> String {
    format!("{wheels}/{}", path.rsplit('/').next().unwrap_or(path))
}

/// A path that stays in the bundle's folder.
pub(super) fn local_path(path: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| format!("`{path}` leaves the bundle's folder"))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
