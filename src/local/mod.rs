//! The embedded workspace: the Databricks REST API, served from a folder.
//!
//! It keeps documents in one transactional store and bytes in plain files, so
//! a kill at any moment leaves the old state or the new. It binds to loopback,
//! asks for a bearer token, and answers 501 with the feature's name for what
//! it does not have: nothing passes by accident. Each resource registers its
//! own routes in its own file.

mod definitions;
mod environments;
mod error;
mod faults;
mod files;
mod identity;
mod input;
mod jobs;
mod mlflow;
mod paths;
mod permissions;
mod server;
mod serving;
mod sql;
mod store;
mod unity;
mod workspace_files;

pub use environments::requirement_lines;
pub use error::ApiFault;
pub use server::{Running, serve};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::names::Secret;
use crate::sys::{Env, fs};

/// The warehouse that always exists.
pub const WAREHOUSE: &str = "local";

/// Who the workspace's own token belongs to.
pub const USER: &str = "you@lakegate.test";

/// Everything that the handlers share.
#[derive(Debug)]
pub struct Workspace {
    dir: PathBuf,
    /// Where Python environments are kept, shared between workspaces.
    cache: PathBuf,
    env: Env,
    token: Secret,
    store: store::Store,
    faults: faults::Faults,
    jobs: jobs::Engine,
    sql: sql::Engine,
    scorers: serving::Scorers,
}

pub(crate) type Shared = Arc<Workspace>;

impl Workspace {
    /// Opens the workspace in `dir`, making it when there is none. Runs that a
    /// killed process left behind are ended as infrastructure failures.
    pub fn open(dir: &Path, env: &Env) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let dir = fs::canonicalize(dir)?;
        let token = token(&dir)?;
        let store = store::Store::open(&dir.join("state.redb"))?;
        unity::bootstrap(&store).context("prepare the catalog")?;
        jobs::end_orphans(&store).context("end the runs of a killed workspace")?;
        Ok(Self {
            cache: cache_dir(env, &dir),
            env: env.clone(),
            token,
            store,
            faults: faults::Faults::default(),
            jobs: jobs::Engine::default(),
            sql: sql::Engine::default(),
            scorers: serving::Scorers::default(),
            dir,
        })
    }

    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// The workspace's token, made once and readable by the owner only.
fn token(dir: &Path) -> Result<Secret> {
    let path = dir.join("token");
    if let Some(text) = fs::read_text_if_exists(&path)? {
        return Ok(Secret::new(text.trim()));
    }
    let token = format!("dapi{}", uuid::Uuid::new_v4().simple());
    fs::write_private(&path, &token)?;
    Ok(Secret::new(token))
}

fn cache_dir(env: &Env, dir: &Path) -> PathBuf {
    env.cache_dir().unwrap_or_else(|| dir.join("cache"))
}
