//! Actions: inputs to the environment, one step, no logic.

use std::fmt::Write as _;

use super::{Input, Step, described};

const HEAD: &str = "# Generated from the command's arguments: `cargo run -- manifests`.\n";

/// Where an action finds its binary; the same for all.
pub(super) const DELIVERY: [(&str, &str, &str); 3] = [
    (
        "binary-path",
        "LAKEGATE_BINARY_PATH",
        "A binary that is there already, instead of the released one",
    ),
    (
        "mirror",
        "LAKEGATE_MIRROR",
        "Where released archives are fetched from: an https address, or a folder. The checksum is the same",
    ),
    ("working-directory", "LAKEGATE_WORKING_DIRECTORY", "The folder to run in"),
];

/// A string that YAML reads as itself.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn input(out: &mut String, input: &Input) {
    _ = writeln!(out, "  {}:", input.name);
    _ = writeln!(out, "    description: {}", quoted(&described(input)));
    _ = writeln!(out, "    required: {}", input.required);
    // The binary has the default: what is left out stays empty.
    _ = writeln!(out, "    default: \"\"");
}

fn delivery(out: &mut String) {
    for (name, _, help) in DELIVERY {
        _ = writeln!(out, "  {name}:\n    description: {}", quoted(help));
        _ = writeln!(out, "    required: false\n    default: \"\"");
    }
}

pub(super) fn action(step: &Step) -> String {
    let mut out = HEAD.to_owned();
    _ = writeln!(out, "name: {}", quoted(&format!("lakegate {}", step.name)));
    _ = writeln!(out, "description: {}", quoted(step.about));
    _ = writeln!(out, "author: Lakegate");
    out.push_str("inputs:\n");
    for own in &step.inputs {
        input(&mut out, own);
    }
    delivery(&mut out);
    out.push_str("outputs:\n");
    for (name, help) in &step.outputs {
        _ = writeln!(out, "  {name}:\n    description: {}", quoted(help));
        _ = writeln!(out, "    value: ${{{{ steps.run.outputs.{name} }}}}");
    }
    out.push_str(
        "runs:\n  using: composite\n  steps:\n    - id: run\n      shell: bash\n      env:\n",
    );
    for own in &step.inputs {
        // What the job sets as a variable must not be blotted out.
        _ = writeln!(out, "        {0}: ${{{{ inputs.{1} || env.{0} }}}}", own.env, own.name);
    }
    for (name, env, _) in DELIVERY {
        _ = writeln!(out, "        {env}: ${{{{ inputs.{name} || env.{env} }}}}");
    }
    _ = writeln!(out, "      run: exec \"$GITHUB_ACTION_PATH/../run.sh\" {}", step.name);
    out
}

/// Installs the suite, for those who call it from their own scripts.
pub(super) fn front_door(steps: &[Step]) -> String {
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    let mut out = HEAD.to_owned();
    out.push_str("name: Lakegate\n");
    _ = writeln!(
        out,
        "description: {}",
        quoted(
            "Puts the Lakegate commands on the PATH: from merge request to monitored model on Databricks"
        )
    );
    out.push_str("author: Lakegate\ninputs:\n");
    let help = format!(
        "The commands to install, with spaces; all where left out. Known: {}",
        names.join(" ")
    );
    _ = writeln!(out, "  commands:\n    description: {}", quoted(&help));
    out.push_str("    required: false\n    default: \"\"\n");
    delivery(&mut out);
    out.push_str("outputs:\n  folder:\n    description: \"The folder that holds them\"\n");
    out.push_str("    value: ${{ steps.run.outputs.folder }}\n");
    out.push_str(
        "runs:\n  using: composite\n  steps:\n    - id: run\n      shell: bash\n      env:\n",
    );
    out.push_str("        LAKEGATE_COMMANDS: ${{ inputs.commands || env.LAKEGATE_COMMANDS }}\n");
    for (name, env, _) in DELIVERY {
        _ = writeln!(out, "        {env}: ${{{{ inputs.{name} || env.{env} }}}}");
    }
    out.push_str("      run: exec \"$GITHUB_ACTION_PATH/actions/setup.sh\"\n");
    out
}
