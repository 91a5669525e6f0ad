//! The arguments of `tour`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the project, the workspace and the report are made
    #[arg(long, env = "LAKEGATE_TOUR_DIR", value_name = "DIR", default_value = "lakegate-tour")]
    pub(super) dir: PathBuf,
    /// Stop after this step
    #[arg(long, value_name = "STEP")]
    pub(super) until: Option<String>,
    /// Write the result as JSON to standard output
    #[arg(long)]
    pub(super) json: bool,
    /// Start over, even when an unfinished tour is there
    #[arg(long)]
    pub(super) fresh: bool,
}
