//! The page of an action: the smallest example, and what it takes and gives.

use std::fmt::Write as _;

use super::{Step, described};

pub(super) fn action(step: &Step) -> String {
    let name = step.name;
    let mut out = format!("# {name}\n\n{}.\n\n", step.about);
    let example: Vec<String> = step
        .inputs
        .iter()
        .filter(|input| input.required)
        .map(|input| {
            let value = input.values.first().map_or("…", |(name, _)| name.as_str());
            format!("    {}: {value}", input.name)
        })
        .collect();
    _ = writeln!(
        out,
        "```yaml\n- uses: lakegate/lakegate/actions/{name}@<commit> # the full SHA of a release"
    );
    if !example.is_empty() {
        _ = writeln!(out, "  with:\n{}", example.join("\n"));
    }
    _ = writeln!(
        out,
        "  env:\n    DATABRICKS_HOST: ${{{{ vars.DATABRICKS_HOST }}}}\n    DATABRICKS_CLIENT_ID: ${{{{ vars.DATABRICKS_CLIENT_ID }}}}\n```\n"
    );
    _ = writeln!(
        out,
        "Every input may be set as a variable, too; what is left out has the default, or what"
    );
    _ = writeln!(
        out,
        "`lakegate.yml` says. [The command's page](../../docs/{}.md) tells the rest.\n",
        page(name)
    );
    out.push_str("| input | variable | |\n|---|---|---|\n");
    for input in &step.inputs {
        let default = match (&input.default, input.required) {
            (_, true) => " **Required.**".to_owned(),
            (Some(default), _) if !default.is_empty() => format!(" Default: `{default}`."),
            _ => String::new(),
        };
        let help = described(input).replace('|', "\\|");
        _ = writeln!(out, "| `{}` | `{}` | {help}.{default} |", input.name, input.env);
    }
    out.push_str("\n| output | |\n|---|---|\n");
    for (output, help) in &step.outputs {
        _ = writeln!(out, "| `{output}` | {help} |");
    }
    out
}

/// Where a command is told of.
fn page(name: &str) -> &str {
    if name == "model-promote" { "model-gate" } else { name }
}
