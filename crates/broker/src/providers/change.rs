//! Changing and deleting providers, and saying what that does to links before it is done.

use forge::{AuthStyle, Kind};
use store::{Link, LinkId, Provider, ProviderDeletion, ProviderId};

use super::{
    ProviderInput, ProviderView,
    draft::SigningKey,
    input::{Checked, check, known_kind},
    no_pair, taken,
};
use crate::{
    AsSiteManager, Broker, Refused, RefusedKind, Result, UnlinkOptions, audit::Entry, context,
};

/// What a change does to what exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consequences {
    /// One sentence each.
    pub text: Vec<String>,
    /// Whether the change must say `confirm`.
    pub needs_confirm: bool,
}

/// Whether a provider with links may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Only without links.
    No,
    /// Unlink every link first.
    Yes,
}

/// Links taken at a time when all of a provider are gone through.
const BATCH: i64 = 500;

/// How a change moves a provider, as far as links and secrets are concerned.
struct Move {
    /// An origin that tokens or the client secret may be sent to differs.
    origins: bool,
    kind: bool,
    client_id: bool,
}

impl Move {
    fn between(row: &Provider, checked: &Checked) -> Result<Self> {
        let kind = known_kind(&row.kind)?;
        let site = context::site_of(kind, row)?;
        Ok(Self {
            origins: context::origins(&site) != checked.origins(),
            kind: kind.id() != checked.kind.id(),
            client_id: row.client_id != checked.client_id,
        })
    }

    /// Whether the tokens of every link are of no more use.
    fn ends_tokens(&self) -> bool {
        self.origins || self.kind
    }

    fn wants_secret(&self) -> bool {
        self.origins || self.kind || self.client_id
    }
}

impl AsSiteManager {
    /// Says what a change does to what exists, without doing it.
    ///
    /// # Errors
    /// Those of [`AsSiteManager::change_provider`], but for a confirmation that is missing.
    pub async fn preview_change(
        &self,
        id: &ProviderId,
        input: &ProviderInput,
    ) -> Result<Consequences> {
        let row = self.changeable(id).await?;
        same_software(&row, known_kind(&input.kind)?)?;
        let checked = check(input)?;
        let links = self.broker.store().count_links(id).await?;
        consequences(&row, &checked, links)
    }

    /// Changes a provider. An absent client secret keeps the stored one, unless addresses or client id
    /// change; an absent draft keeps the RSA pair.
    ///
    /// # Errors
    /// `invalid`, naming the field; `conflict` for a name in use, a change that must be confirmed, or
    /// one that met another; `forbidden` for a provider that the configuration file declares.
    pub async fn change_provider(
        &self,
        id: &ProviderId,
        input: ProviderInput,
    ) -> Result<ProviderView> {
        let row = self.changeable(id).await?;
        same_software(&row, known_kind(&input.kind)?)?;
        let checked = check(&input)?;
        let links = self.broker.store().count_links(id).await?;
        let told = consequences(&row, &checked, links)?;
        if told.needs_confirm && !input.confirm {
            return Err(Refused::conflict(told.text.join("; "))
                .hint("send the change again with `confirm` if that is what you want"));
        }
        let key = self.take_draft_key(&checked).await?;
        let draft = checked.draft.clone();
        let what = summary(&row, &checked);
        self.broker.put_change(row, checked, key).await?;
        if let Some(draft) = &draft {
            self.broker.store().drop_draft(&self.user.id, draft).await?;
        }
        self.note_at("provider.change", id, what).await;
        self.provider(id).await
    }

    /// Deletes a provider.
    ///
    /// # Errors
    /// `conflict` with the number of links where there are some and `force` does not say to unlink
    /// them; `forbidden` for a provider that the configuration file declares; `not-found`.
    pub async fn delete_provider(&self, id: &ProviderId, force: Force) -> Result<()> {
        let row = self.changeable(id).await?;
        let (manager, id) = (self.clone(), id.clone());
        // In its own task: a browser that goes away does not leave it half done.
        let work = tokio::spawn(async move {
            let left = match force {
                Force::Yes => manager.broker.unlink_all(&row).await?,
                Force::No => 0,
            };
            manager.delete(&id, &row, left).await
        });
        work.await.map_err(Refused::internal)?
    }

    async fn delete(&self, id: &ProviderId, row: &Provider, left: usize) -> Result<()> {
        match self.broker.store().delete_provider(id).await? {
            ProviderDeletion::Deleted => {
                let detail = match left {
                    0 => format!("{} deleted", row.name),
                    left => format!("{} deleted; {left} keys or tokens stay there", row.name),
                };
                self.note_at("provider.delete", id, detail).await;
                Ok(())
            }
            ProviderDeletion::NotFound => Err(Refused::not_found("provider")),
            ProviderDeletion::LinksExist(links) => {
                let detail = format!("{} still has {}", row.name, counted(links));
                Err(Refused::conflict(detail).hint("force it to unlink them first"))
            }
        }
    }

    async fn changeable(&self, id: &ProviderId) -> Result<Provider> {
        let row = self.row(id).await?;
        if row.declared_at.is_some() {
            let detail = format!(
                "{} is declared in the server's configuration file",
                row.name
            );
            return Err(Refused::new(RefusedKind::Forbidden, detail)
                .hint("change it there and restart the server"));
        }
        Ok(row)
    }

    pub(super) async fn note_at(&self, action: &'static str, id: &ProviderId, detail: String) {
        self.broker
            .record([Entry::new(action, detail).by(&self.user.id).at(id)])
            .await;
    }
}

impl Broker {
    /// Stores a change and ends what it ends.
    pub(super) async fn put_change(
        &self,
        row: Provider,
        checked: Checked,
        key: Option<SigningKey>,
    ) -> Result<()> {
        let moved = Move::between(&row, &checked)?;
        let changed = self.changed_row(&row, &checked, key, &moved).await?;
        let stored = self.store().update_provider(&changed).await;
        if !stored.map_err(|error| taken(error, &changed.name))? {
            return Err(
                Refused::conflict("somebody else changed this provider meanwhile")
                    .hint("load it again and repeat the change"),
            );
        }
        if moved.wants_secret() || checked.client_secret.is_some() {
            self.store().clear_alarm(&row.id).await?;
        }
        if moved.ends_tokens() {
            self.end_tokens(&row.id).await?;
        }
        Ok(())
    }

    async fn changed_row(
        &self,
        row: &Provider,
        checked: &Checked,
        key: Option<SigningKey>,
        moved: &Move,
    ) -> Result<Provider> {
        let now = self.now().await?;
        let since = |set: bool, before: Option<i64>| set.then_some(before.unwrap_or(now));
        let mut changed = checked.row(row.id.clone(), row.created_at);
        changed.internal_at = since(checked.internal, row.internal_at);
        changed.narrowing_off_at = since(checked.narrowing_off, row.narrowing_off_at);
        changed.disabled_at = since(checked.disabled, row.disabled_at);
        changed.declared_at = row.declared_at;
        changed.version = row.version;
        match checked.kind.auth() {
            AuthStyle::OAuth2 => {
                changed.client_secret = match &checked.client_secret {
                    Some(secret) => Some(self.seal_client_secret(&row.id, checked, secret)),
                    None if moved.wants_secret() => return Err(secret_again()),
                    None => row.client_secret.clone(),
                };
            }
            AuthStyle::OAuth1 => match key {
                Some(key) => self.put_signing_key(&mut changed, key),
                None if row.signing_key.is_none() => return Err(no_pair()),
                None => {
                    changed.signing_key = row.signing_key.clone();
                    changed.public_key = row.public_key.clone();
                }
            },
            AuthStyle::None => {}
        }
        Ok(changed)
    }

    /// Unlinks every link of a provider; returns how many things there could not be undone, now or ever,
    /// since what is still to be tried goes with the provider.
    async fn unlink_all(&self, row: &Provider) -> Result<usize> {
        let (mut left, mut after): (usize, Option<LinkId>) = (0, None);
        loop {
            let links: Vec<Link> = self
                .store()
                .links_at(&row.id, after.as_ref(), BATCH)
                .await?;
            for link in &links {
                left += self.remove_link(link, UnlinkOptions::default()).await?.left;
            }
            match links.into_iter().next_back() {
                Some(last) => after = Some(last.id),
                None => return Ok(left),
            }
        }
    }

    /// Marks every link of a provider dead: its tokens open for the old addresses alone. Keys stay.
    async fn end_tokens(&self, provider: &ProviderId) -> Result<()> {
        let now = self.now().await?;
        let reason = "the provider's addresses or kind have changed since the account was linked";
        let mut after: Option<LinkId> = None;
        loop {
            let links: Vec<Link> = self
                .store()
                .links_at(provider, after.as_ref(), BATCH)
                .await?;
            for link in &links {
                self.store().mark_link_dead(&link.id, reason, now).await?;
            }
            match links.into_iter().next_back() {
                Some(last) => after = Some(last.id),
                None => return Ok(()),
            }
        }
    }
}

/// What a change does to `links` links.
fn consequences(row: &Provider, checked: &Checked, links: i64) -> Result<Consequences> {
    let moved = Move::between(row, checked)?;
    let count = counted(links);
    let mut text = Vec::new();
    if moved.kind {
        text.push(format!(
            "the kind changes: {count} must be linked again; SSH keys stay"
        ));
    } else if moved.origins {
        text.push(format!(
            "the addresses change: {count} must be linked again, since no stored token is sent to a \
             new address"
        ));
    } else if moved.client_id {
        text.push(format!(
            "the client id changes: {count} will die when their tokens are refreshed"
        ));
    }
    let turned_off = checked.disabled && row.disabled_at.is_none();
    if turned_off {
        text.push(format!(
            "the provider is turned off: Git gets nothing for {count} until it is on again"
        ));
    }
    if checked.narrowing_off != row.narrowing_off_at.is_some() {
        text.push("narrowing changes for accounts linked from now on".to_owned());
    }
    let known = moved.wants_secret() && checked.client_secret.is_none();
    if known && checked.kind.auth() == AuthStyle::OAuth2 {
        text.push("the client secret must be entered again".to_owned());
    }
    let needs_confirm = links > 0 && (moved.ends_tokens() || moved.client_id || turned_off);
    Ok(Consequences {
        text,
        needs_confirm,
    })
}

fn counted(links: i64) -> String {
    if links == 1 {
        "1 link".to_owned()
    } else {
        format!("{links} links")
    }
}

fn secret_again() -> Refused {
    Refused::invalid("client secret: it was entered for other addresses or another client id")
        .hint("enter it again")
}

/// A provider stays what it is; only one way to register with the same software may replace another.
pub(super) fn same_software(row: &Provider, after: &dyn Kind) -> Result<()> {
    let before = known_kind(&row.kind)?;
    if before.id() == after.id() || before.sibling() == Some(after.id()) {
        return Ok(());
    }
    let (before, after) = (before.name(), after.name());
    Err(
        Refused::invalid(format!("kind: {before} cannot become {after}"))
            .hint("add a new provider instead"),
    )
}

/// What was changed, for the audit log.
fn summary(row: &Provider, checked: &Checked) -> String {
    let after = checked.row(row.id.clone(), row.created_at);
    let changes = [
        ("kind", row.kind != after.kind),
        ("name", row.name != after.name),
        ("URL", row.url != after.url),
        ("API URL", row.api_url != after.api_url),
        ("Git URL", row.git_url != after.git_url),
        ("client id", row.client_id != after.client_id),
        ("client secret", checked.client_secret.is_some()),
        ("SSH user", row.ssh_user != after.ssh_user),
        ("SSH addresses", row.ssh_addresses != after.ssh_addresses),
        ("host keys", row.host_keys != after.host_keys),
        ("CA bundle", row.ca_pem != after.ca_pem),
        ("internal", row.internal_at.is_some() != checked.internal),
        (
            "narrowing",
            row.narrowing_off_at.is_some() != checked.narrowing_off,
        ),
        ("offered", row.disabled_at.is_some() != checked.disabled),
        ("RSA pair", checked.draft.is_some()),
    ];
    let changed: Vec<&str> = changes
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| name)
        .collect();
    format!(
        "{}: {}",
        row.name,
        if changed.is_empty() {
            "nothing".to_owned()
        } else {
            changed.join(", ")
        }
    )
}
