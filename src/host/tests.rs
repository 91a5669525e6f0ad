use super::*;
use crate::report::Place;
use proptest::prelude::*;
use serde_json::json;

/// A sink whose text can be read back.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn host(env: Env) -> (Host, Captured) {
    let captured = Captured::default();
    (Host::detect(Arc::new(env), captured.clone()), captured)
}

fn said(captured: &Captured) -> String {
    String::from_utf8(captured.0.lock().unwrap().clone()).unwrap()
}

fn findings(count: usize) -> Vec<Finding> {
    (0..count)
        .map(|n| Finding::new(Severity::Error, "gate/threshold", format!("finding {n}")))
        .collect()
}

#[test]
fn github_annotations_escape_and_place() {
    let (host, captured) = host(Env::from([("GITHUB_ACTIONS", "true")]));
    let mut finding = Finding::new(Severity::Error, "a,b:c", "100%\n::error::x").hint("fix");
    finding.place = Some(Place { file: "src/a,b.py".into(), line: Some(7) });
    host.annotate(&[finding]);
    assert_eq!(
        said(&captured),
        "::error title=a%2Cb%3Ac,file=src/a%2Cb.py,line=7::100%25 | ::error::x (help: fix)\n"
    );
}

#[test]
fn azure_annotations_escape_and_place() {
    let (host, captured) = host(Env::from([("TF_BUILD", "True")]));
    let mut finding = Finding::new(Severity::Warning, "rule;x", "a ##vso[task.complete] 5%");
    finding.place = Some(Place { file: "a]b.py".into(), line: None });
    host.annotate(&[finding]);
    assert_eq!(
        said(&captured),
        "##vso[task.logissue type=warning;code=rule%3Bx;sourcepath=a%5Db.py]a **vso[task.complete] 5%AZP25\n"
    );
}

#[test]
fn more_annotations_than_the_host_keeps_are_counted() {
    let (host, captured) = host(Env::from([("GITHUB_ACTIONS", "true")]));
    host.annotate(&findings(14));
    let text = said(&captured);
    assert_eq!(text.lines().count(), 10);
    assert!(text.ends_with("::error title=more::5 more, see the report\n"), "{text}");
}

#[test]
fn a_secret_is_masked_line_by_line() {
    let (host, captured) = host(Env::from([("TF_BUILD", "True")]));
    host.mask(&Secret::new("first-line-1\nsecond-line-2\nshort"));
    assert_eq!(
        said(&captured),
        "##vso[task.setsecret]first-line-1\n##vso[task.setsecret]second-line-2\n"
    );
}

#[test]
fn on_a_terminal_a_mask_command_would_leak_the_secret() {
    let (host, captured) = host(Env::default());
    host.mask(&Secret::new("very-secret-value"));
    assert_eq!(said(&captured), "");
}

#[test]
fn a_long_summary_is_cut_at_a_line_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("summary.md");
    let (host, _) = host(Env::from([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", file.to_str().unwrap()),
    ]));
    host.summarise(&"ä line of text\n".repeat(100_000)).unwrap();
    let text = fs::read_text(&file).unwrap();
    assert!(text.len() < 1024 * 1024);
    assert!(text.trim_end().ends_with("bytes more are in the HTML report.*"));
}

#[test]
fn a_merge_queue_tests_what_its_branch_will_be() {
    let env = Env::from([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "merge_group"),
        ("GITHUB_REPOSITORY", "acme/flights"),
        ("GITHUB_SHA", "abc"),
        ("GITHUB_REF_NAME", "gh-readonly-queue/main/pr-4-def"),
    ]);
    let group = json!({ "base_ref": "refs/heads/main", "head_sha": "abc" });
    let context = Context::read(&env, Some(&json!({ "merge_group": group })));
    assert_eq!(context.base.as_deref(), Some("main"));
    assert_eq!(context.commit.as_deref(), Some("abc"));
    assert!(!context.from_fork && context.merge_request.is_none());
}

#[test]
fn a_pull_request_from_another_repository_is_a_fork() {
    let env = Env::from([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_REPOSITORY", "acme/flights"),
        ("GITHUB_SHA", "merge"),
    ]);
    let event = |repo: &str| json!({"pull_request": {"number": 4, "head": {"sha": "abc", "repo": {"full_name": repo}}}});
    let ours = Context::read(&env, Some(&event("acme/flights")));
    assert_eq!(
        (ours.from_fork, ours.merge_request, ours.commit.as_deref()),
        (false, Some(4), Some("abc"))
    );
    assert!(Context::read(&env, Some(&event("mallory/flights"))).from_fork);
    assert!(Context::read(&env, None).from_fork, "unknown counts as a fork");
    // What was not merged, with the rights of what was.
    let mut above = env.clone();
    above.set("GITHUB_EVENT_NAME", "pull_request_target");
    assert!(Context::read(&above, Some(&event("acme/flights"))).from_fork);
}

#[test]
fn a_workflow_that_a_fork_started_is_about_its_code() {
    let env = Env::from([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "workflow_run"),
        ("GITHUB_REPOSITORY", "acme/flights"),
    ]);
    let event = |repo: &str| json!({"workflow_run": {"head_repository": {"full_name": repo}}});
    assert!(!Context::read(&env, Some(&event("acme/flights"))).from_fork);
    assert!(Context::read(&env, Some(&event("mallory/flights"))).from_fork);
    assert!(Context::read(&env, None).from_fork, "unknown counts as a fork");
}

#[test]
fn azure_context_is_read_from_its_variables() {
    let env = Env::from([
        ("TF_BUILD", "True"),
        ("BUILD_BUILDID", "91"),
        ("SYSTEM_COLLECTIONURI", "https://dev.azure.test/acme/"),
        ("SYSTEM_TEAMPROJECT", "ml"),
        ("SYSTEM_JOBATTEMPT", "2"),
        ("BUILD_SOURCEBRANCH", "refs/heads/main"),
    ]);
    let context = Context::read(&env, None);
    assert_eq!(
        context.run_url.as_deref(),
        Some("https://dev.azure.test/acme/ml/_build/results?buildId=91")
    );
    assert_eq!((context.attempt.as_deref(), context.branch.as_deref()), (Some("2"), Some("main")));
    assert!(!context.from_fork);
}

/// A port of the runner's reader of `GITHUB_OUTPUT`: `NAME<<DELIMITER` blocks.
fn read_outputs(text: &str) -> Vec<(String, String)> {
    let mut lines = text.split('\n');
    let mut found = Vec::new();
    while let Some(head) = lines.next() {
        if let Some((name, delimiter)) = head.split_once("<<") {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != delimiter).collect();
            found.push((name.to_owned(), value.join("\n")));
        } else if let Some((name, value)) = head.split_once('=') {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

proptest! {
    #[test]
    fn any_value_comes_back_as_exactly_one_output(value in "(\\PC|\n|\r|<<|=|EOF){0,40}") {
        let entry = dialect::github_file_entry("result", &value).unwrap();
        let expected = value.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(read_outputs(&entry), vec![("result".to_owned(), expected)]);
    }

    #[test]
    fn azure_outputs_round_trip_through_the_agents_decoder(value in "(\\PC|\n|\r|%|\\]|;){0,40}") {
        let command = dialect::azure_output("run-url", &value);
        let data = command.split_once(']').unwrap().1;
        let decoded = data.replace("%0D", "\r").replace("%0A", "\n").replace("%AZP25", "%");
        prop_assert_eq!(decoded, value);
        prop_assert!(command.starts_with("##vso[task.setvariable variable=runUrl;isOutput=true]"));
    }
}

#[test]
fn a_repository_of_azure_is_told_from_its_namesakes() {
    let origin = |name: &str, uri: &str| {
        let env = Env::from([
            ("TF_BUILD", "True"),
            ("BUILD_REPOSITORY_NAME", name),
            ("BUILD_REPOSITORY_URI", uri),
            ("SYSTEM_TEAMPROJECT", "pipelines"),
        ]);
        Context::read(&env, None).origin.unwrap()
    };
    for (uri, expected) in [
        ("https://acme@dev.azure.com/acme/ml/_git/flights", "acme/ml/flights"),
        ("https://dev.azure.com/acme/_git/flights", "acme/flights/flights"),
        ("https://acme.visualstudio.com/ml/_git/flights", "acme/ml/flights"),
        ("https://acme.visualstudio.com/DefaultCollection/ml/_git/flights", "acme/ml/flights"),
        ("", "flights"),
    ] {
        assert_eq!(origin("flights", uri), expected, "{uri}");
    }
    assert_eq!(origin("acme/flights", "https://github.com/acme/flights"), "acme/flights");
}
