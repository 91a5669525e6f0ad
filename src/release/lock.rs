//! The Python packages of a lock file: uv, Poetry, pip, conda.

use serde_json::Value;

use crate::names::Sha256;

/// A package in a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Of its files, where the lock tells them.
    pub sha256: Vec<String>,
    /// `pypi` or `conda`.
    pub kind: &'static str,
}

/// Lock files by their name, in the order in which the first one is used.
pub const NAMES: [&str; 7] = [
    "uv.lock",
    "poetry.lock",
    "requirements.lock",
    "requirements.txt",
    "conda-lock.yml",
    "environment.yml",
    "conda.yaml",
];

/// The packages of a lock, sorted by name.
///
/// # Errors
/// When the text is not of the form that its name promises, or a package has
/// no version of its own: then it locks nothing.
pub fn packages(file: &str, text: &str) -> Result<Vec<Package>, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let found = match name {
        "uv.lock" | "poetry.lock" => toml_lock(text),
        "conda-lock.yml" | "environment.yml" | "conda.yaml" => conda(text),
        _ => requirements(text),
    };
    let mut found = found.map_err(|message| format!("`{file}`: {message}"))?;
    found.sort();
    found.dedup_by(|one, other| {
        (&one.name, &one.version, one.kind) == (&other.name, &other.version, other.kind)
    });
    Ok(found)
}

/// PEP 503: `Foo.Bar_baz` and `foo-bar-baz` are one package.
fn normal(name: &str) -> String {
    let mut out = String::new();
    for char in name.trim().chars() {
        let char = if matches!(char, '.' | '_' | '-') { '-' } else { char.to_ascii_lowercase() };
        if char != '-' || !out.ends_with('-') {
            out.push(char);
        }
    }
    out
}

fn package(name: &str, version: &str, sha256: Vec<String>) -> Package {
    Package { name: normal(name), version: version.to_owned(), sha256, kind: "pypi" }
}

fn toml_lock(text: &str) -> Result<Vec<Package>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let items = table.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let mut found = Vec::new();
    for item in items {
        let text = |field: &str| item.get(field).and_then(toml::Value::as_str);
        // The project itself is in its own lock, without a version when that is computed.
        let own = item
            .get("source")
            .is_some_and(|source| source.get("virtual").or(source.get("editable")).is_some());
        if own {
            continue;
        }
        let name = text("name").ok_or("a package has no name")?;
        let version = text("version").ok_or_else(|| format!("`{name}` has no version"))?;
        let files = ["files", "wheels"].into_iter().filter_map(|list| item.get(list)?.as_array());
        let files = files.flatten().chain(item.get("sdist"));
        let hashes = files.filter_map(|file| {
            Some(file.get("hash")?.as_str()?.strip_prefix("sha256:")?.to_owned())
        });
        found.push(package(name, version, hashes.collect()));
    }
    Ok(found)
}

fn requirements(text: &str) -> Result<Vec<Package>, String> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut found = Vec::new();
    for line in joined.lines() {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('-') {
            // An index or another option; `-r other.txt` would be a second lock.
            let nested = ["-r", "--requirement", "-e", "--editable"];
            if nested.iter().any(|option| line.starts_with(option)) {
                return Err(format!("`{line}` is not a pinned package"));
            }
            continue;
        }
        let requirement = line.split(" --hash").next().unwrap_or(line);
        let requirement = requirement.split(';').next().unwrap_or(requirement).trim();
        let (name, version) = requirement
            .split_once("===")
            .or_else(|| requirement.split_once("=="))
            .filter(|(_, version)| !version.contains(['*', ',', '<', '>']))
            .ok_or_else(|| format!("`{requirement}` is not pinned to one version with `==`"))?;
        let name = name.split('[').next().unwrap_or(name);
        let hashes = line.split("--hash=sha256:").skip(1);
        let hashes = hashes.map(|hash| hash.split_whitespace().next().unwrap_or(hash).to_owned());
        found.push(package(name, version.trim(), hashes.collect()));
    }
    Ok(found)
}

fn conda(text: &str) -> Result<Vec<Package>, String> {
    let tree: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let list = |field: &str| tree[field].as_array().into_iter().flatten();
    let mut found = Vec::new();
    for item in list("package") {
        let (name, version) = (item["name"].as_str(), item["version"].as_str());
        let (Some(name), Some(version)) = (name, version) else {
            return Err("a package has no name or no version".to_owned());
        };
        let kind = if item["manager"] == "pip" { "pypi" } else { "conda" };
        let hash = item["hash"]["sha256"].as_str().map(str::to_owned);
        found.push(Package { kind, ..package(name, version, hash.into_iter().collect()) });
    }
    for item in list("dependencies") {
        if let Some(text) = item.as_str() {
            let text = text.rsplit("::").next().unwrap_or(text);
            let mut parts = text.split('=').filter(|part| !part.is_empty());
            let (Some(name), Some(version)) = (parts.next(), parts.next()) else {
                return Err(format!("`{text}` is not pinned to one version"));
            };
            if version.contains(['*', '<', '>', ',']) || name.contains(['<', '>']) {
                return Err(format!("`{text}` is not pinned to one version"));
            }
            found.push(Package { kind: "conda", ..package(name, version, Vec::new()) });
        } else if let Some(lines) = item["pip"].as_array() {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            found.extend(requirements(&lines.join("\n"))?);
        }
    }
    Ok(found)
}

/// What one release is made of and needs: CycloneDX 1.6.
///
/// `digest` makes the document's serial number, so that the same release has
/// the same document; `time` is that of the commit, RFC 3339.
pub fn sbom(name: &str, version: &str, time: &str, digest: Sha256, packages: &[Package]) -> Value {
    let own = format!("pkg:generic/{name}@{version}");
    let reference =
        |package: &Package| format!("pkg:{}/{}@{}", package.kind, package.name, package.version);
    let components: Vec<Value> = packages
        .iter()
        .map(|package| {
            let mut component = serde_json::json!({
                "type": "library",
                "bom-ref": reference(package),
                "name": package.name,
                "version": package.version,
                "purl": reference(package),
            });
            if !package.sha256.is_empty() {
                let hash = |hash: &String| serde_json::json!({ "alg": "SHA-256", "content": hash });
                component["hashes"] = package.sha256.iter().map(hash).collect();
            }
            component
        })
        .collect();
    let hex = digest.to_string();
    // A UUID of version 8: its bits are ours to choose (RFC 9562).
    let serial = format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    );
    serde_json::json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial,
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": { "components": [{
                "type": "application",
                "name": "lakegate",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "application", "bom-ref": own, "name": name, "version": version,
            },
        },
        "components": components,
        "dependencies": [{
            "ref": own,
            "dependsOn": packages.iter().map(reference).collect::<Vec<_>>(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(file: &str, text: &str) -> Vec<String> {
        let found = packages(file, text).unwrap();
        found.iter().map(|package| format!("{}@{}", package.name, package.version)).collect()
    }

    #[test]
    fn every_kind_of_lock_is_read() {
        let pip = "# by pip-compile\n--index-url https://x.test\nNumPy==2.1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nscikit_learn[extra]==1.7.2 ; python_version >= '3.11'  # via x\n";
        assert_eq!(names("requirements.txt", pip), ["numpy@2.1.0", "scikit-learn@1.7.2"]);
        assert_eq!(packages("requirements.txt", pip).unwrap()[0].sha256, ["aa", "bb"]);
        let uv = "version = 1\n[[package]]\nname = \"flights\"\nsource = { editable = \".\" }\n[[package]]\nname = \"numpy\"\nversion = \"2.1.0\"\nsdist = { url = \"u\", hash = \"sha256:cc\" }\nwheels = [{ url = \"u\", hash = \"sha256:dd\" }]\n";
        assert_eq!(names("ml/uv.lock", uv), ["numpy@2.1.0"]);
        assert_eq!(packages("uv.lock", uv).unwrap()[0].sha256, ["dd", "cc"]);
        let conda = "name: x\ndependencies:\n  - conda-forge::python=3.11.9=h1\n  - numpy==2.1.0\n  - pip:\n      - polars==1.2.3\n";
        let found = names("environment.yml", conda);
        assert_eq!(found, ["numpy@2.1.0", "polars@1.2.3", "python@3.11.9"]);
        let lock =
            "package:\n  - {name: numpy, version: 2.1.0, manager: conda, hash: {sha256: ee}}\n";
        assert_eq!(packages("conda-lock.yml", lock).unwrap()[0].kind, "conda");
    }

    #[test]
    fn what_is_not_pinned_locks_nothing() {
        for (file, text) in [
            ("requirements.txt", "numpy>=2"),
            ("requirements.txt", "numpy==2.*"),
            ("requirements.txt", "-r other.txt"),
            ("requirements.txt", "git+https://x.test/a.git"),
            ("environment.yml", "dependencies: [numpy]"),
            ("environment.yml", "dependencies: ['numpy>=2']"),
            ("uv.lock", "[[package]]\nname = 'a'"),
            ("uv.lock", "[["),
        ] {
            let told = packages(file, text).unwrap_err();
            assert!(told.starts_with(&format!("`{file}`: ")), "{told}");
        }
    }

    #[test]
    fn the_same_release_has_the_same_document() {
        let packages = packages("requirements.txt", "numpy==2.1.0 --hash=sha256:aa").unwrap();
        let mut made = sbom("flights", "1.2.0", "2026-11-25T00:00:00Z", Sha256::of("x"), &packages);
        made["metadata"]["tools"] = Value::Null;
        insta::assert_json_snapshot!(made);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_readers(text in "([a-z=\\[\\]\"'#;:,{}\\- \n\\\\]{0,80})") {
            for file in NAMES {
                let _read = packages(file, &text);
            }
        }
    }
}
