//! What a site manager enters for a provider, and the checks before it is believed. Pure.

use std::fmt;

use forge::{AuthStyle, Defaults, Kind, Site};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use ssh::public_key::PublicKey;
use store::DraftId;
use url::{Host, Url};

use crate::{Refused, Result, context, http::Guard};

/// A provider as entered. Blank optional fields count as absent.
#[derive(Clone, Default)]
pub struct ProviderInput {
    /// The kind's id; in a change only from one Bitbucket Server kind to the other.
    pub kind: String,
    /// Unique name shown to developers.
    pub name: String,
    /// Base URL, with its sub-path.
    pub url: String,
    /// Client id, application id or consumer key.
    pub client_id: String,
    /// Client secret; absent in a change keeps the stored one.
    pub client_secret: Option<SecretString>,
    /// Consumer name of an OAuth 1.0a link.
    pub consumer_name: Option<String>,
    /// The draft whose RSA pair is used, for OAuth 1.0a kinds.
    pub draft: Option<DraftId>,
    /// Shown to developers.
    pub description: Option<String>,
    /// API base; none: by kind.
    pub api_url: Option<String>,
    /// Git over HTTPS base; none: by kind.
    pub git_url: Option<String>,
    /// User of SSH addresses; none: by kind.
    pub ssh_user: Option<String>,
    /// `host` or `host:port`; none: by kind.
    pub ssh_addresses: Option<Vec<String>>,
    /// Host keys to pin, each `algorithm base64` or a known_hosts line; none: those known for the host.
    pub host_keys: Option<Vec<String>>,
    /// PEM certificates to trust for this provider.
    pub ca_pem: Option<String>,
    /// Loopback and private addresses, and plain HTTP, are allowed.
    pub internal: bool,
    /// Git gets the same token that manages keys.
    pub narrowing_off: bool,
    /// Not offered to developers.
    pub disabled: bool,
    /// Accept what a change does to existing links.
    pub confirm: bool,
}

impl fmt::Debug for ProviderInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderInput")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A provider as entered, with every field believed.
pub(crate) struct Checked {
    pub(crate) kind: &'static dyn Kind,
    pub(crate) name: String,
    pub(crate) site: Site,
    /// As entered: none follows the kind.
    pub(crate) api_url: Option<Url>,
    /// As entered: none follows the kind.
    pub(crate) git_url: Option<Url>,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<SecretString>,
    pub(crate) consumer_name: Option<String>,
    pub(crate) draft: Option<DraftId>,
    pub(crate) description: Option<String>,
    pub(crate) ssh_user: String,
    pub(crate) ssh_addresses: Vec<String>,
    pub(crate) host_keys: Vec<String>,
    pub(crate) ca_pem: Option<String>,
    pub(crate) internal: bool,
    pub(crate) narrowing_off: bool,
    pub(crate) disabled: bool,
}

impl Checked {
    /// Where its tokens and its client secret may be sent.
    pub(crate) fn origins(&self) -> Vec<String> {
        context::origins(&self.site)
    }
}

/// Longest name of a provider, characters.
const LONGEST_NAME: usize = 64;
/// Longest of any other single text, characters.
const LONGEST_TEXT: usize = 1000;
/// Largest bundle of certificates, bytes.
const LARGEST_BUNDLE: usize = 256 * 1024;
/// Most SSH addresses and host keys of one provider.
const MOST_LINES: usize = 32;

/// Believes an input, or says which field is wrong and how.
///
/// # Errors
/// `invalid`, naming the field.
pub(crate) fn check(input: &ProviderInput) -> Result<Checked> {
    let kind = known_kind(&input.kind)?;
    let (site, defaults) = addresses(kind, input)?;
    check_client(kind, input)?;
    let entered = |text: &Option<String>, url: &Url| filled(text).map(|_| url.clone());
    Ok(Checked {
        kind,
        name: name(&input.name)?,
        api_url: entered(&input.api_url, &site.api),
        git_url: site
            .git
            .as_ref()
            .and_then(|git| entered(&input.git_url, git)),
        site,
        client_id: text("client id", &input.client_id)?,
        client_secret: input
            .client_secret
            .clone()
            .filter(|text| !text.expose_secret().is_empty()),
        consumer_name: optional("consumer name", &input.consumer_name)?,
        draft: input.draft.clone(),
        description: optional("description", &input.description)?,
        ssh_user: filled(&input.ssh_user).map_or(Ok(defaults.ssh_user), ssh_user)?,
        ssh_addresses: lines(&input.ssh_addresses, defaults.ssh_addresses, ssh_address)?,
        host_keys: lines(&input.host_keys, defaults.host_keys, host_key)?,
        ca_pem: filled(&input.ca_pem).map(bundle).transpose()?,
        internal: input.internal,
        narrowing_off: input.narrowing_off,
        disabled: input.disabled,
    })
}

/// The addresses in force, and what follows from the first of them.
fn addresses(kind: &dyn Kind, input: &ProviderInput) -> Result<(Site, Defaults)> {
    let guard = if input.internal {
        Guard::Internal
    } else {
        Guard::Public
    };
    let url = address("URL", &input.url, guard)?;
    let defaults = kind
        .defaults(&url)
        .map_err(|reason| Refused::invalid(format!("URL: {reason}")))?;
    let other = |field: &str, text: &Option<String>| {
        filled(text)
            .map(|text| address(field, text, guard))
            .transpose()
    };
    let api = other("API URL", &input.api_url)?.unwrap_or_else(|| defaults.api.clone());
    let git = other("Git URL", &input.git_url)?.or_else(|| defaults.git.clone());
    Ok((Site { url, api, git }, defaults))
}

/// The kind with this id.
///
/// # Errors
/// `invalid`, naming the kinds there are.
pub(crate) fn known_kind(id: &str) -> Result<&'static dyn Kind> {
    forge::kind(id.trim()).ok_or_else(|| {
        let known: Vec<&str> = forge::KINDS.iter().map(|kind| kind.id()).collect();
        Refused::invalid(format!(
            "there is no kind of provider called {:?}",
            id.trim()
        ))
        .hint(format!("use one of {}", known.join(", ")))
    })
}

fn check_client(kind: &dyn Kind, input: &ProviderInput) -> Result<()> {
    let (has_id, has_secret) = (
        !input.client_id.trim().is_empty(),
        input
            .client_secret
            .as_ref()
            .is_some_and(|text| !text.expose_secret().is_empty()),
    );
    match kind.auth() {
        AuthStyle::OAuth1 if has_secret => Err(Refused::invalid(format!(
            "{} signs with its RSA key and has no client secret",
            kind.name()
        ))
        .hint("leave the client secret empty")),
        AuthStyle::OAuth1 | AuthStyle::OAuth2 if !has_id => {
            Err(Refused::invalid("client id: it is empty")
                .hint("copy it from the application at the provider"))
        }
        AuthStyle::None if has_id || has_secret => Err(Refused::invalid(format!(
            "{} has no OAuth application here",
            kind.name()
        ))
        .hint("leave client id and client secret empty")),
        AuthStyle::OAuth1 | AuthStyle::OAuth2 | AuthStyle::None => Ok(()),
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn text(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > LONGEST_TEXT || text.contains(char::is_control) {
        return Err(Refused::invalid(format!(
            "{field}: it is too long or has control characters"
        )));
    }
    Ok(text.to_owned())
}

fn optional(field: &str, given: &Option<String>) -> Result<Option<String>> {
    filled(given).map(|given| text(field, given)).transpose()
}

fn name(given: &str) -> Result<String> {
    let name = text("name", given)?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(Refused::invalid(format!(
            "name: it must have 1 to {LONGEST_NAME} characters"
        )));
    }
    if name.starts_with("prv_") {
        return Err(Refused::invalid("name: it must not look like an id").hint("choose another"));
    }
    Ok(name)
}

/// A base address: `https` (or `http` where internal) with a host, and neither user, query nor fragment.
fn address(field: &str, given: &str, guard: Guard) -> Result<Url> {
    let wrong = |reason: &str| {
        Refused::invalid(format!("{field}: {reason}"))
            .hint("enter an address such as https://git.example.com")
    };
    let mut url = Url::parse(given.trim()).map_err(|_| wrong("it is not an address"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(wrong("it is not an https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not have a query or a fragment"));
    }
    if let Some(Host::Domain(host)) = url.host()
        && host.ends_with('.')
    {
        return Err(wrong("its host must not end in a dot"));
    }
    guard
        .check_url(&url)
        .map_err(|reason| wrong(&reason.to_string()))?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The address as stored and shown: without the slash that stands for an empty path.
pub(crate) fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn ssh_user(given: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if given.len() > LONGEST_NAME || given.starts_with('-') || !given.chars().all(plain) {
        return Err(Refused::invalid(
            "SSH user: it may hold letters, digits, `.`, `_` and `-`",
        ));
    }
    Ok(given.to_owned())
}

/// The lines as entered, each believed once; the defaults where none were.
fn lines(
    given: &Option<Vec<String>>,
    defaults: Vec<String>,
    believe: fn(&str) -> Result<String>,
) -> Result<Vec<String>> {
    let Some(given) = given else {
        return Ok(defaults);
    };
    let mut believed: Vec<String> = Vec::new();
    for line in given
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
    {
        let line = believe(line)?;
        if !believed.contains(&line) {
            believed.push(line);
        }
    }
    if believed.len() > MOST_LINES {
        return Err(Refused::invalid(format!(
            "a provider has at most {MOST_LINES} SSH addresses and host keys"
        )));
    }
    Ok(believed)
}

/// An SSH address taken apart; the port is 22 where none is given.
///
/// # Errors
/// `invalid` where it is not `host` or `host:port`.
pub(crate) fn host_and_port(address: &str) -> Result<(String, u16)> {
    let wrong = || {
        Refused::invalid(format!(
            "SSH address: {address:?} is neither `host` nor `host:port`"
        ))
        .hint("an IPv6 address with a port stands in brackets, such as [2001:db8::1]:22")
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (
                host,
                port.strip_prefix(':').or(port.is_empty().then_some("22")),
            )
        }
        None if address.matches(':').count() > 1 => (address, Some("22")),
        None => address
            .split_once(':')
            .map_or((address, Some("22")), |(host, port)| (host, Some(port))),
    };
    let port = port
        .and_then(|port| port.parse().ok())
        .filter(|port| *port > 0)
        .ok_or_else(wrong)?;
    let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !is_v6 && (host.is_empty() || host.starts_with('-') || !host.chars().all(plain)) {
        return Err(wrong());
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn ssh_address(given: &str) -> Result<String> {
    let (host, port) = host_and_port(given)?;
    Ok(match (host.contains(':'), port) {
        (_, 22) => host,
        (true, port) => format!("[{host}]:{port}"),
        (false, port) => format!("{host}:{port}"),
    })
}

fn host_key(given: &str) -> Result<String> {
    let mut key = PublicKey::parse(given)
        .map_err(|reason| Refused::invalid(format!("host keys: {reason}")))?;
    key.comment.clear();
    Ok(key.to_line())
}

fn bundle(given: &str) -> Result<String> {
    let wrong = |reason: &str| {
        Refused::invalid(format!("CA bundle: {reason}"))
            .hint("paste one or more blocks from BEGIN CERTIFICATE to END CERTIFICATE")
    };
    if given.len() > LARGEST_BUNDLE {
        return Err(wrong("it is larger than 256 KiB"));
    }
    if given.contains("PRIVATE KEY") {
        return Err(wrong(
            "it holds a private key, which belongs on the provider's server alone",
        ));
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(given.as_bytes()) {
        let certificate = certificate.map_err(|_| wrong("it is not PEM"))?;
        roots
            .add(certificate)
            .map_err(|_| wrong("a certificate in it is damaged"))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate"));
    }
    Ok(format!("{given}\n"))
}
