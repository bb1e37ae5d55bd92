//! Reads `forgepass.toml` and the `FORGEPASS__SECTION__KEY` variables into checked settings.
//!
//! This is the only reader of the environment. Everything here is parsed once at start: later code
//! gets typed values and need not check them again.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use url::{Host, Url};

mod declared;
mod network;
mod raw;

pub use declared::DeclaredProvider;
pub use network::Network;
pub use raw::KEYS;

use raw::{Raw, RawLog, Words};

/// The variables a process was started with.
pub type Environment = BTreeMap<String, String>;

/// Reads the process's own variables; names or values that are not UTF-8 are left out.
#[expect(
    clippy::disallowed_methods,
    reason = "this module owns the environment"
)]
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What is wrong with the configuration, naming the key, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {fault}")]
pub struct ConfigError {
    key: String,
    fault: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, fault: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            fault: fault.into(),
        }
    }
}

type Result<T> = std::result::Result<T, ConfigError>;

/// The server's settings, checked.
#[derive(Debug)]
pub struct Config {
    /// What this installation calls itself, in key titles and guides.
    pub name: String,
    /// The console's address as people type it; none while it follows from `listen`.
    public_url: Option<Url>,
    /// Where requests are accepted; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Folder of the embedded database and the generated key file.
    pub data_dir: PathBuf,
    /// Where everything is stored.
    pub database: Database,
    /// The file that holds the keys which seal secrets.
    pub key_file: PathBuf,
    /// Certificate and key, where the server speaks TLS itself.
    pub tls: Option<Tls>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// The HTTP proxy for providers that are not internal.
    pub outgoing_proxy: Option<Url>,
    /// Longest life of a workspace token, seconds, where it is not the default.
    pub workspace_ttl_s: Option<i64>,
    /// How and how much to log.
    pub log: Log,
    /// Providers declared in the file; the console shows them read-only.
    pub providers: Vec<DeclaredProvider>,
}

/// Which database to open.
#[derive(Debug)]
pub enum Database {
    /// The embedded one, one file.
    Sqlite(SecretString),
    /// A PostgreSQL server, which several servers may share.
    Postgres(SecretString),
}

impl Database {
    /// The address to open, such as `sqlite:///var/lib/forgepass/forgepass.db`.
    pub fn url(&self) -> &SecretString {
        match self {
            Self::Sqlite(url) | Self::Postgres(url) => url,
        }
    }

    /// Whether it is the embedded one.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}

/// Files of the server's own TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain, the server's own first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// How and how much to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Text for people or JSON for collectors.
    pub format: LogFormat,
    /// A `tracing` filter such as `info` or `info,broker=debug`.
    pub level: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file and the variables.
    ///
    /// `path`: the file named on the command line, which must exist; without it `forgepass.toml` in
    /// the current folder is read if there is one.
    ///
    /// # Errors
    /// The first key that is unknown, malformed or contradicts another.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Self> {
        let text = match path {
            Some(path) => read(&path.display().to_string(), path)?,
            None if Path::new("forgepass.toml").exists() => {
                read("forgepass.toml", Path::new("forgepass.toml"))?
            }
            None => String::new(),
        };
        Self::parse(&text, environment)
    }

    /// Reads the file's `text` and the variables.
    ///
    /// # Errors
    /// The first key that is unknown, malformed or contradicts another.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self> {
        Self::checked(Raw::read(text, environment)?, environment)
    }

    fn checked(raw: Raw, environment: &Environment) -> Result<Self> {
        let Raw {
            server,
            workspaces,
            log,
            provider,
        } = raw;
        let data_dir = data_dir(server.data_dir, environment)?;
        let database = database(server.database_url, server.database_url_file, &data_dir)?;
        let key_file = match server.key_file {
            Some(path) => PathBuf::from(path),
            None if database.is_embedded() => data_dir.join("forgepass.key"),
            None => {
                return Err(ConfigError::new(
                    "server.key_file",
                    "required with PostgreSQL, because every server of one database must hold the same keys; \
                     make one with `forgepass-server secrets new-key-file PATH`",
                ));
            }
        };
        let config = Self {
            name: name(server.name)?,
            public_url: server.public_url.as_deref().map(public_url).transpose()?,
            listen: listen(server.listen.as_deref())?,
            data_dir,
            database,
            key_file,
            tls: tls(server.tls_cert, server.tls_key)?,
            trusted_proxies: networks(&server.trusted_proxies)?,
            outgoing_proxy: server.outgoing_proxy.as_deref().map(proxy).transpose()?,
            workspace_ttl_s: workspaces.max_days.as_deref().map(days).transpose()?,
            log: self::log(log)?,
            providers: provider
                .into_iter()
                .map(declared::RawProvider::checked)
                .collect::<Result<_>>()?,
        };
        config.check_addresses()?;
        Ok(config)
    }

    /// Links, cookies and callbacks are built from the public URL, so it must be known and safe.
    fn check_addresses(&self) -> Result<()> {
        let Some(url) = &self.public_url else {
            if self.listen.ip().is_loopback() {
                return Ok(());
            }
            return Err(ConfigError::new(
                "server.public_url",
                format!(
                    "required when listening on {}, which others can reach; \
                     write the address people type, such as https://forgepass.example.com",
                    self.listen
                ),
            ));
        };
        if url.scheme() == "http" && !is_loopback(url) && self.trusted_proxies.is_empty() {
            return Err(ConfigError::new(
                "server.public_url",
                "must start with https://, because passwords and tokens cross it; use tls_cert and \
                 tls_key, or name the proxy in front in trusted_proxies",
            ));
        }
        Ok(())
    }

    /// The console's address without a trailing slash, once the port is known.
    ///
    /// `bound`: where the server really listens.
    pub fn public_url(&self, bound: SocketAddr) -> Url {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut url = fallback_url();
        let _ = url.set_scheme(scheme);
        let _ = url.set_port(Some(bound.port()));
        url
    }
}

/// `http://localhost`, to be completed.
#[expect(clippy::expect_used, reason = "a constant that a test parses")]
fn fallback_url() -> Url {
    Url::parse("http://localhost").expect("a valid address")
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn read(key: &str, path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(key, format!("cannot read {}: {error}", path.display())))
}

fn name(name: Option<String>) -> Result<String> {
    let name = name.unwrap_or_else(|| "Forgepass".to_owned());
    let fits = !name.trim().is_empty() && name.len() <= 60 && !name.chars().any(char::is_control);
    if !fits {
        return Err(ConfigError::new(
            "server.name",
            "must be 1 to 60 bytes of printable text",
        ));
    }
    Ok(name)
}

fn public_url(text: &str) -> Result<Url> {
    let fault = |why: &str| ConfigError::new("server.public_url", format!("{text:?} {why}"));
    let url = Url::parse(text).map_err(|error| fault(&format!("is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(fault("must start with https:// and name a host"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("must be a host and port alone, without a path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("must not hold a user name or password"));
    }
    Ok(url)
}

fn proxy(text: &str) -> Result<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| {
        ConfigError::new(
            "server.outgoing_proxy",
            "must be an address such as http://proxy.example.com:3128",
        )
    })
}

/// Days in seconds.
fn days(text: &str) -> Result<i64> {
    let days = text
        .parse::<i64>()
        .ok()
        .filter(|days| (1..=3650).contains(days));
    let days = days.ok_or_else(|| {
        ConfigError::new(
            "workspaces.max_days",
            format!("{text:?} is no number from 1 to 3650"),
        )
    })?;
    Ok(days * 24 * 60 * 60)
}

fn listen(text: Option<&str>) -> Result<SocketAddr> {
    let text = text.unwrap_or("127.0.0.1:7080");
    text.parse().map_err(|_| {
        ConfigError::new(
            "server.listen",
            format!("{text:?} is no address and port such as 127.0.0.1:7080 or [::]:7080"),
        )
    })
}

fn data_dir(data_dir: Option<String>, environment: &Environment) -> Result<PathBuf> {
    if let Some(path) = data_dir {
        return Ok(PathBuf::from(path));
    }
    // systemd's StateDirectory=, then the user's own data folder.
    let given = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    if let Some(path) = given("STATE_DIRECTORY") {
        return Ok(PathBuf::from(path));
    }
    if let Some(path) = given("XDG_DATA_HOME") {
        return Ok(Path::new(path).join("forgepass"));
    }
    if let Some(path) = given("HOME") {
        return Ok(Path::new(path).join(".local/share/forgepass"));
    }
    Err(ConfigError::new(
        "server.data_dir",
        "required where HOME is not set",
    ))
}

fn database(url: Option<SecretString>, file: Option<String>, data_dir: &Path) -> Result<Database> {
    use secrecy::ExposeSecret;
    let url = match (url, file) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(
                "server.database_url_file",
                "set either this or server.database_url, not both",
            ));
        }
        (Some(url), None) => url,
        (None, Some(file)) => {
            let text = read("server.database_url_file", Path::new(&file))?;
            SecretString::from(text.trim())
        }
        (None, None) => {
            let path = data_dir.join("forgepass.db");
            return Ok(Database::Sqlite(
                format!("sqlite://{}", path.display()).into(),
            ));
        }
    };
    match url
        .expose_secret()
        .split_once(':')
        .map(|(scheme, _)| scheme)
    {
        Some("sqlite") => Ok(Database::Sqlite(url)),
        Some("postgres" | "postgresql") => Ok(Database::Postgres(url)),
        _ => Err(ConfigError::new(
            "server.database_url",
            "must start with sqlite: or postgres:",
        )),
    }
}

fn log(raw: RawLog) -> Result<Log> {
    let format = match raw.format.as_deref().unwrap_or("text") {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        other => {
            return Err(ConfigError::new(
                "log.format",
                format!("{other:?} is neither \"text\" nor \"json\""),
            ));
        }
    };
    let level = raw.level.unwrap_or_else(|| "info".to_owned());
    tracing_subscriber::EnvFilter::try_new(&level)
        .map_err(|error| ConfigError::new("log.level", error.to_string()))?;
    Ok(Log { format, level })
}

fn tls(cert: Option<String>, key: Option<String>) -> Result<Option<Tls>> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(Tls {
            cert: cert.into(),
            key: key.into(),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::new("server.tls_key", "required with tls_cert")),
        (None, Some(_)) => Err(ConfigError::new("server.tls_cert", "required with tls_key")),
    }
}

fn networks(words: &Words) -> Result<Vec<Network>> {
    let parse = |word: &String| {
        word.parse()
            .map_err(|fault: String| ConfigError::new("server.trusted_proxies", fault))
    };
    words.0.iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
