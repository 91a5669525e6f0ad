//! The one comment on a merge request.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, refused};

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

/// Whose name stands at what the token of a workflow writes.
const WORKFLOW: &str = "github-actions[bot]";

const WRITE: &str = "pull-requests: write";

impl GitHub {
    /// Writes the comment that begins with `mark`, or brings it up to date.
    pub(in crate::forge) async fn comment(
        &self,
        request: u64,
        mark: &str,
        body: &str,
    ) -> Result<String> {
        let own = self.own_comment(request, mark).await?;
        let text = json!({ "body": format!("{mark}\n{body}") });
        let answer: Result<Comment, _> = match own {
            Some(comment) if comment.body.as_deref() == text["body"].as_str() => {
                return Ok(comment.html_url);
            }
            Some(comment) => {
                let route = self.route(&format!("issues/comments/{}", comment.id));
                self.api.patch(route, Some(&text)).await
            }
            None => {
                let route = self.route(&format!("issues/{request}/comments"));
                self.api.post(route, Some(&text)).await
            }
        };
        Ok(answer.map_err(|error| refused("comment on the merge request", WRITE, error))?.html_url)
    }

    /// Whose name stands at what this token writes. That of an app is told by one of
    /// GitHub's interfaces, that of a person by both.
    async fn own_name(&self) -> String {
        let who: Result<User, _> = self.api.get("/user", None::<&()>).await;
        if let Ok(user) = who {
            return user.login;
        }
        let asked = json!({ "query": "query { viewer { login } }" });
        let told: Result<Value, _> = self.api.graphql(&asked).await;
        let login = told.ok().and_then(|told| {
            told.pointer("/viewer/login").and_then(Value::as_str).map(str::to_owned)
        });
        login.unwrap_or_else(|| WORKFLOW.to_owned())
    }

    /// Anybody can write the mark: only what we wrote ourselves is changed.
    async fn own_comment(&self, request: u64, mark: &str) -> Result<Option<Comment>> {
        let who = self.own_name().await;
        let route = self.route(&format!("issues/{request}/comments"));
        for page in 1..=100 {
            let query = [("per_page", "100".to_owned()), ("page", page.to_string())];
            let found: Result<Vec<Comment>, _> = self.api.get(&route, Some(&query)).await;
            let found = found
                .map_err(|error| refused("list the comments", "pull-requests: read", error))?;
            let last = found.len() < 100;
            let ours = |comment: &Comment| {
                comment.user.as_ref().is_some_and(|user| user.login == who)
                    && comment.body.as_deref().is_some_and(|body| body.starts_with(mark))
            };
            if let Some(comment) = found.into_iter().find(ours) {
                return Ok(Some(comment));
            }
            if last {
                break;
            }
        }
        Ok(None)
    }
}
