//! `${var.name}` and its kin. References to resources stay until they exist.

use serde_json::Value;

/// Why a reference could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// Nothing has this name.
    Unknown { name: String },
    /// A chain of references that comes back to itself.
    Cycle { chain: Vec<String> },
    /// A map or list in the middle of a text.
    NotText { name: String },
}

/// Replaces every reference in `value`. `look_up` gives the value of a name, or
/// nothing when it must stay for later.
pub(super) fn resolve(
    value: &Value,
    look_up: &dyn Fn(&str) -> Result<Option<Value>, Unresolved>,
) -> Result<Value, Unresolved> {
    inner(value, look_up, &mut Vec::new())
}

fn inner(
    value: &Value,
    look_up: &dyn Fn(&str) -> Result<Option<Value>, Unresolved>,
    chain: &mut Vec<String>,
) -> Result<Value, Unresolved> {
    match value {
        Value::String(text) => resolve_text(text, look_up, chain),
        Value::Array(items) => items.iter().map(|item| inner(item, look_up, chain)).collect(),
        Value::Object(fields) => {
            let resolved = fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), inner(value, look_up, chain)?)));
            Ok(Value::Object(resolved.collect::<Result<_, _>>()?))
        }
        other => Ok(other.clone()),
    }
}

fn resolve_text(
    text: &str,
    look_up: &dyn Fn(&str) -> Result<Option<Value>, Unresolved>,
    chain: &mut Vec<String>,
) -> Result<Value, Unresolved> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_reference(rest) {
        if chain.iter().any(|known| known == name) {
            chain.push(name.to_owned());
            return Err(Unresolved::Cycle { chain: chain.clone() });
        }
        let Some(found) = look_up(name)? else {
            out.push_str(before);
            out.push_str(&rest[before.len()..rest.len() - after.len()]);
            rest = after;
            continue;
        };
        chain.push(name.to_owned());
        let found = inner(&found, look_up, chain)?;
        chain.pop();
        // A reference that is the whole text keeps its type.
        if before.is_empty() && after.is_empty() && out.is_empty() {
            return Ok(found);
        }
        out.push_str(before);
        match &found {
            Value::String(text) => out.push_str(text),
            Value::Number(_) | Value::Bool(_) => out.push_str(&found.to_string()),
            _ => return Err(Unresolved::NotText { name: name.to_owned() }),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(Value::String(out))
}

/// What stands before the next `${name}`, the name, and what follows.
pub(super) fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(start) = text[from..].find("${").map(|at| from + at) {
        let inside = &text[start + 2..];
        let name_end = inside.find(|char: char| {
            !(char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '[' | ']'))
        });
        if let Some(end) = name_end
            && inside[end..].starts_with('}')
            && end > 0
        {
            return Some((&text[..start], &inside[..end], &inside[end + 1..]));
        }
        from = start + 2;
    }
    None
}

/// Every name that `value` refers to.
pub(super) fn references(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((_, name, after)) = next_reference(rest) {
                found.push(name.to_owned());
                rest = after;
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        _ => {}
    }
}
