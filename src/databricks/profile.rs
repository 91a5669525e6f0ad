//! `.databrickscfg`: profiles of settings in an INI file.

use std::collections::BTreeMap;

/// Keys and values of one profile.
pub(super) type Profile = BTreeMap<String, String>;

/// The profile called `name` in `text`, or the default one: what
/// `[__settings__] default_profile` names, else `[DEFAULT]`.
pub(super) fn find(text: &str, name: Option<&str>) -> Option<Profile> {
    let mut profiles = parse(text);
    let fallback =
        profiles.get("__settings__").and_then(|settings| settings.get("default_profile").cloned());
    let name = name.map(str::to_owned).or(fallback).unwrap_or_else(|| "DEFAULT".to_owned());
    profiles.remove(&name)
}

/// The names of all profiles.
pub(super) fn names(text: &str) -> Vec<String> {
    parse(text).into_keys().filter(|name| name != "__settings__").collect()
}

fn parse(text: &str) -> BTreeMap<String, Profile> {
    let mut profiles = BTreeMap::<String, Profile>::new();
    let mut current = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            current = Some(name.0.trim().to_owned());
            profiles.entry(name.0.trim().to_owned()).or_default();
        } else if line.starts_with(['#', ';']) {
            continue;
        } else if let (Some(profile), Some((key, value))) = (&current, line.split_once('=')) {
            // A `#` belongs to the value unless a space stands before it.
            let value = value.split(" #").next().unwrap_or_default().trim();
            if let Some(profile) = profiles.get_mut(profile) {
                profile.insert(key.trim().to_owned(), value.to_owned());
            }
        }
    }
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "; comment\n[DEFAULT]\nhost = https://a.test # ours\ntoken=dapi#1\n\n[ci]\nhost=https://b.test\n";

    #[test]
    fn comments_need_a_space_before_them() {
        let profile = find(FILE, None).unwrap();
        assert_eq!(profile["host"], "https://a.test");
        assert_eq!(profile["token"], "dapi#1");
    }

    #[test]
    fn a_profile_is_found_by_name_or_by_the_settings() {
        assert_eq!(find(FILE, Some("ci")).unwrap()["host"], "https://b.test");
        assert!(find(FILE, Some("prod")).is_none());
        let with_default = format!("[__settings__]\ndefault_profile = ci\n{FILE}");
        assert_eq!(find(&with_default, None).unwrap()["host"], "https://b.test");
        assert_eq!(names(&with_default), ["DEFAULT", "ci"]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "\\PC{0,80}(\n[\\[\\]=# a-z]{0,20}){0,6}") {
            find(&text, None);
        }
    }
}
