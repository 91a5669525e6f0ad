//! Who carries a deployment out, and why.

use anyhow::Result;

use crate::bundle::State;
use crate::config::{Deploy, DeployEngine};
use crate::deployment::Cli;
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::https;

#[derive(Debug, Clone)]
pub(super) enum Engine {
    Native,
    Cli(Cli),
}

#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub(super) engine: Engine,
    pub(super) why: String,
}

impl Chosen {
    pub(super) fn name(&self) -> &'static str {
        match self.engine {
            Engine::Native => "native",
            Engine::Cli(_) => "cli",
        }
    }

    /// For the report.
    pub(super) fn told(&self) -> String {
        match &self.engine {
            Engine::Native => format!("native ({})", self.why),
            Engine::Cli(cli) => format!("databricks CLI {} ({})", cli.version, self.why),
        }
    }
}

/// `has_wheels` says that it is a release with artifacts in it, which the CLI
/// would build again; `is_foreign` that the bundle asks for what the CLI alone does.
pub(super) async fn choose(
    ctx: &Ctx,
    wanted: DeployEngine,
    policy: &Deploy,
    state: &State,
    (has_wheels, is_foreign): (bool, bool),
) -> Result<Chosen> {
    let native = |why: &str| Chosen { engine: Engine::Native, why: why.to_owned() };
    let ours = state.cli_version.starts_with("lakegate-");
    if has_wheels && is_foreign {
        let message = "the release holds built artifacts, which the databricks CLI would build again, and the bundle asks for what the CLI alone does";
        return Err(Fault::usage(message)
            .hint("leave one of them out, or deploy from the bundle instead of the release")
            .into());
    }
    match wanted {
        DeployEngine::Native => return Ok(native("as asked for")),
        // No code of a fork's bundle runs; the CLI would run its build commands.
        _ if ctx.context.from_fork => return Ok(native("the code comes from a fork")),
        DeployEngine::Cli if has_wheels => {
            let message = "the databricks CLI would build the release's artifacts again";
            return Err(Fault::usage(message).hint("pass --engine native").into());
        }
        DeployEngine::Auto if has_wheels => return Ok(native("the release is built already")),
        DeployEngine::Auto if state.serial > 0 && ours && !is_foreign => {
            return Ok(native("it deployed last"));
        }
        DeployEngine::Auto if state.serial == 0 && is_embedded(ctx) && !is_foreign => {
            return Ok(native("the workspace is an embedded one"));
        }
        _ => {}
    }
    if let Some(pin) = &policy.cli {
        let cli = Cli::pinned(ctx, pin).await?;
        return Ok(Chosen { engine: Engine::Cli(cli), why: "as deploy.cli names it".to_owned() });
    }
    let found = Cli::find(ctx).await;
    match (wanted, found) {
        (DeployEngine::Cli, Ok(Some(cli))) => {
            Ok(Chosen { engine: Engine::Cli(cli), why: "as asked for".to_owned() })
        }
        (DeployEngine::Cli, Ok(None)) => Err(Fault::usage("`databricks` is not on the PATH")
            .hint("install it on the runner, name it under `deploy.cli`, or pass --engine native")
            .into()),
        (DeployEngine::Cli, Err(error)) => Err(error),
        (_, Ok(Some(cli))) => {
            let why = match state.serial {
                _ if is_foreign => "the bundle asks for what it alone does",
                1.. if !ours => "it deployed last",
                _ => "it is installed",
            };
            Ok(Chosen { engine: Engine::Cli(cli), why: why.to_owned() })
        }
        (_, Ok(None)) => Ok(native("the databricks CLI is not installed")),
        (_, Err(error)) => {
            ctx.host.progress(&format!("the databricks CLI is not used: {error:#}"));
            Ok(native("the installed databricks CLI is not used"))
        }
    }
}

fn is_embedded(ctx: &Ctx) -> bool {
    reqwest::Url::parse(ctx.client.host()).is_ok_and(|host| https::is_loopback(&host))
}
