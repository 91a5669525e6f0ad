//! `model-serve`: versions that really answer, in the embedded workspace, get the traffic
//! of an endpoint step by step, or do not.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::promotion::World;
use crate::support::{python, root, text};

const OWN: &str = "record: {schema: main.default}\npromotion: {model: main.default.model}\nserving: {endpoint: online, steps: [10, 50], soak_minutes: 0, lease_seconds: 30, probe: {requests: 60}, stop: {errors: 0.05, p95_ms: 2000}}\n";

/// A model that answers each row with its version, and what else its `predict` does.
fn files(version: u64, predict: &str) -> Vec<(String, String)> {
    let requirements =
        std::fs::read_to_string(root().join("templates/project/requirements.txt")).unwrap();
    let mlmodel =
        "flavors:\n  python_function:\n    loader_module: toy\n    code: code\n    data: data\n";
    let code = format!(
        "import os, time\n\nasked = 0\n\n\nclass Toy:\n    def predict(self, data):\n        global asked\n        asked += 1\n        {predict}\n        return [{version}.0] * len(data)\n\n\ndef _load_pyfunc(path):\n    return Toy()\n"
    );
    let example = json!({ "dataframe_split": { "columns": ["a"], "data": [[1], [2]] } });
    [
        ("MLmodel", mlmodel.to_owned()),
        ("requirements.txt", requirements),
        ("code/toy.py", code),
        ("data/none", String::new()),
        ("serving_input_example.json", example.to_string()),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .into()
}

/// Versions whose second one, and those after it, do this.
async fn world(versions: u64, predict: &'static str) -> World {
    // The environment of the models, built once.
    python();
    let own = |version| files(version, if version == 1 { "pass" } else { predict });
    let world = World::of(versions, own).await;
    std::fs::write(world.dir.path().join("lakegate.yml"), OWN).unwrap();
    world
}

impl World {
    /// Rows of its table, a text for each.
    async fn rollouts(&self, columns: &str, condition: &str) -> Vec<String> {
        let statement =
            format!("SELECT {columns} FROM main.default.rollouts WHERE {condition} ORDER BY `at`");
        let rows = self.served.sql(&statement).await;
        let shown = |cell: Option<String>| cell.unwrap_or("-".into());
        rows.into_iter()
            .map(|row| row.into_iter().map(shown).collect::<Vec<_>>().join(" "))
            .collect()
    }

    /// What the endpoint serves, as `VERSION:PERCENT`.
    async fn split(&self) -> Vec<String> {
        let found = self.served.client().endpoint_get("online").await.unwrap().unwrap();
        let routes = found.pointer("/config/traffic_config/routes").unwrap().as_array().unwrap();
        let entities = found.pointer("/config/served_entities").unwrap().as_array().unwrap();
        let version = |name: &Value| {
            let own = entities.iter().find(|entity| entity["name"] == *name).unwrap();
            own["entity_version"].as_str().unwrap().to_owned()
        };
        routes
            .iter()
            .map(|route| {
                format!("{}:{}", version(&route["served_model_name"]), route["traffic_percentage"])
            })
            .collect()
    }

    /// What the endpoint answers to a row, and which version did.
    async fn ask(&self) -> (String, String) {
        let body = json!({ "dataframe_records": [{ "a": 1 }] });
        let call = reqwest::Client::new()
            .post(format!("{}/serving-endpoints/online/invocations", self.served.host));
        let answer = call.bearer_auth(&self.served.token).json(&body).send().await.unwrap();
        let header = answer.headers().get("served-model-name").unwrap().to_str().unwrap();
        (header.to_owned(), answer.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_gets_its_traffic_step_by_step_and_goes_back() {
    let world = world(3, "pass").await;
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 2 && said.contains("points to no version yet"), "{said}");
    assert_eq!(world.promote(1, None).await.0, 0);
    let (code, said) = world.run(&["model-serve"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("online serves version 1, it served nothing"), "{said}");
    assert_eq!(world.split().await, ["1:100"]);
    let (code, said) = world.run(&["model-serve", "rollback", "--reason=x"]);
    assert!(code == 2 && said.contains("1 was the first that online served"), "{said}");

    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    assert_eq!(world.ask().await, ("model-1".into(), "{\"predictions\": [1.0]}".into()));
    let (code, said) = world.run(&["model-serve"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.ask().await, ("model-2".into(), "{\"predictions\": [2.0]}".into()));
    let told = "phase, from_version, traffic, requests, failed, p95_ms > 0";
    assert_eq!(
        world.rollouts(told, "to_version = '2'").await,
        [
            "intent 1 - - - -",
            "step 1 0 60 0 true",
            "step 1 10 60 0 true",
            "step 1 50 60 0 true",
            "step 1 100 60 0 true",
            "outcome 1 100 - - -",
        ]
    );
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 0 && said.contains("serves version 2 already"), "{said}");

    let (code, said) = world.run(&["model-serve", "rollback"]);
    assert!(code == 2 && said.contains("needs a reason"), "{said}");
    let (code, said) = world.run(&["model-serve", "rollback", "--from=1", "--reason=x"]);
    assert!(code == 4 && said.contains("would go back from 2, not from 1"), "{said}");
    let (code, said) = world.run(&["model-serve", "rollback", "--reason=it is slow"]);
    assert!(code == 0 && said.contains("online serves 1 again, it served 2"), "{said}");
    assert_eq!(world.split().await, ["1:100"]);
    // The alias still says otherwise: nobody serves it again by accident.
    let (code, said) = world.run(&["model-serve"]);
    assert!(
        code == 4 && said.contains("version 2 was rolled back at") && said.contains("it is slow"),
        "{said}"
    );
    let (code, said) = world.run(&["model-serve", "--again", "--at-once"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.split().await, ["2:100"]);
    let (code, said) = world.run(&["model-serve", "--reason=x"]);
    assert!(code == 2 && said.contains("are for `rollback`"), "{said}");
    let (code, said) = world.run(&["model-serve", "history"]);
    assert!(code == 0 && said.contains("4 moves, it serves 2 now"), "{said}");

    // By the next version, from the one that was rolled out again.
    assert_eq!(world.promote(3, Some(2)).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    assert_eq!(world.split().await, ["3:100"]);
}

/// A version that fails, that takes long, or that nothing can be said of goes no further,
/// and what was served before is served again.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_stand_up_is_taken_back() {
    for (predict, limits, code, words) in [
        ("raise ValueError('no such airport')", "", 1, "no such airport"),
        ("return [float('nan')] * len(data)", "", 1, "could not be read"),
        ("return [1.0]", "", 1, "1 predictions for 2 rows"),
        ("time.sleep(0.05)", "p95_ms: 20", 1, "95 % of answers took no more than"),
        // It fails once: that may be less than 5 %, or more.
        ("assert asked != 9", "", 3, "1 of 60 requests failed"),
        // It fails in traffic alone.
        (
            "open('down', 'w') if asked > 62 else None\n        assert not os.path.exists('down'), 'it went down'",
            "",
            1,
            "at 10 %: 60 of 60 requests failed",
        ),
    ] {
        let world = world(2, predict).await;
        let own =
            OWN.replace("p95_ms: 2000", if limits.is_empty() { "p95_ms: 2000" } else { limits });
        // The version before has all the time of a busy machine.
        assert_eq!(world.promote(1, None).await.0, 0);
        assert_eq!(world.run(&["model-serve"]).0, 0);
        std::fs::write(world.dir.path().join("lakegate.yml"), own).unwrap();
        assert_eq!(world.promote(2, Some(1)).await.0, 0);
        let (ended, said) = world.run(&["model-serve"]);
        assert!(ended == code && said.contains(words), "{predict}: {ended} {said}");
        assert!(said.contains("online serves 1 again"), "{predict}: {said}");
        assert_eq!(world.split().await, ["1:100"], "{predict}");
        let ends =
            world.rollouts("phase, from_version", "to_version = '2' AND phase <> 'step'").await;
        assert_eq!(ends, ["intent 1", "restored 1"], "{predict}");
        // A second attempt would be one more chance to be lucky.
        let (ended, said) = world.run(&["model-serve"]);
        assert!(ended == 4 && said.contains("version 2 did not stand up at"), "{said}");
    }
}

/// The first version has nothing before it: it is red as often as it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_version_that_fails_is_never_green() {
    let own = |version| files(version, "raise ValueError('no such airport')");
    python();
    let world = World::of(1, own).await;
    std::fs::write(world.dir.path().join("lakegate.yml"), OWN).unwrap();
    assert_eq!(world.promote(1, None).await.0, 0);
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 1 && said.contains("online is new and stays for its logs"), "{said}");
    assert_eq!(world.run(&["model-serve"]).0, 4);
    assert_eq!(world.run(&["model-serve", "--again"]).0, 1);
    // Also where nothing is written down.
    let bare = OWN.replace("record: {schema: main.default}\n", "");
    std::fs::write(world.dir.path().join("lakegate.yml"), bare).unwrap();
    assert_eq!(world.run(&["model-serve"]).0, 1);
    assert_eq!(world.run(&["model-serve"]).0, 1);
}

impl World {
    /// With each share watched for so long, and what a killed mover holds free soon.
    fn with_soak(&self, minutes: &str, lease: u32) {
        let own = OWN
            .replace("soak_minutes: 0", &format!("soak_minutes: {minutes}"))
            .replace("lease_seconds: 30", &format!("lease_seconds: {lease}"));
        std::fs::write(self.dir.path().join("lakegate.yml"), own).unwrap();
    }

    /// A roll-out of version 2 that is watched at its first share.
    async fn under_way(&self, arguments: &[&str]) -> Child {
        let mut rollout = self.command(arguments);
        let mut child = rollout.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while self.split().await != ["1:90", "2:10"] {
            let is_over = child.try_wait().unwrap().is_some();
            assert!(!is_over && begun.elapsed() < Duration::from_secs(180), "{:?}", said_by(child));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child
    }

    async fn fault(&self, rule: Value) {
        self.served.post("/__lakegate/faults", &rule).await;
    }
}

/// Version 1 is served, version 2 is the champion.
async fn with_two() -> World {
    let world = world(2, "pass").await;
    assert_eq!(world.promote(1, None).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    world
}

fn said_by(mut child: Child) -> (i32, String) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(180) {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(child.kill());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// Who goes back while a version is rolled out stops that, wherever it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_ends_what_is_under_way() {
    let world = with_two().await;
    world.with_soak("0.5", 30);
    let rollout = world.under_way(&["model-serve"]).await;
    let back = ["model-serve", "rollback", "--from=2", "--reason=complaints"];
    let (code, said) = world.run(&back);
    assert!(code == 0 && said.contains("online serves 1 again, it served 2"), "{said}");
    let (ended, told) = said_by(rollout);
    assert!(ended == 1 && told.contains("asked for its end: complaints"), "{told}");
    assert_eq!(world.split().await, ["1:100"]);
    let (code, said) = world.run(&back);
    assert!(code == 0 && said.contains("by an earlier attempt"), "{said}");
    assert_eq!(world.run(&["model-serve"]).0, 4);
}

/// Killed after its requests, a rollback from what a killed mover left comes to its end,
/// and goes no further back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_of_what_was_killed_converges() {
    let world = with_two().await;
    world.with_soak("0.5", 6);
    let mut kills = 0;
    for at in (0..).step_by(stride() / 2) {
        let mut rollout = world.under_way(&["model-serve", "--again"]).await;
        rollout.kill().unwrap();
        rollout.wait().unwrap();
        let back = ["model-serve", "rollback", "--from=2", "--reason=worse"];
        let was_killed = world.served.kills(&mut world.command(&back), at, "after").await;
        let (code, said) = world.ask_until_in_time(&back);
        assert_eq!(code, 0, "killed after request {at}: {said}");
        assert_eq!(world.split().await, ["1:100"], "killed after request {at}");
        let open = "phase = 'intent' AND epoch NOT IN (SELECT epoch FROM main.default.rollouts WHERE phase IN ('outcome', 'restored', 'abandoned'))";
        assert_eq!(world.rollouts("epoch", open).await, [""; 0], "killed after request {at}");
        kills += i32::from(was_killed);
        if !was_killed {
            break;
        }
    }
    assert!(kills > 1, "{kills}");
}

/// What others do while a version is rolled out.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_sees_what_others_do_meanwhile() {
    // The alias is moved back: the version is not to be served any more.
    let world = with_two().await;
    world.with_soak("0.05", 30);
    let rollout = world.under_way(&["model-serve"]).await;
    let (model, alias) = ("main.default.model".parse().unwrap(), "champion".parse().unwrap());
    let client = world.served.client();
    let one = lakegate::names::ModelVersion(1);
    client.alias_set(&model, &alias, one).await.unwrap();
    let (code, said) = said_by(rollout);
    assert!(code == 4 && said.contains("`champion` points to version 1 by now"), "{said}");
    assert_eq!(world.split().await, ["1:100"]);
    // The endpoint is changed by hand: that is somebody's will, and stays.
    client.alias_set(&model, &alias, lakegate::names::ModelVersion(2)).await.unwrap();
    let rollout = world.under_way(&["model-serve"]).await;
    let entity =
        json!({ "name": "mine", "entity_name": "main.default.model", "entity_version": "1" });
    let config = json!({ "served_entities": [entity] });
    client.endpoint_configure("online", "config", &config).await.unwrap();
    let (code, said) = said_by(rollout);
    assert!(code == 4 && said.contains("serve 1 90 %, 2 10 %, and serves 1"), "{said}");
    let found = client.endpoint_get("online").await.unwrap().unwrap();
    assert_eq!(found["config"]["served_entities"][0]["name"], "mine");
}

/// What a service answers when it is not at its best.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_bears_what_a_service_does() {
    let world = world(3, "pass").await;
    let path = "/api/2.0/serving-endpoints/online*";
    assert_eq!(world.promote(1, None).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    // Not found for once: what is served is known to be.
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    world.fault(json!({ "method": "GET", "path": path, "status": 404, "times": 1 })).await;
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 0 && said.contains("it served 1"), "{said}");
    world.served.clear_faults().await;
    // The answer to a change is lost.
    assert_eq!(world.promote(3, Some(2)).await.0, 0);
    let lost = json!({ "method": "PUT", "path": path, "status": 503, "when": "after", "times": 1 });
    world.fault(lost).await;
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 0 && said.contains("it served 2"), "{said}");
    world.served.clear_faults().await;
    let (code, said) = world.run(&["model-serve", "rollback", "--reason=x"]);
    assert!(code == 0 && said.contains("serves 2 again"), "{said}");
    // A change is refused in the middle.
    world
        .fault(json!({ "method": "PUT", "path": path, "status": 400, "offset": 2, "times": 1 }))
        .await;
    let (code, said) = world.run(&["model-serve", "--again"]);
    assert!(
        code != 0 && said.contains("version 3 was not rolled out, 2 is served again"),
        "{said}"
    );
    assert_eq!(world.split().await, ["2:100"]);
    world.served.clear_faults().await;
    // What is to be served again is gone: that is told before anything changes.
    assert_eq!(world.run(&["model-serve", "--again"]).0, 0);
    let (model, previous) = ("main.default.model".parse().unwrap(), "previous".parse().unwrap());
    world.served.client().alias_delete(&model, &previous).await.unwrap();
    let place = "/api/2.1/unity-catalog/models/main.default.model/versions/2";
    let gone = reqwest::Client::new().delete(format!("{}{place}", world.served.host));
    assert!(gone.bearer_auth(&world.served.token).send().await.unwrap().status().is_success());
    let (code, said) = world.run(&["model-serve", "rollback", "--reason=x"]);
    assert!(code == 2 && said.contains("version 2 of the model"), "{said}");
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 0 && said.contains("serves version 3 already"), "{said}");
}

/// A rollback is remembered for each version, and counts once in a run of the CI.
#[tokio::test(flavor = "multi_thread")]
async fn every_rollback_is_remembered() {
    let world = world(3, "pass").await;
    for (version, before) in [(1, None), (2, Some(1)), (3, Some(2))] {
        assert_eq!(world.promote(version, before).await.0, 0);
        assert_eq!(world.run(&["model-serve", "--at-once"]).0, 0);
    }
    let run = |number: &str| {
        let mut back = world.command(&["model-serve", "rollback", "--reason=x"]);
        back.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "a/b")]);
        back.env("GITHUB_RUN_ID", number).stdout(Stdio::piped()).stderr(Stdio::piped());
        said_by(back.spawn().unwrap())
    };
    for (number, words) in
        [("7", "serves 2 again"), ("7", "by an earlier attempt"), ("8", "serves 1 again")]
    {
        let (code, said) = run(number);
        assert!(code == 0 && said.contains(words), "{said}");
    }
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 4 && said.contains("version 3 was rolled back"), "{said}");
    assert_eq!(world.run(&["model-serve", "--again", "--at-once"]).0, 0);
    // The same run has more to take back than it did.
    let (code, said) = run("8");
    assert!(code == 0 && said.contains("serves 1 again"), "{said}");
}

/// The service goes on with what it has when a version cannot be loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_loaded_takes_nothing_away() {
    python();
    let own = |version| {
        let mut files = files(version, "pass");
        if version == 2 {
            files[2].1 = "import not_there\n".into();
        }
        files
    };
    let world = World::of(2, own).await;
    std::fs::write(world.dir.path().join("lakegate.yml"), OWN).unwrap();
    assert_eq!(world.promote(1, None).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 1 && said.contains("No module named 'not_there'"), "{said}");
    assert_eq!(world.split().await, ["1:100"]);
    assert_eq!(world.ask().await.0, "model-1");
}

/// What is not to be served, and why.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_promoted_is_served() {
    let world = world(2, "pass").await;
    let write = |own: &str| std::fs::write(world.dir.path().join("lakegate.yml"), own).unwrap();
    let set = async |version| {
        let (model, alias) = ("main.default.model".parse().unwrap(), "champion".parse().unwrap());
        let client = world.served.client();
        client.alias_set(&model, &alias, lakegate::names::ModelVersion(version)).await.unwrap();
    };
    write("promotion: {model: main.default.model}\n");
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 2 && said.contains("write a section `serving`"), "{said}");
    write(OWN);
    // Set by hand, before anything was promoted and after.
    set(1).await;
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 7 && said.contains("no promotion made it so"), "{said}");
    assert_eq!(world.promote(1, None).await.0, 0);
    set(2).await;
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 7 && said.contains("no promotion made it so"), "{said}");
    set(1).await;
    let client = world.served.client();
    let example = "/Models/main/default/model/1/serving_input_example.json";
    client.file_write(example, "[]".into()).await.unwrap();
    let (code, said) = world.run(&["model-serve"]);
    assert!(code == 7 && said.contains("is not what was promoted"), "{said}");
    let none = || vec![("MLmodel".to_owned(), "flavors: 1".to_owned())];
    let bare = World::of(1, |_| none()).await;
    std::fs::write(bare.dir.path().join("lakegate.yml"), OWN).unwrap();
    assert_eq!(bare.promote(1, None).await.0, 0);
    let (code, said) = bare.run(&["model-serve"]);
    assert!(code == 2 && said.contains("it has no input example"), "{said}");
    let file = OWN.replace("{requests: 60}", "{requests: 60, file: ask.json}");
    std::fs::write(bare.dir.path().join("lakegate.yml"), &file).unwrap();
    let (code, said) = bare.run(&["model-serve"]);
    assert!(code == 2 && said.contains("there is no `ask.json`"), "{said}");
    for (text, words) in
        [("{", "is no JSON"), ("[]", "holds no requests"), ("[1]", "holds no requests")]
    {
        std::fs::write(bare.dir.path().join("ask.json"), text).unwrap();
        let (code, said) = bare.run(&["model-serve"]);
        assert!(code == 2 && said.contains(words), "{said}");
    }
    // Nothing was made by any of this.
    assert_eq!(bare.served.client().endpoint_get("online").await.unwrap(), None);
}

/// Of these requests, every so many is where a roll-out is killed.
fn stride() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let asked = std::env::var("LAKEGATE_KILL_STRIDE");
    asked.ok().map_or(37, |text| text.parse().unwrap())
}

/// Killed before and after its requests, a roll-out or a rollback comes to its end when it
/// is asked for again, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_is_killed_anywhere_converges() {
    let (mut at, mut kills) = (0, 0);
    let world = world(2, "pass").await;
    assert_eq!(world.promote(1, None).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    world.with_soak("0", 6);
    let mut ended = 1;
    loop {
        let mut any = false;
        for when in ["before", "after"] {
            let ramp = ["model-serve", "--again"];
            let back = ["model-serve", "rollback", "--from=2", "--reason=worse"];
            for (arguments, serves) in [(&ramp[..], "2:100"), (&back[..], "1:100")] {
                let mut command = world.command(arguments);
                let was_killed = world.served.kills(&mut command, at, when).await;
                kills += i32::from(was_killed);
                any |= was_killed;
                let (code, said) = world.ask_until_in_time(arguments);
                assert_eq!(code, 0, "{arguments:?} killed {when} request {at}: {said}");
                assert_eq!(world.split().await, [serves], "{arguments:?} {when} {at}");
                ended += 1;
                let outcomes = world.rollouts("epoch", "phase = 'outcome'").await;
                assert_eq!(outcomes.len(), ended, "{arguments:?} {when} {at}");
                let intents = world.rollouts("epoch", "phase = 'intent'").await;
                assert_eq!(intents, outcomes, "{arguments:?} {when} {at}");
            }
        }
        if !any {
            break;
        }
        at += stride();
    }
    assert!(kills > 4, "{kills}");
}

/// Of two at once, one rolls out, and the other finds it done.
#[tokio::test(flavor = "multi_thread")]
async fn two_rollouts_at_once_are_one() {
    let world = world(2, "pass").await;
    assert_eq!(world.promote(1, None).await.0, 0);
    assert_eq!(world.run(&["model-serve"]).0, 0);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    let started: Vec<_> = (0..2)
        .map(|_| world.command(&["model-serve"]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut said = Vec::new();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        said.push(text(&output.stdout));
    }
    assert!(said.iter().any(|said| said.contains("serves version 2 already")), "{said:?}");
    assert!(said.iter().any(|said| said.contains("serves version 2, it served 1")), "{said:?}");
    let rows = world.rollouts("phase", "to_version = '2'").await;
    assert_eq!(rows, ["intent", "step", "step", "step", "step", "outcome"]);
}
