//! SQL that means the same on a warehouse and on Arrow arrays: conditions on rows, and
//! numbers of them.

mod expression;
mod predicate;

pub use expression::Expression;
pub use predicate::Predicate;
