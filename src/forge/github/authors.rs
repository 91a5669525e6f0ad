//! Who wrote a commit.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Deserialize;

use super::{GitHub, refused};
use crate::forge::too_many;

/// Of a merge request: GitHub tells no more.
const MOST_COMMITS: usize = 250;

#[derive(Debug, Deserialize)]
struct Commit {
    author: Option<User>,
    committer: Option<User>,
    commit: Written,
}

#[derive(Debug, Deserialize)]
struct User {
    login: Option<String>,
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
    number: u64,
    merge_commit_sha: Option<String>,
    user: Option<User>,
}

impl Commit {
    /// Whoever has no name on GitHub is told by the address in the commit.
    fn names(self) -> impl Iterator<Item = String> {
        let users = [self.author, self.committer].into_iter().flatten();
        let address = self.commit.author.and_then(|author| author.email);
        users.filter_map(|user| user.login).chain(address)
    }
}

impl GitHub {
    /// Those who wrote what became a commit: whoever opened its merge request and wrote
    /// the commits of it, or the commit's own authors where it came with none. Whoever
    /// merges is no author.
    pub(in crate::forge) async fn authors(&self, commit: &str) -> Result<Vec<String>> {
        let route = self.route(&format!("commits/{commit}"));
        let pulls: Result<Vec<Pull>, _> = self.api.get(format!("{route}/pulls"), None::<&()>).await;
        let mut pulls =
            pulls.map_err(|error| refused("list merge requests", "pull-requests: read", error))?;
        pulls.retain(|pull| pull.merge_commit_sha.as_deref() == Some(commit));
        if pulls.is_empty() {
            let found: Result<Commit, _> = self.api.get(&route, None::<&()>).await;
            let found =
                found.map_err(|error| refused("read the commit", "contents: read", error))?;
            return Ok(found.names().collect());
        }
        let mut names = Vec::new();
        for Pull { number, user, .. } in pulls {
            names.extend(user.and_then(|user| user.login));
            let route = self.route(&format!("pulls/{number}/commits"));
            let mut count = 0;
            for page in 1..=3 {
                let query = [("per_page", "100".to_owned()), ("page", page.to_string())];
                let found: Result<Vec<Commit>, _> = self.api.get(&route, Some(&query)).await;
                let found = found.map_err(|error| {
                    refused("list a merge request's commits", "pull-requests: read", error)
                })?;
                let is_last = found.len() < 100;
                count += found.len();
                names.extend(found.into_iter().flat_map(Commit::names));
                if is_last {
                    break;
                }
            }
            if count >= MOST_COMMITS {
                return Err(too_many(number).into());
            }
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}
