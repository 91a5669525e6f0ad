//! Columns made from other columns: fields of structs, elements of lists,
//! lengths and words of text, times as numbers.
//!
//! `address.city`, `tags[]`, `items[].price`, `size(tags)`, `length(body)`,
//! `tokens(body)`, `embedding(vector)`, `days(time)`, `hour(time)`, `weekday(time)`. A name with other characters than
//! letters, digits and `_` stands between backticks.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, GenericListArray, Int64Array, OffsetSizeTrait, StringBuilder,
    new_null_array,
};
use arrow::compute::{cast, concat, nullif};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use crate::names::quoted;

/// One step down from a column.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Elements,
}

/// What is made of what the path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// The value itself.
    Value,
    /// The number of elements of a list.
    Size,
    /// The number of characters of a text.
    Length,
    /// The different words of a text in lower case, each a value of its own.
    Tokens,
    /// A list of numbers as one point.
    Embedding,
    /// A time as a number.
    Clock(Clock),
}

const FUNCTIONS: [(&str, Made); 7] = [
    ("size", Made::Size),
    ("length", Made::Length),
    ("tokens", Made::Tokens),
    ("embedding", Made::Embedding),
    ("days", Made::Clock(Clock::Days)),
    ("hour", Made::Clock(Clock::Hour)),
    ("weekday", Made::Clock(Clock::Weekday)),
];

/// A column that is made from another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Derived {
    text: String,
    root: String,
    steps: Vec<Step>,
    made: Made,
}

impl Derived {
    /// The name of the column that it is made from.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Its own name: the text that it was read from.
    pub fn name(&self) -> &str {
        &self.text
    }

    pub fn is_embedding(&self) -> bool {
        self.made == Made::Embedding
    }

    /// Whether it takes the place of the text that it is made from.
    pub fn replaces_root(&self) -> bool {
        self.steps.is_empty() && matches!(self.made, Made::Length | Made::Tokens)
    }

    /// Whether it has one value for each of its root's.
    pub fn is_per_row(&self) -> bool {
        self.made != Made::Tokens && !self.steps.contains(&Step::Elements)
    }

    /// Its type, if its root has the type `from`.
    ///
    /// # Errors
    /// With what does not fit, in words.
    pub fn data_type(&self, from: &DataType) -> Result<DataType, String> {
        let mut kind = from.clone();
        for step in &self.steps {
            kind = match (step, &kind) {
                (Step::Field(name), DataType::Struct(fields)) => {
                    let field = fields.iter().find(|field| field.name() == name);
                    let known = || {
                        let names: Vec<&str> =
                            fields.iter().map(|field| field.name().as_str()).collect();
                        format!("there is no field `{name}`, but {}", names.join(", "))
                    };
                    field.ok_or_else(known)?.data_type().clone()
                }
                (Step::Elements, kind) => {
                    element(kind).ok_or_else(|| format!("{kind} has no elements"))?
                }
                (Step::Field(name), kind) => return Err(format!("{kind} has no field `{name}`")),
            };
        }
        let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        match self.made {
            Made::Value => Ok(kind),
            Made::Size if element(&kind).is_some() => Ok(DataType::Int64),
            Made::Length if is_text => Ok(DataType::Int64),
            Made::Tokens if is_text => Ok(DataType::Utf8),
            Made::Embedding if element(&kind).is_some_and(|inner| inner.is_numeric()) => Ok(kind),
            Made::Clock(clock) => {
                clock.data_type(&kind).ok_or_else(|| format!("{kind} is no time"))
            }
            Made::Size => Err(format!("{kind} has no elements")),
            Made::Length | Made::Tokens => Err(format!("{kind} is no text")),
            Made::Embedding => Err(format!("{kind} is no list of numbers")),
        }
    }

    /// Its values, from those of its root. Elements and tokens are more or
    /// fewer than the rows.
    pub fn values(&self, root: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let mut array = root.clone();
        for step in &self.steps {
            array = match step {
                Step::Field(name) => {
                    let Some(parent) = array.as_struct_opt() else {
                        return Err(other(&array, "fields"));
                    };
                    let Some(child) = parent.column_by_name(name) else {
                        return Ok(new_null_array(&DataType::Null, array.len()));
                    };
                    match parent.nulls() {
                        None => child.clone(),
                        Some(nulls) => {
                            let absent = arrow::array::BooleanArray::new(!nulls.inner(), None);
                            nullif(child, &absent)?
                        }
                    }
                }
                Step::Elements => elements(&array)?,
            };
        }
        match self.made {
            Made::Value | Made::Embedding => Ok(array),
            Made::Clock(clock) => clock.values(&array),
            Made::Size => {
                let list = as_list(&array)?;
                let Some(list) = list.as_list_opt::<i64>() else {
                    return Err(other(&array, "elements"));
                };
                let sizes =
                    (0..list.len()).map(|row| list.is_valid(row).then(|| list.value_length(row)));
                Ok(Arc::new(sizes.collect::<Int64Array>()))
            }
            Made::Length => {
                let text = cast(&array, &DataType::LargeUtf8)?;
                let length = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                let lengths = text.as_string::<i64>().iter().map(|text| text.map(length));
                Ok(Arc::new(lengths.collect::<Int64Array>()))
            }
            Made::Tokens => {
                let text = cast(&array, &DataType::LargeUtf8)?;
                let mut found = StringBuilder::new();
                for text in text.as_string::<i64>().iter() {
                    match text {
                        Some(text) => {
                            tokens(text).iter().for_each(|token| found.append_value(token))
                        }
                        None => found.append_null(),
                    }
                }
                Ok(Arc::new(found.finish()))
            }
        }
    }

    /// The same as an expression of a warehouse, where it has one value per row.
    pub fn sql(&self) -> Option<String> {
        let mut path = quoted(&self.root);
        for step in &self.steps {
            match step {
                Step::Field(name) => path = format!("{path}.{}", quoted(name)),
                Step::Elements => return None,
            }
        }
        match self.made {
            Made::Value => Some(path),
            Made::Length => Some(format!("length({path})")),
            Made::Clock(clock) => Some(clock.sql(&path)),
            Made::Size | Made::Tokens | Made::Embedding => None,
        }
    }
}

/// Runs of letters and digits, in lower case, each once: how often a text says
/// the same word tells of that text, not of all.
fn tokens(text: &str) -> BTreeSet<String> {
    text.split(|char: char| !char.is_alphanumeric())
        .filter(|token| !token.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn element(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => Some(field.data_type().clone()),
        _ => None,
    }
}

/// A list of any kind with wide offsets.
pub(super) fn as_list(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::List(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => cast(array, &DataType::LargeList(field.clone())),
        _ => Ok(array.clone()),
    }
}

/// The elements of all lists that are there, one after the other.
fn elements(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let list = as_list(array)?;
    let Some(list) = list.as_list_opt::<i64>() else {
        return Err(other(array, "elements"));
    };
    if list.null_count() == 0 {
        return Ok(inside(list));
    }
    // What lies under a null is not there.
    let parts: Vec<ArrayRef> =
        (0..list.len()).filter(|row| list.is_valid(*row)).map(|row| list.value(row)).collect();
    match parts.is_empty() {
        true => Ok(list.values().slice(0, 0)),
        false => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>()),
    }
}

/// The data is not of the type that was told.
fn other(array: &ArrayRef, what: &str) -> ArrowError {
    ArrowError::CastError(format!("a value of type {} has no {what}", array.data_type()))
}

fn inside<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> ArrayRef {
    let offsets = list.value_offsets();
    let start = offsets.first().map_or(0, |offset| offset.as_usize());
    let end = offsets.last().map_or(0, |offset| offset.as_usize());
    list.values().slice(start, end - start)
}

impl fmt::Display for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Derived {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Derived> for String {
    fn from(derived: Derived) -> Self {
        derived.text
    }
}

impl FromStr for Derived {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (made, path) = match text.split_once('(').filter(|_| !text.starts_with('`')) {
            None => (Made::Value, text),
            Some((name, rest)) => {
                let made = FUNCTIONS.iter().find(|(known, _)| *known == name.trim());
                let Some((_, made)) = made else {
                    let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
                    return Err(format!("`{text}`: `{name}` is none of {}", known.join(", ")));
                };
                let inside = rest.strip_suffix(')');
                (*made, inside.ok_or_else(|| format!("`{text}` does not end with `)`"))?.trim())
            }
        };
        let (root, steps) = parse(path).ok_or_else(|| {
            format!("`{text}` is no path such as `address.city`, `tags[]` or `length(body)`")
        })?;
        if made == Made::Value && steps.is_empty() {
            return Err(format!("`{text}` is a column already"));
        }
        Ok(Self { text: text.to_owned(), root, steps, made })
    }
}

fn parse(path: &str) -> Option<(String, Vec<Step>)> {
    let (root, mut rest) = name(path)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[]") {
            steps.push(Step::Elements);
            rest = after;
        } else {
            let (field, after) = name(rest.strip_prefix('.')?)?;
            steps.push(Step::Field(field));
            rest = after;
        }
    }
    Some((root, steps))
}

/// A name at the start of a path, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(inside) = text.strip_prefix('`') {
        let mut found = String::new();
        let mut rest = inside;
        loop {
            let end = rest.find('`')?;
            found.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('`') {
                Some(after) => {
                    found.push('`');
                    rest = after;
                }
                None => return (!found.is_empty()).then_some((found, rest)),
            }
        }
    }
    let end = text.find(|char: char| !(char.is_alphanumeric() || char == '_'));
    let (found, rest) = text.split_at(end.unwrap_or(text.len()));
    (!found.is_empty()).then(|| (found.to_owned(), rest))
}

#[cfg(test)]
#[path = "derived_tests.rs"]
mod tests;
