//! The life of a step: what a feature is given, and how it learns that it must end.

pub mod child;

use std::sync::Arc;

use tokio::sync::watch;

use crate::databricks::{Client, Error, Masker};
use crate::host::{Context, Host};
use crate::lake::Lake;
use crate::report::{Fault, FaultKind};
use crate::sys::Env;

/// Everything that a feature's `run` may use beside its request.
#[derive(Debug, Clone)]
pub struct Ctx {
    pub env: Arc<Env>,
    pub host: Host,
    pub context: Context,
    pub client: Client,
    /// The SQL warehouse; asked for when a command needs it.
    pub warehouse: Option<String>,
    pub cancel: Cancel,
}

impl Ctx {
    /// Keeps secrets out of the host's log.
    pub fn masker(&self) -> Masker {
        let host = self.host.clone();
        Arc::new(move |secret| host.mask(secret))
    }

    /// The tables, through the SQL warehouse.
    pub fn lake(&self) -> Result<Lake<'_>, Fault> {
        self.lake_if_any().ok_or_else(|| {
            Fault::usage("no SQL warehouse is configured")
                .hint("set `workspace.warehouse` in lakegate.yml, or DATABRICKS_WAREHOUSE_ID")
        })
    }

    /// The same for those who can do without, such as readers of files.
    pub fn lake_if_any(&self) -> Option<Lake<'_>> {
        let warehouse = self.warehouse.as_deref()?;
        Some(Lake { client: &self.client, warehouse })
    }
}

/// What to do next, from the outermost cause that knows.
pub fn hint_of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let fault = cause.downcast_ref::<Fault>().and_then(|fault| fault.hint.clone());
        fault.or_else(|| cause.downcast_ref::<Error>().and_then(Error::hint))
    })
}

/// What a step was asked to do.
pub trait Request {
    /// Whether it can be done only where a workspace is configured.
    fn needs_workspace(&self) -> bool {
        true
    }

    /// Whether it may be done where the code is foreign, of a fork for example,
    /// whatever rights the step was given.
    fn bears_foreign_code(&self) -> bool {
        !self.needs_workspace()
    }

    /// Whether it looks at what an earlier run of the command wrote, which must
    /// stay then.
    fn reads_reports(&self) -> bool {
        false
    }

    /// What tells its reports from those of other steps, where a CI job may have
    /// several of the command.
    fn about(&self) -> Option<&str> {
        None
    }
}

/// Turns true once, when the step was asked to end.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

impl Cancel {
    /// Listens for SIGINT and SIGTERM.
    pub fn on_signals() -> Self {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            wait_for_signal().await;
            sender.send_replace(true);
            // The channel stays open as long as somebody may ask.
            sender.closed().await;
        });
        Self(receiver)
    }

    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the step must end.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub fn fault(what: &str) -> Fault {
        Fault::new(FaultKind::Cancelled, format!("{what}: cancelled by a signal"))
    }
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
