//! What may pass the door, and what may not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use forge::Usage;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use secrets::Keyring;

use super::*;
use crate::{Broker, ProviderInput, providers::opened};

const TOKEN: &str = "glpat-secret-token";

/// A server on a loopback port that gives every request one answer and keeps what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn answering(answer: impl Fn(usize) -> Vec<u8> + Send + 'static) -> Self {
        Self::with(answer, Box::new(Plain))
    }

    fn over_tls(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Self::with(|_| ok(USER), Box::new(Tls(config)))
    }

    fn with(answer: impl Fn(usize) -> Vec<u8> + Send + 'static, shell: Box<dyn Shell>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Kept before it is answered: whoever has the answer may look at once.
                shell.serve(stream.unwrap(), &|request| {
                    let mut log = log.lock().unwrap();
                    log.push(request);
                    answer(log.len() - 1)
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

trait Shell: Send {
    fn serve(&self, stream: TcpStream, answer: &dyn Fn(String) -> Vec<u8>);
}

struct Plain;
struct Tls(Arc<ServerConfig>);

impl Shell for Plain {
    fn serve(&self, mut stream: TcpStream, answer: &dyn Fn(String) -> Vec<u8>) {
        if let Some(request) = read_head(&mut stream) {
            let _ = stream.write_all(&answer(request));
        }
    }
}

impl Shell for Tls {
    fn serve(&self, mut stream: TcpStream, answer: &dyn Fn(String) -> Vec<u8>) {
        let mut connection = ServerConnection::new(Arc::clone(&self.0)).unwrap();
        let mut stream = rustls::Stream::new(&mut connection, &mut stream);
        if let Some(request) = read_head(&mut stream) {
            let _ = stream.write_all(&answer(request));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

fn read_head(stream: &mut impl std::io::Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

const USER: &str = r#"{"id": 7, "username": "ann", "name": "Ann", "state": "active"}"#;

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

struct Bench {
    broker: Broker,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("forgepass.db").display());
        let store = Store::open(&url).await.unwrap();
        let config = BrokerConfig::new(Url::parse("https://forgepass.example.com").unwrap());
        Self {
            broker: Broker::new(store, Keyring::generate(), config),
            _folder: folder,
        }
    }

    fn provider(&self, url: &str, ca_pem: Option<String>) -> ProviderContext {
        let input = ProviderInput {
            kind: "gitlab".into(),
            name: "GitLab".into(),
            url: url.into(),
            client_id: "app".into(),
            client_secret: Some("secret".into()),
            internal: true,
            ca_pem,
            ..ProviderInput::default()
        };
        opened(&self.broker, &input).unwrap()
    }

    async fn whoami(&self, provider: &ProviderContext) -> Result<forge::Account, SendError> {
        self.whoami_through(self.broker.door(), provider).await
    }

    async fn whoami_through(
        &self,
        door: &Door,
        provider: &ProviderContext,
    ) -> Result<forge::Account, SendError> {
        let call = provider.kind.whoami(&provider.site).unwrap();
        door.send(provider, Some(&TOKEN.into()), call).await
    }
}

#[tokio::test]
async fn a_request_carries_the_token_and_our_name() {
    let (bench, server) = (Bench::new().await, Server::answering(|_| ok(USER)));
    let provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
    assert_eq!(bench.whoami(&provider).await.unwrap().login, "ann");
    let asked = server.asked().concat();
    let ours = format!("user-agent: Forgepass/{}", env!("CARGO_PKG_VERSION"));
    assert!(
        asked.contains(&format!("authorization: Bearer {TOKEN}")),
        "{asked}"
    );
    assert!(asked.contains(&ours), "{asked}");
}

#[tokio::test]
async fn no_redirect_is_followed_and_only_its_origin_is_told() {
    let bench = Bench::new().await;
    let other = Server::answering(|_| ok(USER));
    for code in [301, 302, 303, 307, 308] {
        let place = format!("http://127.0.0.1:{}/api/v4/user?token=leaked", other.port);
        let server = Server::answering(move |_| {
            format!(
                "HTTP/1.1 {code} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            )
            .into_bytes()
        });
        let provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
        let error = bench.whoami(&provider).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(matches!(&error, SendError::Redirected(place) if !place.contains("leaked")));
        assert!(!told.contains("leaked"), "{told}");
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn an_answer_larger_than_a_mebibyte_is_refused() {
    let bench = Bench::new().await;
    let large = Server::answering(|_| ok(&"x".repeat(LARGEST_BODY + 1)));
    let endless = Server::answering(|_| {
        let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        answer.extend(vec![b'x'; 3 * LARGEST_BODY]);
        answer
    });
    for server in [large, endless] {
        let provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
        assert!(matches!(
            bench.whoami(&provider).await,
            Err(SendError::TooLarge)
        ));
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_on() {
    let bench = Bench::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let provider = bench.provider(&format!("http://127.0.0.1:{port}"), None);
    let mut door = Door::new(bench.broker.store().clone(), bench.broker.config());
    door.patience.total = Duration::from_millis(50);
    let error = bench.whoami_through(&door, &provider).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable(_)));
    assert_eq!(error.to_string(), "it does not answer in time");
    assert_eq!(error.fault(), Fault::Transient);
}

#[tokio::test]
async fn pages_without_end_are_given_up_on() {
    let bench = Bench::new().await;
    let server = Server::answering(|number| {
        let next = number + 2;
        format!(
            "HTTP/1.1 200 OK\r\nx-next-page: {next}\r\ncontent-length: 2\r\n\
             connection: close\r\n\r\n[]"
        )
        .into_bytes()
    });
    let provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
    let call = provider
        .kind
        .list_keys(&provider.site, Usage::AuthAndSigning)
        .unwrap();
    let outcome = bench
        .broker
        .door()
        .send(&provider, Some(&TOKEN.into()), call)
        .await;
    assert!(
        matches!(outcome, Err(SendError::Unreachable(_))),
        "{outcome:?}"
    );
    assert_eq!(server.asked().len(), MOST_STEPS);
}

#[tokio::test]
async fn nothing_is_sent_to_an_origin_that_is_not_the_providers() {
    let (bench, server) = (Bench::new().await, Server::answering(|_| ok(USER)));
    let mut provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
    provider.origins = vec!["https://git.example.com".to_owned()];
    let error = bench.whoami(&provider).await.unwrap_err();
    assert!(matches!(error, SendError::ForeignOrigin(_)), "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn loopback_is_for_internal_providers_alone_by_address_and_by_name() {
    let (bench, server) = (Bench::new().await, Server::answering(|_| ok(USER)));
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let mut provider = bench.provider(&format!("https://{host}:{}", server.port), None);
        provider.row.internal_at = None;
        let error = bench.whoami(&provider).await.unwrap_err();
        assert!(matches!(error, SendError::Forbidden(_)), "{host}: {error}");
        assert!(error.to_string().contains("internal"), "{host}: {error}");
    }
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn metadata_addresses_are_refused_even_for_internal_providers() {
    let bench = Bench::new().await;
    let mut provider = bench.provider("http://10.0.0.1", None);
    for host in ["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0"] {
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        provider.site.api = url.clone();
        provider.origins = vec![url.origin().ascii_serialization()];
        let error = bench.whoami(&provider).await.unwrap_err();
        assert!(matches!(error, SendError::Forbidden(_)), "{host}: {error}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_without_address_or_token() {
    let bench = Bench::new().await;
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let provider = bench.provider(&format!("http://127.0.0.1:{port}/gitlab"), None);
    let error = bench.whoami(&provider).await.unwrap_err();
    let told = format!("{error} {error:?}");
    assert!(matches!(error, SendError::Unreachable(_)), "{told}");
    assert!(!told.contains("api/v4") && !told.contains(TOKEN), "{told}");
}

#[tokio::test]
async fn a_call_that_needs_a_token_is_not_sent_without_one() {
    let (bench, server) = (Bench::new().await, Server::answering(|_| ok(USER)));
    let provider = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
    let call = provider.kind.whoami(&provider.site).unwrap();
    let outcome = bench.broker.door().send(&provider, None, call).await;
    assert!(matches!(outcome, Err(SendError::Misconfigured(_))));
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_proxy_serves_public_providers_alone() {
    let (bench, proxy) = (Bench::new().await, Server::answering(|_| ok(USER)));
    let server = Server::answering(|_| ok(USER));
    let mut config = bench.broker.config().clone();
    config.proxy = Some(Url::parse(&format!("http://localhost:{}", proxy.port)).unwrap());
    let door = Door::new(bench.broker.store().clone(), &config);

    let internal = bench.provider(&format!("http://127.0.0.1:{}", server.port), None);
    assert!(bench.whoami_through(&door, &internal).await.is_ok());
    assert!(
        proxy.asked().is_empty(),
        "an internal provider is asked directly"
    );

    let mut public = bench.provider("https://git.example.com", None);
    public.row.internal_at = None;
    assert!(bench.whoami_through(&door, &public).await.is_err());
    assert!(
        proxy
            .asked()
            .concat()
            .starts_with("CONNECT git.example.com:443")
    );
}

/// A certificate for `name`, signed by a fresh authority: the server's configuration and the bundle.
fn certified(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (config, authority.pem())
}

#[tokio::test]
async fn a_ca_bundle_makes_its_certificates_trusted() {
    let bench = Bench::new().await;
    let (config, ca_pem) = certified("localhost", |_| ());
    let server = Server::over_tls(config);
    let provider = bench.provider(&format!("https://localhost:{}", server.port), Some(ca_pem));
    assert_eq!(bench.whoami(&provider).await.unwrap().login, "ann");
}

#[tokio::test]
async fn each_tls_fault_is_told_in_plain_words() {
    let bench = Bench::new().await;
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let of_ca = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    };
    let nothing = |_: &mut CertificateParams| ();
    type Change = Box<dyn FnOnce(&mut CertificateParams)>;
    let cases: [(&str, Change, bool, &str); 5] = [
        ("localhost", Box::new(nothing), false, "unknown authority"),
        (
            "other.example.com",
            Box::new(nothing),
            true,
            "another host name",
        ),
        ("localhost", Box::new(expired), true, "has expired"),
        ("localhost", Box::new(early), true, "not valid yet"),
        ("localhost", Box::new(of_ca), true, "that of an authority"),
    ];
    for (name, change, trusted, words) in cases {
        let (config, ca_pem) = certified(name, change);
        let server = Server::over_tls(config);
        let url = format!("https://localhost:{}", server.port);
        let error = bench
            .whoami(&bench.provider(&url, trusted.then_some(ca_pem)))
            .await
            .unwrap_err();
        assert!(matches!(&error, SendError::Tls(_)), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(server.asked().is_empty());
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_in_plain_words() {
    let bench = Bench::new().await;
    let server = Server::answering(|_| ok(USER));
    let provider = bench.provider(&format!("https://localhost:{}", server.port), None);
    // It waits for the end of a head that never comes, so it must be cut off.
    let mut door = Door::new(bench.broker.store().clone(), bench.broker.config());
    door.patience.total = Duration::from_secs(1);
    let error = bench.whoami_through(&door, &provider).await.unwrap_err();
    assert!(
        matches!(error, SendError::Tls(_) | SendError::Unreachable(_)),
        "{error:?}"
    );
}
