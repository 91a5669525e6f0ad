//! `lakegate workspace`: the embedded workspace as a server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use super::exit;
use crate::host::Host;
use crate::step::Cancel;
use crate::sys::{Env, fs};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Workspace {
    /// Serve the workspace of a folder on loopback, until Ctrl-C
    Serve {
        /// Where the workspace keeps its state
        #[arg(long, value_name = "DIR", default_value = ".lakegate/workspace")]
        dir: PathBuf,
        /// The port; 0 picks a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
}

impl Workspace {
    pub(super) async fn run(self, env: &Arc<Env>, host: &Host) -> Result<u8> {
        let Self::Serve { dir, port } = self;
        let cancel = Cancel::on_signals();
        let running = crate::local::serve(&dir, port, env).await?;
        let token = fs::canonicalize(&dir)?.join("token");
        host.say(&format!("embedded workspace at {}", running.host));
        host.say(&format!("  export DATABRICKS_HOST={}", running.host));
        host.say(&format!("  export DATABRICKS_TOKEN=$(cat {})", token.display()));
        host.say(&format!("  export DATABRICKS_WAREHOUSE_ID={}", crate::local::WAREHOUSE));
        cancel.asked().await;
        running.stop().await;
        Ok(exit::PASS)
    }
}
