//! Who wrote a commit.

use anyhow::Result;
use serde::Deserialize;

use super::{GitHub, refused};

#[derive(Debug, Deserialize)]
struct Commit {
    author: Option<User>,
    committer: Option<User>,
    commit: Written,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

#[derive(Debug, Deserialize)]
struct Written {
    author: Option<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    email: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pull {
    merge_commit_sha: Option<String>,
    user: Option<User>,
}

impl GitHub {
    /// Those who wrote a commit, or the merge request that became it. Whoever has no
    /// name on GitHub is told by the address in the commit.
    pub(in crate::forge) async fn authors(&self, commit: &str) -> Result<Vec<String>> {
        let route = self.route(&format!("commits/{commit}"));
        let found: Result<Commit, _> = self.api.get(&route, None::<&()>).await;
        let found = found.map_err(|error| refused("read the commit", "contents: read", error))?;
        let pulls: Result<Vec<Pull>, _> = self.api.get(format!("{route}/pulls"), None::<&()>).await;
        let pulls =
            pulls.map_err(|error| refused("list merge requests", "pull-requests: read", error))?;
        let opened = pulls
            .into_iter()
            .filter(|pull| pull.merge_commit_sha.as_deref() == Some(commit))
            .filter_map(|pull| pull.user);
        let users = [found.author, found.committer].into_iter().flatten().chain(opened);
        let address = found.commit.author.and_then(|author| author.email);
        Ok(users.map(|user| user.login).chain(address).collect())
    }
}
