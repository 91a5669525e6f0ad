//! What concerns a repository, at both hosts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use lakegate::databricks::Masker;
use lakegate::forge::{Announced, Forge, Gate, Given, Pipeline, State, Ticket, Told};
use lakegate::host::Context;
use lakegate::names::Secret;
use lakegate::report::Fault;
use lakegate::sys::{Env, fs};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::hosts::{Shared, World, azure_answer, github_answer, serve};
use crate::support::{cache, has_node, modules, root, text, tool};

fn forge(kind: &'static str, address: &str) -> Forge {
    let env = Env::from([
        ("GITHUB_TOKEN", "t"),
        ("GITHUB_API_URL", address),
        ("SYSTEM_ACCESSTOKEN", "t"),
        ("SYSTEM_COLLECTIONURI", address),
        ("SYSTEM_TEAMPROJECT", "the project"),
        ("BUILD_REPOSITORY_ID", "repo"),
    ]);
    let context = Context { host: kind, repository: Some("o/r".into()), ..Context::default() };
    Forge::new(&context, &env, &(Arc::new(|_: &Secret| {}) as Masker)).unwrap()
}

async fn both() -> [(Forge, Shared); 2] {
    let (github, first) = serve(github_answer).await;
    let (azure, second) = serve(azure_answer).await;
    [(forge("github", &github), first), (forge("azure", &azure), second)]
}

const NAME: &str = "lakegate/merge-test";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn told(state: State) -> Told<'static> {
    Told { name: NAME, state, words: "7 tests", link: Some("https://x.test/run") }
}

/// Neither our calls nor the answers of the server in these tests are other than
/// GitHub describes them; the server may only say less.
#[tokio::test(flavor = "multi_thread")]
async fn calls_and_answers_are_those_of_githubs_own_description() {
    if !has_node("GitHub's description") {
        return;
    }
    let (upstream, world) = serve(github_answer).await;
    let mut proxy = tokio::process::Command::new("node");
    proxy.arg(root().join("tests/node/described.mjs"));
    proxy.arg(modules()).arg(cache()).arg(&upstream);
    // It ends when its input does, with what it has started.
    proxy.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut proxy = proxy.spawn().unwrap();
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let address = lines.next_line().await.unwrap().expect("the proxy starts");
    let forge = forge("github", &address);
    let anew = || {
        // Files go up where the proxy sees them.
        let mut world = world.lock().unwrap();
        *world = World { address: address.clone(), ..World::default() };
    };
    anew();
    each(&forge, &world, anew).await;
    reviews(&forge).await;
    forge.authors("merged").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    anew();
    release(&forge, &world, dir.path()).await;

    // It does find what is wrong.
    anew();
    let wrong = json!({ "sha": "one", "context": NAME, "stat": "success" });
    world.lock().unwrap().statuses.push(wrong);
    let error = forge.status("one", NAME).await.unwrap_err();
    assert!(format!("{error:#}").contains("500"), "{error:#}");
}

/// What both hosts are asked, each part in a world that is made anew after it.
async fn each(forge: &Forge, world: &Shared, mut anew: impl FnMut()) {
    statuses(forge).await;
    anew();
    names(forge, world).await;
    anew();
    comments(forge, world).await;
    anew();
    tickets(forge, world).await;
    anew();
}

/// Files as an artifact of Azure DevOps.
pub(crate) fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The files of a release from the run that made it.
async fn kept(forge: &Forge, world: &Shared) {
    let dir = tempfile::tempdir().unwrap();
    let file = ("release-1.2.0/manifest.json".to_owned(), b"{}".to_vec());
    world.lock().unwrap().kept.insert("v1.2.0".into(), zipped(&[file]));
    forge.take_release("v1.2.0", dir.path()).await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("manifest.json")).unwrap(), b"{}");
    let told = forge.take_release("v1.3.0", dir.path()).await.unwrap_err();
    assert!(told.to_string().contains("no run with the tag `v1.3.0`"), "{told:#}");
    // The token goes nowhere else.
    world.lock().unwrap().address = "https://elsewhere.test".into();
    let told = forge.take_release("v1.2.0", dir.path()).await.unwrap_err();
    assert!(told.to_string().contains("elsewhere.test: no token was sent"), "{told:#}");
}

/// What `tests/ci/azure_described.py` finds in these exchanges.
fn differences(exchanges: &[Value]) -> String {
    let mut check = std::process::Command::new(tool("python"));
    check.arg(root().join("tests/ci/azure_described.py"));
    let mut check = check.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = exchanges.iter().map(|exchange| format!("{exchange}\n")).collect();
    check.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let found = text(&output.stdout).trim().to_owned();
    assert_eq!(output.status.success(), found.is_empty(), "{:?} {found}", output.status);
    found
}

/// The same for Azure DevOps, by the models of Microsoft's own client.
#[tokio::test]
async fn calls_and_answers_are_those_of_microsofts_own_client() {
    let (address, world) = serve(azure_answer).await;
    let forge = forge("azure", &address);
    let mut seen = Vec::new();
    let mut anew = || seen.extend(std::mem::take(&mut *world.lock().unwrap()).exchanges);
    world.lock().unwrap().pushes.push("head".into());
    each(&forge, &world, &mut anew).await;
    forge.gate("prod").await.unwrap();
    forge.authors("merged").await.unwrap();
    anew();
    world.lock().unwrap().address = address;
    kept(&forge, &world).await;
    anew();
    assert_eq!(differences(&seen), "");

    // It does find what is wrong.
    let mut wrong =
        seen.iter().find(|exchange| exchange["asked"]["state"] == "succeeded").unwrap().clone();
    wrong["asked"]["stat"] = json!("succeeded");
    wrong["told"]["creationDate"] = json!("today");
    let found = differences(&[wrong]);
    assert!(found.contains("a GitStatus has no `stat`"), "{found}");
    assert!(found.contains("creationDate is no iso-8601: today"), "{found}");
}

#[tokio::test]
async fn the_newest_status_counts_and_a_merge_has_that_of_its_request() {
    for (forge, world) in both().await {
        world.lock().unwrap().pushes.push("head".into());
        statuses(&forge).await;
    }
}

async fn statuses(forge: &Forge) {
    assert_eq!(forge.status("one", NAME).await.unwrap(), None);
    forge.set_status("one", None, &told(State::Success)).await.unwrap();
    forge.set_status("one", None, &told(State::Failure)).await.unwrap();
    let found = forge.status("one", NAME).await.unwrap().unwrap();
    assert_eq!((found.state, &*found.link), (State::Failure, "https://x.test/run"));
    assert_eq!((&*found.words, found.tree()), ("7 tests", None));
    assert_eq!(forge.status("one", "other/check").await.unwrap(), None);
    forge.set_status("head", Some(7), &told(State::Success)).await.unwrap();
    let found = forge.status("merged", NAME).await.unwrap().unwrap();
    assert_eq!(found.state, State::Success);
}

#[tokio::test]
async fn a_name_is_given_once() {
    for (forge, world) in both().await {
        names(&forge, &world).await;
    }
}

async fn names(forge: &Forge, world: &Shared) {
    forge.name("refs/tags/v1", A).await.unwrap();
    forge.name("refs/tags/v1", A).await.unwrap();
    let posts = |world: &Shared| {
        let world = world.lock().unwrap();
        world.calls.iter().filter(|call| call.starts_with("POST")).count()
    };
    assert_eq!(posts(world), 1);
    let error = forge.name("refs/tags/v1", B).await.unwrap_err();
    assert!(error.to_string().contains(&format!("is commit {A} already, not {B}")), "{error}");
    forge.name("refs/tags/v10", B).await.unwrap();
    world.lock().unwrap().denies = true;
    let error = forge.name("refs/heads/release/2", B).await.unwrap_err();
    assert!(Fault::of(&error).unwrap().hint.is_some(), "{error:#}");
}

#[tokio::test]
async fn an_annotated_tag_names_its_commit() {
    const TAG: &str = "cccccccccccccccccccccccccccccccccccccccc";
    for (forge, world) in both().await {
        {
            let mut world = world.lock().unwrap();
            world.refs.insert("refs/tags/v2".into(), TAG.into());
            world.tags.insert(TAG.into(), "d".repeat(40));
            world.tags.insert("d".repeat(40), A.into());
        }
        forge.name("refs/tags/v2", A).await.unwrap();
        let error = forge.name("refs/tags/v2", B).await.unwrap_err();
        assert!(error.to_string().contains(&format!("is commit {A} already")), "{error}");
        assert!(world.lock().unwrap().calls.iter().all(|call| call.starts_with("GET")));
    }
}

#[tokio::test]
async fn whoever_wrote_a_change_or_asked_for_its_merge_is_known() {
    let [(github, _), (azure, _)] = both().await;
    let names = github.authors("merged").await.unwrap().unwrap();
    assert_eq!(names, ["eve", "ann", "ann@x", "guest@x"]);
    assert_eq!(azure.authors("merged").await.unwrap().unwrap(), ["ann@x", "eve@x", "guest@x"]);
    // Without a merge request, those of the commit are.
    let names = github.authors("alone").await.unwrap().unwrap();
    assert_eq!(names, ["dev", "web-flow", "dev@x"]);
    assert_eq!(azure.authors("alone").await.unwrap().unwrap(), ["dev@x"]);
}

#[tokio::test]
async fn a_merge_request_is_judged_by_its_newest_changes() {
    let (address, world) = serve(azure_answer).await;
    let azure = forge("azure", &address);
    world.lock().unwrap().pushes = ["before", "head", "later"].map(str::to_owned).to_vec();
    azure.set_status("head", Some(7), &told(State::Success)).await.unwrap();
    azure.set_status("gone", Some(7), &told(State::Failure)).await.unwrap();
    let error = azure.set_status("gone", Some(7), &told(State::Success)).await.unwrap_err();
    assert!(error.to_string().contains("commit gone came with no push"), "{error}");
    let world = world.lock().unwrap();
    let iterations = world.statuses.iter().map(|status| status["iterationId"].as_u64());
    assert_eq!(iterations.collect::<Vec<_>>(), [Some(2), None]);
    // The repository may be one of another project: its id stands for itself.
    assert!(world.calls.iter().all(|call| call.contains(" /_apis/git/")), "{:?}", world.calls);
}

#[tokio::test]
async fn processes_without_issues_have_tasks() {
    let (address, world) = serve(azure_answer).await;
    world.lock().unwrap().scrum = true;
    tickets(&forge("azure", &address), &world).await;
}

#[tokio::test]
async fn there_is_one_comment_whatever_others_write() {
    for (forge, world) in both().await {
        comments(&forge, &world).await;
    }
}

#[tokio::test]
async fn an_app_finds_its_own_comment() {
    let (address, world) = serve(github_answer).await;
    world.lock().unwrap().app = Some("acme-ml[bot]".into());
    comments(&forge("github", &address), &world).await;
}

async fn comments(forge: &Forge, world: &Shared) {
    {
        let mut world = world.lock().unwrap();
        // More than a page of others' words, one of them with our mark.
        for id in 0..120 {
            let body = if id == 3 { "<!-- lakegate:merge-test -->\nevil" } else { "hello" };
            world.comments.push(json!({ "id": id, "html_url": "https://x.test/c", "body": body,
                    "user": { "login": "eve" } }));
        }
        let comment = json!({ "id": 1, "author": { "uniqueName": "eve@x" },
            "content": "<!-- lakegate:merge-test -->\nevil" });
        world.threads.push(json!({ "id": 1, "comments": [comment], "status": "active" }));
    }
    let count = |world: &Shared| {
        let world = world.lock().unwrap();
        world.comments.len() - 120 + world.threads.len() - 1
    };
    let first = forge.comment(7, "merge-test", "red", false).await.unwrap();
    let again = forge.comment(7, "merge-test", "green", true).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(count(world), 1);
    forge.comment(7, "plan", "other kind", true).await.unwrap();
    assert_eq!(count(world), 2);
    let world = world.lock().unwrap();
    assert!(world.comments[3]["body"].as_str().unwrap().ends_with("evil"));
    assert!(world.threads[0]["comments"][0]["content"].as_str().unwrap().ends_with("evil"));
    if let Some(thread) = world.threads.get(1) {
        assert_eq!(thread["status"], "closed");
        assert!(thread["comments"][0]["content"].as_str().unwrap().ends_with("green"));
    }
}

#[tokio::test]
async fn a_release_is_whole_before_it_is_seen_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (address, world) = serve(github_answer).await;
    release(&forge("github", &address), &world, dir.path()).await;
}

async fn release(forge: &Forge, world: &Shared, dir: &Path) {
    let files = ["a.tar.gz", "manifest.json"].map(|name| dir.join(name)).to_vec();
    for file in &files {
        fs::write_atomic(file, file.display().to_string()).unwrap();
    }
    let release = || Announced {
        tag: "v1.0.0".into(),
        commit: "a",
        title: "flights 1.0.0".into(),
        notes: "notes".into(),
        files: &files,
    };
    let link = forge.announce(&release()).await.unwrap();
    assert_eq!(link.as_deref(), Some("https://x.test/r"));
    let calls = world.lock().unwrap().calls.clone();
    let at = |words: &str| calls.iter().rposition(|call| call.contains(words)).unwrap();
    assert!(at("/assets") < at("PATCH"), "{calls:?}");
    // Again: nothing is written.
    forge.announce(&release()).await.unwrap();
    let writes = world.lock().unwrap().calls[calls.len()..].to_vec();
    assert!(writes.iter().all(|call| call.starts_with("GET")), "{writes:?}");
    fs::write_atomic(&files[0], "other bytes").unwrap();
    let error = forge.announce(&release()).await.unwrap_err();
    assert!(error.to_string().contains("is published, with another `a.tar.gz`"), "{error}");
    // A draft with a broken upload is mended: its first file goes up again.
    world.lock().unwrap().releases[0]["draft"] = json!(true);
    let error = forge.announce(&release()).await.unwrap_err();
    assert!(format!("{error:#}").contains("take back a file"), "{error:#}");
}

fn ticket(key: &str, title: &str) -> Ticket {
    Ticket { key: key.into(), title: title.into(), body: "temp <drifted>".into() }
}

/// Told twice, closed twice, told again: two tickets, one of them open.
async fn tickets(forge: &Forge, world: &Shared) {
    let first = forge.tell(&ticket("a", "one")).await.unwrap();
    assert_eq!(forge.tell(&ticket("a", "two")).await.unwrap(), first);
    assert_ne!(forge.tell(&ticket("b", "other")).await.unwrap(), first);
    assert_eq!(forge.close("a", "over").await.unwrap(), Some(first.clone()));
    assert_eq!(forge.close("a", "over").await.unwrap(), None);
    assert_ne!(forge.tell(&ticket("a", "three")).await.unwrap(), first);
    assert_eq!(world.lock().unwrap().tickets.len(), 3);
    let inputs = BTreeMap::from([("reason".to_owned(), "drift".to_owned())]);
    let pipeline = match forge {
        Forge::GitHub(_) => {
            Pipeline::Workflow { file: "retrain.yml".into(), branch: "main".into() }
        }
        Forge::Azure(_) => Pipeline::Azure { id: 42 },
    };
    assert!(forge.start(&pipeline, &inputs).await.unwrap().starts_with("https://"));
    world.lock().unwrap().denies = true;
    let refused = forge.tell(&ticket("a", "four")).await.unwrap_err();
    let fault = refused.downcast_ref::<Fault>().unwrap();
    assert!(fault.hint.as_ref().unwrap().contains("needs"), "{fault:?}");
}

#[tokio::test]
async fn a_ticket_is_opened_updated_closed_and_opened_again() {
    let [(github, at_github), (azure, at_azure)] = both().await;
    tickets(&github, &at_github).await;
    {
        let seen = at_github.lock().unwrap();
        assert_eq!(
            (&seen.tickets[0]["title"], &seen.tickets[0]["state"]),
            (&json!("two"), &json!("closed"))
        );
        let dispatch = "POST /repos/o/r/actions/workflows/retrain.yml/dispatches";
        assert!(seen.calls.iter().any(|call| call == dispatch), "{:?}", seen.calls);
    }
    tickets(&azure, &at_azure).await;
    let seen = at_azure.lock().unwrap();
    assert_eq!(seen.tickets[0]["System.State"], "Done");
    assert_eq!(seen.tickets[0]["System.Title"], "two");
    assert_eq!(seen.tickets[0]["System.Description"], "<pre>temp &lt;drifted&gt;</pre>");
    let run = "POST /the%20project/_apis/pipelines/42/runs";
    assert!(seen.calls.iter().any(|call| call == run), "{:?}", seen.calls);
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let (address, world) = serve(github_answer).await;
    forge("github", &format!("{address}/api/v3")).close("a", "over").await.unwrap();
    assert_eq!(world.lock().unwrap().calls, ["GET /api/v3/repos/o/r/issues"]);
}

async fn reviews(github: &Forge) {
    let given = github.approvals("7").await.unwrap();
    let expected = Given {
        who: "eve".into(),
        at: None,
        comment: "ok".into(),
        environments: vec!["prod-model".into()],
    };
    assert_eq!(given, [expected]);
    let gate = github.gate("prod-model").await.unwrap();
    let wanted = Gate { reviewers: 1, prevents_self_review: true, has_branches: true };
    assert_eq!(gate, Some(wanted));
    let gate = github.gate("prod").await.unwrap();
    let wanted = Gate { reviewers: 0, prevents_self_review: false, has_branches: false };
    assert_eq!(gate, Some(wanted));
    for (team, who, expected) in [
        ("ml-leads", "eve", true),
        ("o/ml-leads", "eve", true),
        // Asked to join, and no member yet.
        ("ml-leads", "bob", false),
        ("ml-leads", "mallory", false),
    ] {
        assert_eq!(github.is_member(team, who).await.unwrap(), expected, "{team} {who}");
    }
    let error = github.is_member("unknown", "eve").await.unwrap_err();
    let fault = Fault::of(&error).unwrap();
    assert!(fault.hint.as_deref().unwrap().contains("members: read"), "{error}");
}

#[tokio::test]
async fn approvals_are_those_of_the_run() {
    let [(github, _), (azure, world)] = both().await;
    reviews(&github).await;
    assert_eq!(github.gate("prod-release").await.unwrap(), None);
    let gate = azure.gate("Prod").await.unwrap().unwrap();
    assert_eq!((gate.reviewers, gate.prevents_self_review, gate.has_branches), (2, false, true));
    // The host answers with names that are like it.
    assert_eq!(azure.gate("prod-release").await.unwrap(), None);
    let given = azure.approvals("7").await.unwrap();
    assert_eq!(given.len(), 1);
    assert_eq!(
        (given[0].who.as_str(), given[0].at.as_deref()),
        ("eve@x", Some("2026-03-01T00:00:00Z"))
    );
    for (who, expected) in [("eve@x", true), ("mallory@x", false)] {
        assert_eq!(azure.is_member("ml leads", who).await.unwrap(), expected, "{who}");
    }
    assert!(azure.is_member("unknown", "eve@x").await.is_err());
    world.lock().unwrap().tells_no_run = true;
    let error = azure.approvals("7").await.unwrap_err();
    assert!(error.to_string().contains("does not tell which run"), "{error}");
    world.lock().unwrap().denies = true;
    assert!(azure.approvals("7").await.is_err());
    assert!(azure.gate("prod").await.is_err());
}
