//! What concerns a repository, at both hosts.

use std::sync::Arc;

use lakegate::databricks::Masker;
use lakegate::forge::{Announced, Forge, State, Told};
use lakegate::host::Context;
use lakegate::names::Secret;
use lakegate::report::Fault;
use lakegate::sys::{Env, fs};
use serde_json::json;

use crate::hosts::{Shared, azure_answer, github_answer, serve};

fn forge(kind: &'static str, address: &str) -> Forge {
    let env = Env::from([
        ("GITHUB_TOKEN", "t"),
        ("GITHUB_API_URL", address),
        ("SYSTEM_ACCESSTOKEN", "t"),
        ("SYSTEM_COLLECTIONURI", address),
        ("SYSTEM_TEAMPROJECT", "p"),
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

fn told(state: State) -> Told<'static> {
    Told { name: NAME, state, words: "7 tests", link: Some("https://x.test/run") }
}

#[tokio::test]
async fn the_newest_status_counts_and_a_merge_has_that_of_its_request() {
    for (forge, _) in both().await {
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
}

#[tokio::test]
async fn a_name_is_given_once() {
    for (forge, world) in both().await {
        forge.name("refs/tags/v1", "a").await.unwrap();
        forge.name("refs/tags/v1", "a").await.unwrap();
        let posts = |world: &Shared| {
            let world = world.lock().unwrap();
            world.calls.iter().filter(|call| call.starts_with("POST")).count()
        };
        assert_eq!(posts(&world), 1);
        let error = forge.name("refs/tags/v1", "b").await.unwrap_err();
        assert!(error.to_string().contains("is commit a already, not b"), "{error}");
        forge.name("refs/tags/v10", "b").await.unwrap();
        world.lock().unwrap().denies = true;
        let error = forge.name("refs/heads/release/2", "b").await.unwrap_err();
        assert!(Fault::of(&error).unwrap().hint.is_some(), "{error:#}");
    }
}

#[tokio::test]
async fn there_is_one_comment_whatever_others_write() {
    for (forge, world) in both().await {
        {
            let mut world = world.lock().unwrap();
            // More than a page of others' words, one of them with our mark.
            for id in 0..120 {
                let body = if id == 3 { "<!-- lakegate:merge-test -->\nevil" } else { "hello" };
                world.comments.push(json!({ "id": id, "html_url": "x", "body": body,
                    "user": { "login": "eve" } }));
            }
        }
        let count = |world: &Shared| {
            let world = world.lock().unwrap();
            (world.comments.len().max(120) - 120) + world.threads.len()
        };
        let first = forge.comment(7, "merge-test", "red", false).await.unwrap();
        let again = forge.comment(7, "merge-test", "green", true).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(count(&world), 1);
        forge.comment(7, "plan", "other kind", true).await.unwrap();
        assert_eq!(count(&world), 2);
        let world = world.lock().unwrap();
        assert!(world.comments[3]["body"].as_str().unwrap().ends_with("evil"));
        if let Some(thread) = world.threads.first() {
            assert_eq!(thread["status"], "closed");
            assert!(thread["comments"][0]["content"].as_str().unwrap().ends_with("green"));
        }
    }
}

#[tokio::test]
async fn a_release_is_whole_before_it_is_seen_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["a.tar.gz", "manifest.json"].map(|name| dir.path().join(name)).to_vec();
    for file in &files {
        fs::write_atomic(file, file.display().to_string()).unwrap();
    }
    let (address, world) = serve(github_answer).await;
    let forge = forge("github", &address);
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
