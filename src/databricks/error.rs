//! What can go wrong on the way to a workspace.

use std::time::Duration;

/// What the server said when it refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub call: String,
    pub status: u16,
    /// `RESOURCE_DOES_NOT_EXIST`, `PERMISSION_DENIED` and the like.
    pub code: String,
    pub message: String,
    pub request_id: Option<String>,
}

/// A failed call. `call` is the method and path, without the query.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {} ({}, HTTP {})", .0.call, .0.message, .0.code, .0.status)]
    Api(ApiError),

    #[error(
        "{call}: the workspace sent a redirect to `{to}`; it was not followed, as it would carry the token away"
    )]
    Redirect { call: String, to: String },

    #[error(
        "{call}: an HTML page came back with status 200 instead of JSON: a login page, a proxy or a private link is answering for the workspace"
    )]
    Html { call: String },

    #[error("{call}: the answer could not be read: {reason}")]
    Decode { call: String, reason: String },

    #[error("{call}: no answer: {reason}")]
    Transport { call: String, reason: String },

    #[error("{call}: the command's time was used up after {}", crate::sys::clock::human(*.after))]
    Deadline { call: String, after: Duration },

    #[error("{0}")]
    Settings(String),

    #[error("sign in to `{host}` by {method}: {reason}")]
    SignIn { host: String, method: &'static str, reason: String },

    #[error("SQL statement {id}: {code}: {message}")]
    Statement { id: String, code: String, message: String },

    #[error("SQL statement {id}: {reason}")]
    Result { id: String, reason: String },
}

impl Error {
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Api(error) => {
                error.status == 404
                    || matches!(error.code.as_str(), "RESOURCE_DOES_NOT_EXIST" | "NOT_FOUND")
            }
            Self::Statement { code, message, .. } => {
                ["TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND"]
                    .iter()
                    .any(|known| code == known || message.contains(&format!("[{known}]")))
            }
            _ => false,
        }
    }

    /// The workspace does not know the call at all.
    pub fn is_unknown_endpoint(&self) -> bool {
        let codes = ["ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED"];
        matches!(self, Self::Api(error) if error.status == 501 || codes.contains(&error.code.as_str()))
    }

    pub fn is_already_there(&self) -> bool {
        match self {
            Self::Api(error) => error.status == 409 || error.code.ends_with("ALREADY_EXISTS"),
            Self::Statement { code, message, .. } => {
                code.ends_with("ALREADY_EXISTS") || message.contains("_ALREADY_EXISTS]")
            }
            _ => false,
        }
    }

    /// The server has something else to do with the object first.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Api(error) if error.status == 409)
    }

    /// A statement names a column that is not there.
    pub fn is_unresolved(&self) -> bool {
        match self {
            Self::Statement { code, message, .. } => {
                code.contains("UNRESOLVED") || message.contains("UNRESOLVED_")
            }
            _ => false,
        }
    }

    /// Another statement changed the same rows of a Delta table first.
    pub fn is_concurrent_write(&self) -> bool {
        match self {
            Self::Statement { code, message, .. } => {
                code.contains("CONCURRENT")
                    || message.contains("DELTA_CONCURRENT")
                    || message.contains("oncurrentModification")
            }
            _ => false,
        }
    }

    /// A fault of the moment: the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Api(error) => error.status == 429 || error.status >= 500,
            Self::Transport { .. } | Self::Html { .. } => true,
            _ => false,
        }
    }

    /// Something the caller must change, as against a fault of the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_)) || self.is_not_found()
    }

    /// The next action.
    pub fn hint(&self) -> Option<String> {
        let error = match self {
            Self::Api(error) => error,
            Self::Html { .. } => {
                return Some("check DATABRICKS_HOST, and that the runner may reach the workspace (private link, IP access lists, proxy)".into());
            }
            Self::Redirect { .. } => {
                return Some("set DATABRICKS_HOST to the workspace's own address".into());
            }
            _ => return None,
        };
        match error.status {
            401 => Some(
                "the token was refused: it may have expired, or belong to another workspace".into(),
            ),
            403 => Some(format!("the identity lacks {}", missing_permission(&error.call))),
            _ => None,
        }
    }
}

/// What a caller needs for the API that `call` names.
fn missing_permission(call: &str) -> &'static str {
    const NEEDED: [(&str, &str); 9] = [
        ("/jobs/run-now", "CAN MANAGE RUN on the job"),
        ("/jobs/", "CAN VIEW on the job, or CAN MANAGE to change it"),
        (
            "/unity-catalog/models",
            "EXECUTE on the model (APPLY TAG or ownership to move an alias), and USE CATALOG and USE SCHEMA above it",
        ),
        (
            "/mlflow/unity-catalog",
            "EXECUTE on the model (ownership to change it), and USE CATALOG and USE SCHEMA above it",
        ),
        ("/unity-catalog/", "USE CATALOG and USE SCHEMA, and SELECT or MODIFY on the object"),
        ("/sql/", "CAN USE on the SQL warehouse"),
        (
            "/serving-endpoints",
            "CAN MANAGE on the endpoint (CAN QUERY to ask it), or the right to make one",
        ),
        ("/workspace", "CAN EDIT on the workspace folder"),
        ("/fs/", "READ VOLUME or WRITE VOLUME on the volume"),
    ];
    let needed = NEEDED.iter().find(|(part, _)| call.contains(part));
    needed.map_or("a permission that this call needs", |(_, permission)| permission)
}
