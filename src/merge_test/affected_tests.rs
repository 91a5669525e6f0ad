use super::*;
use crate::bundle::{Sources, Surroundings, load};

const YAML: &str = "bundle: {name: b}\ntargets: {dev: {default: true}}\nresources:\n  jobs:\n    features: {name: features, tasks: [{task_key: t, existing_cluster_id: c, spark_python_task: {python_file: ops/features.py}}]}\n    train: {name: train, tasks: [{task_key: t, existing_cluster_id: c, spark_python_task: {python_file: ops/train.py}, libraries: [{whl: dist/*.whl}]}]}\n    score: {name: score, tasks: [{task_key: t, notebook_task: {notebook_path: ops/score}}]}\n";

fn bundle(text: &str) -> Bundle {
    let sources = Sources::from([("databricks.yml".to_owned(), text.to_owned())]);
    load(&sources, None, &Surroundings::default()).unwrap()
}

fn python() -> BTreeMap<String, Imports> {
    [
        ("ops/features.py", "from flights import features"),
        ("ops/train.py", "from flights import model"),
        ("ops/score.py", "import lakehouse"),
        ("ops/lakehouse.py", ""),
        ("src/flights/features.py", ""),
        ("src/flights/model.py", "from . import features"),
        ("tests/test_model.py", "from flights import model"),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), imports::imports(text)))
    .collect()
}

fn touched(changed: &[&str]) -> Vec<String> {
    let bundle = bundle(YAML);
    let changed = changed.iter().map(|path| (*path).to_owned()).collect();
    let definitions = ["databricks.yml".to_owned()].into();
    let code = Code { changed, python: python() };
    let sides = Sides { before: Some(&bundle), after: &bundle, code: &code, definitions };
    affected(&sides).into_keys().collect()
}

#[test]
fn a_change_touches_what_reads_it_and_nothing_else() {
    assert_eq!(touched(&["ops/score.py"]), ["jobs.score"]);
    assert_eq!(touched(&["ops/lakehouse.py"]), ["jobs.score"]);
    assert_eq!(touched(&["src/flights/model.py"]), ["jobs.train"]);
    assert_eq!(touched(&["src/flights/features.py"]), ["jobs.features", "jobs.train"]);
    assert_eq!(touched(&["pyproject.toml"]), ["jobs.train"]);
    assert_eq!(touched(&["ops/query.sql"]).len(), 3);
    for nothing in ["README.md", "tests/test_model.py", ".github/workflows/x.yml", "../other/x.sql"]
    {
        assert!(touched(&[nothing]).is_empty(), "{nothing}");
    }
}

#[test]
fn what_a_wheel_holds_touches_the_job_that_runs_it() {
    let yaml = "bundle: {name: b}\nartifacts: {lib: {type: whl, path: ../lib, build: make}}\nresources:\n  jobs:\n    w: {name: w, tasks: [{task_key: t, existing_cluster_id: c, python_wheel_task: {package_name: f, entry_point: main}, libraries: [{whl: ../lib/dist/*.whl}]}]}\n    n: {name: n, tasks: [{task_key: t, notebook_task: {notebook_path: ops/score}}]}\n    all: {name: all, tasks: [{task_key: t, run_job_task: {job_id: '${resources.jobs.w.id}'}}]}\n  pipelines:\n    p: {name: p, libraries: [{file: {path: ops/features.py}}]}\ntargets: {dev: {default: true}}\n";
    let bundle = bundle(yaml);
    let touched = |changed: &str| -> Vec<String> {
        let definitions = ["databricks.yml".to_owned()].into();
        let changed = vec![changed.to_owned()];
        let python = python();
        let code = Code { changed, python };
        let sides = Sides { before: Some(&bundle), after: &bundle, code: &code, definitions };
        affected(&sides).into_keys().collect()
    };
    for inside in ["../lib/f/model.py", "../lib/f/weights.json", "../lib/pyproject.toml"] {
        assert_eq!(touched(inside), ["jobs.all", "jobs.w"], "{inside}");
    }
    for outside in ["../library/f.py", "../lib/tests/test_f.py", "../notes.sql", "databricks.yml"] {
        assert!(touched(outside).is_empty(), "{outside}");
    }
    assert_eq!(touched("src/flights/features.py"), ["pipelines.p"]);
    assert_eq!(touched("params.yml").len(), 4);
}

#[test]
fn settings_are_compared_as_what_they_say() {
    let (old, new) = (bundle(YAML), bundle(&YAML.replace("name: train", "name: training")));
    let code = Code { changed: vec!["databricks.yml".into()], python: python() };
    let definitions = ["databricks.yml".to_owned()].into();
    let sides = Sides { before: Some(&old), after: &new, code: &code, definitions };
    assert_eq!(
        affected(&sides),
        [("jobs.train".to_owned(), Reason::new("its settings changed: name", SETTINGS))].into()
    );
    let unread = Sides { before: None, ..sides };
    assert_eq!(affected(&unread).len(), 3);
}

#[test]
fn needs_and_readers_run_too() {
    let job = |name: &str, needs: &[&str]| IntegrationJob {
        tables: vec![format!("a.b.{name}")],
        models: vec!["a.${var.s}.m".into()],
        job: name.into(),
        parameters: BTreeMap::new(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        expect: Vec::new(),
    };
    let jobs = [
        job("features", &[]),
        job("train", &["features"]),
        job("score", &["train"]),
        job("other", &[]),
    ];
    let names = |touched: &str, all| -> Vec<String> {
        let affected =
            Affected::from([(format!("jobs.{touched}"), Reason::new("changed", "a.py"))]);
        choose(&jobs, &affected, all).into_iter().map(|chosen| chosen.job.to_owned()).collect()
    };
    assert_eq!(names("train", false), ["features", "train", "score"]);
    assert_eq!(names("features", false), ["features", "train", "score"]);
    assert_eq!(names("other", false), ["other"]);
    assert_eq!(names("nothing", false), Vec::<String>::new());
    assert_eq!(names("nothing", true).len(), 4);

    let made = |touched: &str, all| -> Vec<String> {
        let affected =
            Affected::from([(format!("jobs.{touched}"), Reason::new("changed", "a.py"))]);
        let filled = |text: &str| text.replace("${var.s}", "dev");
        made(&jobs, &choose(&jobs, &affected, all), filled).into_keys().collect()
    };
    // Features only have to be there: they are what they were.
    assert_eq!(made("train", false), ["models.a.dev.m", "tables.a.b.score", "tables.a.b.train"]);
    assert_eq!(made("nothing", true), [""; 0]);
}

#[test]
fn ml_code_is_told_from_operations() {
    let of = |paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        kind(&paths, None).unwrap()
    };
    assert_eq!(of(&["src/flights/model.py"]), CodeKind::Ml);
    assert_eq!(of(&["ops/train.py", "README.md"]), CodeKind::Operations);
    assert_eq!(of(&["ops/train.py", "src/a.py"]), CodeKind::Both);
    assert_eq!(of(&["README.md"]), CodeKind::Nothing);
}

#[test]
fn a_test_that_changes_runs() {
    let policy = |text: &str| -> Value { serde_yaml::from_str(text).unwrap() };
    let of = |jobs: &str, target: &str| {
        policy(&format!("tests: {{integration: {{target: {target}, jobs: [{jobs}]}}}}"))
    };
    let (one, two) = ("{job: a}", "{job: b, expect: [{sql: SELECT 1, equals: 1}]}");
    let before = of(&format!("{one}, {two}"), "dev");
    assert_eq!(tests_changed(&before, &before), [""; 0]);
    let changed = of(&format!("{one}, {}", two.replace("equals: 1", "equals: 2")), "dev");
    assert_eq!(tests_changed(&before, &changed), ["b"]);
    assert_eq!(tests_changed(&of(one, "dev"), &before), ["b"]);
    assert_eq!(tests_changed(&before, &of(&format!("{one}, {two}"), "other")), ["a", "b"]);
    assert_eq!(tests_changed(&Value::Null, &before), ["a", "b"]);
    assert_eq!(tests_changed(&before, &Value::Null), [""; 0]);
}
