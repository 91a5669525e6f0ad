//! `catalog.schema.object`: the three-level names of Unity Catalog.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NameError, is_identifier};

/// `catalog.schema`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaName {
    pub catalog: String,
    pub schema: String,
}

impl SchemaName {
    /// The name as an SQL identifier, each part in backticks.
    pub fn quoted(&self) -> String {
        format!("`{}`.`{}`", self.catalog, self.schema)
    }
}

impl FromStr for SchemaName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match split(text)[..] {
            [catalog, schema] => {
                Ok(Self { catalog: catalog.to_owned(), schema: schema.to_owned() })
            }
            _ => Err(NameError { given: text.to_owned(), expected: "`catalog.schema`" }),
        }
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.catalog, self.schema)
    }
}

/// The parts of `text`, or nothing when any of them is not an identifier.
fn split(text: &str) -> Vec<&str> {
    let parts: Vec<_> = text.split('.').map(|part| part.trim_matches('`')).collect();
    if parts.iter().all(|part| is_identifier(part)) { parts } else { Vec::new() }
}

macro_rules! three_level {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            pub catalog: String,
            pub schema: String,
            pub name: String,
        }

        impl $name {
            /// The schema that holds the object.
            pub fn schema_name(&self) -> SchemaName {
                SchemaName { catalog: self.catalog.clone(), schema: self.schema.clone() }
            }

            /// The name as an SQL identifier, each part in backticks.
            pub fn quoted(&self) -> String {
                format!("`{}`.`{}`.`{}`", self.catalog, self.schema, self.name)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                match split(text)[..] {
                    [catalog, schema, name] => Ok(Self {
                        catalog: catalog.to_owned(),
                        schema: schema.to_owned(),
                        name: name.to_owned(),
                    }),
                    _ => Err(NameError { given: text.to_owned(), expected: $expected }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}.{}", self.catalog, self.schema, self.name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    };
}

three_level!(
    /// A table: `catalog.schema.table`.
    TableName,
    "a table name (`catalog.schema.table`)"
);

three_level!(
    /// A registered model: `catalog.schema.model`.
    ModelName,
    "a model name (`catalog.schema.model`)"
);

impl ModelName {
    /// Where the files of a version are, as a path of the Files API.
    pub fn files_of(&self, version: super::ModelVersion) -> String {
        format!("/Models/{}/{}/{}/{version}", self.catalog, self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_keep_their_parts() {
        let table: TableName = "main.flights.`daily-scores`".parse().unwrap();
        assert_eq!(table.to_string(), "main.flights.daily-scores");
        assert_eq!(table.quoted(), "`main`.`flights`.`daily-scores`");
        assert_eq!(table.schema_name().to_string(), "main.flights");
    }

    #[test]
    fn what_could_leave_its_quotes_is_refused() {
        for hostile in ["a.b", "a.b.c.d", "a..c", "a.b.c; drop", "a.b.`c`d", "a.b.c\n", "a.b./etc"]
        {
            assert!(hostile.parse::<TableName>().is_err(), "{hostile:?}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_name_holds_no_backtick_inside(text in "[a-z.`;\\- ]{1,24}") {
            if let Ok(name) = text.parse::<TableName>() {
                prop_assert_eq!(name.quoted().matches('`').count(), 6);
                prop_assert_eq!(name.to_string().parse::<TableName>(), Ok(name));
            }
        }
    }
}
