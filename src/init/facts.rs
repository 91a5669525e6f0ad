//! What the repository shows. Projects that were made from the template mlops-stacks are
//! known: what they have already is kept, the secrets' names and the jobs' keys.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::remote::Remote;
use super::render::Ci;
use crate::sys::git::Git;
use crate::sys::{Env, fs};

/// The file by which a project of mlops-stacks is known, at the repository's root.
const MARK: &str = ".stacks_metadata.yml";

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
