//! The arguments of `release-build`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::run::{Action, Build, Publish, Request};
use crate::checkout;
use crate::config::{Config, TestedBy};
use crate::names::SchemaName;
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str = "Pack a tested commit into a release that can be proved";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("released", "Whether there was anything to release"),
    ("version", "The release's version"),
    ("tag", "The release's tag"),
    ("commit", "The commit that was packed"),
    ("release", "The release's folder"),
    ("manifest-digest", "The sha256 of manifest.json"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Pack the commit that is checked out
    Build,
    /// Hash a release again, and compare with what it says of itself
    Verify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// Nowhere: the branch and the tag are made in this clone only
    None,
    /// Branch and tag go to the remote by `git push`
    Git,
    /// Branch and tag by the host's interface; the files as a GitHub release or an Azure artifact
    Host,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION", default_value = "build")]
    action: Verb,
    /// What to verify: a release's folder, or the manifest in it
    #[arg(value_name = "RELEASE", env = "LAKEGATE_RELEASE")]
    release: Option<PathBuf>,
    /// The version (default: from the commits since the last release)
    #[arg(long = "release-version", env = "LAKEGATE_RELEASE_VERSION", value_name = "X.Y.Z")]
    number: Option<String>,
    /// The folder of databricks.yml
    #[arg(long, env = "LAKEGATE_BUNDLE", value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Where the release's folder is made
    #[arg(long, env = "LAKEGATE_OUT", value_name = "DIR", default_value = ".lakegate/releases")]
    out: PathBuf,
    /// Where the release goes
    #[arg(long, env = "LAKEGATE_PUBLISH", value_enum, default_value_t = To::None)]
    publish: To,
    /// For `verify`: the sha256 that manifest.json must have
    #[arg(long, env = "LAKEGATE_MANIFEST_DIGEST", value_name = "SHA256")]
    manifest_digest: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let action = match self.action {
            Verb::Verify => {
                let path = self.release.ok_or_else(|| {
                    Fault::usage("which release?").hint("name its folder: `verify DIR`")
                })?;
                let digest = self.manifest_digest.as_deref().map(checkout::digest).transpose()?;
                return Ok(Request { action: Action::Verify { release: path, digest } });
            }
            Verb::Build if self.manifest_digest.is_some() => {
                return Err(Fault::usage("--manifest-digest goes with `verify` only").into());
            }
            Verb::Build if self.release.is_some() => {
                return Err(Fault::usage("a release is named to `verify` only")
                    .hint("give the version with --release-version")
                    .into());
            }
            Verb::Build => Action::Build(Box::new(Build {
                version: self
                    .number
                    .map(|text| {
                        let plain = text.trim_start_matches('v');
                        semver::Version::parse(plain)
                            .with_context(|| format!("`{text}` is not a version such as 1.2.3"))
                            .map_err(|error| Fault::usage(format!("{error:#}")))
                    })
                    .transpose()?,
                bundle: self.bundle,
                out: self.out,
                publish: match self.publish {
                    To::None => Publish::None,
                    To::Git => Publish::Git,
                    To::Host => Publish::Host,
                },
                policy: config.release.clone(),
                record: config
                    .record
                    .schema
                    .as_deref()
                    .map(str::parse::<SchemaName>)
                    .transpose()?,
                tested_by: config.release.tested_by.unwrap_or(TestedBy::Checks),
                is_default: config.release.tested_by.is_none(),
            })),
        };
        Ok(Request { action })
    }
}
