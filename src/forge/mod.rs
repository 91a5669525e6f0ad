//! Where the code and its tickets live: GitHub or Azure DevOps.
//!
//! A ticket has a key: it is made once, updated in place while the matter is
//! open, and closed when it is over.

mod azure;
pub mod chat;
mod github;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::config::release_branch;
use crate::databricks::Masker;
use crate::host::Context;
use crate::names::Sha256;
use crate::report::Fault;
use crate::sys::Env;

/// Something for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What it is about, the same each time.
    pub key: String,
    pub title: String,
    /// Markdown.
    pub body: String,
}

impl Ticket {
    /// The label and tag that all of them carry.
    const LABEL: &'static str = "lakegate";

    /// A short word for the key that may stand in a label, a tag or a comment.
    fn mark(key: &str) -> String {
        format!("lakegate-{}", Sha256::of(key).short())
    }
}

/// A pipeline of the host to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pipeline {
    /// A GitHub workflow's file, on a branch.
    Workflow { file: String, branch: String },
    /// An Azure pipeline's number.
    Azure { id: u64 },
}

/// A person's approval of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub who: String,
    /// RFC 3339; GitHub does not tell it.
    pub at: Option<String>,
    pub comment: String,
    /// What it was for, where the host tells it.
    pub environments: Vec<String>,
}

/// What stands before the jobs of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// People and teams of whom one must agree.
    pub reviewers: usize,
    pub prevents_self_review: bool,
    /// Whether only some branches may use it.
    pub has_branches: bool,
}

/// Hosts refuse a longer line with a status.
pub const MOST_WORDS: usize = 140;

/// What is known of a commit, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Success,
    Pending,
    Failure,
}

/// A status as the host keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// What was said with it.
    pub words: String,
    /// Where it can be seen.
    pub link: String,
}

/// What stands before the tree in a status, and how much of the tree is told.
const ABOUT: &str = " · tree ";
const TREE_DIGITS: usize = 16;

/// How a status says which files it is about.
pub fn about_tree(tree: &str) -> String {
    let short: String = tree.chars().take(TREE_DIGITS).collect();
    format!("{ABOUT}{short}")
}

impl Status {
    /// The beginning of the tree that it is about, where it says so.
    pub fn tree(&self) -> Option<&str> {
        let (_, tree) = self.words.rsplit_once(ABOUT)?;
        let is_hex = tree.chars().all(|char| char.is_ascii_hexdigit());
        (tree.len() == TREE_DIGITS && is_hex).then_some(tree)
    }
}

/// A status of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    /// `lakegate/merge-test`
    pub name: &'a str,
    pub state: State,
    /// One line of at most [`MOST_WORDS`] characters.
    pub words: &'a str,
    pub link: Option<&'a str>,
}

/// A release and its files.
#[derive(Debug, Clone)]
pub struct Announced<'a> {
    pub tag: String,
    pub commit: &'a str,
    pub title: String,
    /// Markdown.
    pub notes: String,
    pub files: &'a [std::path::PathBuf],
}

/// The artifact of a pipeline that holds the files of a release: `release-1.2.3`.
pub fn release_artifact(tag: &str) -> String {
    release_branch(tag).replace('/', "-")
}

/// Whether a name that a host tells is a file of a folder, and of no other.
fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|own| own == name)
}

/// The host of this run, with its token.
#[derive(Debug)]
pub enum Forge {
    GitHub(github::GitHub),
    Azure(azure::Azure),
}

/// Whose commits are not all told, its authors are not known.
fn too_many(request: u64) -> Fault {
    let message =
        format!("merge request {request} has too many commits to tell who wrote all of them");
    Fault::usage(message)
        .hint("let `promotion.sign_off` say `not_author: false`, or be `from: table`")
}

impl Forge {
    /// # Errors
    /// When the run's host is neither, or its token was not handed to the step:
    /// this is told before anything is done.
    pub fn new(context: &Context, env: &Env, masker: &Masker) -> Result<Self, Fault> {
        match context.host {
            "github" => github::GitHub::new(context, env, masker).map(Self::GitHub),
            "azure" => azure::Azure::new(env, masker).map(Self::Azure),
            _ => Err(Fault::usage("tickets and pipelines need a CI host")
                .hint("run this on GitHub Actions or Azure Pipelines")),
        }
    }

    /// The repository or project.
    pub fn place(&self) -> &str {
        match self {
            Self::GitHub(github) => &github.repository,
            Self::Azure(azure) => azure.project.as_str(),
        }
    }

    /// Makes the ticket, or brings the open one up to date. Returns its address.
    pub async fn tell(&self, ticket: &Ticket) -> Result<String> {
        match self {
            Self::GitHub(github) => github.tell(ticket).await,
            Self::Azure(azure) => azure.tell(ticket).await,
        }
    }

    /// Closes the ticket with a last word, if one is open.
    pub async fn close(&self, key: &str, word: &str) -> Result<Option<String>> {
        match self {
            Self::GitHub(github) => github.close(key, word).await,
            Self::Azure(azure) => azure.close(key, word).await,
        }
    }

    /// Who approved a run's environments or stages.
    pub async fn approvals(&self, run: &str) -> Result<Vec<Given>> {
        match self {
            Self::GitHub(github) => github.approvals(run).await,
            Self::Azure(azure) => azure.approvals(run).await,
        }
    }

    /// Whether somebody belongs to a team.
    ///
    /// # Errors
    /// When there is no such team, or the token may not ask.
    pub async fn is_member(&self, team: &str, who: &str) -> Result<bool> {
        match self {
            Self::GitHub(github) => github.is_member(team, who).await,
            Self::Azure(azure) => azure.is_member(team, who).await,
        }
    }

    /// Who wrote what became a commit; nothing where its repository is kept elsewhere.
    pub async fn authors(&self, commit: &str) -> Result<Option<Vec<String>>> {
        match self {
            Self::GitHub(github) => github.authors(commit).await.map(Some),
            Self::Azure(azure) => azure.authors(commit).await,
        }
    }

    /// What the host asks before a job runs in an environment; none where it is not
    /// there.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn gate(&self, environment: &str) -> Result<Option<Gate>> {
        match self {
            Self::GitHub(github) => github.gate(environment).await,
            Self::Azure(azure) => azure.gate(environment).await,
        }
    }

    /// The status of a commit, or of the merge request that became it.
    pub async fn status(&self, commit: &str, name: &str) -> Result<Option<Status>> {
        match self {
            Self::GitHub(github) => github.status(commit, name).await,
            Self::Azure(azure) => azure.status(commit, name).await,
        }
    }

    /// Sets the status of a commit, and of the merge request that it is in.
    pub async fn set_status(
        &self,
        commit: &str,
        request: Option<u64>,
        told: &Told<'_>,
    ) -> Result<()> {
        match self {
            Self::GitHub(github) => github.set_status(commit, told).await,
            Self::Azure(azure) => azure.set_status(commit, request, told).await,
        }
    }

    /// Gives a commit a name such as `refs/tags/v1.2.0`. Done again, nothing happens.
    ///
    /// # Errors
    /// When the name stands for another commit already.
    pub async fn name(&self, reference: &str, commit: &str) -> Result<()> {
        match self {
            Self::GitHub(github) => github.name(reference, commit).await,
            Self::Azure(azure) => azure.name(reference, commit).await,
        }
    }

    /// Publishes a release with its files; Azure DevOps has no such thing.
    pub async fn announce(&self, told: &Announced<'_>) -> Result<Option<String>> {
        match self {
            Self::GitHub(github) => github.announce(told).await.map(Some),
            Self::Azure(_) => Ok(None),
        }
    }

    /// Where the published release of a tag can be seen; nothing where there is none, or
    /// the host keeps none.
    pub async fn released(&self, tag: &str) -> Result<Option<String>> {
        match self {
            Self::GitHub(github) => github.released(tag).await,
            Self::Azure(_) => Ok(None),
        }
    }

    /// Puts the files of a published release into a folder; of Azure DevOps, those that
    /// the run with this tag has kept.
    ///
    /// # Errors
    /// When there is none, or a file of it is none of a release.
    pub async fn take_release(&self, tag: &str, into: &Path) -> Result<()> {
        match self {
            Self::GitHub(github) => github.take_release(tag, into).await,
            Self::Azure(azure) => azure.take_release(tag, into).await,
        }
    }

    /// Whether a run of the host's pipelines has ended.
    pub async fn is_over(&self, run: &str) -> Result<bool> {
        match self {
            Self::GitHub(github) => github.is_over(run).await,
            Self::Azure(azure) => azure.is_over(run).await,
        }
    }

    /// The one comment of a kind on a merge request, brought up to date.
    /// `settled` says that nothing is left to do about it.
    pub async fn comment(
        &self,
        request: u64,
        kind: &str,
        body: &str,
        settled: bool,
    ) -> Result<String> {
        let mark = format!("<!-- lakegate:{kind} -->");
        match self {
            Self::GitHub(github) => github.comment(request, &mark, body).await,
            Self::Azure(azure) => azure.comment(request, &mark, body, settled).await,
        }
    }

    /// Starts a pipeline, and returns where it can be seen. The host knows no
    /// key for this: twice asked is twice started.
    pub async fn start(
        &self,
        pipeline: &Pipeline,
        inputs: &BTreeMap<String, String>,
    ) -> Result<String> {
        match (self, pipeline) {
            (Self::GitHub(github), Pipeline::Workflow { file, branch }) => {
                github.dispatch(file, branch, inputs).await
            }
            (Self::Azure(azure), Pipeline::Azure { id }) => azure.run(*id, inputs).await,
            (Self::GitHub(_), Pipeline::Azure { .. }) => {
                Err(Fault::usage("an Azure pipeline cannot be started from GitHub").into())
            }
            (Self::Azure(_), Pipeline::Workflow { .. }) => {
                Err(Fault::usage("a GitHub workflow cannot be started from Azure DevOps").into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
