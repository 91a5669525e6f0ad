//! `${var.name}`, `${bundle.target}` and `${bundle.name}` in `lakegate.yml`: what the
//! bundle itself knows, so that one file serves every target.

use super::ConfigError;

/// Written where the copy's own variables are meant, which are known later.
const OWN: &str = "tests";

/// Puts values in the place of references; `look_up` is asked for `var.name`.
///
/// # Errors
/// What `look_up` says of a name, with the line that holds it.
pub fn fill(
    file: &str,
    text: &str,
    mut look_up: impl FnMut(&str) -> Result<String, String>,
) -> Result<String, ConfigError> {
    let mut out = String::with_capacity(text.len());
    let mut section = "";
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with(|char: char| char.is_ascii_alphabetic()) {
            section = line.split(':').next().unwrap_or_default();
        }
        if section == OWN || line.trim_start().starts_with('#') {
            out.push_str(line);
            continue;
        }
        let filled = fill_line(line, &mut look_up).map_err(|message| ConfigError {
            file: file.to_owned(),
            line: u32::try_from(at + 1).ok(),
            message,
        })?;
        out.push_str(&filled);
    }
    Ok(out)
}

fn fill_line(
    line: &str,
    look_up: &mut impl FnMut(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = ["${var.", "${bundle."].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let (before, after) = (&rest[..start], &rest[start + "${".len()..]);
        let (name, after) = after.split_once('}').ok_or("a reference is not closed")?;
        let value = look_up(name)?;
        let plain = |char: char| char.is_ascii_alphanumeric() || "_-./@ ".contains(char);
        if value.is_empty() || !value.chars().all(plain) {
            return Err(format!("`${{{name}}}` is `{value}`, which cannot stand here"));
        }
        out.push_str(before);
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(name: &str) -> Result<String, String> {
        match name {
            "var.catalog" => Ok("prod".to_owned()),
            "bundle.target" => Ok("live".to_owned()),
            "var.odd" => Ok("a: b".to_owned()),
            _ => Err(format!("no `{name}`")),
        }
    }

    #[test]
    fn references_are_filled_but_in_the_tests_section() {
        let text = "# ${var.none}\nrecord: {schema: '${var.catalog}.flights'}\ntests:\n  a: ${var.catalog}\ngate:\n  b: ${var.catalog}-${bundle.target}\n";
        let filled = fill("f", text, known).unwrap();
        assert_eq!(
            filled,
            "# ${var.none}\nrecord: {schema: 'prod.flights'}\ntests:\n  a: ${var.catalog}\ngate:\n  b: prod-live\n"
        );
    }

    #[test]
    fn what_cannot_be_filled_is_told_with_its_line() {
        for (text, line, words) in [
            ("a: 1\nb: ${var.none}\n", 2, "no `var.none`"),
            ("a: ${var.catalog\n", 1, "not closed"),
            ("a: ${var.odd}\n", 1, "cannot stand here"),
        ] {
            let error = fill("f", text, known).unwrap_err();
            assert_eq!(error.line, Some(line), "{error}");
            assert!(error.message.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_references_stays(text in "[^$]{0,200}") {
            prop_assert_eq!(fill("f", &text, known).unwrap(), text);
        }
    }
}
