//! Plans, applies, destroys, tells and goes back.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::approved::check_fresh;
use super::engine::{self, Chosen, Engine};
use super::names;
use super::others::Others;
use super::owner::Claim;
use super::policy::{self, Agreed};
use super::show;
use super::source::{Source, root};
use super::tell::{self, row, write_row};
use crate::bundle::{self, Deployed, Lock, Plan};
use crate::checkout::BundleChoice;
use crate::config::{Deploy, DeployEngine, Release};
use crate::deployment::{self, Found, How, Known, Prepared, Store, releases};
use crate::names::{SchemaName, Sha256};
use crate::report::{Document, Fault, Finding, Outcome, Report, Severity, Verdict, counted};
use crate::step::{self, Ctx};
use crate::sys::fs;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Plan,
    Apply {
        plan: Option<PathBuf>,
    },
    Destroy,
    Status,
    /// To the release before this one, or before the present one.
    Rollback {
        from: Option<String>,
    },
    Unlock {
        id: String,
    },
}

/// What is to be deployed, and by whom.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub choice: BundleChoice,
    /// A release's tag, its folder, its manifest, or the address of that.
    pub release: Option<String>,
    /// How tags are named.
    pub tags: Release,
    /// Of the release's manifest.
    pub digest: Option<Sha256>,
    pub engine: DeployEngine,
    pub step_key: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    /// Whether the merge request is told of the plan.
    pub comment: bool,
    pub wanted: Wanted,
    pub agreed: Agreed,
    pub policy: Deploy,
    pub record: Option<SchemaName>,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let wanted = &request.wanted;
    match &request.action {
        Action::Unlock { id } => unlock(&ctx, wanted, id).await,
        Action::Status => status(&ctx, wanted).await,
        Action::Destroy => destroy(&ctx, &request).await,
        Action::Plan => {
            let source = Source::open(&ctx, wanted).await?;
            let mut work = Work::new(&ctx, &request, source, "deploy").await?;
            work.plan().await
        }
        Action::Apply { plan } => {
            let approved = plan.as_deref().map(read_plan).transpose()?;
            let source = Source::open(&ctx, wanted).await?;
            let mut work = Work::new(&ctx, &request, source, "deploy").await?;
            work.apply(approved.as_ref()).await
        }
        Action::Rollback { from } => {
            let source = Source::previous(&ctx, wanted, from.as_deref()).await?;
            let mut work = Work::new(&ctx, &request, source, "rollback").await?;
            work.apply(None).await
        }
    }
}

/// One deployment, from the bundle to the record.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) request: &'a Request,
    pub(super) source: Source,
    engine: Chosen,
    kind: &'static str,
    /// As it was read before the lock: a plan can go by it.
    known: Option<Known>,
}

impl<'a> Work<'a> {
    async fn new(
        ctx: &'a Ctx,
        request: &'a Request,
        source: Source,
        kind: &'static str,
    ) -> Result<Self> {
        let (known, claim) = tokio::try_join!(
            deployment::known(ctx, &source.bundle),
            Claim::check(ctx, &request.policy, &source.bundle)
        )?;
        claim.tell(ctx);
        let bundle = &source.bundle;
        // A release that is gone back to may be older than the policy.
        if kind != "rollback" {
            names::check(&request.policy, bundle)?;
        }
        let has_wheels = source.release.is_some() && !bundle.artifacts.is_empty();
        let special = (has_wheels, !bundle.foreign.is_empty());
        let wanted = request.wanted.engine;
        let engine = engine::choose(ctx, wanted, &request.policy, &known.0, special).await?;
        ctx.host.progress(&format!("engine: {}", engine.told()));
        Ok(Self { ctx, request, source, engine, kind, known: Some(known) })
    }

    fn is_rollback(&self) -> bool {
        self.kind == "rollback"
    }

    pub(super) fn release(&self) -> Option<Deployed> {
        self.source.release.as_ref().map(|opened| opened.deployed())
    }

    /// What a plan is bound to, where it is a release that is deployed.
    pub(super) fn release_digest(&self) -> Option<String> {
        self.source.release.as_ref().map(|opened| opened.digest.to_string())
    }

    /// What would change. Only the native engine can carry it out afterwards.
    async fn prepare(&mut self, known: Option<Known>) -> Result<(Plan, Option<Prepared>)> {
        match &self.engine.engine {
            Engine::Cli(cli) => Ok((self.planned(cli).await?.plan, None)),
            Engine::Native => {
                let root = root(&self.source).clone();
                let mut prepared =
                    deployment::prepare(self.ctx, &mut self.source.bundle, &root, known).await?;
                prepared.plan.release = self.release_digest();
                Ok((prepared.plan.clone(), Some(prepared)))
            }
        }
    }

    pub(super) fn violations(&self, plan: &Plan) -> Vec<Finding> {
        let policy = self.request.policy.policy_of(&plan.target);
        policy::violations(plan, &policy, &self.request.agreed)
    }

    fn report(&self, plan: (&Plan, &Others), verb: &str) -> Report {
        show::report(plan, verb, &self.engine.told(), self.release().as_ref())
    }

    async fn plan(&mut self) -> Result<Outcome> {
        let known = self.known.take();
        let before = known.clone();
        let is_first = known.as_ref().is_some_and(|(state, _)| state.serial == 0);
        let (plan, _) = self.prepare(known).await?;
        let others = Others::of(self.ctx, before.as_ref(), plan.steps.iter()).await;
        let mut report = self.report((&plan, &others), "Plan");
        let violations = self.violations(&plan);
        let (verdict, reason) = match violations.len() {
            0 => (Verdict::Pass, show::summary(&plan, show::to_do)),
            count => {
                (Verdict::Fail, format!("{} in the plan may not be done", counted(count, "thing")))
            }
        };
        report.findings.extend(violations);
        let mut report = report.concluded(verdict, reason);
        if self.request.comment {
            if is_first {
                report.findings.push(tell::nothing_there(&self.source.bundle.root_path));
            }
            tell::comment(self.ctx, &plan.target, &mut report).await;
        }
        let outcome = Outcome::new(report)
            .output("changes", (!plan.is_empty()).to_string())
            .output("destroys", plan.steps.iter().any(|step| step.action.destroys()).to_string())
            .output("drift", plan.steps.iter().any(|step| !step.drift.is_empty()).to_string());
        Ok(Outcome { document: Some(Document { name: "plan", content: json!(plan) }), ..outcome })
    }

    async fn apply(&mut self, approved: Option<&Plan>) -> Result<Outcome> {
        let verb = if self.is_rollback() { "Roll back" } else { "Deploy" };
        let applied = match self.engine.engine.clone() {
            Engine::Native => self.under_lock(approved).await?,
            Engine::Cli(cli) => self.by_cli(&cli, approved).await?,
        };
        let Applied { plan, violations } = applied;
        // By now the log may tell of this deployment, too: the plan has told of others.
        let mut report = self.report((&plan, &Others::default()), verb);
        if !violations.is_empty() {
            let reason =
                format!("nothing was done: {} may not be", counted(violations.len(), "thing"));
            report.findings.extend(violations);
            return Ok(
                Outcome::new(report.concluded(Verdict::Fail, reason)).output("changes", "false")
            );
        }
        if let Some(opened) = &self.source.release
            && !releases::is_kept(opened)
        {
            let title = "the release is too large to be kept: a rollback needs --release";
            report.findings.push(Finding::new(Severity::Notice, "deploy/not-kept", title));
        }
        self.record(&plan).await?;
        let reason = if plan.is_empty() {
            "nothing to change".to_owned()
        } else {
            show::summary(&plan, show::done)
        };
        let release = self.release();
        let version = release.as_ref().map_or("", |release| &release.version).to_owned();
        Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
            .output("changes", (!plan.is_empty()).to_string())
            .output("release-version", version))
    }

    async fn under_lock(&mut self, approved: Option<&Plan>) -> Result<Applied> {
        let (ctx, bundle) = (self.ctx, self.source.bundle.clone());
        let step_key = self.request.wanted.step_key.as_deref();
        // Under the lock, so that what was compared is what is changed.
        let work = async |store: &Store<'_>, lock: &Lock| self.locked(approved, store, lock).await;
        deployment::under_lock(ctx, &bundle, step_key, work).await
    }

    async fn locked(
        &mut self,
        approved: Option<&Plan>,
        store: &Store<'_>,
        lock: &Lock,
    ) -> Result<Applied> {
        let claim = self.claim().await?;
        let (plan, prepared) = self.prepare(None).await?;
        let mut prepared = prepared.context("the native engine prepares what it plans")?;
        if let Some(approved) = approved {
            check_fresh(approved, &plan)?;
        }
        let violations = self.violations(&plan);
        let release = self.release();
        let present = prepared.remembered.release(&prepared.state);
        let is_other =
            release.as_ref().map(|release| release.digest) != present.map(|release| release.digest);
        if violations.is_empty() {
            claim.make(store).await?;
            if !plan.is_empty() || is_other {
                self.begin().await?;
                let bundle = &self.source.bundle;
                let how = How { release, is_copy: false };
                deployment::carry_out(self.ctx, bundle, &mut prepared, store, lock, how).await?;
            }
            self.finish().await?;
        }
        Ok(Applied { plan, violations })
    }

    /// Under the lock: whoever was there first has written it.
    pub(super) async fn claim(&self) -> Result<Claim> {
        Claim::check(self.ctx, &self.request.policy, &self.source.bundle).await
    }

    /// What is about to be deployed can be left, and deployed again.
    pub(super) async fn begin(&self) -> Result<()> {
        let Some(opened) = &self.source.release else { return Ok(()) };
        let (client, bundle) = (&self.ctx.client, &self.source.bundle);
        releases::begin(client, bundle, opened, self.is_rollback()).await
    }

    pub(super) async fn finish(&self) -> Result<()> {
        let Some(release) = self.release() else { return Ok(()) };
        let (client, bundle) = (&self.ctx.client, &self.source.bundle);
        releases::finish(client, bundle, &release, self.is_rollback()).await
    }

    async fn record(&self, plan: &Plan) -> Result<()> {
        let state = Store::new(&self.ctx.client, &self.source.bundle).state().await?;
        let release = self.release();
        let row =
            row(self.ctx, self.kind, plan, state.serial, self.engine.name(), release.as_ref());
        write_row(self.ctx, self.request.record.as_ref(), row).await
    }
}

/// What was planned in the end, and what spoke against it.
pub(super) struct Applied {
    pub(super) plan: Plan,
    pub(super) violations: Vec<Finding>,
}

fn read_plan(path: &Path) -> Result<Plan> {
    let text = fs::read_text(path)?;
    let wrong = |what: &str| Fault::usage(format!("`{}` is not a plan: {what}", path.display()));
    let told = |error: serde_json::Error| wrong(&error.to_string());
    let plan: Plan = serde_json::from_str(&text).map_err(told)?;
    // Another spelling of the same is not what was approved, either.
    let written: serde_json::Value = serde_json::from_str(&text).map_err(told)?;
    if json!(plan) != written {
        return Err(wrong("it is not as it was written").into());
    }
    Ok(plan)
}

async fn destroy(ctx: &Ctx, request: &Request) -> Result<Outcome> {
    let wanted = &request.wanted;
    let source = Source::open(ctx, wanted).await?;
    let bundle = &source.bundle;
    names::check(&request.policy, bundle)?;
    let policy = |plan: &Plan| {
        policy::violations(plan, &request.policy.policy_of(&plan.target), &request.agreed)
    };
    let step_key = wanted.step_key.as_deref();
    let agree = async |plan: &Plan| {
        Claim::check(ctx, &request.policy, bundle).await?.tell(ctx);
        Ok(policy(plan).is_empty())
    };
    let removed = deployment::remove(ctx, bundle, step_key, agree).await?;
    let Some(removal) = removed else {
        // What holds data is named, also when everything is to go.
        let plan = deployment::removal(ctx, bundle).await?.plan;
        let deleted = plan.count(bundle::Action::Delete);
        let mut report = show::report((&plan, &Others::default()), "Destroy", "native", None);
        report.findings.extend(policy(&plan));
        let reason =
            format!("nothing was done: destroy would delete {}", counted(deleted, "resource"));
        return Ok(Outcome::new(report.concluded(Verdict::Fail, reason)));
    };
    let deleted = removal.plan.count(bundle::Action::Delete);
    let report = show::report((&removal.plan, &Others::default()), "Destroy", "native", None);
    let row = row(ctx, "destroy", &removal.plan, removal.state.serial, "native", None);
    write_row(ctx, request.record.as_ref(), row).await?;
    let reason = format!("{} and the bundle's folder were removed", counted(deleted, "resource"));
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)))
}

async fn unlock(ctx: &Ctx, wanted: &Wanted, id: &str) -> Result<Outcome> {
    let source = Source::open(ctx, wanted).await?;
    let broken = Store::new(&ctx.client, &source.bundle).break_lock(id).await?;
    let report = Report::new("bundle-deploy", format!("Unlock {}", source.bundle.name));
    let reason =
        format!("the lock of `{}`, taken {}, is broken", broken.user, broken.acquisition_time);
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)))
}

/// What runs here, and whether it is still what was deployed.
async fn status(ctx: &Ctx, wanted: &Wanted) -> Result<Outcome> {
    let source = Source::open(ctx, wanted).await?;
    let bundle = &source.bundle;
    let store = Store::new(&ctx.client, bundle);
    let found = deployment::look(ctx, bundle).await?;
    let title = format!("{} at {}", bundle.name, bundle.target);
    let mut report = Report::new("bundle-deploy", title);
    report.fact("workspace", ctx.client.host());
    if let Some(owner) = store.owner().await? {
        report.fact("repository", owner);
    }
    if found.state.serial == 0 && found.state.state.is_empty() {
        return Ok(Outcome::new(report.concluded(Verdict::Pass, "nothing is deployed here"))
            .output("deployed", "false"));
    }
    came_about(&found, &mut report);
    if let Some(lock) = store.holder().await? {
        report.fact("locked by", format!("{} since {}", lock.user, lock.acquisition_time));
    }
    let release = found.remembered.release(&found.state).cloned();
    match &release {
        Some(release) => {
            report.fact("release", release.version.clone());
            report.fact("commit", release.commit.clone());
            report.fact("manifest", release.digest.to_string());
        }
        None => report.fact("release", "none: it was deployed from a folder"),
    }
    let steps = found.drifted();
    let known = (found.state.clone(), found.remembered.clone());
    let others = Others::of(ctx, Some(&known), steps.iter()).await;
    others.unknown().iter().for_each(|why| report.fact("who changed it is not known", *why));
    let mut table = show::drift(steps.iter(), &others);
    for key in found.gone() {
        let words = ["the resource", "there", "gone", "–"].map(str::to_owned);
        let cells = std::iter::once(key).chain(words);
        table.row(Some(Verdict::Fail), cells);
    }
    let count = steps.len() + found.gone().count();
    report.tables.push(table);
    let what = release.map_or_else(|| "a folder".to_owned(), |release| release.version);
    let (verdict, reason) = match count {
        _ if !found.is_known() => (
            Verdict::Inconclusive,
            "another tool deployed last: what others changed since is not known".to_owned(),
        ),
        0 => (Verdict::Pass, format!("{what} runs here as it was deployed")),
        count => (
            Verdict::Fail,
            format!("{what} was deployed here; {} not as deployed", counted(count, "resource")),
        ),
    };
    Ok(Outcome::new(report.concluded(verdict, reason))
        .output("deployed", "true")
        .output("drift", (count > 0).to_string()))
}

/// By which tool a deployment was made, by whom and when.
fn came_about(found: &Found, report: &mut Report) {
    report.fact("serial", found.state.serial.to_string());
    report.fact("deployed with", found.state.cli_version.clone());
    let Some(by) = found.remembered.by(&found.state) else { return };
    report.fact("deployed by", by.user.clone());
    report.fact("deployed at", by.at.clone());
    for (name, told) in [("started by", &by.actor), ("run", &by.run_url)] {
        told.iter().for_each(|told| report.fact(name, told.clone()));
    }
}
