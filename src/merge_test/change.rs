//! What changed, since when, and what that touches.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::affected::{self, Affected, Code, Reason, Sides};
use super::imports;
use super::run::Request;
use super::unit::Lines;
use crate::bundle::{self, Bundle, Sync};
use crate::checkout;
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, MergeTestRow};
use crate::report::{Fault, Finding, Report, Severity};
use crate::step::Ctx;
use crate::sys::fs;
use crate::sys::git::{Git, Snapshot};

/// Commits of the main branch among which one that passed is looked for.
const LOOK_BACK: usize = 200;

/// A change, and what it is compared with.
pub(super) struct Change {
    pub(super) base: Option<String>,
    pub(super) paths: Vec<String>,
    pub(super) lines: Option<Lines>,
}

impl Change {
    /// Since where the merge request began, or what passed last on the main branch.
    pub(super) async fn of(
        ctx: &Ctx,
        request: &Request,
        git: &Git<'_>,
        head: &str,
        report: &mut Report,
    ) -> Result<Self> {
        let name = request.base.as_ref().or(ctx.context.base.as_ref()).unwrap_or(&request.main);
        let mut base = None;
        for reference in [format!("refs/remotes/origin/{name}"), name.clone()] {
            if let Some(commit) = git.commit(&reference).await? {
                base = Some(git.merge_base(&commit, head).await?);
                break;
            }
        }
        if base.is_none() && (request.base.is_some() || ctx.context.base.is_some()) {
            return Err(Fault::usage(format!("git does not know `{name}`"))
                .hint("check out with the branch's history: `fetch-depth: 0` (GitHub), `fetchDepth: 0` (Azure)")
                .into());
        }
        if base.as_deref() == Some(head) {
            base = on_main(ctx, request, git, head, report).await?;
        }
        let mut paths = git.dirty().await?;
        let mut lines = None;
        if let Some(base) = &base {
            paths.extend(git.changed(base, head).await?);
            lines = Some(git.changed_lines(base, head).await?);
        }
        paths.sort();
        paths.dedup();
        Ok(Self { base, paths, lines })
    }
}

/// On the main branch itself, the newest commit whose files have passed; none
/// when that is not known of any. Without a record it is the commit before, which
/// may have failed.
async fn on_main(
    ctx: &Ctx,
    request: &Request,
    git: &Git<'_>,
    head: &str,
    report: &mut Report,
) -> Result<Option<String>> {
    let (Some(schema), Some(lake), false) =
        (&request.record, ctx.lake_if_any(), ctx.context.from_fork)
    else {
        let title = "no verdict is recorded here: the change is taken to be the last commit";
        report.findings.push(
            Finding::new(Severity::Notice, "merge/no-record", title)
                .hint("`record.schema` and a warehouse, or `--all`, also test what failed before"),
        );
        return git.commit("HEAD^1").await;
    };
    let history = git.first_parents(head, LOOK_BACK).await?;
    lake.ensure::<MergeTestRow>(schema).await?;
    let table = record::table::<MergeTestRow>(schema);
    let names: Vec<String> = (0..history.len()).map(|at| format!(":tree{at}")).collect();
    let mut statement = Statement::new(format!(
        "SELECT tree_id, base_id FROM {} WHERE verdict = 'pass' AND tree_id IN ({})",
        table.quoted(),
        names.join(", ")
    ));
    for (at, snapshot) in history.iter().enumerate() {
        statement = statement.with(Parameter::string(format!("tree{at}"), &snapshot.tree));
    }
    let answer = lake.client.sql(lake.warehouse, &statement).await;
    let rows = answer.with_context(|| format!("read `{table}`"))?.rows;
    let passed = rows.into_iter().filter_map(|row| {
        let mut cells = row.into_iter();
        Some(Passed { tree: cells.next()??, base: cells.next().flatten() })
    });
    Ok(newest_proved(&history, &passed.collect::<Vec<_>>()))
}

/// A test that passed: everything that the files of `tree` have other than `base`.
struct Passed {
    tree: String,
    base: Option<String>,
}

/// The newest commit of which everything has passed: its own test compared it
/// with nothing, or with a commit of which everything has passed.
fn newest_proved(history: &[Snapshot], passed: &[Passed]) -> Option<String> {
    let mut proved: Vec<&str> = Vec::new();
    for snapshot in history.iter().rev() {
        let mut tests = passed.iter().filter(|test| test.tree == snapshot.tree);
        if tests.any(|test| test.base.as_deref().is_none_or(|base| proved.contains(&base))) {
            proved.push(&snapshot.commit);
        }
    }
    proved.last().map(|commit| (*commit).to_owned())
}

impl Code {
    /// The change as the bundle's folder has it, and every Python file there.
    pub(super) fn of(request: &Request, git: &Git<'_>, change: &Change) -> Result<Self> {
        let local = |path: &String| {
            let below = if git.folder.is_empty() {
                Some(path.as_str())
            } else {
                path.strip_prefix(&git.folder).and_then(|rest| rest.strip_prefix('/'))
            };
            below.map_or_else(|| format!("../{path}"), str::to_owned)
        };
        let changed: Vec<String> = change.paths.iter().map(local).collect();
        let mut python = BTreeMap::new();
        for file in checkout::files(&request.bundle, &Sync::default())? {
            if file.ends_with(".py") {
                let text = fs::read(request.bundle.join(&file))?;
                python.insert(file, imports::imports(&String::from_utf8_lossy(&text)));
            }
        }
        // A file that is gone is still imported by name.
        for path in changed.iter().filter(|path| path.ends_with(".py")) {
            python.entry(path.clone()).or_default();
        }
        Ok(Self { changed, python })
    }
}

/// What a change touches.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) affected: Affected,
    /// What kind of code it is.
    pub(super) kind: &'static str,
    /// Those of the bundle, as it is now.
    pub(super) variables: BTreeMap<String, Value>,
}

pub(super) async fn touched(
    ctx: &Ctx,
    request: &Request,
    git: &Git<'_>,
    (change, code): (&Change, &Code),
    report: &mut Report,
) -> Result<Touched> {
    let kind = affected::kind(&code.changed, request.tests.ml_code.as_deref());
    let kind = kind.map_err(Fault::usage)?.as_str();
    let sources = checkout::sources(&request.bundle)?;
    let target = request.tests.integration.as_ref().map(|tests| tests.target.as_str());
    let Ok(after) = checkout::unassigned(&sources, target, &ctx.context) else {
        // The static checks have told it.
        return Ok(Touched { kind, ..Touched::default() });
    };
    let mut definitions: BTreeSet<String> = bundle::definitions(&sources)?.into_iter().collect();
    let before = match &change.base {
        Some(base) => resolved_at(ctx, git, base, target).await,
        None => None,
    };
    let before = before.map(|(bundle, files)| {
        definitions.extend(files);
        bundle
    });
    let sides = Sides { before: before.as_ref(), after: &after, code, definitions };
    if change.base.is_none() {
        let title = "there is nothing to compare with: everything counts as changed";
        report.findings.push(Finding::new(Severity::Notice, "merge/no-base", title));
    }
    let mut affected = affected::affected(&sides);
    for job in tests_changed(request, git, change, code).await? {
        let why = || Reason::new(format!("its test in `{POLICY}` changed"), POLICY);
        affected.entry(format!("jobs.{job}")).or_insert_with(why);
    }
    Ok(Touched { affected, kind, variables: after.variables })
}

const POLICY: &str = "lakegate.yml";

/// The jobs whose tests the change changes: it has to pass these.
async fn tests_changed(
    request: &Request,
    git: &Git<'_>,
    change: &Change,
    code: &Code,
) -> Result<Vec<String>> {
    let Some(base) = change.base.as_deref().filter(|_| code.changed.iter().any(|it| it == POLICY))
    else {
        return Ok(Vec::new());
    };
    let then = git.texts(base, |path| path == POLICY).await?.remove(POLICY);
    let now = fs::read_text_if_exists(request.bundle.join(POLICY))?;
    let read = |text: Option<String>| -> Value {
        text.and_then(|text| serde_yaml::from_str(&text).ok()).unwrap_or_default()
    };
    Ok(affected::tests_changed(&read(then), &read(now)))
}

/// The bundle as it was, and the files it was written in; nothing when it could not be read.
async fn resolved_at(
    ctx: &Ctx,
    git: &Git<'_>,
    commit: &str,
    target: Option<&str>,
) -> Option<(Bundle, Vec<String>)> {
    let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
    let sources = git.texts(commit, is_yaml).await.ok()?;
    let bundle = checkout::unassigned(&sources, target, &ctx.context).ok()?;
    Some((bundle, bundle::definitions(&sources).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_counts_from_a_base_that_passed() {
        let history: Vec<Snapshot> = ["d", "c", "b", "a"]
            .map(|name| Snapshot { commit: name.to_owned(), tree: name.to_uppercase() })
            .into();
        let passed = |tree: &str, base: Option<&str>| Passed {
            tree: tree.to_owned(),
            base: base.map(str::to_owned),
        };
        let newest = |tests: &[Passed]| newest_proved(&history, tests);
        assert_eq!(newest(&[]), None);
        assert_eq!(newest(&[passed("D", Some("c"))]), None, "nothing is known of c");
        let first = || passed("A", None);
        assert_eq!(newest(&[first()]).as_deref(), Some("a"));
        assert_eq!(newest(&[first(), passed("B", Some("a"))]).as_deref(), Some("b"));
        // c failed: what is compared with it proves only its own part.
        let over_a_gap = [first(), passed("B", Some("a")), passed("D", Some("c"))];
        assert_eq!(newest(&over_a_gap).as_deref(), Some("b"));
        assert_eq!(newest(&[first(), passed("D", Some("a"))]).as_deref(), Some("d"));
    }
}
