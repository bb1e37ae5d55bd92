//! Test connection: whether a provider answers, is what it should be, and knows our application.

use forge::{AuthStyle, Fault, Refusal};
use secrecy::{ExposeSecret, SecretString};
use store::ProviderId;

use super::{
    ProviderInput,
    input::{Checked, check},
    scan::{ScannedHostKey, host_keys},
};
use crate::{
    AsSiteManager, Broker, ProviderContext, Result,
    http::{Guard, SendError},
};

/// What a test connection found.
#[derive(Debug, Clone, Default)]
pub struct TestReport {
    /// Every check in order.
    pub checks: Vec<Check>,
    /// SSH host keys read at its addresses, to confirm by fingerprint.
    pub host_keys: Vec<ScannedHostKey>,
}

/// One check of a test connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was seen, and what to do where it is not well.
    pub detail: String,
}

impl TestReport {
    fn add(&mut self, name: &str, found: std::result::Result<String, String>) {
        let ok = found.is_ok();
        let detail = found.unwrap_or_else(|detail| detail);
        self.checks.push(Check {
            name: name.to_owned(),
            ok,
            detail,
        });
    }
}

/// A code that no provider has given, which one that knows our application refuses by itself.
const NO_CODE: &str = "forgepass-test-connection";

impl AsSiteManager {
    /// Tests a provider as it is stored.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn test_provider(&self, id: &ProviderId) -> Result<TestReport> {
        let provider = ProviderContext::open(&self.broker, self.row(id).await?)?;
        let report = self.broker.test(&provider).await;
        let wrong: Vec<&str> = report
            .checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name.as_str())
            .collect();
        if wrong.is_empty() {
            let (store, now) = (self.broker.store(), self.broker.now().await?);
            store.note_success(id, now).await?;
            store.clear_alarm(id).await?;
        }
        let found = if wrong.is_empty() {
            "all is well".to_owned()
        } else {
            wrong.join(", ")
        };
        self.note_at(
            "provider.test",
            id,
            format!("{}: {found}", provider.row.name),
        )
        .await;
        Ok(report)
    }

    /// Tests a provider as it is entered, before it is saved.
    ///
    /// # Errors
    /// `invalid`, naming the field.
    pub async fn test_input(&self, input: &ProviderInput) -> Result<TestReport> {
        let checked = check(input)?;
        let key = self.take_draft_key(&checked).await?;
        let provider = self.broker.unsaved(checked, key.map(|key| key.private))?;
        Ok(self.broker.test(&provider).await)
    }
}

impl Broker {
    /// Whether the database answers, and every check of every provider that is offered, for the
    /// server's own command line.
    pub async fn check(&self) -> Result<Vec<Check>> {
        self.store().read_clock().await?;
        let mut report = TestReport::default();
        report.add("database", Ok("it answers".to_owned()));
        for row in self.store().providers().await? {
            let name = row.name.clone();
            if row.disabled_at.is_some() {
                report.add(&name, Ok("not offered, so not asked".to_owned()));
                continue;
            }
            match ProviderContext::open(self, row) {
                Ok(provider) => {
                    for check in self.test(&provider).await.checks {
                        report.checks.push(Check {
                            name: format!("{name}: {}", check.name),
                            ..check
                        });
                    }
                }
                Err(refused) => report.add(&name, Err(refused.detail)),
            }
        }
        Ok(report.checks)
    }

    /// A provider as entered, ready to be asked although it is not stored.
    pub(super) fn unsaved(
        &self,
        checked: Checked,
        signing_key: Option<SecretString>,
    ) -> Result<ProviderContext> {
        let origins = checked.origins();
        let client = forge::Client {
            id: checked.client_id.clone(),
            secret: checked.client_secret.clone().unwrap_or_default(),
            callback: self.config().callback()?,
        };
        let row = checked.row(ProviderId::from(""), 0);
        let (kind, site) = (checked.kind, checked.site);
        Ok(ProviderContext {
            row,
            kind,
            site,
            origins,
            client,
            signing_key,
        })
    }

    /// Runs every check; those that need an answer are left out once there is none.
    pub(crate) async fn test(&self, provider: &ProviderContext) -> TestReport {
        let mut report = TestReport::default();
        let reached = self.door().reach(provider).await;
        let answers = reached.is_ok();
        report.add("address", reached.map_err(|error| error.to_string()));
        if answers {
            if let Some(found) = self.test_software(provider).await {
                report.add("software", found);
            }
            if let Some(found) = self.test_client(provider).await {
                report.add("application", found);
            }
        }
        self.test_ssh(provider, &mut report).await;
        report
    }

    async fn test_software(
        &self,
        provider: &ProviderContext,
    ) -> Option<std::result::Result<String, String>> {
        let call = provider.kind.probe(&provider.site)?;
        Some(match self.door().send(provider, None, call).await {
            Ok(probe) => Ok(probe.to_string()),
            Err(error) => Err(format!(
                "this does not answer like {}: {error}; compare the kind, the URL and the API URL",
                provider.kind.name()
            )),
        })
    }

    /// Whether the provider knows our application: it refuses a made-up code for what it is, but says
    /// something else of a client that it does not know.
    async fn test_client(
        &self,
        provider: &ProviderContext,
    ) -> Option<std::result::Result<String, String>> {
        let known = Ok("the provider knows the application".to_owned());
        let outcome = match provider.kind.auth() {
            AuthStyle::None => return None,
            AuthStyle::OAuth1 => {
                let oauth = provider.kind.oauth1(&provider.site)?;
                self.door()
                    .send(
                        provider,
                        None,
                        oauth.request_token(&provider.client.callback),
                    )
                    .await
            }
            AuthStyle::OAuth2 => {
                if provider.client.secret.expose_secret().is_empty() {
                    return Some(Err("enter the client secret to have it tested".to_owned()));
                }
                let oauth = provider.kind.oauth2(&provider.site)?;
                let verifier = secrets::pkce().verifier;
                let call = oauth.exchange(&provider.client, &NO_CODE.into(), &verifier);
                self.door().send(provider, None, call).await
            }
        };
        Some(match outcome {
            Ok(_) => known,
            Err(SendError::Refused(refusal)) => match refusal {
                _ if refusal.refresh_fault() == Fault::Admin => Err(format!(
                    "{refusal}; compare client id, client secret and callback with the application \
                     at the provider"
                )),
                Refusal::OAuth { .. } => known,
                other => Err(other.to_string()),
            },
            Err(other) => Err(other.to_string()),
        })
    }

    async fn test_ssh(&self, provider: &ProviderContext, report: &mut TestReport) {
        let guard = Guard::of(provider.row.internal_at);
        let pinned = &provider.row.host_keys;
        for address in &provider.row.ssh_addresses {
            let found = host_keys(address, guard, pinned).await.map(|keys| {
                let told = judge(&keys, pinned);
                report.host_keys.extend(keys);
                told
            });
            report.add(&format!("SSH at {address}"), found.and_then(|told| told));
        }
    }
}

/// Whether the keys that were read are those that are pinned.
fn judge(found: &[ScannedHostKey], pinned: &[String]) -> std::result::Result<String, String> {
    if pinned.is_empty() {
        return Err("no host key is pinned: compare the fingerprints and pin the keys".to_owned());
    }
    if found.iter().any(|key| key.pinned) {
        return Ok("a pinned host key answers".to_owned());
    }
    Err(
        "none of the pinned host keys answers: ask whoever runs the provider whether its keys \
         changed, and compare the fingerprints"
            .to_owned(),
    )
}
