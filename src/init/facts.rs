//! What the repository shows. Projects that were made from the template mlops-stacks are
//! known: what they have already is kept, the secrets' names and the jobs' keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::render::Ci;
use crate::sys::git::Git;
use crate::sys::{Env, fs};

/// The file by which a project of mlops-stacks is known, at the repository's root.
const MARK: &str = ".stacks_metadata.yml";

/// Who signs the identity tokens of jobs at github.com.
pub(super) const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Where workflows stand.
    pub(super) root: PathBuf,
    /// From there to the bundle; empty at the root.
    pub(super) folder: String,
    pub(super) main: Option<String>,
    pub(super) remote: Option<Remote>,
    pub(super) secrets: Option<Secrets>,
    /// The variable group of Azure DevOps that holds them.
    pub(super) group: Option<String>,
    /// Workflows of mlops-stacks, which would run beside the new ones.
    pub(super) others: Vec<String>,
}

/// Looks at the repository around a folder; a folder outside of any stands for itself.
///
/// # Errors
/// When what is there cannot be read, or git cannot tell where it begins.
pub(super) async fn gather(env: &Env, dir: &Path) -> Result<Facts> {
    // A folder that is still to be made lies in one that is there.
    let place = std::path::absolute(dir)?;
    let there = place.ancestors().find(|folder| folder.is_dir()).unwrap_or(&place);
    let is_repository = there.ancestors().any(|folder| folder.join(".git").exists());
    let (root, folder, main, remote) = if is_repository {
        let git = Git::of(env, there).await?;
        let rest = place.strip_prefix(there).unwrap_or(Path::new(""));
        let names = rest.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let own = Some(git.folder.clone()).filter(|own| !own.is_empty());
        let folder: Vec<String> = own.into_iter().chain(names).collect();
        let main = git.main_branch("origin").await;
        let remote = git.remote("origin").await.as_deref().and_then(Remote::of);
        (git.root().to_path_buf(), folder.join("/"), main, remote)
    } else {
        (dir.to_path_buf(), String::new(), None, None)
    };
    let others = workflows(&root)?;
    let secrets = secrets(&root, &others)?;
    let others = if secrets.is_some() { others } else { Vec::new() };
    let group = group(&root, &others)?;
    Ok(Facts { root, folder, main, remote, secrets, group, others })
}

impl Facts {
    /// The remote, if it is at this host.
    pub(super) fn remote_at(&self, ci: Ci) -> Option<&Remote> {
        self.remote.as_ref().filter(|remote| remote.ci == Some(ci))
    }
}

/// Where the repository is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// Nothing where it is at a host that workflows cannot be written for.
    pub(super) ci: Option<Ci>,
    /// `github.com`, or a server of one's own.
    pub(super) host: String,
    /// `owner/name`; at Azure DevOps `organisation/project`.
    pub(super) name: String,
}

impl Remote {
    /// Of an address in either of git's notations.
    fn of(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        let (host, path) = rest.split_once(['/', ':']).filter(|(host, _)| host.contains('.'))?;
        // `ssh://git@host:22/owner/name`
        let path =
            path.trim_start_matches(|char: char| !scheme.is_empty() && char.is_ascii_digit());
        let path = path.trim_matches('/').trim_end_matches(".git");
        let host = host.rsplit('@').next().unwrap_or(host);
        let (ci, both) = match path.split('/').collect::<Vec<_>>()[..] {
            ["v3", organisation, project, _] if host == "ssh.dev.azure.com" => {
                (Some(Ci::Azure), [organisation, project])
            }
            // `organisation` is the collection of a server of one's own.
            [organisation, project, "_git", _] | [_, organisation, project, "_git", _] => {
                (Some(Ci::Azure), [organisation, project])
            }
            [project, "_git", _] => {
                (Some(Ci::Azure), [host.strip_suffix(".visualstudio.com")?, project])
            }
            [owner, name] => {
                let is_other = ["gitlab", "bitbucket"].iter().any(|other| host.contains(other));
                ((!is_other).then_some(Ci::GitHub), [owner, name])
            }
            // Groups within groups.
            [.., owner, name] if host.contains("gitlab") => (None, [owner, name]),
            _ => return None,
        };
        // A federation subject has names as people write them.
        let name =
            percent_encoding::percent_decode_str(&both.join("/")).decode_utf8().ok()?.into_owned();
        let is_whole = both.iter().all(|part| !part.is_empty());
        is_whole.then(|| Self { ci, host: host.to_owned(), name })
    }

    /// Who signs the identity tokens of GitHub's jobs.
    pub(super) fn github_issuer(&self) -> String {
        match &*self.host {
            "github.com" => GITHUB_ISSUER.to_owned(),
            // Where the data stay in one region.
            host if host.ends_with(".ghe.com") => format!("https://token.actions.{host}"),
            host => format!("https://{host}/_services/token"),
        }
    }
}

/// The secrets of its workflows, `STAGING_…` and `PROD_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Of a service principal: `…_AZURE_SP_TENANT_ID` and so on.
    Azure,
    /// `…_WORKSPACE_TOKEN`
    Token,
}

impl Secrets {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Azure => "azure",
            Self::Token => "token",
        }
    }

    /// The names at the host, for one of the two roles.
    pub(super) fn of_role(self, role: &str) -> Vec<String> {
        let endings: &[&str] = match self {
            Self::Azure => {
                &["AZURE_SP_TENANT_ID", "AZURE_SP_APPLICATION_ID", "AZURE_SP_CLIENT_SECRET"]
            }
            Self::Token => &["WORKSPACE_TOKEN"],
        };
        endings.iter().map(|ending| format!("{role}_{ending}")).collect()
    }
}

#[derive(Debug, serde::Deserialize)]
struct Metadata {
    /// Older versions did not ask.
    #[serde(default)]
    input_cloud: Option<String>,
}

fn secrets(root: &Path, workflows: &[String]) -> Result<Option<Secrets>> {
    let path = root.join(MARK);
    let Some(text) = fs::read_text_if_exists(&path)? else {
        return named(root, workflows);
    };
    let metadata: Metadata =
        serde_yaml::from_str(&text).with_context(|| format!("read `{}`", path.display()))?;
    match metadata.input_cloud.as_deref() {
        Some("azure") => Ok(Some(Secrets::Azure)),
        Some(_) => Ok(Some(Secrets::Token)),
        None => named(root, workflows),
    }
}

/// Those that workflows of the template's names use: the mark may have been removed.
fn named(root: &Path, workflows: &[String]) -> Result<Option<Secrets>> {
    for path in workflows {
        let text = fs::read_text(root.join(path))?;
        for secrets in [Secrets::Azure, Secrets::Token] {
            if secrets.of_role("STAGING").iter().all(|name| text.contains(name)) {
                return Ok(Some(secrets));
            }
        }
    }
    Ok(None)
}

fn workflows(root: &Path) -> Result<Vec<String>> {
    let endings = [
        "-run-tests.yml",
        "-run-tests-fs.yml",
        "-bundle-ci.yml",
        "-bundle-cd-staging.yml",
        "-bundle-cd-prod.yml",
        "-bundle-cicd.yml",
        "-tests-ci.yml",
        "deploy-cicd.yml",
        "lint-cicd-workflow-files.yml",
    ];
    let mut own = Vec::new();
    for folder in [".github/workflows", ".azure/devops-pipelines"] {
        for (name, ..) in fs::entries(root.join(folder))?.unwrap_or_default() {
            if endings.iter().any(|ending| name.ends_with(ending)) {
                own.push(format!("{folder}/{name}"));
            }
        }
    }
    own.sort();
    Ok(own)
}

/// The group that the pipelines of a project of mlops-stacks name.
fn group(root: &Path, pipelines: &[String]) -> Result<Option<String>> {
    for path in pipelines.iter().filter(|path| path.starts_with(".azure/")) {
        let text = fs::read_text(root.join(path))?;
        let named = text.lines().filter_map(|line| line.trim().strip_prefix("- group:"));
        if let Some(name) = named.map(str::trim).find(|name| !name.is_empty()) {
            return Ok(Some(name.trim_matches(['\'', '"']).to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_by_its_address() {
        for (address, name) in [
            ("https://github.com/acme/flights.git", Some("acme/flights")),
            ("https://github.com/acme/flights/", Some("acme/flights")),
            ("git@github.com:acme/flights.git", Some("acme/flights")),
            ("ssh://git@github.com/acme/flights", Some("acme/flights")),
            ("ssh://git@git.acme.test:2222/acme/flights.git", Some("acme/flights")),
            ("https://dev.azure.com/acme/ml/_git/flights", Some("acme/ml")),
            ("https://acme@dev.azure.com/acme/ml/_git/flights", Some("acme/ml")),
            ("git@ssh.dev.azure.com:v3/acme/ml/flights", Some("acme/ml")),
            ("https://acme.visualstudio.com/ml/_git/flights", Some("acme/ml")),
            ("https://tfs.example.test/tfs/acme/ml/_git/flights", Some("acme/ml")),
            ("https://example.test/ml/_git/flights", None),
            ("/srv/flights", None),
            ("../flights.git", None),
            ("git@ssh.dev.azure.com:v3/acme/ml%20team/flights", Some("acme/ml team")),
            ("https://github.com/", None),
        ] {
            let found = Remote::of(address);
            assert_eq!(found.as_ref().map(|remote| &*remote.name), name, "{address}");
            let is_azure = found.is_some_and(|remote| remote.ci == Some(Ci::Azure));
            assert_eq!(is_azure, address.contains("/ml") && name.is_some(), "{address}");
        }
    }

    #[test]
    fn a_server_of_ones_own_signs_its_tokens_itself() {
        for (address, issuer) in [
            ("git@github.com:acme/flights", "https://token.actions.githubusercontent.com"),
            ("https://acme.ghe.com/acme/flights", "https://token.actions.acme.ghe.com"),
            ("https://git.acme.test/acme/flights", "https://git.acme.test/_services/token"),
        ] {
            assert_eq!(Remote::of(address).unwrap().github_issuer(), issuer);
        }
        for address in [
            "https://gitlab.com/acme/flights.git",
            "git@gitlab.acme.test:ml/team/flights.git",
            "https://bitbucket.org/acme/flights",
        ] {
            assert_eq!(Remote::of(address).unwrap().ci, None, "{address}");
        }
    }

    #[tokio::test]
    async fn a_project_of_the_template_is_known_by_its_mark() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write_atomic(dir.path().join(path), text).unwrap();
        write(".github/workflows/taxi-run-tests.yml", "on: push\n");
        let env = Env::default();
        let gather = || gather(&env, dir.path());
        let facts = gather().await.unwrap();
        assert_eq!((facts.secrets, facts.others.len()), (None, 0));
        for (cloud, secrets) in
            [("azure", Secrets::Azure), ("aws", Secrets::Token), ("gcp", Secrets::Token)]
        {
            write(MARK, &format!("input_cloud: \"{cloud}\"\nstacks_version: \"0.4\"\n"));
            assert_eq!(gather().await.unwrap().secrets, Some(secrets));
        }
        write(
            ".azure/devops-pipelines/taxi-bundle-cicd.yml",
            "variables:\n  - group: ml variable group\n",
        );
        let facts = gather().await.unwrap();
        assert_eq!(facts.group.as_deref(), Some("ml variable group"));
        assert_eq!(facts.others.len(), 2);
        fs::remove(dir.path().join(MARK)).unwrap();
        assert_eq!(gather().await.unwrap().secrets, None);
        let step = "env: {DATABRICKS_TOKEN: '${{ secrets.STAGING_WORKSPACE_TOKEN }}'}\n";
        write(".github/workflows/taxi-run-tests.yml", step);
        assert_eq!(gather().await.unwrap().secrets, Some(Secrets::Token));
        write(MARK, "input_cloud: [\n");
        assert!(format!("{:#}", gather().await.unwrap_err()).contains(MARK));
    }
}
