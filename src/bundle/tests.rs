use super::*;
use proptest::prelude::*;
use serde_json::json;

const ROOT: &str = r"
bundle: {name: flights}
include: [resources/*.yml]
variables:
  catalog: {default: main}
  cluster: {type: complex, default: {workers: 2}}
targets:
  dev: {mode: development, default: true}
  prod: {mode: production, variables: {catalog: prod}}
";

const JOBS: &str = r"
resources:
  schemas:
    features: {name: features, catalog_name: '${var.catalog}'}
  registered_models:
    late: {name: late, catalog_name: '${var.catalog}', schema_name: features}
  jobs:
    train:
      name: train-${bundle.target}
      schedule: {quartz_cron_expression: '0 0 4 * * ?', timezone_id: UTC}
      tasks:
        - {task_key: fit, spark_python_task: {python_file: ../ops/train.py, parameters: ['${var.cluster.workers}']}, environment_key: default}
      environments:
        - environment_key: default
          spec: {dependencies: ['-r ../requirements.txt', '../dist/*.whl', 'numpy']}
    retrain:
      name: retrain
      tasks:
        - {task_key: go, run_job_task: {job_id: '${resources.jobs.train.id}'}}
";

fn sources(root: &str, jobs: &str) -> Sources {
    [
        ("databricks.yml".to_owned(), root.to_owned()),
        ("resources/jobs.yml".to_owned(), jobs.to_owned()),
    ]
    .into()
}

fn around() -> Surroundings {
    Surroundings {
        user: "anna@example.test".into(),
        short_name: "anna".into(),
        ..Surroundings::default()
    }
}

#[test]
fn the_name_of_a_lookup_may_hold_variables_of_the_target() {
    let named = |name: &str, target: &str| {
        let root = ROOT.replace(
            "  cluster: {type",
            &format!("  other: {{lookup: {{job: ours}}}}\n  warehouse: {{lookup: {{warehouse: '{name}'}}}}\n  cluster: {{type"),
        );
        let found = lookups(&sources(&root, JOBS), Some(target), &around())?;
        Ok::<_, BundleError>(found.iter().map(|lookup| lookup.name.clone()).collect::<Vec<_>>())
    };
    let name = "${var.catalog} of ${bundle.target}";
    assert_eq!(named(name, "dev").unwrap(), ["ours", "main of dev"]);
    assert_eq!(named(name, "prod").unwrap(), ["ours", "prod of prod"]);
    for (name, words) in [
        ("${var.other}", "var.other, which has no value yet"),
        ("${var.none}", "var.none, which leads nowhere"),
        ("${var.cluster}", "is no text"),
    ] {
        let error = named(name, "dev").unwrap_err();
        assert!(error.message.contains(words), "{}", error.message);
    }
}

fn loaded(target: &str) -> Bundle {
    load(&sources(ROOT, JOBS), Some(target), &around()).unwrap()
}

fn refused(root: &str, jobs: &str) -> BundleError {
    load(&sources(root, jobs), None, &around()).unwrap_err()
}

#[test]
fn a_development_target_is_prefixed_and_paused() {
    insta::assert_json_snapshot!(loaded("dev").shown());
}

#[test]
fn a_production_target_keeps_its_names_and_takes_its_variables() {
    let bundle = loaded("prod");
    assert_eq!(bundle.resources["jobs.train"].settings["name"], "train-prod");
    assert_eq!(bundle.resources["schemas.features"].settings["catalog_name"], "prod");
    assert_eq!(bundle.root_path, "/Workspace/Users/anna@example.test/.bundle/flights/prod");
}

#[test]
fn an_override_changes_the_task_of_its_name() {
    let root = ROOT.replace(
        "variables: {catalog: prod}",
        "resources: {jobs: {train: {tasks: [{task_key: fit, timeout_seconds: 60}]}}}",
    );
    let bundle = load(&sources(&root, JOBS), Some("prod"), &around()).unwrap();
    let tasks = bundle.resources["jobs.train"].settings["tasks"].as_array().unwrap();
    assert_eq!((tasks.len(), &tasks[0]["timeout_seconds"]), (1, &json!(60)));
    assert_eq!(tasks[0]["environment_key"], "default");
}

#[test]
fn given_variables_win() {
    let mut around = around();
    around.variables.insert("catalog".into(), "given".into());
    around.variables.insert("cluster".into(), "{workers: 9}".into());
    let bundle = load(&sources(ROOT, JOBS), Some("prod"), &around).unwrap();
    assert_eq!(bundle.resources["schemas.features"].settings["catalog_name"], "given");
    let parameters =
        &bundle.resources["jobs.train"].settings["tasks"][0]["spark_python_task"]["parameters"];
    assert_eq!(parameters, &json!([9]));
}

#[test]
fn mistakes_are_named_with_a_way_out() {
    let told = |error: BundleError| format!("{error} | {}", error.hint.clone().unwrap_or_default());
    let mut all = Vec::new();
    for (root, jobs) in [
        (ROOT.replace("variables:", "varaibles:"), JOBS.to_owned()),
        (ROOT.to_owned(), JOBS.replace("jobs:", "job:")),
        (ROOT.replace("mode: development", "presets: {name_prefx: x}"), JOBS.to_owned()),
        (
            ROOT.replace("mode: development", "presets: {trigger_pause_status: paused}"),
            JOBS.to_owned(),
        ),
        (ROOT.to_owned(), JOBS.replace(", environment_key: default}", "}")),
        (ROOT.to_owned(), JOBS.replace("environment_key: default}", "environment_key: defautl}")),
        (ROOT.to_owned(), JOBS.replace("tasks:", "taks:")),
        (ROOT.to_owned(), JOBS.replace("${var.catalog}", "${var.catlog}")),
        (ROOT.replace("{default: main}", "{default: '${var.catalog}'}"), JOBS.to_owned()),
        (ROOT.replace("{default: main}", "{description: which}"), JOBS.to_owned()),
        (ROOT.to_owned(), JOBS.replace("resources.jobs.train.id", "resources.jobs.trian.id")),
        (ROOT.to_owned(), JOBS.replace("../ops/train.py", "../../etc/passwd")),
        (ROOT.replace("[resources/*.yml]", "[resources/none.yml]"), JOBS.to_owned()),
        (ROOT.replace("[resources/*.yml]", "[./databricks.yml]"), JOBS.to_owned()),
        (ROOT.to_owned(), format!("include: [x.yml]\n{JOBS}")),
        (ROOT.replace("mode: development", "mode: devel"), JOBS.to_owned()),
    ] {
        all.push(told(refused(&root, &jobs)));
    }
    let error = load(&sources(ROOT, JOBS), Some("prd"), &around()).unwrap_err();
    all.push(told(error));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_same_resource_in_two_files_is_a_mistake() {
    let mut sources = sources(ROOT, JOBS);
    sources.insert("resources/more.yml".into(), "resources: {jobs: {train: {name: again}}}".into());
    let error = load(&sources, None, &around()).unwrap_err();
    assert!(error.message.contains("`resources/jobs.yml` already"), "{error}");
}

#[test]
fn production_is_not_deployed_from_another_branch_or_home() {
    let root =
        ROOT.replace("bundle: {name: flights}", "bundle: {name: flights, git: {branch: main}}");
    let mut elsewhere = around();
    elsewhere.branch = Some("feature".into());
    let error = load(&sources(&root, JOBS), Some("prod"), &elsewhere).unwrap_err();
    assert!(error.message.contains("`main`, this is `feature`"), "{error}");
    let of_target = ROOT.replace("mode: production", "mode: production, git: {branch: release}");
    let error = load(&sources(&of_target, JOBS), Some("prod"), &elsewhere).unwrap_err();
    assert!(error.message.contains("`release`, this is `feature`"), "{error}");
    let open = Surroundings { is_open: true, ..elsewhere.clone() };
    load(&sources(&of_target, JOBS), Some("prod"), &open).unwrap();
    let root = ROOT.replace(
        "mode: production",
        "mode: production, workspace: {root_path: /Workspace/Users/bob@x/b}",
    );
    let error = load(&sources(&root, JOBS), Some("prod"), &around()).unwrap_err();
    assert!(error.message.contains("home of `bob@x`"), "{error}");
}

fn planned(bundle: &Bundle, state: &State) -> Plan {
    let standing = Standing {
        state,
        remotes: &Remotes::new(),
        remembered: &Remembered::default(),
        uploaded: &FileDigests::default(),
    };
    plan(bundle, "https://a.test", standing, FileDigests::default())
}

fn deployed(bundle: &Bundle) -> State {
    let mut state = State::new("lineage".into());
    for (key, resource) in &bundle.resources {
        let resource = ResourceState {
            id: "1".into(),
            state: ids::fill(&resource.settings, &|_| Some("1".to_owned())),
            depends_on: Vec::new(),
        };
        state.state.insert(format!("resources.{key}"), resource);
    }
    state
}

#[test]
fn a_first_plan_creates_in_the_order_of_need() {
    let plan = planned(&loaded("dev"), &State::new("l".into()));
    let keys: Vec<_> = plan.steps.iter().map(|step| step.key.as_str()).collect();
    assert_eq!(keys, ["schemas.features", "registered_models.late", "jobs.train", "jobs.retrain"]);
    assert_eq!(plan.count(Action::Create), 4);
}

#[test]
fn an_unchanged_bundle_has_nothing_to_do() {
    let bundle = loaded("dev");
    assert!(planned(&bundle, &deployed(&bundle)).is_empty());
}

#[test]
fn changes_are_told_by_their_path_and_removals_are_deletions() {
    let bundle = loaded("dev");
    let mut state = deployed(&bundle);
    let mut changed = bundle.clone();
    changed.resources.get_mut("jobs.train").unwrap().settings["tasks"][0]["timeout_seconds"] =
        json!(5);
    changed.resources.get_mut("registered_models.late").unwrap().settings["name"] = json!("later");
    changed.resources.remove("jobs.retrain");
    let plan = planned(&changed, &state);
    let told: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            format!(
                "{} {} {}",
                step.action.as_str(),
                step.key,
                step.changes.iter().map(|field| &*field.path).collect::<Vec<_>>().join(",")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "skip schemas.features ",
            "recreate registered_models.late name",
            "update jobs.train tasks[fit].timeout_seconds",
            "delete jobs.retrain ",
        ]
    );
    state.serial += 1;
    assert_ne!(plan.serial, state.serial);
}

#[test]
fn a_state_of_a_newer_layout_is_refused() {
    let state = State::new("l".into());
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(State::parse(&text).unwrap(), state);
    assert!(
        State::parse(&text.replace("\"state_version\":2", "\"state_version\":3"))
            .unwrap_err()
            .contains("layout 3")
    );
    assert!(State::parse("{").is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "([a-z]{1,9}: ?[\\[{$a-z}.\\]]{0,12}\n ?){0,6}") {
        let _loaded = load(&sources(&text, JOBS), None, &around());
    }

    #[test]
    fn references_are_found_wherever_they_stand(before in "[a-z$ ]{0,8}", name in "[a-z.]{1,8}", after in "[a-z}$ ]{0,8}") {
        let text = format!("{before}${{{name}}}{after}");
        let (b, n, a) = interpolate::next_reference(&text).unwrap();
        prop_assert_eq!((b, n, a), (before.as_str(), name.as_str(), after.as_str()));
    }
}

#[test]
fn an_earlier_attempt_at_the_same_part_of_a_run_is_over() {
    let run = |host: &str, id: &str, attempt, stage: &str| LockRun {
        host: host.into(),
        repository: "acme/flights".into(),
        id: id.into(),
        attempt,
        stage: Some(stage.into()),
    };
    let later = run("github", "7", Some(2), "deploy");
    assert!(run("github", "7", Some(1), "other").is_before(&later));
    for holder in [
        run("github", "7", Some(2), "other"),
        run("github", "7", Some(3), "deploy"),
        run("github", "7", None, "deploy"),
        run("github", "6", Some(1), "deploy"),
        run("azure", "7", Some(1), "deploy"),
    ] {
        assert!(!holder.is_before(&later), "{holder:?}");
    }
    let later = run("azure", "7", Some(2), "prod");
    assert!(run("azure", "7", Some(1), "prod").is_before(&later));
    // Another stage may still be at its first attempt.
    assert!(!run("azure", "7", Some(1), "staging").is_before(&later));
}

#[test]
fn presets_hold_in_every_mode_and_what_a_resource_says_stays() {
    let root = ROOT.replace(
        "mode: development",
        "presets: {name_prefix: 'Team ', tags: {cost: 7, team: ml}, trigger_pause_status: UNPAUSED, jobs_max_concurrent_runs: 3, pipelines_development: true}",
    );
    let jobs = JOBS.replace("name: retrain\n", "name: retrain\n      tags: {team: own}\n      max_concurrent_runs: 1\n      schedule: {quartz_cron_expression: '0 0 4 * * ?', timezone_id: UTC, pause_status: PAUSED}\n");
    let bundle = load(&sources(&root, &jobs), None, &around()).unwrap();
    let job = |key: &str| &bundle.resources[&format!("jobs.{key}")].settings;
    assert_eq!(job("train")["name"], "Team train-dev");
    assert_eq!(job("train")["tags"], json!({ "cost": "7", "team": "ml" }));
    assert_eq!(job("train")["schedule"]["pause_status"], "UNPAUSED");
    assert_eq!(job("train")["max_concurrent_runs"], 3);
    assert_eq!(job("retrain")["tags"], json!({ "cost": "7", "team": "own" }));
    assert_eq!(job("retrain")["schedule"]["pause_status"], "PAUSED");
    assert_eq!(job("retrain")["max_concurrent_runs"], 1);
    assert_eq!(bundle.resources["schemas.features"].settings["name"], "teamfeatures");
}

#[test]
fn a_development_copy_runs_by_itself_only_where_its_own_trigger_says_so() {
    let jobs = JOBS.replace("timezone_id: UTC}", "timezone_id: UTC, pause_status: UNPAUSED}");
    let bundle = load(&sources(ROOT, &jobs), None, &around()).unwrap();
    let schedule = &bundle.resources["jobs.train"].settings["schedule"];
    assert_eq!(schedule["pause_status"], "UNPAUSED");
    let root = ROOT.replace(
        "mode: development",
        "mode: development, presets: {trigger_pause_status: UNPAUSED}",
    );
    let error = load(&sources(&root, JOBS), None, &around()).unwrap_err();
    assert!(error.to_string().contains("nothing runs by itself"), "{error}");
}

#[test]
fn paths_of_tasks_in_tasks_and_of_requirements_are_translated_and_those_in_git_are_not() {
    let jobs = r"
resources:
  jobs:
    each:
      name: each
      tasks:
        - task_key: loop
          for_each_task:
            inputs: '[1]'
            task: {task_key: one, notebook_task: {notebook_path: ../ops/one.py}, libraries: [{requirements: ../requirements.txt}]}
    there:
      name: there
      git_source: {git_url: 'https://x.test/a', git_provider: gitHub, git_branch: main}
      tasks:
        - {task_key: go, notebook_task: {notebook_path: ops/one}}
";
    let bundle = load(&sources(ROOT, jobs), Some("prod"), &around()).unwrap();
    let task = |job: &str| &bundle.resources[&format!("jobs.{job}")].settings["tasks"][0];
    let files = &bundle.file_path;
    let inner = &task("each")["for_each_task"]["task"];
    assert_eq!(inner["notebook_task"]["notebook_path"], json!(format!("{files}/ops/one")));
    assert_eq!(inner["libraries"][0]["requirements"], json!(format!("{files}/requirements.txt")));
    assert_eq!(task("there")["notebook_task"]["notebook_path"], "ops/one");
}

#[test]
fn what_the_cli_alone_does_is_named() {
    let jobs = format!("{JOBS}  apps:\n    ours: {{name: ours}}\n");
    let root = ROOT.replace(
        "mode: development",
        "cluster_id: x, presets: {artifacts_dynamic_version: true}, mode: development",
    );
    let root = format!("{root}experimental: {{scripts: {{postdeploy: x}}}}\n");
    let bundle = load(&sources(&root, &jobs), None, &around()).unwrap();
    let named = [
        "resources.apps",
        "experimental.scripts",
        "presets.artifacts_dynamic_version",
        "targets.cluster_id",
    ];
    assert_eq!(bundle.foreign, named);
    assert!(load(&sources(ROOT, JOBS), None, &around()).unwrap().foreign.is_empty());
}
