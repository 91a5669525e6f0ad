//! The page of an action: the smallest example, and what it takes and gives.

use std::fmt::Write as _;

use super::github::DELIVERY;
use super::{Input, Kind, Step, described};

pub(super) fn action(step: &Step) -> String {
    let name = step.name;
    let mut out = format!("# {name}\n\n{}.\n\n", step.about);
    let example: Vec<String> = step
        .inputs
        .iter()
        .filter(|input| input.required)
        .map(|input| {
            let value = input.values.first().map_or("…", |(name, _)| name.as_str());
            format!("      {}: {value}", input.name)
        })
        .collect();
    // Changes and releases are told from what came before.
    let depth =
        if matches!(name, "merge-test" | "release-build") { "      fetch-depth: 0\n" } else { "" };
    _ = writeln!(
        out,
        "```yaml\npermissions:\n  contents: read\n  id-token: write # to sign in to Databricks without a secret\nsteps:\n  - uses: actions/checkout@<commit>\n    with:\n      persist-credentials: false\n{depth}  - uses: lakegate/lakegate/actions/{name}@<commit> # the full SHA of a release"
    );
    if !example.is_empty() {
        _ = writeln!(out, "    with:\n{}", example.join("\n"));
    }
    _ = writeln!(
        out,
        "    env:\n      DATABRICKS_AUTH_TYPE: github-oidc\n      DATABRICKS_HOST: ${{{{ vars.DATABRICKS_HOST }}}}\n      DATABRICKS_CLIENT_ID: ${{{{ vars.DATABRICKS_CLIENT_ID }}}}\n```\n"
    );
    _ = writeln!(
        out,
        "Every input may be set as a variable, too; what is left out has the default, or what"
    );
    _ = writeln!(
        out,
        "`lakegate.yml` says. [The command's page](../../docs/{name}.md) tells the rest.\n"
    );
    out.push_str("| input | variable | |\n|---|---|---|\n");
    for input in &step.inputs {
        _ = writeln!(out, "| `{}` | `{}` | {} |", input.name, input.env, told(input));
    }
    for (name, env, help) in DELIVERY {
        _ = writeln!(out, "| `{name}` | `{env}` | {help}. |");
    }
    out.push_str("\n| output | |\n|---|---|\n");
    for (output, help) in &step.outputs {
        _ = writeln!(out, "| `{output}` | {help} |");
    }
    out
}

/// The page of a command's flags, for the book.
pub(super) fn reference(step: &Step) -> String {
    let name = step.name;
    let mut out = format!(
        "# The flags of {name}\n\n{}. [What it is about](../{name}.md).\n\n| flag | variable | |\n|---|---|---|\n",
        step.about
    );
    for input in &step.inputs {
        let flag = match (input.is_flag, input.kind) {
            (false, _) => input.name.to_uppercase(),
            (true, Kind::Flag) => format!("--{}", input.name),
            (true, _) => format!("--{} …", input.name),
        };
        _ = writeln!(out, "| `{flag}` | `{}` | {} |", input.env, told(input));
    }
    out.push_str("\nAs an input of the action a flag has the same name, without dashes in front; as an input of the task, in camel case.\n");
    out.push_str("\n| output of the step | |\n|---|---|\n");
    for (output, help) in &step.outputs {
        _ = writeln!(out, "| `{output}` | {help} |");
    }
    out
}

/// What an input is, and is if left out.
fn told(input: &Input) -> String {
    let required = if input.required { " **Required.**" } else { "" };
    format!("{}.{required}", described(input).replace('|', "\\|"))
}

/// The page of a command that is no step: it has flags, and no variables; each of its
/// own commands has a part.
#[cfg(feature = "local")]
pub(super) fn flags(command: &clap::Command) -> String {
    let mut out = format!("# The flags of {}\n", command.get_name());
    part(&mut out, command);
    for own in command.get_subcommands().filter(|own| own.get_name() != "help") {
        _ = write!(out, "\n## {}\n", own.get_name());
        part(&mut out, own);
    }
    out
}

#[cfg(feature = "local")]
fn part(out: &mut String, command: &clap::Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    _ = write!(out, "\n{about}.\n");
    if command.has_subcommands() {
        return;
    }
    out.push_str("\n| flag | |\n|---|---|\n");
    for arg in command.get_arguments() {
        let (Some(long), Some(help)) = (arg.get_long(), arg.get_help()) else { continue };
        let takes = if arg.get_action().takes_values() { " …" } else { "" };
        let values: Vec<String> = match takes {
            "" => Vec::new(),
            _ => {
                arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect()
            }
        };
        let mut help = help.to_string();
        if !values.is_empty() {
            help += &format!(". One of: {}", values.join(", "));
        }
        if let [value] = arg.get_default_values()
            && !takes.is_empty()
        {
            help += &format!(". Default: `{}`", value.display());
        }
        _ = writeln!(out, "| `--{long}{takes}` | {}. |", help.replace('|', "\\|"));
    }
}
