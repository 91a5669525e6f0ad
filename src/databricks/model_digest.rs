//! The digest of a model version: what a decision is bound to.

use anyhow::{Context as _, Result};

use super::Client;
use crate::names::{ModelName, ModelVersion, Sha256};
use crate::report::{Fault, FaultKind};

impl Client {
    /// SHA-256 over the sorted manifest (path, size, digest) of the version's
    /// files. The version must exist and be ready.
    pub async fn ready_digest(&self, model: &ModelName, version: ModelVersion) -> Result<Sha256> {
        let found = self.model_version_get(model, version).await?;
        let info = found.ok_or_else(|| {
            Fault::usage(format!("version {version} of the model `{model}` does not exist"))
        })?;
        if info.status != "READY" {
            let message = format!("version {version} of `{model}` is {}, not READY", info.status);
            return Err(Fault::new(FaultKind::Integrity, message)
                .hint("wait for its registration, or register it again")
                .into());
        }
        let root = model.files_of(version);
        let files = self
            .files_below(&root)
            .await
            .with_context(|| format!("list the files of `{model}` version {version}"))?;
        if files.is_empty() {
            let message = format!("version {version} of `{model}` has no files");
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
        let mut manifest = Vec::new();
        for file in files {
            let bytes = self
                .file_read(&file.path)
                .await
                .with_context(|| format!("read `{}`", file.path))?;
            let path = file.path.strip_prefix(&root).unwrap_or(&file.path).to_owned();
            manifest.extend([path, bytes.len().to_string(), Sha256::of(&bytes).to_string()]);
        }
        Ok(Sha256::of_parts(manifest.iter().map(String::as_str)))
    }
}
