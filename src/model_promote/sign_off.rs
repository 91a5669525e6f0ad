//! Approvals, read where people give them; refusals and overrides, for the records.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::config::{ApprovalSource, SignOff};
use crate::forge::{Forge, Given};
use crate::names::{SchemaName, Sha256};
use crate::record::evidence::{Evidence, Statement};
use crate::record::statement::Parameter;
use crate::record::{self, SignOffRow};
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;
use crate::verdict::sign_off::{self, Approval, People, Signed};

/// Who counts as having asked for the promotion, and which approvals there are.
pub(super) async fn signed(
    ctx: &Ctx,
    policy: &SignOff,
    statement: &Statement,
    record: Option<&SchemaName>,
) -> Result<Signed> {
    let approvals = match policy.from {
        ApprovalSource::Tag => tagged(ctx, policy, statement).await?,
        ApprovalSource::Table => recorded(ctx, statement, record).await?,
        ApprovalSource::Github => of_run(ctx, statement, "github").await?,
        ApprovalSource::Azure => of_run(ctx, statement, "azure").await?,
    };
    let version = statement.candidate.version;
    let trained_by = ctx.client.model_version_get(&statement.model, version).await?;
    let authors = [
        ctx.context.actor.clone(),
        statement.actor.clone(),
        trained_by.and_then(|info| info.created_by),
    ];
    let mut authors: Vec<String> = authors.into_iter().flatten().collect();
    let of_host = matches!(policy.from, ApprovalSource::Github | ApprovalSource::Azure);
    let commit = statement.commit.as_deref().or(ctx.context.commit.as_deref());
    if let Some(commit) = commit.filter(|_| of_host && policy.not_author) {
        let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
        let wrote = forge.authors(commit).await.context("who wrote the change is not known")?;
        let elsewhere = || {
            Fault::usage("who wrote the change is not known: its repository is kept by another host than the approvals")
                .hint("let `promotion.sign_off` be `from: table`, or say `not_author: false`")
        };
        authors.extend(wrote.ok_or_else(elsewhere)?);
    }
    let members = members(ctx, policy, &approvals).await?;
    let people = People { authors: &authors, members: &members };
    Ok(sign_off::count(policy, approvals, people, clock::now()))
}

/// Those who agreed and belong to one of the policy's teams.
async fn members(ctx: &Ctx, policy: &SignOff, approvals: &[Approval]) -> Result<Vec<String>> {
    let mut members = Vec::new();
    if policy.teams.is_empty() {
        return Ok(members);
    }
    let listed = |who: &&str| policy.approvers.iter().any(|one| one.eq_ignore_ascii_case(who));
    let asked = approvals.iter().filter_map(|approval| approval.who.as_deref());
    for who in asked.filter(|who| !listed(who)).collect::<BTreeSet<_>>() {
        let is_member = match policy.from {
            ApprovalSource::Tag => false,
            ApprovalSource::Table => {
                let groups = ctx.client.groups_of(who).await;
                let groups = groups.with_context(|| format!("read the groups of {who}"))?;
                if groups.is_empty() {
                    ctx.host.progress(&format!(
                        "the workspace tells of no group that {who} is in; it tells admins alone"
                    ));
                }
                groups.iter().any(|group| policy.teams.contains(group))
            }
            ApprovalSource::Github | ApprovalSource::Azure => {
                let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
                is_in_any(&forge, &policy.teams, who).await?
            }
        };
        if is_member {
            members.push(who.to_owned());
        }
    }
    Ok(members)
}

async fn is_in_any(forge: &Forge, teams: &[String], who: &str) -> Result<bool> {
    for team in teams {
        if forge.is_member(team, who).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn tagged(ctx: &Ctx, policy: &SignOff, statement: &Statement) -> Result<Vec<Approval>> {
    let version = statement.candidate.version;
    let tags = ctx.client.model_version_tags(&statement.model, version).await?;
    let Some(value) = tags.get(&policy.tag) else { return Ok(Vec::new()) };
    let digest = statement.candidate.digest.to_string();
    if !approves(value, &digest) {
        let short = statement.candidate.digest.short();
        let tag = &policy.tag;
        ctx.host.progress(&format!("the tag `{tag}` is `{value}`, which approves no {short}"));
        return Ok(Vec::new());
    }
    let approval = Approval {
        who: None,
        at: None,
        comment: String::new(),
        source: format!("tag {}", policy.tag),
    };
    Ok(vec![approval])
}

/// Whether a tag's value is `approved`, or `approved` with the start of this digest.
fn approves(value: &str, digest: &str) -> bool {
    /// As many digits as reports show.
    const LEAST: usize = 12;
    let mut words = value.split([' ', ':']).filter(|word| !word.is_empty());
    let is_yes = words.next().is_some_and(|word| word.eq_ignore_ascii_case("approved"));
    let bound = words.next();
    let fits = bound.is_none_or(|start| {
        start.len() >= LEAST && digest.starts_with(&start.to_ascii_lowercase())
    });
    is_yes && fits && words.next().is_none()
}

async fn recorded(
    ctx: &Ctx,
    statement: &Statement,
    record: Option<&SchemaName>,
) -> Result<Vec<Approval>> {
    let schema = record.ok_or_else(no_record)?;
    let lake = ctx.lake()?;
    lake.ensure::<SignOffRow>(schema).await?;
    let table = record::table::<SignOffRow>(schema).quoted();
    let asked = record::statement::Statement::new(format!(
        "SELECT who, `at`, reason FROM {table} WHERE kind = 'approval' AND model = :model AND version = :version AND digest = :digest ORDER BY `at`"
    ))
    .with(Parameter::string("model", statement.model.to_string()))
    .with(Parameter::new("version", Some(statement.candidate.version.to_string()), "BIGINT"))
    .with(Parameter::string("digest", statement.candidate.digest.to_string()));
    let rows = lake.client.sql(lake.warehouse, &asked).await;
    let rows = rows.with_context(|| format!("read {table}"))?.rows;
    let approval = |row: Vec<Option<String>>| -> Result<Approval> {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().flatten();
        let (who, at, reason) = (cell(), cell(), cell());
        let at = at.context("an approval has no time")?;
        Ok(Approval {
            who,
            at: Some(at.parse().with_context(|| format!("the time `{at}` of an approval"))?),
            comment: reason.unwrap_or_default(),
            source: "table".into(),
        })
    };
    rows.into_iter().map(approval).collect()
}

/// Approvals of the CI run that this is.
async fn of_run(ctx: &Ctx, statement: &Statement, host: &str) -> Result<Vec<Approval>> {
    let context = &ctx.context;
    if context.host != host {
        let fault =
            Fault::usage(format!("approvals are read from {host}, this runs on {}", context.host));
        return Err(fault.hint("run it there, or choose another `promotion.sign_off.from`").into());
    }
    // An approval is for what this run has judged, not for a document from elsewhere.
    if statement.run_url.is_none() || statement.run_url != context.run_url {
        let message = "the evidence is of another run than the approvals";
        let fault = Fault::new(FaultKind::Integrity, message);
        return Err(fault.hint("judge and promote in one run, with the sign-off between").into());
    }
    // Whoever must agree is asked before a job of GitHub begins, or a stage of Azure.
    if statement.stage.is_some() && statement.stage == context.stage {
        let message = "the model was judged in the very job that people agreed to before it began";
        let fault = Fault::new(FaultKind::Integrity, message);
        return Err(fault
            .hint("judge in a job (on Azure in a stage) of its own, before the one that promotes")
            .into());
    }
    let run = context.run_id.as_deref().context("the run has no number")?;
    let forge = Forge::new(context, &ctx.env, &ctx.masker())?;
    let own = environment(ctx).await;
    let mut given = forge.approvals(run).await?;
    given.retain(|given| is_for(given, own.as_deref()));
    let approval = |given: Given| -> Result<Approval> {
        let at = given.at.as_deref().map(str::parse).transpose();
        Ok(Approval {
            who: Some(given.who),
            at: at.context("the time of an approval")?,
            comment: given.comment,
            source: host.to_owned(),
        })
    };
    let judged: jiff::Timestamp = statement.at.parse().context("the evidence's time")?;
    let given = given.into_iter().map(approval).collect::<Result<Vec<_>>>()?;
    let (seen, unseen): (Vec<_>, Vec<_>) =
        given.into_iter().partition(|given| is_seen(given, judged));
    for Approval { who, .. } in &unseen {
        let who = who.as_deref().unwrap_or_default();
        ctx.host.progress(&format!(
            "what {who} approved is not counted: it was before the model was judged"
        ));
    }
    Ok(seen)
}

/// The environment of this job, as its identity token tells it: nothing else does.
async fn environment(ctx: &Ctx) -> Option<String> {
    let claims = ctx.client.presented().await.ok().flatten()?;
    claims.sub.split_once(":environment:").map(|(_, name)| name.to_owned())
}

/// Whether a review is one of this job's environment, where both are told: a run may
/// have others.
fn is_for(given: &Given, environment: Option<&str>) -> bool {
    environment.is_none_or(|own| {
        given.environments.is_empty()
            || given.environments.iter().any(|name| name.eq_ignore_ascii_case(own))
    })
}

/// Whether there was something to see when somebody agreed. Clocks differ a little.
fn is_seen(given: &Approval, judged: jiff::Timestamp) -> bool {
    given.at.is_none_or(|at| at >= judged - jiff::SignedDuration::from_secs(5))
}

/// Writes down what people said, once each.
pub(super) async fn keep(
    ctx: &Ctx,
    evidence: &Evidence,
    record: Option<&SchemaName>,
    kind: &'static str,
    said: &[Approval],
) -> Result<()> {
    let Some(schema) = record else { return Ok(()) };
    let statement = &evidence.statement;
    let row = |approval: &Approval| {
        let who = approval.who.clone();
        let digest = statement.candidate.digest.to_string();
        let version = statement.candidate.version.to_string();
        let at = approval.at.unwrap_or_else(clock::now).to_string();
        // Given again another day, it is another one: it has another age.
        let day = at.split('T').next().unwrap_or_default();
        let event = Sha256::of_parts([
            kind,
            &statement.model.to_string(),
            &version,
            &digest,
            // An approval is for the bytes, what is decided for the evidence.
            if kind == "approval" { day } else { &evidence.digest },
            who.as_deref().unwrap_or_default(),
            &approval.source,
        ]);
        SignOffRow {
            event_id: event.to_string(),
            kind,
            model: statement.model.to_string(),
            version: statement.candidate.version.0,
            digest,
            evidence: evidence.digest.clone(),
            who,
            source: approval.source.clone(),
            reason: Some(approval.comment.clone()).filter(|comment| !comment.is_empty()),
            run_url: ctx.context.run_url.clone(),
            at,
        }
    };
    let rows: Vec<SignOffRow> = said.iter().map(row).collect();
    if rows.is_empty() { Ok(()) } else { ctx.lake()?.record(schema, &rows).await }
}

/// Who asks: as the host proves it, or as the workspace knows the token.
pub(super) async fn caller(ctx: &Ctx) -> Result<String> {
    match (&ctx.context.actor, ctx.context.host) {
        (Some(actor), "github" | "azure") => Ok(actor.clone()),
        _ => Ok(ctx.client.me().await.context("ask who this is")?.user_name),
    }
}

pub(super) fn no_record() -> Fault {
    Fault::usage("nothing is recorded, so that no approval can be")
        .hint("set `record.schema` in lakegate.yml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_approves_the_bytes_that_it_names() {
        let digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for value in
            ["approved", " Approved ", "approved 0123456789ab", "APPROVED:0123456789ABCDEF"]
        {
            assert!(approves(value, digest), "{value}");
        }
        for value in [
            "",
            "no",
            "not approved",
            "approved 0123",
            "approved 0123456789ac",
            "approved 0123456789ab x",
        ] {
            assert!(!approves(value, digest), "{value}");
        }
    }

    #[test]
    fn a_review_of_another_environment_is_for_something_else() {
        let given = |names: &[&str]| Given {
            who: "eve".into(),
            at: None,
            comment: String::new(),
            environments: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let own = Some("prod-model");
        assert!(is_for(&given(&["Prod-Model"]), own) && is_for(&given(&["a", "prod-model"]), own));
        assert!(!is_for(&given(&["prod-release"]), own));
        // Azure names none, and a job without an identity token does not know its own.
        assert!(is_for(&given(&[]), own) && is_for(&given(&["prod-release"]), None));
    }

    #[test]
    fn what_was_agreed_to_unseen_does_not_count() {
        let judged: jiff::Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let given = |at: Option<&str>| {
            let at = at.map(|at| at.parse().unwrap());
            let approval = Approval {
                who: Some("eve".into()),
                at,
                comment: String::new(),
                source: "azure".into(),
            };
            is_seen(&approval, judged)
        };
        assert!(given(None) && given(Some("2026-05-01T12:00:01Z")));
        assert!(given(Some("2026-05-01T11:59:57Z")), "clocks differ");
        assert!(!given(Some("2026-05-01T11:59:30Z")));
    }
}
