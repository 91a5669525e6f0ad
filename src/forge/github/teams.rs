//! Who belongs to a team.

use anyhow::Result;
use serde::Deserialize;

use super::{GitHub, refused};
use crate::report::{Fault, FaultKind};
use crate::sys::https;

impl GitHub {
    /// A team is `organisation/team`, or a team of the repository's owner.
    pub(in crate::forge) async fn is_member(&self, team: &str, who: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Membership {
            state: String,
        }
        let owner = self.repository.split('/').next().unwrap_or_default();
        let (organisation, name) = team.split_once('/').unwrap_or((owner, team));
        let [organisation, name] = [organisation, name].map(https::segment);
        let route = format!("/orgs/{organisation}/teams/{name}");
        let whose = format!("{route}/memberships/{}", https::segment(who));
        let found: Result<Membership, _> = self.api.get(whose, None::<&()>).await;
        let error = match found {
            Ok(found) => return Ok(found.state == "active"),
            Err(error) => error,
        };
        if !is_missing(&error) {
            return Err(may_not_ask(team, error));
        }
        // Who is no member and a team that may not be seen have one answer.
        let seen: Result<serde_json::Value, _> = self.api.get(route, None::<&()>).await;
        seen.map(|_| false).map_err(|error| may_not_ask(team, error))
    }
}

fn may_not_ask(team: &str, error: octocrab::Error) -> anyhow::Error {
    let what = format!("read who belongs to the team `{team}`");
    let error = refused(&what, "members: read", error);
    match Fault::of(&error) {
        Some(fault) if fault.kind == FaultKind::Usage => {
            let fault = Fault::usage(fault.message.clone());
            fault.hint("there is no such team, or the token may not ask: a workflow's own never may; hand over one of an app with the organisation's `members: read`").into()
        }
        _ => error,
    }
}

fn is_missing(error: &octocrab::Error) -> bool {
    matches!(error, octocrab::Error::GitHub { source, .. } if source.status_code.as_u16() == 404)
}
