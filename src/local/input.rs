//! A call's fields, from its query and its JSON body alike.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{Answer, ApiFault};

/// The fields of a call. Clients differ in where they put them: MLflow sends
/// the same message as a query on GET and as a body on DELETE.
#[derive(Debug, Clone)]
pub(crate) struct Input(pub(crate) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = ApiFault;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiFault> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = Bytes::from_request(request, state).await;
        let body = body
            .map_err(|error| ApiFault::invalid(format!("the body could not be read: {error}")))?;
        let mut fields = if body.is_empty() { Map::new() } else { object(&body)? };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match fields.get_mut(name.as_ref()) {
                // `path=a&path=b` is a list.
                Some(Value::Array(list)) => list.push(Value::from(value.as_ref())),
                Some(first) => {
                    *first = Value::Array(vec![first.take(), Value::from(value.as_ref())])
                }
                None => {
                    fields.insert(name.into_owned(), Value::from(value.as_ref()));
                }
            }
        }
        Ok(Self(fields))
    }
}

fn object(body: &[u8]) -> Answer<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiFault::invalid("the body must be a JSON object")),
        Err(error) => Err(ApiFault::invalid(format!("the body is not JSON: {error}"))),
    }
}

impl Input {
    pub(crate) fn text(&self, name: &str) -> Answer<&str> {
        self.text_opt(name)
            .ok_or_else(|| ApiFault::invalid(format!("missing required field: {name}")))
    }

    /// The field's text; blank counts as missing.
    pub(crate) fn text_opt(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A whole number, also one written as text.
    pub(crate) fn int_opt(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn int(&self, name: &str) -> Answer<i64> {
        self.int_opt(name)
            .ok_or_else(|| ApiFault::invalid(format!("missing required field: {name}")))
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Value> {
        match self.0.get(name) {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::Null) | None => Vec::new(),
            Some(single) => vec![single.clone()],
        }
    }

    pub(crate) fn value(&self, name: &str) -> Value {
        self.0.get(name).cloned().unwrap_or(Value::Null)
    }

    /// The whole message as a typed value.
    pub(crate) fn typed<T: DeserializeOwned>(self) -> Answer<T> {
        serde_json::from_value(Value::Object(self.0))
            .map_err(|error| ApiFault::invalid(error.to_string()))
    }
}

/// One page of `items`: what lies after `token`, at most `limit`, and the next token.
pub(crate) fn page(
    input: &Input,
    items: Vec<Value>,
    limit_field: &str,
    default: usize,
) -> (Vec<Value>, Option<String>) {
    let start = input.text_opt("page_token").and_then(|token| token.parse().ok()).unwrap_or(0);
    let limit = input.int_opt(limit_field).and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(default);
    let total = items.len();
    let page: Vec<_> = items.into_iter().skip(start).take(limit).collect();
    let end = start + page.len();
    (page, (end < total).then(|| end.to_string()))
}

/// One page under the name of its field, with the next token if there is more.
pub(crate) fn page_answer(
    input: &Input,
    field: &str,
    items: Vec<Value>,
    limit_field: &str,
    default: usize,
) -> Json<Value> {
    let (items, next) = page(input, items, limit_field, default);
    let mut answer = Map::from_iter([(field.to_owned(), Value::from(items))]);
    answer.extend(next.map(|next| ("next_page_token".to_owned(), Value::from(next))));
    Json(Value::Object(answer))
}
