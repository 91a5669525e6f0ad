//! Names as Azure DevOps takes them: letters and digits only.

/// `fail-on` as `failOn`.
pub fn camel(name: &str) -> String {
    let mut parts = name.split('-');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut name, part| {
        let mut chars = part.chars();
        name.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(chars.as_str());
        name
    })
}

/// The commands that are a step of a pipeline.
pub const STEPS: [&str; 9] = [
    "merge-test",
    "release-build",
    "bundle-deploy",
    "job-run",
    "model-gate",
    "model-promote",
    "model-serve",
    "doctor",
    "drift-check",
];

/// `merge-test` as `LakegateMergeTest`.
pub fn task_name(step: &str) -> String {
    let camel = camel(&format!("lakegate-{step}"));
    let mut chars = camel.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_by_their_first_letters() {
        assert_eq!(camel("fail-on"), "failOn");
        assert_eq!(camel("all"), "all");
        assert_eq!(task_name("merge-test"), "LakegateMergeTest");
    }
}
