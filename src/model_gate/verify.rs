//! Takes a gate's decision again: from its document alone, or from the data.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::input::judge;
use super::run::{Wanted, measured, of_versions, read};
use crate::names::AsOf;
use crate::record::evidence::{Evidence, Measured};
use crate::report::{Fault, FaultKind, Outcome, Report, Table, Verdict};
use crate::step::Ctx;
use crate::sys::{clock, fs};
use crate::verdict;

pub(super) async fn verify(ctx: &Ctx, path: &Path, recompute: bool) -> Result<Outcome> {
    let shown = path.display().to_string();
    let text = fs::read_text_if_exists(path)?
        .ok_or_else(|| Fault::usage(format!("`{shown}` does not exist")))?;
    let evidence = Evidence::parse(&text, &shown)?;
    verdict::stands(&evidence)?;
    let statement = &evidence.statement;
    verdict::in_time(statement, clock::now(), None)?;
    let mut report = Report::new(
        "model-gate-verify",
        format!("Evidence about {} version {}", statement.model, statement.candidate.version),
    );
    report.fact("decided", statement.verdict.clone());
    report.fact("at", statement.at.clone());
    report.fact("digest", statement.candidate.digest.short());
    let mut table = Table::new("Verified", ["what", "how"]);
    let mut seen = |what: &str, how: &str| {
        table.row(Some(Verdict::Pass), [what.to_owned(), how.to_owned()]);
    };
    seen("document", "it is as it was sealed");
    seen("verdict", "its own numbers give it, check by check");
    if recompute {
        let digest = ctx.client.ready_digest(&statement.model, statement.candidate.version).await?;
        if digest != statement.candidate.digest {
            return Err(differs("the files of the version").into());
        }
        seen("files", "the version's files have the digest that was judged");
        recomputed(ctx, &evidence).await?;
        seen("numbers", "the data gives the same ones, to the last bit");
    }
    report.tables.push(table);
    let reason = format!("the gate said {}: {}", statement.verdict, statement.reason);
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("decided", statement.verdict.clone())
        .output("digest", statement.candidate.digest.to_string()))
}

/// Measures again what the document states, from the data as it was.
async fn recomputed(ctx: &Ctx, evidence: &Evidence) -> Result<()> {
    let statement = &evidence.statement;
    let data = &statement.data;
    let Some(mut source) = data.source.clone() else {
        return Err(
            Fault::usage("nothing was measured: the evidence is made from logged metrics").into()
        );
    };
    source.as_of = data.version.map(AsOf::Version).or(source.as_of);
    let mut policy = statement.policy.clone();
    if let (Some(theirs), Some(version)) = (&mut policy.champion_predictions, data.champion_version)
    {
        theirs.as_of = Some(AsOf::Version(version));
    }
    let policy = &policy;
    let wanted = Wanted { policy, predictions: &source, filter: data.filter.as_deref() };
    let with_champion = statement.champion.is_some();
    let read = read(ctx, wanted, with_champion).await?;
    if read.digest != data.digest {
        return Err(differs("the file of predictions").into());
    }
    if read.champion != data.champion {
        return Err(differs("what the champion's predictions are read from").into());
    }
    let judged = read.frame.map_err(Into::into).and_then(|frame| {
        of_versions(policy, &frame, &statement.candidate, statement.champion.as_ref())?;
        judge(&frame, policy, with_champion)
    });
    let (again, _) = measured(judged, policy, data.seed)?;
    // What came from elsewhere is what it was at the time.
    let before = &statement.measured;
    let Measured { facts, probes, live, .. } = before.clone();
    let Measured { is_champion, is_newest, .. } = *before;
    let mut measured = Measured { facts, probes, live, is_champion, is_newest, ..again };
    measured.whole.unclear.clone_from(&before.whole.unclear);
    for name in policy.logged.keys() {
        let copy = |from: &BTreeMap<String, f64>, to: &mut BTreeMap<String, f64>| {
            to.extend(from.get(name).map(|value| (name.clone(), *value)));
        };
        copy(&before.whole.candidate, &mut measured.whole.candidate);
        if let Some(from) = &before.whole.champion {
            copy(from, measured.whole.champion.get_or_insert_default());
        }
    }
    if measured != statement.measured {
        return Err(differs("what the data gives").into());
    }
    Ok(())
}

fn differs(what: &str) -> Fault {
    Fault::new(FaultKind::Integrity, format!("{what} is not what the evidence is about"))
}
