//! Deployments of a bundle: what is there, what would change, and the change.

mod apply;
mod artifacts;
mod cli;
mod install;
mod kinds;
mod look;
mod make;
pub mod releases;
mod remote;
mod store;

pub use artifacts::{build as build_artifacts, builders};
pub use cli::{Cli, Planned};
pub use look::{Found, look};
pub use make::{Known, Locals, Prepared, known, prepare, removal};
pub use store::Store;

use anyhow::{Context as _, Result};

use crate::bundle::{self, Bundle, Deployed, DeployedBy, Lock, Remembered};
use crate::host::Context;
use crate::names::Sha256;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::{clock, fs};

/// What kind of deployment it is.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// The release that is deployed.
    pub release: Option<Deployed>,
    /// It shares nothing with others, and is removed with all that is in it.
    pub is_copy: bool,
}

/// Carries out a plan under the lock, so that what was compared is what is
/// changed, and reads back what came of it.
pub async fn carry_out(
    ctx: &Ctx,
    bundle: &Bundle,
    prepared: &mut Prepared,
    store: &Store<'_>,
    lock: &Lock,
    how: How,
) -> Result<()> {
    let Prepared { plan, state, remotes, locals, .. } = prepared;
    let read = |path: &str| -> Result<Vec<u8>> {
        let bytes = fs::read(locals.get(path).with_context(|| format!("find `{path}`"))?)?;
        if plan.files.0.get(path) != Some(&Sha256::of(&bytes)) {
            return Err(Fault::new(
                FaultKind::Integrity,
                format!("`{path}` changed while it was deployed"),
            )
            .into());
        }
        Ok(bytes)
    };
    apply::files(ctx, plan, &read).await?;
    apply::folder_permissions(ctx, bundle).await?;
    store.confirm(lock).await?;
    let is_copy = how.is_copy;
    let mut applying = apply::Applying { ctx, plan, state: &mut *state, remotes, is_copy };
    applying.run(store).await?;
    store.confirm(lock).await?;
    let resources = apply::read_back(ctx, plan, state).await?;
    let whose = (how.release, by(ctx, lock.user.clone()));
    let remembered = Remembered::new(state, Some(plan.files.clone()), resources, whose);
    store.remember(&remembered).await?;
    store.save_metadata(bundle, state, &plan.files, &ctx.context).await
}

/// Does something under the deployment's lock, and gives it back whatever came
/// of it.
pub async fn under_lock<T>(
    ctx: &Ctx,
    bundle: &Bundle,
    step_key: Option<&str>,
    work: impl AsyncFnOnce(&Store<'_>, &Lock) -> Result<T>,
) -> Result<T> {
    let me = ctx.client.me().await?;
    let store = Store::new(&ctx.client, bundle);
    let lock = store.lock(ctx, step_key, &me.user_name).await?;
    let result = work(&store, &lock).await;
    let unlocked = store.unlock(&lock).await;
    let done = result?;
    unlocked?;
    Ok(done)
}

/// Notes what another tool has deployed: how the resources are now, and which
/// files of the bundle it was given. `plan` is what it carried out.
///
/// # Errors
/// When somebody else deployed in between, and what is there is theirs.
pub async fn remember(
    ctx: &Ctx,
    bundle: &Bundle,
    plan: &bundle::Plan,
    release: Option<Deployed>,
) -> Result<()> {
    let Found { state, remotes, .. } = look(ctx, bundle).await?;
    let is_first = plan.serial == 0;
    if !is_first && state.lineage != plan.lineage || state.serial > plan.serial + 1 {
        let message = "another deployment came between: what is there now is not what was planned";
        return Err(Fault::new(FaultKind::Conflict, message)
            .hint("`bundle-deploy status` tells what runs; deploy again if it is not yours")
            .into());
    }
    let resources = remotes.into_iter().filter_map(|(key, found)| Some((key, found?.settings)));
    let store = Store::new(&ctx.client, bundle);
    // What the other tool has left out is still to be uploaded.
    let sent = store.sent().await?;
    let mut files = plan.files.clone();
    let own = format!("{}/", bundle.file_path);
    files.0.retain(|path, _| path.strip_prefix(&own).is_some_and(|path| sent.contains(path)));
    let built = format!("{}/.internal", bundle.artifact_path);
    for wheel in ctx.client.workspace_list(&built).await? {
        // A list may tell paths in another form than ours.
        let name = wheel.path.rsplit('/').next().unwrap_or_default();
        let path = format!("{built}/{name}");
        let bytes = ctx.client.workspace_read(&path).await?;
        files.0.extend(bytes.map(|bytes| (path, Sha256::of(bytes))));
    }
    let whose = (release, by(ctx, ctx.client.me().await?.user_name));
    let remembered = Remembered::new(&state, Some(files), resources.collect(), whose);
    store.remember(&remembered).await
}

fn by(ctx: &Ctx, user: String) -> DeployedBy {
    let Context { actor, run_url, .. } = ctx.context.clone();
    DeployedBy { user, actor, run_url, at: clock::now().to_string() }
}

/// Removes the resources and the bundle's folder, if the plan made under the
/// lock is one that `agree` takes. The lock goes with the folder.
pub async fn remove(
    ctx: &Ctx,
    bundle: &Bundle,
    step_key: Option<&str>,
    agree: impl AsyncFn(&bundle::Plan) -> Result<bool>,
) -> Result<Option<Prepared>> {
    let me = ctx.client.me().await?;
    let store = Store::new(&ctx.client, bundle);
    let lock = store.lock(ctx, step_key, &me.user_name).await?;
    let work = async {
        let mut removal = removal(ctx, bundle).await?;
        if !agree(&removal.plan).await? {
            return Ok(None);
        }
        take_away(ctx, bundle, &mut removal, false).await?;
        anyhow::Ok(Some(removal))
    };
    let result = work.await;
    // The folder, and the lock with it, may be gone already.
    let unlocked = store.unlock_if_held(&lock).await;
    let removed = result?;
    unlocked?;
    Ok(removed)
}

/// Removes a copy that is nobody else's, with all that jobs have made in it. It
/// asks for no lock: whoever held it is over, or is us.
pub async fn remove_copy(ctx: &Ctx, bundle: &Bundle) -> Result<usize> {
    let mut removal = removal(ctx, bundle).await?;
    take_away(ctx, bundle, &mut removal, true).await?;
    Ok(removal.plan.count(bundle::Action::Delete))
}

async fn take_away(
    ctx: &Ctx,
    bundle: &Bundle,
    removal: &mut Prepared,
    is_copy: bool,
) -> Result<()> {
    let store = Store::new(&ctx.client, bundle);
    let Prepared { plan, state, remotes, .. } = removal;
    apply::Applying { ctx, plan, state, remotes, is_copy }.run(&store).await?;
    let removed = ctx.client.workspace_delete(&bundle.root_path, true).await;
    removed.context("remove the bundle's folder")
}
