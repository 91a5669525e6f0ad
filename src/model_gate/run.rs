//! Resolves the versions, reads the predictions, decides, records.

use anyhow::{Context as _, Result};
use jiff::SignedDuration;

use super::decide::decide;
use super::frame::{self, Frame};
use super::input::judge;
use super::measure::measure;
use super::outcome;
use crate::config::Gate;
use crate::databricks::Client;
use crate::lake::{self, Asked};
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, Sha256, VersionRef};
use crate::record::evidence::{Data, Evidence, Statement, Subject};
use crate::report::{Fault, Outcome};
use crate::step::{self, Ctx};
use crate::sys::clock;

#[derive(Debug, Clone)]
pub struct Request {
    pub model: ModelName,
    /// Nothing means the newest version.
    pub candidate: Option<VersionRef>,
    pub champion: Alias,
    pub policy: Gate,
    pub filter: Option<String>,
    pub record: Option<SchemaName>,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let policy = &request.policy;
    // From here on numbers are used, never the alias: it may move meanwhile.
    let candidate = candidate(&ctx.client, &request.model, request.candidate.as_ref()).await?;
    let champion = champion(&ctx.client, &request.model, &request.champion).await?;
    let champion = champion.filter(|champion| champion.version != candidate.version);
    ctx.host.progress(&format!(
        "candidate version {}, {}",
        candidate.version,
        champion.as_ref().map_or("no other champion".to_owned(), |champion| format!(
            "champion version {}",
            champion.version
        ))
    ));

    let read = read(&ctx, &request, champion.is_some()).await?;
    let judged = judge(&read.frame, policy, champion.is_some())?;
    let seed = Sha256::of_parts([
        read.identity.as_str(),
        &read.digest.map_or(String::new(), |digest| digest.to_string()),
        &candidate.digest.to_string(),
        &champion.as_ref().map_or(String::new(), |champion| champion.digest.to_string()),
    ])
    .seed();
    let measured = measure(&judged, policy, seed);
    let decision = decide(policy, &measured);
    let now = clock::now();
    let evidence = Evidence::seal(Statement {
        model: request.model.clone(),
        candidate,
        champion,
        data: Data {
            source: policy.predictions.clone(),
            version: read.version,
            digest: read.digest,
            champion: read.champion,
            filter: request.filter.clone(),
            rows: judged.rows,
            seed,
        },
        policy: policy.clone(),
        measured,
        checks: decision.checks.clone(),
        verdict: decision.verdict.as_str().to_owned(),
        reason: decision.reason.clone(),
        at: now.to_string(),
        expires: policy.valid_days.and_then(|days| {
            let hours = SignedDuration::from_mins((days * 1440.0).round() as i64);
            now.checked_add(hours).ok().map(|time| time.to_string())
        }),
        commit: ctx.context.commit.clone(),
        repository: ctx.context.repository.clone(),
        run_url: ctx.context.run_url.clone(),
        actor: ctx.context.actor.clone(),
    });
    if let Some(schema) = &request.record {
        ctx.lake()?.record(schema, &outcome::rows(&evidence)).await?;
    }
    Ok(outcome::outcome(&evidence, &decision, &judged))
}

/// The rows, and what tells their state.
struct Read {
    frame: Frame,
    identity: String,
    version: Option<u64>,
    digest: Option<Sha256>,
    champion: Option<String>,
}

async fn read(ctx: &Ctx, request: &Request, with_champion: bool) -> Result<Read> {
    let policy = &request.policy;
    let [ours, theirs] = frame::columns(policy, with_champion)?;
    let asked = Asked { filter: request.filter.as_deref(), ..Asked::default() };
    let opened = lake::open(ctx, &policy.predictions, asked).await?;
    let batches = opened.side.read(ctx.lake_if_any(), &ours, &opened.grouping).await?;
    // Files are what their bytes are, tables what their version is.
    let digest = opened.side.digest()?;
    let mut read = Read {
        frame: Frame::one(&batches, &policy.key)?,
        identity: opened.identity,
        version: opened.version,
        digest,
        champion: None,
    };
    if let Some(source) = policy.champion_predictions.as_ref().filter(|_| with_champion) {
        let opened = lake::open(ctx, source, asked).await?;
        let others = opened.side.read(ctx.lake_if_any(), &theirs, &opened.grouping).await?;
        read.frame = Frame::two(&batches, &others, &policy.key)?;
        let digest = opened.side.digest()?.map(|digest| format!(", digest {digest}"));
        let state = format!("{}{}", opened.identity, digest.unwrap_or_default());
        read.identity.push_str(&format!(" and {state}"));
        read.champion = Some(state);
    }
    Ok(read)
}

/// The version that is judged, and the digest of its files.
async fn candidate(
    client: &Client,
    model: &ModelName,
    version: Option<&VersionRef>,
) -> Result<Subject> {
    if client
        .model_get(model)
        .await
        .with_context(|| format!("look up the model `{model}`"))?
        .is_none()
    {
        let fault = Fault::usage(format!("the model `{model}` does not exist"));
        return Err(fault
            .hint("check its name, and that the identity may see its catalog and schema")
            .into());
    }
    let version = match version {
        Some(VersionRef::Version(number)) => *number,
        Some(VersionRef::Alias(alias)) => {
            let set = client.alias_get(model, alias).await?;
            set.ok_or_else(|| Fault::usage(format!("the alias `{alias}` of `{model}` is not set")))?
        }
        None => {
            let versions = client
                .model_versions(model)
                .await
                .with_context(|| format!("list the versions of `{model}`"))?;
            let newest = versions.iter().map(|version| version.version).max();
            ModelVersion(
                newest
                    .ok_or_else(|| Fault::usage(format!("the model `{model}` has no versions")))?,
            )
        }
    };
    Ok(Subject { version, digest: client.ready_digest(model, version).await? })
}

async fn champion(client: &Client, model: &ModelName, alias: &Alias) -> Result<Option<Subject>> {
    let set = client
        .alias_get(model, alias)
        .await
        .with_context(|| format!("read the alias `{alias}` of `{model}`"))?;
    match set {
        Some(version) => {
            Ok(Some(Subject { version, digest: client.ready_digest(model, version).await? }))
        }
        None => Ok(None),
    }
}
