//! Blank variables count as unset: CI hosts pass an empty one for every input
//! that was not given.

use clap::Command;
use clap::builder::Resettable;

use crate::sys::Env;

/// Takes the variables that are blank away from their arguments.
pub(super) fn unset(command: Command, env: &Env) -> Command {
    let names: Vec<String> =
        command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect();
    let command = names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |inner| unset(inner, env)));
    command.mut_args(|arg| {
        let name = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| env.get(&name).is_none()) {
            arg.env(Resettable::Reset)
        } else {
            arg
        }
    })
}
