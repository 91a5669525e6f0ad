//! The flags that say which workspace, and the connection they lead to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde_json::Value;

use crate::checkout;
use crate::config::{self, Config};
use crate::databricks::{Client, Masker, Settings};
use crate::host::Host;
use crate::names::{Secret, near};
use crate::report::Fault;
use crate::sys::{Env, fs};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Connection {
    /// The workspace's address (default: DATABRICKS_HOST, then a profile)
    #[arg(long, env = "LAKEGATE_HOST", value_name = "URL")]
    host: Option<String>,
    /// The id of the SQL warehouse (default: workspace.warehouse in lakegate.yml)
    #[arg(long, env = "DATABRICKS_WAREHOUSE_ID", value_name = "ID")]
    warehouse: Option<String>,
    /// Use the embedded workspace
    #[arg(long, env = "LAKEGATE_LOCAL")]
    local: bool,
    /// Where the embedded workspace keeps its state
    #[arg(
        long,
        env = "LAKEGATE_WORKSPACE_DIR",
        value_name = "DIR",
        default_value = ".lakegate/workspace"
    )]
    workspace_dir: PathBuf,
    /// The target in databricks.yml (default: the one marked `default`)
    #[arg(long, short, env = "LAKEGATE_TARGET")]
    target: Option<String>,
    /// The configuration file
    #[arg(long, env = "LAKEGATE_CONFIG", value_name = "FILE", default_value = "lakegate.yml")]
    config: PathBuf,
}

type References = BTreeMap<String, Option<Value>>;

fn known(values: &References, name: &str) -> Result<String, String> {
    match values.get(name) {
        Some(Some(Value::String(text))) => Ok(text.clone()),
        Some(Some(value @ (Value::Number(_) | Value::Bool(_)))) => Ok(value.to_string()),
        Some(Some(_)) => Err(format!("`${{{name}}}` is no text")),
        Some(None) => {
            let own = name.trim_start_matches("var.");
            Err(format!("`${{{name}}}` has no value: set BUNDLE_VAR_{own}"))
        }
        None => {
            let near = near(name, values.keys().map(String::as_str));
            let words = near.first().map(|near| format!("; did you mean `{near}`?"));
            let words = words.unwrap_or_default();
            Err(format!("databricks.yml has no `{name}`{words}"))
        }
    }
}

/// A workspace that can be called; the embedded one ends with it.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) warehouse: Option<String>,
    #[cfg(feature = "local")]
    running: Option<crate::local::Running>,
}

impl Connection {
    /// Reads `lakegate.yml`; a file that was named must be there.
    pub(super) fn config(&self, env: &Env) -> Result<Config> {
        let text = fs::read_text_if_exists(&self.config)?;
        if text.is_none() && self.config.as_os_str() != "lakegate.yml" {
            return Err(Fault::usage(format!("`{}` does not exist", self.config.display())).into());
        }
        let file = self.config.display().to_string();
        let text = text.unwrap_or_default();
        let mut values = None;
        let text = config::fill(&file, &text, |name| {
            let values = match &mut values {
                Some(values) => values,
                none => none.insert(self.references(env)?),
            };
            known(values, name)
        })?;
        Ok(Config { target: self.target.clone(), ..Config::parse(&file, &text)? })
    }

    /// What the bundle beside the file has, in the target that is asked for.
    fn references(&self, env: &Env) -> Result<References, String> {
        let folder = self.config.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        if !folder.join("databricks.yml").is_file() {
            return Err("`${…}` is about databricks.yml, which is not here".to_owned());
        }
        checkout::references(folder, self.target.as_deref(), env).map_err(|error| {
            let hint = Fault::of(&error).and_then(|fault| fault.hint.as_deref());
            let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{error:#}{hint}")
        })
    }

    pub(super) async fn connect(
        &self,
        config: &Config,
        env: &Env,
        host: &Host,
        needed: bool,
    ) -> Result<Connected> {
        let named = self.warehouse.clone().or_else(|| config.workspace.warehouse.clone());
        if self.local {
            return self.embedded(env, host).await;
        }
        let settings = match Settings::resolve(env, self.host.as_deref()) {
            Err(_) if !needed => Settings::nowhere(env)?,
            settings => settings?,
        };
        Ok(Connected {
            client: Client::new(&settings, masker(host))?,
            warehouse: named,
            #[cfg(feature = "local")]
            running: None,
        })
    }

    #[cfg(feature = "local")]
    async fn embedded(&self, env: &Env, host: &Host) -> Result<Connected> {
        let running = crate::local::serve(&self.workspace_dir, 0, env).await?;
        let settings = Settings::loopback(&running.host, &running.token)?;
        Ok(Connected {
            client: Client::new(&settings, masker(host))?,
            warehouse: Some(crate::local::WAREHOUSE.to_owned()),
            running: Some(running),
        })
    }

    #[cfg(not(feature = "local"))]
    #[expect(clippy::unused_async, reason = "the other build waits for the server")]
    async fn embedded(&self, _: &Env, _: &Host) -> Result<Connected> {
        let fault = Fault::usage("this binary was built without the embedded workspace");
        Err(fault
            .hint("run `lakegate workspace serve` of the full binary, and set DATABRICKS_HOST")
            .into())
    }
}

impl Connected {
    pub(super) async fn close(self) {
        #[cfg(feature = "local")]
        if let Some(running) = self.running {
            running.stop().await;
        }
    }
}

pub(super) fn masker(host: &Host) -> Masker {
    let host = host.clone();
    Arc::new(move |secret: &Secret| host.mask(secret))
}
