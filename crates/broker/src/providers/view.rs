//! Kinds, guides and providers as people see them.

use forge::{GuideStep, Kind, Ours};
use store::{DraftId, Provider, ProviderId};

use super::input::plain;
use crate::{
    Broker, Result,
    ask::{last_error, trouble},
    context,
};

/// The consumer key we propose; whoever links several installations to one server changes it on both sides.
const CONSUMER_KEY: &str = "Forgepass";

/// One kind of provider, with its guide.
#[derive(Debug, Clone)]
pub struct KindView {
    /// The id in URLs and configuration.
    pub id: &'static str,
    /// The name shown to people.
    pub name: &'static str,
    /// The name of the software alone, where several kinds are ways to register at it.
    pub software: &'static str,
    /// Which versions of the software it suits, where there is a sibling.
    pub versions: Option<&'static str>,
    /// `oauth2`, `oauth1` or `none`.
    pub auth: &'static str,
    /// Key algorithms it accepts; where there is one only, it is demanded.
    pub algorithms: &'static [&'static str],
    /// The steps at the provider's side, with the values to copy.
    pub guide: Vec<GuideStep>,
    /// The URL that the form proposes.
    pub usual_url: Option<&'static str>,
    /// The consumer key that the guide proposes, for OAuth 1.0a kinds.
    pub consumer_key: String,
    /// The kind that a provider of this one may be moved to.
    pub sibling: Option<&'static str>,
}

/// A prepared provider.
#[derive(Debug, Clone)]
pub struct DraftView {
    /// To give back in [`super::ProviderInput::draft`].
    pub id: DraftId,
    /// The kind's id.
    pub kind: String,
    /// The public key to paste at the provider (X.509 SubjectPublicKeyInfo PEM), for OAuth 1.0a kinds.
    pub public_key: Option<String>,
}

/// One provider, without its secrets.
#[derive(Debug, Clone)]
pub struct ProviderView {
    /// `prv_…`.
    pub id: ProviderId,
    /// The kind's id.
    pub kind: String,
    /// The kind's name.
    pub kind_name: &'static str,
    /// Unique name.
    pub name: String,
    /// Base URL, without a trailing slash.
    pub url: String,
    /// Client id, application id or consumer key.
    pub client_id: String,
    /// Whether a client secret is stored.
    pub has_client_secret: bool,
    /// Consumer name of an OAuth 1.0a link.
    pub consumer_name: Option<String>,
    /// Public half of the provider's RSA pair, PEM.
    pub public_key: Option<String>,
    /// Shown to developers.
    pub description: Option<String>,
    /// API base in force.
    pub api_url: String,
    /// Git over HTTPS base in force; none where the kind has no HTTPS credential.
    pub git_url: Option<String>,
    /// Whether the API base was entered; else it follows the kind.
    pub api_url_entered: bool,
    /// Whether the Git base was entered; else it follows the kind.
    pub git_url_entered: bool,
    /// User of SSH addresses.
    pub ssh_user: String,
    /// SSH addresses in force.
    pub ssh_addresses: Vec<String>,
    /// Pinned host keys, each `algorithm base64`.
    pub host_keys: Vec<String>,
    /// PEM certificates trusted for it.
    pub ca_pem: Option<String>,
    /// Loopback and private addresses are allowed.
    pub internal: bool,
    /// Narrowing is off.
    pub narrowing_off: bool,
    /// Not offered.
    pub disabled: bool,
    /// Declared in the configuration file, hence read-only here.
    pub declared: bool,
    /// Links that exist.
    pub links: i64,
    /// Keys that work there, or are on their way.
    pub keys: i64,
    /// How it stands, as its answers showed.
    pub health: Health,
    /// What is wrong with its configuration, as its answers showed.
    pub alarm: Option<String>,
    /// When a request to it last succeeded.
    pub last_success_at: Option<i64>,
    /// What the last failed request met, one sentence without a full stop.
    pub last_error: Option<String>,
    /// When it did.
    pub last_error_at: Option<i64>,
    /// When it was registered.
    pub created_at: i64,
    /// The steps at the provider's side, with the values of this provider to copy.
    pub guide: Vec<GuideStep>,
}

/// How a provider stands, as its answers showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is turned off.
    Off,
    /// Its configuration is wrong: a site manager must act.
    Alarm,
    /// The last request did not reach it, or it answered that it is broken.
    Away,
    /// It answers.
    Working,
    /// Nothing was asked of it yet.
    Unused,
}

impl Health {
    fn of(row: &Provider) -> Self {
        if row.disabled_at.is_some() {
            Self::Off
        } else if row.alarm.is_some() {
            Self::Alarm
        } else if trouble(row).is_some() {
            Self::Away
        } else if row.last_success_at.is_some() {
            Self::Working
        } else {
            Self::Unused
        }
    }

    /// The word for pages: `off`, `alarm`, `away`, `working` or `unused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Alarm => "alarm",
            Self::Away => "away",
            Self::Working => "working",
            Self::Unused => "unused",
        }
    }
}

/// How much of a provider is in use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InUse {
    /// Links that exist.
    pub(super) links: i64,
    /// Keys that work.
    pub(super) keys: i64,
}

impl KindView {
    pub(super) fn of(kind: &'static dyn Kind, ours: &Ours) -> Self {
        Self {
            id: kind.id(),
            name: kind.name(),
            software: kind.software(),
            versions: kind.versions(),
            auth: kind.auth().as_str(),
            algorithms: kind.algorithms(),
            guide: kind.guide(ours),
            sibling: kind.sibling(),
            usual_url: kind.usual_url(),
            consumer_key: ours.consumer_key.clone(),
        }
    }
}

impl ProviderView {
    pub(super) fn of(broker: &Broker, row: Provider, in_use: InUse) -> Result<Self> {
        let kind = super::input::known_kind(&row.kind)?;
        let site = context::site_of(kind, &row)?;
        let mut ours = ours(broker, row.public_key.clone())?;
        ours.url = Some(site.url.clone());
        if !row.client_id.is_empty() {
            ours.consumer_key = row.client_id.clone();
        }
        Ok(Self {
            guide: kind.guide(&ours),
            kind_name: kind.name(),
            url: plain(&site.url),
            api_url: plain(&site.api),
            git_url: site.git.as_ref().map(plain),
            api_url_entered: row.api_url.is_some(),
            git_url_entered: row.git_url.is_some(),
            has_client_secret: row.client_secret.is_some(),
            internal: row.internal_at.is_some(),
            narrowing_off: row.narrowing_off_at.is_some(),
            disabled: row.disabled_at.is_some(),
            declared: row.declared_at.is_some(),
            links: in_use.links,
            keys: in_use.keys,
            health: Health::of(&row),
            last_error: last_error(&row),
            last_error_at: row.last_error_at,
            id: row.id,
            kind: row.kind,
            name: row.name,
            client_id: row.client_id,
            consumer_name: row.consumer_name,
            public_key: row.public_key,
            description: row.description,
            ssh_user: row.ssh_user,
            ssh_addresses: row.ssh_addresses,
            host_keys: row.host_keys,
            ca_pem: row.ca_pem,
            alarm: row.alarm,
            last_success_at: row.last_success_at,
            created_at: row.created_at,
        })
    }
}

/// What guides fill in.
pub(super) fn ours(broker: &Broker, public_key: Option<String>) -> Result<Ours> {
    let config = broker.config();
    Ok(Ours {
        name: config.deployment.clone(),
        homepage: config.public_url.clone(),
        callback: config.callback()?,
        consumer_key: CONSUMER_KEY.to_owned(),
        public_key,
        url: None,
    })
}
