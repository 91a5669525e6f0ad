//! From a bundle's folder to the plan of its deployment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::store::Store;
use super::{apply, artifacts};
use crate::bundle::{self, Bundle, FileDigests, Plan, State};
use crate::checkout;
use crate::names::Sha256;
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::fs;

/// The local file behind each path of the workspace.
pub type Locals = BTreeMap<String, PathBuf>;

/// A plan, and what it takes to carry it out.
#[derive(Debug)]
pub struct Prepared {
    pub plan: Plan,
    pub state: State,
    pub locals: Locals,
}

/// Builds the artifacts, looks at what is deployed, and plans.
pub async fn prepare(ctx: &Ctx, bundle: &mut Bundle, root: &Path) -> Result<Prepared> {
    let mut locals = Locals::new();
    let wheels = artifacts::build(ctx, bundle, root).await?;
    let mut names = Vec::new();
    for wheel in &wheels {
        let name =
            wheel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        locals.insert(format!("{}/.internal/{name}", bundle.artifact_path), wheel.clone());
        names.push(name);
    }
    bundle.name_wheels(&names).map_err(|error| checkout::usage(&error))?;
    for file in checkout::files(root, &bundle.sync_include, &bundle.sync_exclude)? {
        locals.insert(format!("{}/{file}", bundle.file_path), root.join(&file));
    }
    let mut digests = FileDigests::default();
    for (path, local) in &locals {
        digests.0.insert(path.clone(), Sha256::of(fs::read(local)?));
    }
    check_programs(bundle, &locals)?;
    let store = Store::new(&ctx.client, bundle);
    let state = store.state().await?;
    let uploaded = store.uploaded().await?;
    let gone = apply::gone(&ctx.client, &state).await?;
    let plan = bundle::plan(bundle, ctx.client.host(), &state, &gone, digests, &uploaded);
    Ok(Prepared { plan, state, locals })
}

/// A job whose program is not in the bundle would only fail when it runs.
fn check_programs(bundle: &Bundle, locals: &Locals) -> Result<(), Fault> {
    for (key, resource) in &bundle.resources {
        for task in resource.settings["tasks"].as_array().into_iter().flatten() {
            for (pointer, ending) in
                [("/spark_python_task/python_file", ""), ("/notebook_task/notebook_path", ".py")]
            {
                let Some(path) = task.pointer(pointer).and_then(|path| path.as_str()) else {
                    continue;
                };
                let ours = path.starts_with(&bundle.file_path);
                if ours && !locals.contains_key(&format!("{path}{ending}")) {
                    let local = path
                        .strip_prefix(&bundle.file_path)
                        .unwrap_or(path)
                        .trim_start_matches('/');
                    let known: Vec<&str> = locals
                        .keys()
                        .filter_map(|known| known.strip_prefix(&format!("{}/", bundle.file_path)))
                        .collect();
                    let message = format!(
                        "resources.{key}: `{local}{ending}` is not among the bundle's files"
                    );
                    return Err(Fault::usage(message)
                        .or_near(&format!("{local}{ending}"), known.iter().copied()));
                }
            }
        }
    }
    Ok(())
}
