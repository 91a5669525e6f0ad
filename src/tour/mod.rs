//! `lakegate tour`: the whole production loop in an embedded workspace.

use std::sync::Arc;

use anyhow::Result;

use crate::host::Host;
use crate::sys::Env;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, _: &Arc<Env>, _: &Host) -> Result<u8> {
    anyhow::bail!("not built yet")
}
