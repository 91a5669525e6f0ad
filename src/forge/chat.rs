//! Messages to Slack and Microsoft Teams, through incoming webhooks.

use anyhow::Result;
use reqwest::Url;
use serde_json::{Value, json};

use crate::databricks::Masker;
use crate::names::Secret;
use crate::report::{Fault, FaultKind};
use crate::sys::retry::{self, Class};
use crate::sys::{Env, https};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Slack,
    Teams,
}

/// A webhook: whoever knows its address may post.
#[derive(Debug)]
pub struct Chat {
    kind: Kind,
    address: Secret,
}

/// A message: a headline, some lines, and where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub title: String,
    pub lines: Vec<String>,
    pub link: Option<String>,
}

impl Chat {
    /// # Errors
    /// When the variable does not hold an https address.
    pub fn new(kind: Kind, variable: &str, env: &Env, masker: &Masker) -> Result<Self, Fault> {
        let address = env.get(variable).ok_or_else(|| {
            Fault::usage(format!("{variable} is not set"))
                .hint("it holds the webhook's address, which is a secret")
        })?;
        let address = Secret::new(address);
        masker(&address);
        match Url::parse(address.expose()) {
            Ok(url) if https::keeps_tokens(&url) => Ok(Self { kind, address }),
            _ => Err(Fault::usage(format!("{variable} holds no https address"))),
        }
    }

    pub async fn post(&self, message: &Message) -> Result<()> {
        let client = https::client()?;
        let body = self.body(message).to_string();
        let request = || {
            client
                .post(self.address.expose())
                .header("content-type", "application/json")
                .body(body.clone())
        };
        // Twice told is better than not at all, and worse than once.
        let sent = https::send(Class::Unkeyed, retry::MAX_ATTEMPTS, request).await;
        let name = match self.kind {
            Kind::Slack => "Slack",
            Kind::Teams => "Teams",
        };
        sent.map(drop).map_err(|refused| {
            Fault::new(FaultKind::Remote, format!("post to {name}: {refused}")).into()
        })
    }

    fn body(&self, message: &Message) -> Value {
        match self.kind {
            Kind::Slack => {
                // Three characters are special to Slack.
                let escape = |text: &str| {
                    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
                };
                let mut text = format!("*{}*", escape(&message.title));
                for line in &message.lines {
                    text.push('\n');
                    text.push_str(&escape(line));
                }
                if let Some(link) = &message.link {
                    text.push_str(&format!("\n<{}|Open the run>", escape(link)));
                }
                json!({ "text": text })
            }
            Kind::Teams => {
                let block = |text: &str| json!({ "type": "TextBlock", "wrap": true, "text": text });
                let mut body = vec![json!({
                    "type": "TextBlock", "wrap": true, "weight": "Bolder", "size": "Medium",
                    "text": message.title,
                })];
                body.extend(message.lines.iter().map(|line| block(line)));
                let actions: Vec<Value> = message
                    .link
                    .iter()
                    .map(|link| {
                        json!({ "type": "Action.OpenUrl", "title": "Open the run", "url": link })
                    })
                    .collect();
                json!({
                    "type": "message",
                    "attachments": [{
                        "contentType": "application/vnd.microsoft.card.adaptive",
                        "content": {
                            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                            "type": "AdaptiveCard",
                            "version": "1.4",
                            "body": body,
                            "actions": actions,
                        },
                    }],
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_told_the_same() {
        let message = Message {
            title: "drift in <main.flights>".into(),
            lines: vec!["temp drifted & more".into()],
            link: Some("https://ci/run/1".into()),
        };
        let body = |kind| {
            let chat = Chat { kind, address: Secret::new("https://hooks/secret") };
            serde_json::to_string_pretty(&chat.body(&message)).unwrap()
        };
        insta::assert_snapshot!(body(Kind::Slack));
        insta::assert_snapshot!(body(Kind::Teams));
        let env = Env::from([("HOOK", "http://hooks.example.com/x")]);
        let masker: Masker = std::sync::Arc::new(|_: &Secret| {});
        assert!(Chat::new(Kind::Slack, "HOOK", &env, &masker).is_err());
    }
}
