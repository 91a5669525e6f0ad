use std::sync::Arc;

use super::*;
use crate::names::Secret;

#[test]
fn without_a_token_or_a_safe_address_nothing_is_sent() {
    let context = Context { host: "github", repository: Some("o/r".into()), ..Context::default() };
    let masker: Masker = Arc::new(|_: &Secret| {});
    let refused = |env: &Env| Forge::new(&context, env, &masker).unwrap_err().message;
    assert!(refused(&Env::default()).contains("no GitHub token"));
    let open = [("GITHUB_TOKEN", "t"), ("GITHUB_API_URL", "http://api.example.com")];
    assert!(refused(&Env::from(open)).contains("no token was sent"));
    let local = Forge::new(&Context::default(), &Env::default(), &masker).unwrap_err();
    assert!(local.message.contains("CI host"));
}
