//! A statement as it travels: text with named parameters, and their values.

use serde::Serialize;

/// A named parameter, `:name` in the statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parameter {
    pub name: String,
    pub value: Option<String>,
    #[serde(rename = "type")]
    pub type_name: &'static str,
}

impl Parameter {
    pub fn new(name: impl Into<String>, value: Option<String>, type_name: &'static str) -> Self {
        Self { name: name.into(), value, type_name }
    }

    pub fn string(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::new(name, Some(value.into()), "STRING")
    }
}

/// A statement and the values of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub text: String,
    pub parameters: Vec<Parameter>,
}

impl Statement {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), parameters: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }
}
