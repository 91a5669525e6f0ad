//! `model-promote`: one mover at a time, a record of every move, a way back.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use lakegate::config::Config;
use lakegate::databricks::unity::Securable;
use lakegate::host::{Context, Host};
use lakegate::model_promote::{Action, Promote, Request};
use lakegate::names::ModelVersion;
use lakegate::record::evidence::{Data, Evidence, Measured, Statement, Subject};
use lakegate::report::{Fault, FaultKind, Verdict};
use lakegate::step::{Cancel, Ctx};
use lakegate::sys::Env;
use serde_json::json;

use crate::support::{Served, text, within};

pub(crate) const MODEL: &str = "main.default.model";
const POLICY: &str = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}]}\n";
const OWN: &str =
    "record: {schema: main.default}\npromotion: {model: main.default.model, lease_seconds: 60}\n";

/// A model with some versions, and evidence for any of them.
pub(crate) struct World {
    pub(crate) served: Served,
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    async fn with(versions: u64) -> Self {
        let only = |version| vec![("MLmodel".to_owned(), format!("flavors: {version}"))];
        Self::of(versions, only).await
    }

    /// With these files in each version.
    pub(crate) async fn of(versions: u64, files: impl Fn(u64) -> Vec<(String, String)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::start(&dir.path().join("workspace"));
        let client = served.client();
        let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "model" });
        client.securable_create(Securable::Model, &fields).await.unwrap();
        let http = reqwest::Client::new();
        for version in 1..=versions {
            for (call, body) in [
                ("create", json!({ "name": MODEL, "source": "somewhere" })),
                ("finalize", json!({ "name": MODEL, "version": version.to_string() })),
            ] {
                let at =
                    format!("{}/api/2.0/mlflow/unity-catalog/model-versions/{call}", served.host);
                let made =
                    http.post(at).bearer_auth(&served.token).json(&body).send().await.unwrap();
                assert!(made.status().is_success());
                let written = if call == "create" { files(version) } else { Vec::new() };
                for (name, text) in written {
                    let path = format!("/Models/main/default/model/{version}/{name}");
                    client.file_write(&path, text.into()).await.unwrap();
                }
            }
        }
        std::fs::write(dir.path().join("lakegate.yml"), OWN).unwrap();
        Self { served, dir }
    }

    async fn subject(&self, version: u64) -> Subject {
        let version = ModelVersion(version);
        let digest = self.served.client().ready_digest(&MODEL.parse().unwrap(), version).await;
        Subject { version, digest: digest.unwrap() }
    }

    /// A gate's evidence that `candidate` may follow on `champion`.
    async fn evidence(&self, candidate: u64, champion: Option<u64>) -> PathBuf {
        self.evidence_of(candidate, champion, 0.8).await
    }

    /// The same of a model with this ROC AUC; 0.5 is asked for.
    async fn evidence_of(&self, candidate: u64, champion: Option<u64>, auc: f64) -> PathBuf {
        let mut measured = Measured::default();
        measured.whole.candidate.insert("roc_auc".into(), auc);
        self.sealed(candidate, champion, measured).await
    }

    async fn sealed(
        &self,
        candidate: u64,
        champion: Option<u64>,
        mut measured: Measured,
    ) -> PathBuf {
        let champion = match champion {
            Some(champion) => Some(self.subject(champion).await),
            None => None,
        };
        let source = "a.b.c".parse().unwrap();
        let policy = Config::parse("t", POLICY).unwrap().gate.unwrap();
        measured.whole.rows = 5000;
        let at = jiff::Timestamp::now().to_string();
        let decision = lakegate::verdict::decide(&policy, &measured, &at);
        let evidence = Evidence::seal(Statement {
            model: MODEL.parse().unwrap(),
            candidate: self.subject(candidate).await,
            champion,
            champion_of: None,
            data: Data {
                source: Some(source),
                version: Some(1),
                digest: None,
                champion: None,
                champion_version: None,
                filter: None,
                runs: Vec::new(),
                rows: 10,
                seed: 7,
            },
            policy,
            measured,
            checks: decision.checks,
            verdict: decision.verdict.as_str().into(),
            reason: decision.reason,
            at,
            expires: None,
            commit: None,
            repository: None,
            run_url: None,
            stage: None,
            actor: None,
        });
        let path = self.dir.path().join(format!("{candidate}.evidence.json"));
        std::fs::write(&path, serde_json::to_string(&evidence).unwrap()).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.served.command();
        command.args(arguments).current_dir(self.dir.path());
        command
    }

    /// What a killed mover holds is free soon; a slow machine may then need to ask twice.
    fn with_short_leases(&self) {
        let own = OWN.replace("lease_seconds: 60", "lease_seconds: 5");
        std::fs::write(self.dir.path().join("lakegate.yml"), own).unwrap();
    }

    pub(crate) fn ask_until_in_time(&self, arguments: &[&str]) -> (i32, String) {
        const OUT_OF_TIME: i32 = 5;
        let asked = (0..5).map(|_| self.run(arguments));
        let mut late = asked.skip_while(|(code, _)| *code == OUT_OF_TIME);
        late.next().unwrap()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = within(Duration::from_secs(120), &mut self.command(arguments));
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }

    /// A promotion that needs no process of its own.
    fn in_process(&self, evidence: PathBuf) -> (Ctx, Request) {
        let env = Arc::new(Env::default());
        let host = Host::detect(env.clone(), std::io::sink());
        let ctx = Ctx {
            env,
            host,
            context: Context { host: "terminal", ..Context::default() },
            client: self.served.client(),
            warehouse: Some("local".into()),
            cancel: Cancel::on_signals(),
        };
        let promote = Promote {
            evidence,
            max_age_days: 1.0,
            sign_off: None,
            overrule: None,
            overruled: None,
        };
        let request = Request {
            action: Action::Promote(promote),
            model: None,
            copy: None,
            state_tag: None,
            policy: None,
            alias: "champion".parse().unwrap(),
            previous: Some("previous".parse().unwrap()),
            lease: Duration::from_secs(120),
            record: Some("main.default".parse().unwrap()),
        };
        (ctx, request)
    }

    pub(crate) async fn promote(&self, candidate: u64, champion: Option<u64>) -> (i32, String) {
        let evidence = self.evidence(candidate, champion).await;
        self.run(&["model-promote", "--evidence", evidence.to_str().unwrap()])
    }

    async fn alias(&self, alias: &str) -> Option<u64> {
        let (model, alias) = (MODEL.parse().unwrap(), alias.parse().unwrap());
        let found = self.served.client().alias_get(&model, &alias).await.unwrap();
        found.map(|version| version.0)
    }

    /// What the first versions are used for, as their tags have it.
    async fn states(&self, versions: u64) -> Vec<String> {
        let (client, model) = (self.served.client(), MODEL.parse().unwrap());
        let mut states = Vec::new();
        for version in 1..=versions {
            let tags = client.model_version_tags(&model, ModelVersion(version)).await.unwrap();
            states.push(tags.get("lakegate_state").cloned().unwrap_or_default());
        }
        states
    }

    async fn count(&self, condition: &str) -> u64 {
        let statement = format!("SELECT count(*) FROM main.default.promotions WHERE {condition}");
        self.served.sql(&statement).await[0][0].as_deref().unwrap().parse().unwrap()
    }
}

/// A version beside production is a shadow; once it is promoted, it is no more.
#[tokio::test(flavor = "multi_thread")]
async fn versions_say_what_they_are_used_for() {
    let world = World::with(3).await;
    assert_eq!(world.promote(1, None).await.0, 0);
    let beside = async |candidate, champion| {
        let evidence = world.evidence(candidate, champion).await;
        let evidence = evidence.to_str().unwrap();
        world.run(&["model-promote", "--alias=challenger", "--evidence", evidence])
    };
    let (code, said) = beside(2, None).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.states(3).await, ["production", "shadow", ""]);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    assert_eq!(world.states(3).await, ["previous", "production", ""]);
    // One that was production is no more, whatever other alias it keeps.
    let back = world.run(&["model-promote", "rollback", "--reason=worse"]);
    assert_eq!(back.0, 0, "{}", back.1);
    assert_eq!(world.states(3).await, ["production", "previous", ""]);
    assert_eq!(world.promote(2, Some(1)).await.0, 0);
    let (code, said) = beside(3, Some(2)).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.states(3).await, ["previous", "production", "shadow"]);
    // A tag of one's own, or none.
    std::fs::write(
        world.dir.path().join("lakegate.yml"),
        OWN.replace("lease_seconds: 60", "lease_seconds: 60, state_tag: null"),
    )
    .unwrap();
    assert_eq!(world.promote(3, Some(2)).await.0, 0);
    assert_eq!(world.states(3).await, ["previous", "production", "shadow"]);
}

/// The job of `examples/copy-model` copies what was judged into another catalog.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_promoted_in_another_catalog_and_made_once() {
    const HERE: &str = "prod.default.model";
    let world = World::with(2).await;
    let client = world.served.client();
    client.securable_create(Securable::Catalog, &json!({ "name": "prod" })).await.unwrap();
    let described = |version: u64| {
        format!(
            "flavors: {{python_function: {{loader_module: none, python_version: '3.11'}}}}\nmodel_uuid: v{version}\nsignature: {{inputs: '[{{\"name\": \"x\", \"type\": \"double\"}}]', outputs: '[{{\"type\": \"double\"}}]', params: null}}\nutc_time_created: '2026-01-01 00:00:00'\n"
        )
    };
    for version in 1..=2 {
        let path = format!("/Models/main/default/model/{version}/MLmodel");
        client.file_write(&path, described(version).into()).await.unwrap();
    }
    let bundle = world.dir.path().join("copy-model");
    std::fs::create_dir(&bundle).unwrap();
    for file in ["databricks.yml", "copy_model.py"] {
        std::fs::copy(format!("examples/copy-model/{file}"), bundle.join(file)).unwrap();
    }
    let mut deploy = world.command(&["bundle-deploy", "apply"]);
    let output = within(Duration::from_secs(60), deploy.current_dir(&bundle));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let own = format!(
        "record: {{schema: main.default}}\npromotion:\n  model: {HERE}\n  copy: {{from: {MODEL}, job: copy-model}}\n"
    );
    std::fs::write(world.dir.path().join("lakegate.yml"), own).unwrap();

    let (code, said) = world.promote(2, None).await;
    assert_eq!(code, 0, "{said}");
    let (here, alias) = (HERE.parse().unwrap(), "champion".parse().unwrap());
    assert_eq!(client.alias_get(&here, &alias).await.unwrap(), Some(ModelVersion(1)));
    let digest = client.ready_digest(&here, ModelVersion(1)).await.unwrap();
    assert_eq!(digest, world.subject(2).await.digest);
    assert_eq!(world.alias("champion").await, None);
    // Again: nothing is copied twice.
    let (code, said) = world.promote(2, None).await;
    assert!(code == 0 && said.contains("points to version 1 already"), "{said}");
    assert_eq!(client.model_versions(&here).await.unwrap().len(), 1);

    // A champion of another model is none that this one may follow.
    let (code, said) = world.promote(1, Some(2)).await;
    assert!(
        code == 7 && said.contains("compares with the champion of main.default.model"),
        "{said}"
    );
    // A copy with other bytes is no copy.
    let path = "/Models/prod/default/model/1/MLmodel";
    client.file_write(path, described(9).into()).await.unwrap();
    let (code, said) = world.promote(2, None).await;
    assert!(code == 7 && said.contains("is not a copy of what the gate judged"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_the_recorded_way_back() {
    let world = World::with(3).await;
    for (candidate, champion) in [(1, None), (2, Some(1)), (3, Some(2))] {
        let (code, said) = world.promote(candidate, champion).await;
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!((world.alias("champion").await, world.alias("previous").await), (Some(3), Some(2)));
    assert_eq!(world.states(3).await, ["archived", "previous", "production"]);
    let (code, said) = world.promote(3, Some(2)).await;
    assert!(code == 0 && said.contains("already"), "{said}");
    assert_eq!(world.count("true").await, 6);
    let (code, said) = world.run(&["model-promote", "rollback"]);
    assert!(code == 2 && said.contains("--reason"), "{said}");
    let back = || world.run(&["model-promote", "rollback", "--reason", "it is worse"]);
    let (code, said) = back();
    assert!(code == 0 && said.contains("moved back from version 3 to version 2"), "{said}");
    assert_eq!((world.alias("champion").await, world.alias("previous").await), (Some(2), Some(3)));
    assert_eq!(world.states(3).await, ["archived", "production", "previous"]);
    let named = |version| ["model-promote", "rollback", "--reason=worse", "--from", version];
    let (code, said) = world.run(&named("3"));
    assert!(code == 0 && said.contains("by an earlier attempt"), "{code} {said}");
    let (code, said) = world.run(&named("1"));
    assert!(code == 4 && said.contains("points to version 2, not to version 1"), "{code} {said}");
    assert_eq!(world.alias("champion").await, Some(2));
    let file = "/Models/main/default/model/1/MLmodel";
    let client = world.served.client();
    client.file_write(file, "flavors: evil".into()).await.unwrap();
    let (code, said) = back();
    assert!(code == 7 && said.contains("is not what was promoted"), "{code} {said}");
    client.file_write(file, "flavors: 1".into()).await.unwrap();
    assert_eq!(back().0, 0);
    assert_eq!(world.alias("champion").await, Some(1));
    let (code, said) = back();
    assert!(code == 2 && said.contains("first one"), "{code} {said}");
    let (code, said) = world.run(&["model-promote", "history"]);
    assert!(code == 0 && said.contains("5 moves"), "{said}");
    let report = world.dir.path().join(".lakegate/reports/model-promote.html");
    assert!(std::fs::read_to_string(report).unwrap().contains("it is worse"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_promotions_at_once_one_wins() {
    let world = World::with(6).await;
    assert_eq!(world.promote(1, None).await.0, 0);
    let mut running = Vec::new();
    for candidate in 2..=6 {
        let evidence = world.evidence(candidate, Some(1)).await;
        let mut command =
            world.command(&["model-promote", "--evidence", evidence.to_str().unwrap()]);
        let report = format!("reports/{candidate}");
        command.env("LAKEGATE_REPORT_DIR", report).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push((candidate, command.spawn().unwrap()));
    }
    let mut winners = Vec::new();
    for (candidate, child) in running {
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        match output.status.code().unwrap() {
            0 => winners.push(candidate),
            4 => assert!(said.contains("it was expected at version 1"), "{said}"),
            other => panic!("{other}: {said}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(world.alias("champion").await, Some(winners[0]));
    assert_eq!(world.count("phase = 'outcome'").await, 2);
    assert_eq!(world.count("phase = 'intent'").await, 2);
}

/// Eight promoters that start at times of their own: one wins each round, and
/// the records are what happened. `LAKEGATE_SIMULATE_RACES=ROUNDS,FROM` makes more,
/// of the seeds from `FROM` on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_every_schedule_one_of_eight_promoters_wins() {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let asked = std::env::var("LAKEGATE_SIMULATE_RACES");
    let asked: Option<Vec<u64>> =
        asked.ok().map(|asked| asked.split(',').map(|part| part.parse().unwrap()).collect());
    let rounds = asked.as_ref().map_or(3, |asked| asked[0]);
    let from = asked.as_ref().and_then(|asked| asked.get(1)).copied().unwrap_or(0);
    let seeds: Vec<u64> = (from..from + rounds).collect();
    // Promoters mostly wait for each other: several workspaces at once. What is
    // written grows with each round, and with it the time of the next.
    let worlds = if asked.is_some() { 8 } else { 1 };
    futures::stream::iter(seeds.chunks(8)).for_each_concurrent(worlds, one_of_eight_wins).await;
}

async fn one_of_eight_wins(seeds: &[u64]) {
    const PROMOTERS: u64 = 8;
    let world = World::with(PROMOTERS + 1).await;
    assert_eq!(world.promote(1, None).await.0, 0);
    let mut champion = 1;
    for (round, seed) in (0u64..).zip(seeds.iter().copied()) {
        let mut running = Vec::new();
        let others = (1..=PROMOTERS + 1).filter(|version| *version != champion);
        for (place, candidate) in others.enumerate() {
            let evidence = world.evidence(candidate, Some(champion)).await;
            let pause = Duration::from_millis(lakegate::stats::lot(seed, place as u64) % 150);
            let (ctx, request) = world.in_process(evidence);
            running.push(tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                (candidate, lakegate::model_promote::run(ctx, request).await)
            }));
        }
        let mut winners = Vec::new();
        for promoter in running {
            match promoter.await.unwrap() {
                (candidate, Ok(outcome)) => {
                    assert_eq!(outcome.report.verdict, Verdict::Pass);
                    winners.push(candidate);
                }
                (_, Err(error)) => {
                    let kind = Fault::of(&error).map(|fault| fault.kind);
                    assert_eq!(kind, Some(FaultKind::Conflict), "seed {seed}: {error:#}");
                }
            }
        }
        assert_eq!(winners.len(), 1, "seed {seed}: {winners:?}");
        champion = winners[0];
        assert_eq!(world.alias("champion").await, Some(champion), "seed {seed}");
        for phase in ["intent", "outcome"] {
            let count = world.count(&format!("phase = '{phase}'")).await;
            assert_eq!(count, round + 2, "seed {seed}: {phase}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_promotion_is_finished_or_undone_by_the_next_one() {
    let world = World::with(2).await;
    world.with_short_leases();
    assert_eq!(world.promote(1, None).await.0, 0);
    let evidence = world.evidence(2, Some(1)).await;
    let arguments = ["model-promote", "--evidence", evidence.to_str().unwrap()];
    // Held up in the middle: before the alias is set, and right after it.
    for (kills, when) in ["before", "after"].into_iter().enumerate() {
        let path = "/api/2.1/unity-catalog/models/*/aliases/champion";
        let rule = json!({"method": "PUT", "path": path, "when": when, "latency_ms": 15_000});
        world.served.post("/__lakegate/faults", &rule).await;
        let mut held = world.command(&arguments);
        let mut held = held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut waited = 0;
        while world.count("phase = 'intent' AND to_version = 2").await == kills as u64 {
            waited += 1;
            assert!(waited < 400, "no intent");
            tokio::time::sleep(Duration::from_millis(50)).await;
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_millis(500));
        held.kill().unwrap();
        held.wait().unwrap();
    }
    let (code, said) = world.ask_until_in_time(&arguments);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.alias("champion").await, Some(2));
    assert_eq!(world.count("phase = 'outcome' AND to_version = 2").await, 1);
    assert_eq!(world.count("phase = 'intent'").await, world.count("phase <> 'intent'").await);
    assert_eq!(world.run(&arguments).0, 0);
    assert_eq!(world.count("phase = 'outcome' AND to_version = 2").await, 1);
}

/// Of these requests, every so many is where the mover is killed.
fn stride() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let asked = std::env::var("LAKEGATE_KILL_STRIDE");
    asked.ok().map_or(11, |text| text.parse().unwrap())
}

/// Killed before and after its requests, a move or a rollback comes to its end when it
/// is asked for again, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_killed_anywhere_converges() {
    let (mut at, mut kills) = (0, 0);
    loop {
        // What was recorded before makes each statement slower.
        let world = World::with(2).await;
        world.with_short_leases();
        assert_eq!(world.promote(1, None).await.0, 0);
        let (mut any, mut moves) = (false, 1);
        for when in ["before", "after"] {
            let evidence = world.evidence_of(2, Some(1), 0.8 + f64::from(moves) / 1e4).await;
            let promote = ["model-promote", "--evidence", evidence.to_str().unwrap()];
            let back = ["model-promote", "rollback", "--from=2", "--reason=worse"];
            for (arguments, champion) in [(&promote[..], 2), (&back[..], 1)] {
                let mut command = world.command(arguments);
                let was_killed = world.served.kills(&mut command, at, when).await;
                kills += i32::from(was_killed);
                any |= was_killed;
                moves += 1;
                let (code, said) = world.ask_until_in_time(arguments);
                assert_eq!(code, 0, "{arguments:?} killed {when} request {at}: {said}");
                assert_eq!(world.alias("champion").await, Some(champion), "{when} {at}");
                let effects = world.count("phase = 'outcome'").await;
                assert_eq!(effects, moves as u64, "{arguments:?} {when} {at}");
                let open = world.count("phase = 'intent'").await;
                assert_eq!(open, world.count("phase <> 'intent'").await, "{when} {at}");
            }
        }
        if !any {
            break;
        }
        at += stride();
    }
    assert!(kills > 4, "{kills}");
}

/// Work that outlives its lease ends, says what to do, and goes on when asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_too_short_says_so() {
    let world = World::with(1).await;
    world.with_short_leases();
    let evidence = world.evidence(1, None).await;
    let arguments = ["model-promote", "--evidence", evidence.to_str().unwrap()];
    let path = "/api/2.1/unity-catalog/models/*/aliases/champion";
    let rule = json!({"method": "PUT", "path": path, "latency_ms": 8_000});
    world.served.post("/__lakegate/faults", &rule).await;
    let (code, said) = world.run(&arguments);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("was not over when its lease of 5 s was"), "{said}");
    assert!(said.contains("raise `promotion.lease_seconds`"), "{said}");
    world.served.clear_faults().await;
    let (code, said) = world.ask_until_in_time(&arguments);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.alias("champion").await, Some(1));
    assert_eq!(world.count("phase = 'outcome'").await, 1);
}

/// What is not promoted is written down, also where the evidence does not stand.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_does_not_stand_leaves_a_refusal() {
    let world = World::with(1).await;
    let evidence = world.evidence(1, None).await;
    let path = "/Models/main/default/model/1/MLmodel";
    world.served.client().file_write(path, "flavors: other".into()).await.unwrap();
    let (code, said) = world.run(&["model-promote", "--evidence", evidence.to_str().unwrap()]);
    assert_eq!(code, 7, "{said}");
    let rows = world.served.sql("SELECT kind, reason FROM main.default.sign_offs").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][0].as_deref(), Some("refusal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_rolls_a_model_back_once_per_window() {
    let world = World::with(3).await;
    for (candidate, champion) in [(1, None), (2, Some(1)), (3, Some(2))] {
        assert_eq!(world.promote(candidate, champion).await.0, 0);
    }
    let rows = |moved: u32| {
        let rows: String = (0..500).map(|row| format!("{}\n", row % 50 + moved)).collect();
        format!("x\n{rows}")
    };
    std::fs::write(world.dir.path().join("then.csv"), rows(0)).unwrap();
    std::fs::write(world.dir.path().join("now.csv"), rows(40)).unwrap();
    let policy = format!(
        "{OWN}drift: {{baseline: then.csv, current: now.csv, min_rows: 100, on_drift: rollback}}\n"
    );
    std::fs::write(world.dir.path().join("lakegate.yml"), &policy).unwrap();
    let check = || world.run(&["drift-check"]);
    let (code, said) = check();
    assert!(code == 1 && said.contains("champion of main.default.model moved back"), "{said}");
    let (code, said) = check();
    assert!(code == 1 && said.contains("by an earlier check"), "{said}");
    assert_eq!(world.alias("champion").await, Some(2));
    // Written anew, the file is another window.
    std::fs::write(world.dir.path().join("now.csv"), rows(41)).unwrap();
    assert_eq!(check().0, 1);
    assert_eq!(world.alias("champion").await, Some(1));
    std::fs::write(
        world.dir.path().join("lakegate.yml"),
        policy.replace("model: main.default.model, ", ""),
    )
    .unwrap();
    let (code, said) = check();
    assert!(code == 2 && said.contains("promotion.model"), "{said}");
}

/// People must agree, others than those who asked, and nobody decides otherwise
/// unless the policy names them.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_off_is_for_these_bytes_and_from_other_people() {
    let world = World::with(2).await;
    let own = |more: &str| {
        let text =
            format!("record: {{schema: main.default}}\npromotion: {{lease_seconds: 60, {more}}}\n");
        std::fs::write(world.dir.path().join("lakegate.yml"), text).unwrap();
    };
    let evidence = world.evidence(1, None).await;
    let evidence = evidence.to_str().unwrap();
    let promote = || world.run(&["model-promote", "--evidence", evidence]);
    let approve =
        || world.run(&["model-promote", "approve", "--evidence", evidence, "--reason", "fine"]);

    // The only user of the embedded workspace registered the version, too.
    own("sign_off: {from: table}");
    let (code, said) = promote();
    assert!(code == 3 && said.contains("1 approval is missing"), "{said}");
    assert_eq!(world.alias("champion").await, None);
    let (code, said) = approve();
    assert_eq!(code, 0, "{said}");
    let (code, said) = promote();
    assert!(code == 3 && said.contains("started the run, or wrote what it runs"), "{said}");
    own("sign_off: {from: table, not_author: false, approvers: [somebody@else]}");
    let (code, said) = promote();
    assert!(code == 3 && said.contains("none of the approvers"), "{said}");
    // Groups are the workspace's: its user is in one of them.
    own("sign_off: {from: table, not_author: false, required: 2, teams: [admins]}");
    let (code, said) = promote();
    assert!(code == 3 && said.contains("1 approval is missing"), "{said}");
    assert!(!said.contains("none of the approvers"), "{said}");
    own("sign_off: {from: table, not_author: false, teams: [officers]}");
    let (code, said) = promote();
    assert!(code == 3 && said.contains("none of the approvers"), "{said}");
    own("sign_off: {from: table, not_author: false, required: 2}");
    assert_eq!(approve().0, 0);
    let (code, said) = promote();
    assert!(code == 3 && said.contains("1 approval is missing"), "{said}");
    own("sign_off: {from: table, not_author: false}");
    let (code, said) = promote();
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.alias("champion").await, Some(1));

    // An approval of one version is none of another.
    let other = world.evidence(2, Some(1)).await;
    let (code, said) = world.run(&["model-promote", "--evidence", other.to_str().unwrap()]);
    assert!(code == 3 && said.contains("1 approval is missing"), "{said}");
    own("sign_off: {from: tag, tag: Approval_Check}");
    let (code, said) = world.run(&["model-promote", "--evidence", other.to_str().unwrap()]);
    assert!(code == 3, "{said}");
    let (model, version) = (MODEL.parse().unwrap(), ModelVersion(2));
    let client = world.served.client();
    client.model_version_tag(&model, version, "Approval_Check", "Approved").await.unwrap();
    let (code, said) = world.run(&["model-promote", "--evidence", other.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    own("sign_off: {from: github}");
    let (code, said) = promote();
    assert!(code == 2 && said.contains("approvals are read from github"), "{said}");
}

/// A loop that trained nothing new promotes what is there, and the records stay.
#[tokio::test(flavor = "multi_thread")]
async fn the_champion_is_not_promoted_again() {
    let world = World::with(2).await;
    for (version, before) in [(1, None), (2, Some(1))] {
        let evidence = world.evidence_of(version, before, 0.8).await;
        let (code, said) = world.run(&["model-promote", "--evidence", evidence.to_str().unwrap()]);
        assert_eq!(code, 0, "{said}");
    }
    let mut measured = Measured { is_champion: true, is_newest: true, ..Measured::default() };
    measured.whole.candidate.insert("roc_auc".into(), 0.8);
    let evidence = world.sealed(2, None, measured).await;
    let again = ["model-promote", "--evidence", evidence.to_str().unwrap()];
    let (code, said) = world.run(&again);
    assert!(code == 0 && said.contains("points to version 2 already"), "{said}");
    let (code, said) =
        world.run(&["model-promote", "rollback", "--model", MODEL, "--reason", "broken"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.alias("champion").await, Some(1));
    // It was champion when it was judged, and was held against nothing.
    let (code, said) = world.run(&again);
    assert_eq!(code, 4, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_may_overrule_a_refusal_and_it_is_recorded() {
    let world = World::with(1).await;
    let evidence = world.evidence_of(1, None, 0.4).await;
    let evidence = evidence.to_str().unwrap();
    let own = |more: &str| {
        let text =
            format!("record: {{schema: main.default}}\npromotion: {{lease_seconds: 60, {more}}}\n");
        std::fs::write(world.dir.path().join("lakegate.yml"), text).unwrap();
    };
    let overrule = || {
        world.run(&["model-promote", "--evidence", evidence, "--override", "the old one is broken"])
    };
    own("alias: champion");
    let (code, said) = world.run(&["model-promote", "--evidence", evidence]);
    assert!(code == 1 && said.contains("the gate said fail: roc_auc 0.4 < 0.5"), "{said}");
    let (code, said) = overrule();
    assert!(code == 1 && said.contains("nobody may overrule it"), "{said}");
    own("override: {by: [boss@x.org]}");
    let (code, said) = overrule();
    assert!(code == 1 && said.contains("may not overrule it"), "{said}");
    assert_eq!(world.alias("champion").await, None);
    let me = world.served.client().me().await.unwrap().user_name;
    own(&format!("override: {{by: [{me}]}}"));
    let (code, said) = overrule();
    assert!(code == 0 && said.contains("overruled the gate"), "{said}");
    assert_eq!(world.alias("champion").await, Some(1));
    let (_, said) = world.run(&["model-promote", "history", "--model", MODEL]);
    assert!(said.contains("the old one is broken"), "{said}");
}
