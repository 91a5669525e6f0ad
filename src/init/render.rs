//! Templates to files. Their marks, `«…»` and `‹% … %›`, leave `${{ }}` and `$( )` alone, and
//! what is not defined is an error.

use anyhow::{Context as _, Result};
use include_dir::{Dir, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::names::task_name;

static GITHUB: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/github");
const POLICIES: &str = include_str!("../../templates/adopted/lakegate.yml");
static AZURE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/azure");

/// Whether YAML reads the text as itself wherever it stands, within lists too.
pub(super) fn is_plain(text: &str) -> bool {
    let marks =
        [',', '[', ']', '{', '}', '#', ':', '\'', '"', '&', '*', '!', '|', '>', '%', '@', '`'];
    let read: Result<serde_json::Value, _> = serde_yaml::from_str(text);
    !text.contains(marks) && read.is_ok_and(|read| read == text)
}

/// The text as YAML, quoted where it must be.
pub(super) fn scalar(text: &str) -> String {
    match is_plain(text) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

/// Where the workflows run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ci {
    GitHub,
    Azure,
}

impl Ci {
    /// The folder of a repository's workflows, and of what is known about them.
    pub(super) fn folders(self) -> (&'static str, &'static str) {
        match self {
            Self::GitHub => (".github/workflows", ".github"),
            Self::Azure => (".azure-pipelines", ".azure-pipelines"),
        }
    }

    /// The folder of the workflows that other repositories call.
    pub(super) fn shared_folder(self) -> &'static str {
        match self {
            Self::GitHub => ".github/workflows",
            Self::Azure => "pipelines",
        }
    }
}

/// Where the steps of a workflow stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In the user's repository, to see and to change.
    Whole,
    /// In Lakegate's, whose workflow is called.
    Call,
    /// This is the workflow that is called.
    Shared,
}

/// The templates of a host, and the actions that they use.
pub(super) struct Templates {
    environment: Environment<'static>,
    form: Form,
}

impl Templates {
    /// `commit` is that of Lakegate's release; GitHub's workflows name it.
    pub(super) fn new(ci: Ci, form: Form, commit: Option<&str>) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .block_delimiters("‹%", "%›")
            .variable_delimiters("«", "»")
            .comment_delimiters("‹#", "#›")
            .build()?;
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let folder = match ci {
            Ci::GitHub => &GITHUB,
            Ci::Azure => &AZURE,
        };
        for part in [Some(folder), folder.get_dir("call"), folder.get_dir("shared")] {
            for file in part.into_iter().flat_map(Dir::files) {
                let name = file.path().to_str().context("a template's name")?;
                let text = file.contents_utf8().context("a template's text")?;
                environment.add_template(name, text)?;
            }
        }
        environment.add_template("lakegate.yml", POLICIES)?;
        let commit = commit.unwrap_or_default().to_owned();
        let pinned = move |path: &str| {
            let version = env!("CARGO_PKG_VERSION");
            format!("lakegate/lakegate/{path}@{commit} # v{version}")
        };
        let own = pinned.clone();
        environment.add_function("action", move |name: &str| match form {
            Form::Shared => format!("$/actions/{name}"),
            Form::Whole | Form::Call => own(&format!("actions/{name}")),
        });
        environment.add_function("workflow", move |name: &str| {
            pinned(&format!(".github/workflows/{name}.yml"))
        });
        environment.add_filter("scalar", |text: &str| scalar(text));
        environment.add_function("task", |name: &str| {
            format!("{}@{}", task_name(name), env!("CARGO_PKG_VERSION_MAJOR"))
        });
        Ok(Self { environment, form })
    }

    /// One workflow, of the template `merge.yml`, say.
    pub(super) fn workflow(&self, template: &str, values: &Value) -> Result<String> {
        match self.form {
            Form::Whole => self.render(template, values),
            Form::Call => self.render(&format!("call/{template}"), values),
            Form::Shared => self.render(&self.shared(template), values),
        }
    }

    /// All workflows of Azure are shared in one way.
    fn shared(&self, template: &str) -> String {
        let own = format!("shared/{template}");
        match self.environment.get_template(&own) {
            Ok(_) => own,
            Err(_) => "shared/whole.yml".into(),
        }
    }

    /// A named part of a workflow, as the items of a list.
    pub(super) fn block(&self, template: &str, block: &str, values: &Value) -> Result<String> {
        let mut whole = self.environment.get_template(template)?.render_captured(values)?;
        let text = whole.with_state_mut(|state| state.render_block(block));
        let text = text.with_context(|| format!("render {block} of {template}"))?;
        let depth = |line: &str| line.len() - line.trim_start().len();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let least = lines().map(depth).min().unwrap_or_default();
        Ok(lines().map(|line| format!("  {}\n", &line[least..])).collect())
    }

    /// A file of such a part.
    pub(super) fn part(&self, values: &Value) -> Result<String> {
        self.render("shared/part.yml", values)
    }

    /// `lakegate.yml`.
    pub(super) fn policies(&self, values: &Value) -> Result<String> {
        self.render("lakegate.yml", values)
    }

    fn render(&self, name: &str, values: &Value) -> Result<String> {
        let text = self.environment.get_template(name)?.render(values);
        let mut text = text.with_context(|| format!("render {name}"))?;
        text.truncate(text.trim_end().len());
        text.push('\n');
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_as_something_else_is_not_plain() {
        for plain in ["main", "release/1.10", "ml/flights", "the main branch"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["1.10", "on, off", "yes: no", "a # b", "", " a", "null", "a: b", "[x", "@x"] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
