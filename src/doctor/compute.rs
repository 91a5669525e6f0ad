//! Whether the clusters of a bundle's jobs may reach Unity Catalog.

use serde_json::Value;

use super::check::Checks;
use crate::bundle::{Bundle, Kind};

/// Access modes that know no Unity Catalog.
const WITHOUT: [&str; 5] = [
    "NONE",
    "LEGACY_TABLE_ACL",
    "LEGACY_PASSTHROUGH",
    "LEGACY_SINGLE_USER",
    "LEGACY_SINGLE_USER_STANDARD",
];

pub(super) fn look(bundle: &Bundle, checks: &mut Checks) {
    let jobs = bundle.resources.iter().filter(|(_, one)| one.kind == Kind::Jobs);
    for (key, job) in jobs {
        for (name, cluster) in clusters(&job.settings) {
            // A policy may say what the cluster leaves out.
            if cluster["policy_id"].is_string() {
                continue;
            }
            let what = format!("{key} in {}: {name}", bundle.target);
            let fix = "`data_security_mode: SINGLE_USER`, `USER_ISOLATION`, or serverless compute";
            match cluster["data_security_mode"].as_str() {
                Some(mode) if WITHOUT.contains(&mode) => {
                    let words = format!("its access mode {mode} does not reach Unity Catalog");
                    // Some job may need none of it.
                    checks.unknown(("compute", &what), words, fix);
                }
                Some(_) => {}
                None => {
                    checks.unknown(("compute", &what), "it names no access mode", fix);
                }
            }
        }
    }
}

/// The clusters that a job makes, by the key of each or of its task.
fn clusters(job: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let named = |list: &str, key: &'static str| {
        let items = job[list].as_array().into_iter().flatten();
        items.filter_map(move |item| {
            let cluster = item.get("new_cluster")?;
            Some((item[key].as_str().unwrap_or("?"), cluster))
        })
    };
    named("job_clusters", "job_cluster_key").chain(named("tasks", "task_key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Sources, Surroundings, load};
    use crate::report::Report;

    #[test]
    fn a_cluster_without_unity_catalog_is_told() {
        let text = "bundle: {name: b}\ntargets: {prod: {}}\nresources: {jobs: {train: {name: t, job_clusters: [{job_cluster_key: old, new_cluster: {data_security_mode: NONE}}, {job_cluster_key: good, new_cluster: {data_security_mode: SINGLE_USER}}], tasks: [{task_key: a, new_cluster: {num_workers: 1}}, {task_key: b, new_cluster: {policy_id: p}}, {task_key: c, existing_cluster_id: e}]}}}\n";
        let sources = Sources::from([("databricks.yml".to_owned(), text.to_owned())]);
        let bundle = load(&sources, Some("prod"), &Surroundings::default()).unwrap();
        let mut checks = Checks::default();
        look(&bundle, &mut checks);
        let found = checks.conclude(Report::new("doctor", "x")).findings;
        let titles: Vec<&str> = found.iter().map(|finding| finding.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "jobs.train in prod: old: its access mode NONE does not reach Unity Catalog",
                "jobs.train in prod: a: it names no access mode"
            ]
        );
    }
}
