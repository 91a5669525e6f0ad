//! Questions to somebody who sits in front of it.

use anyhow::Result;
use clap::ValueEnum;

use super::adopt::{NONE, Roles};
use super::args::{Choices, On, Where, Workflows};
use crate::host::Host;

/// Where answers come from: a line at a time.
pub(super) type Answers<'a> = &'a mut dyn FnMut() -> Result<String>;

/// Asks for what decides most, if it is open.
pub(super) fn fill(choices: &mut Choices, host: &Host, read: Answers<'_>) -> Result<()> {
    if choices.host.is_none() {
        choices.host = Some(choose("Where does the CI run?", Where::Github, host, read)?);
    }
    if choices.workspace.is_none() {
        choices.workspace = Some(choose("Where do the jobs run?", On::Databricks, host, read)?);
    }
    if choices.workflows.is_none() && choices.workspace == Some(On::Databricks) {
        let question = "Where do the steps of the workflows stand?";
        choices.workflows = Some(choose(question, Workflows::Whole, host, read)?);
    }
    Ok(())
}

/// Asks which target is for what, if the bundle has several; `shown` is what it shows.
pub(super) fn fill_targets(
    choices: &mut Choices,
    names: &[String],
    shown: &Roles,
    host: &Host,
    read: Answers<'_>,
) -> Result<()> {
    if names.len() < 2 {
        return Ok(());
    }
    let open = [
        (&mut choices.test_target, "Which target are merge requests tested in?"),
        (&mut choices.staging_target, "Which target is the main branch deployed to?"),
        (&mut choices.production_target, "Which target are releases deployed to?"),
    ];
    // Nothing is deployed to a workspace that ends with its job.
    let count = if choices.workspace == Some(On::Embedded) { 1 } else { open.len() };
    for (at, ((choice, question), shown)) in open.into_iter().zip(shown).take(count).enumerate() {
        if choice.is_none() {
            let none = (at > 0).then_some(NONE);
            *choice = name(question, (names, none), shown.as_deref(), host, read)?;
        }
    }
    Ok(())
}

/// One of some names, or the word for none of them; nothing typed is the default.
fn name(
    question: &str,
    (names, none): (&[String], Option<&str>),
    default: Option<&str>,
    host: &Host,
    read: Answers<'_>,
) -> Result<Option<String>> {
    let all: Vec<&str> = names.iter().map(String::as_str).chain(none).collect();
    host.say(&format!("{question} ({})", all.join(", ")));
    loop {
        host.say(&format!("[{}]", default.or(none).unwrap_or_default()));
        let typed = read()?;
        match typed.trim() {
            "" => return Ok(default.or(none).map(str::to_owned)),
            typed if all.contains(&typed) => return Ok(Some(typed.to_owned())),
            typed => host.say(&format!("`{typed}` is none of these")),
        }
    }
}

/// One of a few values; nothing typed is the default.
fn choose<T: ValueEnum>(question: &str, default: T, host: &Host, read: Answers<'_>) -> Result<T> {
    let name = |value: &T| value.to_possible_value().map(|value| value.get_name().to_owned());
    host.say(question);
    for value in T::value_variants().iter().filter_map(ValueEnum::to_possible_value) {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        host.say(&format!("  {:<12} {help}", value.get_name()));
    }
    loop {
        host.say(&format!("[{}]", name(&default).unwrap_or_default()));
        let typed = read()?;
        match T::from_str(typed.trim(), true) {
            _ if typed.trim().is_empty() => return Ok(default),
            Ok(value) => return Ok(value),
            Err(_) => host.say(&format!("`{}` is none of these", typed.trim())),
        }
    }
}

/// Yes, unless something else is typed.
pub(super) fn confirm(question: &str, host: &Host, read: Answers<'_>) -> Result<bool> {
    host.say(&format!("{question} [Y/n]"));
    let typed = read()?.trim().to_lowercase();
    Ok(matches!(&*typed, "" | "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::sys::Env;

    fn asked(mut typed: VecDeque<&str>, mut choices: Choices) -> (Choices, usize) {
        let host = Host::detect(std::sync::Arc::new(Env::default()), std::io::sink());
        let mut read = || Ok(typed.pop_front().unwrap_or_default().to_owned());
        fill(&mut choices, &host, &mut read).unwrap();
        (choices, typed.len())
    }

    #[test]
    fn only_what_is_open_is_asked_and_nonsense_is_asked_again() {
        let (choices, left) =
            asked(["gitlab\n", "Azure\n", "\n", "call\n"].into(), Choices::default());
        assert_eq!(choices.host, Some(Where::Azure));
        assert_eq!(choices.workspace, Some(On::Databricks));
        assert_eq!(choices.workflows, Some(Workflows::Call));
        assert_eq!(left, 0);
        let known = Choices {
            host: Some(Where::Github),
            workspace: Some(On::Embedded),
            ..Choices::default()
        };
        let (choices, left) = asked(["x"].into(), known.clone());
        assert_eq!((choices, left), (known, 1));
    }

    #[test]
    fn a_bundle_of_several_targets_is_asked_about() {
        let host = Host::detect(std::sync::Arc::new(Env::default()), std::io::sink());
        let names = ["dev", "south", "prod"].map(str::to_owned);
        let mut typed: VecDeque<&str> = ["none\n", "south\n", "none\n"].into();
        let mut choices =
            Choices { production_target: Some("prod".to_owned()), ..Choices::default() };
        let shown = [Some("dev".to_owned()), None, Some("prod".to_owned())];
        let mut read = || Ok(typed.pop_front().unwrap().to_owned());
        fill_targets(&mut choices, &names, &shown, &host, &mut read).unwrap();
        assert_eq!(choices.roles(), ["south", NONE, "prod"].map(|name| Some(name.to_owned())));
        // What was shown and taken is what it stays.
        let mut typed: VecDeque<&str> = ["\n", "\n", "none\n"].into();
        let mut read = || Ok(typed.pop_front().unwrap().to_owned());
        let mut choices = Choices::default();
        fill_targets(&mut choices, &names, &shown, &host, &mut read).unwrap();
        assert_eq!(choices.roles(), ["dev", NONE, NONE].map(|name| Some(name.to_owned())));
        let mut none = || -> Result<String> { panic!("nothing is open") };
        fill_targets(&mut Choices::default(), &names[..1], &shown, &host, &mut none).unwrap();
        let mut embedded = Choices {
            workspace: Some(On::Embedded),
            test_target: Some("dev".to_owned()),
            ..Choices::default()
        };
        fill_targets(&mut embedded, &names, &shown, &host, &mut none).unwrap();
    }

    #[test]
    fn nothing_typed_is_a_yes() {
        let host = Host::detect(std::sync::Arc::new(Env::default()), std::io::sink());
        for (typed, expected) in [("\n", true), ("YES\n", true), ("n\n", false), ("what\n", false)]
        {
            let mut read = || Ok(typed.to_owned());
            assert_eq!(confirm("Write?", &host, &mut read).unwrap(), expected);
        }
    }
}
