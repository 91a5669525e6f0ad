//! How a release was built: an in-toto Statement with the SLSA provenance
//! predicate, version 1, unsigned. The CI host signs it.

use serde_json::{Value, json};

use crate::names::Sha256;

/// Names the way in which this builds.
const BUILD_TYPE: &str = "urn:lakegate:release:v1";

/// What is known of the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build<'a> {
    pub repository: &'a str,
    pub commit: &'a str,
    pub folder: &'a str,
    pub version: &'a str,
    /// The CI host, or `local`.
    pub builder: &'a str,
    pub run_url: Option<&'a str>,
    pub locks: Vec<(&'a str, Sha256)>,
}

/// The statement about `subjects`, the release's files by name.
pub fn statement(build: &Build<'_>, subjects: &[(String, Sha256)]) -> Value {
    let subject: Vec<Value> = subjects
        .iter()
        .map(|(name, digest)| json!({ "name": name, "digest": { "sha256": digest } }))
        .collect();
    let source = json!({
        "uri": format!("git+{}", build.repository),
        "digest": { "gitCommit": build.commit },
    });
    let locks = build
        .locks
        .iter()
        .map(|(name, digest)| json!({ "name": name, "digest": { "sha256": digest } }));
    let dependencies: Vec<Value> = std::iter::once(source).chain(locks).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "repository": build.repository,
                    "commit": build.commit,
                    "folder": build.folder,
                    "version": build.version,
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": format!("urn:lakegate:builder:{}", build.builder),
                    "version": { "lakegate": env!("CARGO_PKG_VERSION") },
                },
                "metadata": { "invocationId": build.run_url.unwrap_or_default() },
            },
        },
    })
}

/// The subjects of a statement, to be compared with what is there.
///
/// # Errors
/// When the document is no such statement.
pub fn subjects(statement: &Value) -> Result<Vec<(String, Sha256)>, String> {
    if statement["_type"] != "https://in-toto.io/Statement/v1" {
        return Err("it is not an in-toto Statement".to_owned());
    }
    if statement["predicateType"] != "https://slsa.dev/provenance/v1" {
        return Err("its predicate is not SLSA provenance".to_owned());
    }
    let items = statement["subject"].as_array().ok_or("it has no subject")?;
    let mut found = Vec::new();
    for item in items {
        let name = item["name"].as_str().ok_or("a subject has no name")?;
        let digest = item["digest"]["sha256"].as_str().and_then(|text| text.parse().ok());
        let digest = digest.ok_or_else(|| format!("subject `{name}` has no sha256"))?;
        found.push((name.to_owned(), digest));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_is_read_back() {
        let build = Build {
            repository: "https://git.test/acme/flights",
            commit: "0123",
            folder: ".",
            version: "1.2.0",
            builder: "github",
            run_url: None,
            locks: vec![("requirements.txt", Sha256::of("l"))],
        };
        let files = vec![("a.tar.gz".to_owned(), Sha256::of("a"))];
        let mut made = statement(&build, &files);
        assert_eq!(subjects(&made).unwrap(), files);
        made["predicateType"] = json!("https://example.test/other");
        assert!(subjects(&made).is_err());
    }
}
