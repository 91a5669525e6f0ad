//! From a bundle's folder to the plan of its deployment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;

use super::store::Store;
use super::{artifacts, remote};
use crate::bundle::{self, Bundle, FileDigests, Kind, Plan, Remembered, Remotes, Standing, State};
use crate::checkout;
use crate::names::Sha256;
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::fs;

/// Files that are read at the same time.
const PARALLEL: usize = 16;

/// The local file behind each path of the workspace.
pub type Locals = BTreeMap<String, PathBuf>;

/// A plan, and what it takes to carry it out.
#[derive(Debug)]
pub struct Prepared {
    pub plan: Plan,
    pub state: State,
    pub remotes: Remotes,
    pub remembered: Remembered,
    pub locals: Locals,
}

/// What removing everything that is deployed would do.
pub async fn removal(ctx: &Ctx, bundle: &Bundle) -> Result<Prepared> {
    let empty = Bundle { resources: BTreeMap::new(), ..bundle.clone() };
    let found = look(ctx, known(ctx, bundle).await?).await?;
    compare(ctx, &empty, found, FileDigests::default(), Locals::new()).await
}

/// What the workspace keeps of the last deployment.
pub type Known = (State, Remembered);

/// Reads it.
pub async fn known(ctx: &Ctx, bundle: &Bundle) -> Result<Known> {
    let store = Store::new(&ctx.client, bundle);
    tokio::try_join!(store.state(), store.remembered())
}

/// Looks at what was deployed.
async fn look(ctx: &Ctx, known: Known) -> Result<(Known, Remotes)> {
    let remotes = remote::look(&ctx.client, &known.0).await?;
    Ok((known, remotes))
}

async fn compare(
    ctx: &Ctx,
    bundle: &Bundle,
    ((state, remembered), remotes): (Known, Remotes),
    files: FileDigests,
    locals: Locals,
) -> Result<Prepared> {
    let uploaded = uploaded(ctx, &state, &remembered, &files).await?;
    let standing =
        Standing { state: &state, remotes: &remotes, remembered: &remembered, uploaded: &uploaded };
    let plan = bundle::plan(bundle, ctx.client.host(), standing, files);
    Ok(Prepared { plan, state, remotes, remembered, locals })
}

/// The files that are there, as far as anybody knows.
async fn uploaded(
    ctx: &Ctx,
    state: &State,
    remembered: &Remembered,
    files: &FileDigests,
) -> Result<FileDigests> {
    match remembered.files(state) {
        Some(known) => Ok(known.clone()),
        None if state.serial == 0 => Ok(FileDigests::default()),
        None => there(ctx, files).await,
    }
}

/// The bundle's own files, without what is built.
pub(super) fn own_files(bundle: &Bundle, root: &Path) -> Result<FileDigests> {
    digests(&sources(bundle, root)?)
}

/// Those of the bundle's own files that are there.
pub(super) async fn own_there(
    ctx: &Ctx,
    bundle: &Bundle,
    wanted: &FileDigests,
) -> Result<FileDigests> {
    let (state, remembered) = known(ctx, bundle).await?;
    let mut there = uploaded(ctx, &state, &remembered, wanted).await?;
    let folder = format!("{}/", bundle.file_path);
    there.0.retain(|path, _| path.starts_with(&folder));
    Ok(there)
}

fn sources(bundle: &Bundle, root: &Path) -> Result<Locals> {
    let placed = checkout::placed(root, &bundle.sync)?.into_iter();
    Ok(placed.map(|(path, local)| (format!("{}/{path}", bundle.file_path), local)).collect())
}

fn digests(locals: &Locals) -> Result<FileDigests> {
    let digest =
        |(path, local): (&String, &PathBuf)| anyhow::Ok((path.clone(), fs::digest(local)?));
    Ok(FileDigests(locals.par_iter().map(digest).collect::<Result<_>>()?))
}

/// The digests of files that another tool may have put there.
async fn there(ctx: &Ctx, files: &FileDigests) -> Result<FileDigests> {
    let looks = files.0.keys().map(|path| async move {
        // A notebook is kept under its name without the ending.
        let names = [Some(path.as_str()), path.strip_suffix(".py")];
        for name in names.into_iter().flatten() {
            if let Some(bytes) = ctx.client.workspace_read(name).await? {
                return anyhow::Ok(Some((path.clone(), Sha256::of(bytes))));
            }
        }
        Ok(None)
    });
    let found: Vec<_> =
        futures::stream::iter(looks).buffer_unordered(PARALLEL).try_collect().await?;
    Ok(FileDigests(found.into_iter().flatten().collect()))
}

/// Builds the artifacts, looks at what is deployed, and plans. What was known
/// `before` is not read again; under a lock it must be.
pub async fn prepare(
    ctx: &Ctx,
    bundle: &mut Bundle,
    root: &Path,
    before: Option<Known>,
) -> Result<Prepared> {
    if let Some(place) = bundle.foreign.first() {
        let message = format!("{place}: the native engine does not do that");
        return Err(Fault::usage(message).hint("the databricks CLI does: --engine cli").into());
    }
    if let Some(path) = checkout::outside(&bundle.sync) {
        let message = format!("sync.paths: `{path}` lies outside the bundle's folder");
        return Err(Fault::usage(message)
            .hint("the databricks CLI deploys such a bundle: --engine cli")
            .into());
    }
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
    locals.extend(sources(bundle, root)?);
    check_programs(bundle, &locals)?;
    fill_dashboards(bundle, root)?;
    // Files are read while the workspace answers.
    let hashing = tokio::task::spawn_blocking(move || anyhow::Ok((digests(&locals)?, locals)));
    let hashed = async { hashing.await.context("hash the bundle's files")? };
    let look = async {
        let known = match before {
            Some(known) => known,
            None => known(ctx, bundle).await?,
        };
        look(ctx, known).await
    };
    let (found, (digests, locals)) = tokio::try_join!(look, hashed)?;
    compare(ctx, bundle, found, digests, locals).await
}

/// Dashboards are files of the bundle.
fn fill_dashboards(bundle: &mut Bundle, root: &Path) -> Result<()> {
    for (key, resource) in &mut bundle.resources {
        if resource.kind == Kind::Dashboards
            && let Some(fields) = resource.settings.as_object_mut()
            && let Some(path) = fields.remove("file_path")
        {
            let named = || format!("resources.{key}.file_path");
            let shown = path.as_str().unwrap_or_default();
            let path = fs::canonicalize(root.join(shown)).with_context(named)?;
            // The text is sent and shown: no other file of this machine is meant.
            let root = fs::canonicalize(root)?;
            let hidden = [".git", ".lakegate", ".databricks"];
            let is_own = path.strip_prefix(&root).is_ok_and(|below| {
                !below.iter().any(|part| hidden.iter().any(|name| part == *name))
            });
            if !is_own {
                let message = format!("{}: `{shown}` is not in the bundle's folder", named());
                return Err(Fault::usage(message).into());
            }
            let text = fs::read_text(&path).with_context(named)?;
            fields.insert("serialized_dashboard".into(), text.into());
        }
    }
    Ok(())
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
