//! The client against a server that misbehaves in the ways real ones do.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::sys::Env;

/// A server that answers each request with the next of `answers`, and the last
/// one again and again; it keeps what it was sent.
struct Scripted {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn new(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            let count = AtomicUsize::new(0);
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = vec![0; 16 * 1024];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                stream.write_all(answers[at].as_bytes()).await.unwrap();
            }
        });
        Self { address, requests }
    }

    fn client(&self, pairs: &[(&str, &str)]) -> (Client, Arc<Mutex<Vec<String>>>) {
        let mut env = Env::from([("DATABRICKS_CONFIG_FILE", "/nonexistent")]);
        for (name, value) in pairs {
            env.set(*name, *value);
        }
        let masked = Arc::new(Mutex::new(Vec::new()));
        let kept = masked.clone();
        let masker: Masker =
            Arc::new(move |secret: &Secret| kept.lock().unwrap().push(secret.expose().to_owned()));
        let settings = Settings::resolve(&env, Some(&self.address)).unwrap();
        (Client::new(&settings, masker).unwrap(), masked)
    }

    fn with_token(&self) -> Client {
        self.client(&[("DATABRICKS_TOKEN", "dapi-secret")]).0
    }

    fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(status: &str, kind: &str, extra: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{extra}\r\n{body}"
    )
}

fn json(status: &str, body: &str) -> String {
    answer(status, "application/json", "", body)
}

const ME: &str = r#"{"id":"1","userName":"anna.b@example.test"}"#;

#[tokio::test]
async fn a_busy_server_is_asked_again_and_its_pause_is_kept() {
    let busy = answer("429 Too Many Requests", "application/json", "retry-after: 0\r\n", "{}");
    let server =
        Scripted::new(vec![busy, json("503 Service Unavailable", "{}"), json("200 OK", ME)]).await;
    let me = server.with_token().me().await.unwrap();
    assert_eq!((me.short_name().as_str(), server.seen().len()), ("anna_b", 3));
}

#[tokio::test]
async fn an_unkeyed_write_is_never_sent_twice() {
    let server =
        Scripted::new(vec![json("503 Service Unavailable", r#"{"message":"later"}"#)]).await;
    let error =
        server.with_token().job_create(&serde_json::json!({"name": "x"})).await.unwrap_err();
    assert_eq!(server.seen().len(), 1);
    assert!(error.to_string().contains("later"), "{error}");
}

#[tokio::test]
async fn a_keyed_write_survives_a_lost_answer() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n{\"run".to_owned();
    let server = Scripted::new(vec![cut, json("200 OK", r#"{"run_id": 7}"#)]).await;
    let request =
        jobs::RunNow { job_id: 1, idempotency_token: Some("t".into()), ..Default::default() };
    assert_eq!(server.with_token().run_now(&request).await.unwrap(), 7);
    assert!(server.seen().iter().all(|request| request.contains(r#""idempotency_token":"t""#)));
}

#[tokio::test]
async fn a_redirect_is_an_error_and_takes_no_token_along() {
    let thief = Scripted::new(vec![json("200 OK", ME)]).await;
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let location = format!("location: {}/login\r\n", thief.address);
        let server = Scripted::new(vec![answer(status, "text/html", &location, "")]).await;
        let error = server.with_token().me().await.unwrap_err();
        assert!(matches!(&error, Error::Redirect { to, .. } if to == "127.0.0.1"), "{error}");
    }
    assert_eq!(thief.seen().len(), 0);
}

#[tokio::test]
async fn a_login_page_with_status_200_is_no_answer() {
    let server = Scripted::new(vec![answer(
        "200 OK",
        "text/html; charset=utf-8",
        "",
        "<html>Sign in</html>",
    )])
    .await;
    let error = server.with_token().me().await.unwrap_err();
    assert!(matches!(error, Error::Html { .. }));
    assert!(error.hint().unwrap().contains("private link"));
}

#[tokio::test]
async fn an_answer_without_measure_is_not_read() {
    let told =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{";
    let server = Scripted::new(vec![told.to_owned()]).await;
    let error = server.with_token().me().await.unwrap_err();
    assert!(error.to_string().contains("more than 256 MiB"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refused_call_keeps_the_servers_words_and_names_the_permission() {
    let body = r#"{"error_code":"PERMISSION_DENIED","message":"User lacks access"}"#;
    let server = Scripted::new(vec![json("403 Forbidden", body)]).await;
    let error = server.with_token().run_now(&jobs::RunNow::default()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /api/2.2/jobs/run-now: User lacks access (PERMISSION_DENIED, HTTP 403)"
    );
    assert_eq!(error.hint().unwrap(), "the identity lacks CAN MANAGE RUN on the job");
}

#[tokio::test]
async fn the_deadline_ends_a_call_that_nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Scripted {
        address: format!("http://{}", listener.local_addr().unwrap()),
        requests: Arc::default(),
    };
    let client = server.with_token().with_deadline(Duration::from_millis(300));
    let called = tokio::time::timeout(Duration::from_secs(10), client.me()).await;
    let error = called.expect("it waits beyond its deadline").unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn the_deadline_ends_retries() {
    let server =
        Scripted::new(vec![answer("503 Busy", "application/json", "retry-after: 30\r\n", "{}")])
            .await;
    let client = server.with_token().with_deadline(Duration::from_millis(200));
    assert!(matches!(client.me().await.unwrap_err(), Error::Deadline { .. }));
}

#[tokio::test]
async fn all_pages_are_read_and_a_token_that_comes_again_is_an_error() {
    let page = |job: i64, next: &str| {
        json("200 OK", &format!(r#"{{"jobs":[{{"job_id":{job}}}],"next_page_token":"{next}"}}"#))
    };
    let server = Scripted::new(vec![
        page(1, "a"),
        page(2, "b"),
        json("200 OK", r#"{"jobs":[{"job_id":3}]}"#),
    ])
    .await;
    let jobs = server.with_token().job_list(None).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.job_id).collect::<Vec<_>>(), [1, 2, 3]);
    let endless = Scripted::new(vec![page(1, "a")]).await;
    let error = endless.with_token().job_list(None).await.unwrap_err();
    assert!(error.to_string().contains("came twice"), "{error}");
}

fn token_answer(token: &str) -> String {
    json(
        "200 OK",
        &format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#),
    )
}

#[tokio::test]
async fn a_workflow_identity_becomes_a_masked_token_and_is_renewed_once_on_401() {
    // The address is only known once the server runs, so discovery is scripted second.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let discovery =
        json("200 OK", &format!(r#"{{"token_endpoint":"http://{address}/oidc/v1/token"}}"#));
    let id_token = json("200 OK", r#"{"value":"header.claims.signature"}"#);
    let answers = vec![
        discovery.clone(),
        id_token.clone(),
        token_answer("first-token"),
        json("401 Unauthorized", "{}"),
        discovery,
        id_token,
        token_answer("second-token"),
        json("200 OK", ME),
    ];
    let server = Scripted::on(address, answers).await;
    let (client, masked) = server.client(&[
        ("DATABRICKS_CLIENT_ID", "app-id"),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("http://{address}/idtoken?v=1")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner-token"),
    ]);
    client.me().await.unwrap();
    let seen = server.seen();
    assert!(seen[1].starts_with("GET /idtoken?v=1&audience=http"), "{}", seen[1]);
    assert!(
        seen[2].contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange")
    );
    assert!(seen[2].contains("client_id=app-id"));
    assert!(seen[3].contains("Bearer first-token") && seen[7].contains("Bearer second-token"));
    let masked = masked.lock().unwrap().clone();
    assert_eq!(
        masked,
        ["header.claims.signature", "first-token", "header.claims.signature", "second-token"]
    );
}

#[tokio::test]
async fn a_service_connection_speaks_for_an_azure_pipeline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (connection, told) in
        [("", "?api-version=7.2-preview.1 "), ("a b", "&serviceConnectionId=a+b ")]
    {
        let answers = vec![
            json("200 OK", &format!(r#"{{"token_endpoint":"http://{address}/oidc/v1/token"}}"#)),
            json("200 OK", r#"{"oidcToken":"header.claims.signature"}"#),
            token_answer("first-token"),
            json("200 OK", ME),
        ];
        let server = Scripted::on(address, answers).await;
        let (client, _) = server.client(&[
            ("DATABRICKS_AUTH_TYPE", "azure-devops-oidc"),
            ("DATABRICKS_CLIENT_ID", "app-id"),
            ("SYSTEM_ACCESSTOKEN", "job-token"),
            ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", &format!("http://{address}/acme/")),
            ("SYSTEM_TEAMPROJECTID", "ml"),
            ("SYSTEM_HOSTTYPE", "build"),
            ("SYSTEM_PLANID", "plan"),
            ("SYSTEM_JOBID", "job"),
            ("LAKEGATE_SERVICE_CONNECTION", connection),
        ]);
        client.me().await.unwrap();
        let asked = server.seen()[1].clone();
        assert!(asked.starts_with("POST /acme/ml/_apis/distributedtask/hubs/build/"), "{asked}");
        assert!(asked.contains(told), "{asked}");
    }
}

impl Scripted {
    async fn on(address: std::net::SocketAddr, answers: Vec<String>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 16 * 1024];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                kept.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address: format!("http://{address}"), requests }
    }
}

#[tokio::test]
async fn a_discovery_document_cannot_send_credentials_elsewhere() {
    let server =
        Scripted::new(vec![json("200 OK", r#"{"token_endpoint":"https://evil.test/token"}"#)])
            .await;
    let (client, _) = server
        .client(&[("DATABRICKS_CLIENT_ID", "id"), ("DATABRICKS_CLIENT_SECRET", "a-long-secret")]);
    let error = client.me().await.unwrap_err();
    assert!(error.to_string().contains("another host, `evil.test`"), "{error}");
    assert!(server.seen().iter().all(|request| !request.contains("a-long-secret")));
}
