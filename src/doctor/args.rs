//! The arguments of `doctor`.

use std::path::PathBuf;

use anyhow::Result;

use super::run::Request;
use crate::config::Config;

/// What it is for, in one line.
pub const ABOUT: &str = "Look at everything that the other commands need, and say how to mend it";

/// What it sets beside what every step sets: nothing.
pub const OUTPUTS: &[(&str, &str)] = &[];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of databricks.yml
    #[arg(long, env = "LAKEGATE_BUNDLE", value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        Ok(Request { bundle: self.bundle, config: config.clone() })
    }
}
