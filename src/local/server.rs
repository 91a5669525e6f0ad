//! The HTTP side: loopback, bearer token, faults, routes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::error::ApiFault;
use super::faults::{Strike, When};
use super::{
    Shared, Workspace, definitions, environments, faults, files, identity, jobs, mlflow,
    permissions, serving, sql, unity, workspace_files,
};
use crate::names::Secret;
use crate::report::Fault;
use crate::sys::Env;

/// The largest body that is taken: a model file goes up in one piece.
const MAX_BODY: usize = 2 << 30;

/// A workspace that is being served. Dropping it ends the server.
#[derive(Debug)]
pub struct Running {
    pub host: String,
    pub token: Secret,
    workspace: Shared,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    /// The Python of an environment with `packages`, built if it is not there.
    pub async fn python_environment(&self, packages: &[String]) -> Result<PathBuf> {
        let scratch = self.workspace.dir.join("environment");
        Ok(environments::prepare(&self.workspace, packages, &scratch).await?.python)
    }

    /// Ends the server's tasks and their processes.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _already_gone = stop.send(());
        }
        jobs::stop_all(&self.workspace).await;
        serving::stop_all(&self.workspace);
    }
}

/// Serves the workspace in `dir` on loopback; port 0 picks a free one.
pub async fn serve(dir: &Path, port: u16, env: &Env) -> Result<Running> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(
        |error| {
            Fault::usage(format!("listen on 127.0.0.1:{port}: {error}"))
                .hint("another program has the port: choose another with --port, or leave it out")
        },
    )?;
    let address = listener.local_addr().context("read the server's address")?;
    let workspace = Arc::new(Workspace::open(dir, env)?);
    let host = format!("http://{address}");
    workspace.jobs.start(&host);
    serving::resume(&workspace).context("go on with the serving endpoints")?;
    let app = router(workspace.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let ended = async { drop(stopped.await) };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(ended).await {
            tracing::error!(%error, "the embedded workspace ended");
        }
    });
    Ok(Running { host, token: workspace.token().clone(), workspace, stop: Some(stop) })
}

fn router(workspace: Shared) -> Router {
    let guarded = Router::new()
        .merge(faults::routes())
        .merge(identity::routes())
        .merge(workspace_files::routes())
        .merge(files::routes())
        .merge(unity::routes())
        .merge(mlflow::routes())
        .merge(jobs::routes())
        .merge(permissions::routes())
        .merge(definitions::routes())
        .merge(serving::routes())
        .merge(sql::routes())
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(workspace.clone(), strike))
        .layer(middleware::from_fn_with_state(workspace.clone(), authenticate));
    Router::new()
        .merge(guarded)
        .merge(identity::open_routes())
        .merge(sql::open_routes().layer(middleware::from_fn_with_state(workspace.clone(), strike)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(workspace)
}

async fn unknown(method: Method, uri: Uri) -> ApiFault {
    ApiFault::unsupported(format!("`{method} {}`", uri.path()))
}

async fn authenticate(State(workspace): State<Shared>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().trim();
    if token == workspace.token.expose() || identity::is_minted(&workspace, token) {
        return next.run(request).await;
    }
    let message = if token.is_empty() {
        "no bearer token was sent"
    } else {
        "the bearer token is not valid here"
    };
    ApiFault::unauthenticated(message).into_response()
}

async fn strike(State(workspace): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let control = path.starts_with("/__lakegate/") && !path.starts_with(sql::LINKS);
    let query = request.uri().query().unwrap_or_default();
    let strike = if control {
        None
    } else {
        workspace.faults.strike(request.method().as_str(), path, query)
    };
    let Some(strike) = strike else { return next.run(request).await };
    if strike.when == When::Before {
        tokio::time::sleep(strike.latency).await;
        if strike.status.is_some() {
            return struck(&strike);
        }
    }
    let response = next.run(request).await;
    if strike.when == When::After {
        tokio::time::sleep(strike.latency).await;
    }
    if strike.status.is_some() {
        return struck(&strike);
    }
    match strike.cut_body_at {
        Some(at) => cut(response, at).await,
        None => response,
    }
}

fn struck(strike: &Strike) -> Response {
    let body = "{\"error_code\":\"INJECTED\",\"message\":\"injected fault\"}";
    let mut response = Response::new(Body::from(body));
    if let Some(status) = strike.status {
        *response.status_mut() = status;
    }
    let asked = strike.retry_after.as_deref().and_then(|value| HeaderValue::from_str(value).ok());
    if let Some(asked) = asked {
        response.headers_mut().insert(RETRY_AFTER, asked);
    }
    response
}

/// Announces the whole body and sends a part of it.
async fn cut(response: Response, at: usize) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let part = bytes.slice(..at.min(bytes.len()));
    let broken = futures::stream::iter([Ok(part), Err(std::io::Error::other("injected cut"))]);
    Response::from_parts(parts, Body::from_stream(broken))
}
