//! Resolves the versions, reads the predictions, decides, records.

use std::path::PathBuf;

use anyhow::Result;
use jiff::SignedDuration;

use super::frame::{self, Frame};
use super::input::{Judged, judge};
use super::measure::measure;
use super::versions::{Candidate, Champion, candidate, champion};
use super::{evaluation, facts, live, outcome, verify};
use crate::config::Gate;
use crate::lake::{self, Asked};
use crate::names::{ModelName, SchemaName, Sha256, Source};
use crate::record::evidence::{Data, Evidence, Measured, Scope, Statement, Subject, Unjudged};
use crate::report::{Fault, FaultKind, Outcome};
use crate::step::{self, Ctx};
use crate::sys::clock;
use crate::verdict::{self, Decision};

#[derive(Debug, Clone)]
pub enum Request {
    Judge(Box<Judge>),
    /// Takes the decision of a document again; from the data too, if told.
    Verify {
        evidence: PathBuf,
        recompute: bool,
    },
}

#[derive(Debug, Clone)]
pub struct Judge {
    pub model: ModelName,
    pub candidate: Candidate,
    pub champion: Champion,
    /// The model that it is a version of.
    pub champion_of: ModelName,
    /// The bundle's target, for the keys of jobs.
    pub target: Option<String>,
    pub policy: Gate,
    pub filter: Option<String>,
    pub record: Option<SchemaName>,
}

impl Judge {
    /// The champion's model, where it is not the candidate's.
    fn other_model(&self) -> Option<&ModelName> {
        Some(&self.champion_of).filter(|model| **model != self.model)
    }
}

impl step::Request for Request {
    fn needs_workspace(&self) -> bool {
        !matches!(self, Self::Verify { recompute: false, .. })
    }

    fn reads_reports(&self) -> bool {
        matches!(self, Self::Verify { .. })
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match request {
        Request::Judge(asked) => judge_version(ctx, *asked).await,
        Request::Verify { evidence, recompute } => verify::verify(&ctx, &evidence, recompute).await,
    }
}

async fn judge_version(ctx: Ctx, request: Judge) -> Result<Outcome> {
    let policy = &request.policy;
    // From here on numbers are used, never the alias: it may move meanwhile.
    let candidate = candidate(&ctx.client, &request.model, &request.candidate).await?;
    let champion = champion(&ctx.client, &request.champion_of, &request.champion).await?;
    let is_candidate = |champion: &Subject| match request.other_model() {
        None => champion.version == candidate.version,
        // A copy of the candidate is the candidate.
        Some(_) => champion.digest == candidate.digest,
    };
    let is_champion = champion.as_ref().is_some_and(is_candidate);
    let champion = champion.filter(|_| !is_champion);
    let told = match &champion {
        Some(champion) => format!("champion version {}", champion.version),
        None if is_champion => "which is the champion".to_owned(),
        None => "no champion".to_owned(),
    };
    ctx.host.progress(&format!("candidate version {}, {told}", candidate.version));
    // What the policy says in SQL is read before jobs take their hours.
    frame::columns(policy, champion.is_some())?;

    let models = [&request.model, &request.champion_of];
    let versions = (&candidate, champion.as_ref(), models);
    let runs = evaluation::run(&ctx, &policy.jobs, request.target.as_deref(), versions).await?;
    let read = match &policy.predictions {
        None => None,
        Some(predictions) => {
            let wanted = Wanted { policy, predictions, filter: request.filter.as_deref() };
            Some(read(&ctx, wanted, champion.is_some()).await?)
        }
    };
    let judged = read.as_ref().map(|read| {
        let frame = read.frame.as_ref().map_err(Clone::clone)?;
        of_versions(policy, frame, &candidate, champion.as_ref())?;
        judge(frame, policy, champion.is_some())
    });
    let state = read.as_ref();
    let digest = state.and_then(|read| read.digest);
    let seed = seed(state, &candidate, champion.as_ref());
    let (mut measured, judged) = match judged {
        Some(judged) => measured(judged, policy, seed)?,
        None => (Measured::default(), None),
    };
    measured.is_champion = is_champion;
    measured.is_newest = is_champion && request.candidate == Candidate::Newest;
    besides(&ctx, &request, (&candidate, champion.as_ref()), &mut measured).await?;
    let data = Data {
        source: policy.predictions.clone(),
        version: state.and_then(|read| read.version),
        digest,
        champion: state.and_then(|read| read.champion.clone()),
        champion_version: state.and_then(|read| read.champion_version),
        filter: request.filter.clone(),
        runs,
        rows: judged.as_ref().map_or(0, |judged| judged.rows),
        seed,
    };
    let (evidence, decision) = sealed(&ctx, &request, (candidate, champion), data, measured);
    if let Some(schema) = &request.record {
        ctx.lake()?.record(schema, &outcome::rows(&evidence)).await?;
    }
    Ok(outcome::outcome(&evidence, &decision, judged.as_ref()))
}

/// Of the draws: the same for the same rows and models.
fn seed(read: Option<&Read>, candidate: &Subject, champion: Option<&Subject>) -> u64 {
    let digest = |digest: Option<Sha256>| digest.map_or(String::new(), |digest| digest.to_string());
    let parts = [
        read.map_or("", |read| read.identity.as_str()),
        &digest(read.and_then(|read| read.digest)),
        &candidate.digest.to_string(),
        &digest(champion.map(|champion| champion.digest)),
    ];
    Sha256::of_parts(parts).seed()
}

/// Refuses answers of other versions, where the rows tell whose they are.
pub(super) fn of_versions(
    policy: &Gate,
    frame: &Frame,
    candidate: &Subject,
    champion: Option<&Subject>,
) -> Result<()> {
    let named = [
        (&policy.candidate_version, &frame.rows, Some(candidate)),
        (&policy.champion_version, &frame.champion, champion),
    ];
    for (name, rows, subject) in named {
        if let (Some(name), Some(subject)) = (name, subject) {
            frame::of_version(rows, name, subject.version)?;
        }
    }
    Ok(())
}

/// What the policy asks for beside the predictions.
async fn besides(
    ctx: &Ctx,
    request: &Judge,
    (candidate, champion): (&Subject, Option<&Subject>),
    measured: &mut Measured,
) -> Result<()> {
    let (policy, model, version) = (&request.policy, &request.model, candidate.version);
    if !policy.logged.is_empty() {
        let Scope { candidate, champion: theirs, unclear, .. } = &mut measured.whole;
        let mut places = vec![(model, version, candidate)];
        if let Some(champion) = champion {
            places.push((&request.champion_of, champion.version, theirs.get_or_insert_default()));
        }
        for (model, version, values) in places {
            for (name, found) in facts::logged(ctx, policy.logged.keys(), model, version).await? {
                match found {
                    Ok(value) => _ = values.insert(name, value),
                    Err(why) => _ = unclear.insert(name, why),
                }
            }
        }
    }
    if let Some(compliance) = &policy.compliance {
        measured.facts = Some(facts::collect(ctx, model, version, compliance).await?);
    }
    if let Some(infrastructure) = &policy.infrastructure {
        measured.probes = facts::probes(ctx, infrastructure, model, version).await?;
    }
    if let Some(experiment) = &policy.experiment {
        let opened = lake::open(ctx, &experiment.outcomes, Asked::default()).await?;
        let names = live::columns(experiment);
        let batches = opened.side.read(ctx.lake_if_any(), &names, &opened.grouping).await?;
        let rows = frame::joined(&batches)?;
        measured.live =
            Some(live::measure(experiment, (&rows, &opened.identity), 1.0 - policy.confidence)?);
    }
    Ok(())
}

/// Decides, and seals what the decision was made from.
fn sealed(
    ctx: &Ctx,
    request: &Judge,
    (candidate, champion): (Subject, Option<Subject>),
    data: Data,
    measured: Measured,
) -> (Evidence, Decision) {
    let (policy, model) = (&request.policy, &request.model);
    let now = clock::now();
    let decision = verdict::decide(policy, &measured, &now.to_string());
    let context = &ctx.context;
    let evidence = Evidence::seal(Statement {
        model: model.clone(),
        champion_of: champion.as_ref().and(request.other_model()).cloned(),
        candidate,
        champion,
        data,
        policy: policy.clone(),
        measured,
        checks: decision.checks.clone(),
        verdict: decision.verdict.as_str().to_owned(),
        reason: decision.reason.clone(),
        at: now.to_string(),
        expires: policy.valid_days.and_then(|days| {
            let time = SignedDuration::from_mins((days * 1440.0).round() as i64);
            now.checked_add(time).ok().map(|time| time.to_string())
        }),
        commit: context.commit.clone(),
        repository: context.repository.clone(),
        run_url: context.run_url.clone(),
        stage: context.stage.clone(),
        actor: context.actor.clone(),
    });
    (evidence, decision)
}

/// The numbers that the decision is made from. Rows that cannot be judged are no error:
/// the decision is a no, which stays in the records.
pub(super) fn measured(
    judged: Result<Judged>,
    policy: &Gate,
    seed: u64,
) -> Result<(Measured, Option<Judged>)> {
    let error = match judged {
        Ok(judged) => return Ok((measure(&judged, policy, seed), Some(judged))),
        Err(error) => error,
    };
    let Some(Fault { kind: FaultKind::Data(code), message, hint }) = Fault::of(&error) else {
        return Err(error);
    };
    let hint = hint.as_ref().map(|hint| format!(" ({hint})"));
    let why = format!("{message}{}", hint.unwrap_or_default());
    let unjudged = Unjudged { code: (*code).to_owned(), why };
    Ok((Measured { unjudged: Some(unjudged), ..Measured::default() }, None))
}

/// The rows, and what tells their state.
pub(super) struct Read {
    /// Or why they are no rows of both models.
    pub(super) frame: Result<Frame, Fault>,
    identity: String,
    version: Option<u64>,
    pub(super) digest: Option<Sha256>,
    /// Where the champion's rows lie apart, and their state.
    pub(super) champion: Option<String>,
    champion_version: Option<u64>,
}

/// Which rows are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) policy: &'a Gate,
    pub(super) predictions: &'a Source,
    pub(super) filter: Option<&'a str>,
}

pub(super) async fn read(ctx: &Ctx, wanted: Wanted<'_>, with_champion: bool) -> Result<Read> {
    let policy = wanted.policy;
    let [ours, theirs] = frame::columns(policy, with_champion)?;
    let asked = Asked { filter: wanted.filter, ..Asked::default() };
    let opened = lake::open(ctx, wanted.predictions, asked).await?;
    let batches = opened.side.read(ctx.lake_if_any(), &ours, &opened.grouping).await?;
    // Files are what their bytes are, tables what their version is.
    let digest = opened.side.digest()?;
    let (mut identity, version) = (opened.identity, opened.version);
    let apart = policy.champion_predictions.as_ref().filter(|_| with_champion);
    let Some(source) = apart else {
        let frame = of_data(Frame::one(&batches, &policy.key))?;
        return Ok(Read {
            frame,
            identity,
            version,
            digest,
            champion: None,
            champion_version: None,
        });
    };
    let opened = lake::open(ctx, source, asked).await?;
    let champion_version = opened.version;
    let others = opened.side.read(ctx.lake_if_any(), &theirs, &opened.grouping).await?;
    let frame = of_data(Frame::two(&batches, &others, &policy.key))?;
    let own = opened.side.digest()?.map(|digest| format!(", digest {digest}"));
    let state = format!("{}{}", opened.identity, own.unwrap_or_default());
    identity.push_str(&format!(" and {state}"));
    Ok(Read { frame, identity, version, digest, champion: Some(state), champion_version })
}

/// Parts what is wrong with the data from all other errors.
fn of_data(frame: Result<Frame>) -> Result<Result<Frame, Fault>> {
    match frame {
        Ok(frame) => Ok(Ok(frame)),
        Err(error) => match Fault::of(&error) {
            Some(fault) if matches!(fault.kind, FaultKind::Data(_)) => Ok(Err(fault.clone())),
            _ => Err(error),
        },
    }
}
