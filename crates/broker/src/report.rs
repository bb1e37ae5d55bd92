//! How handed-out credentials fared, as workspaces report it in batches.

use std::collections::HashMap;

use crate::{AsWorkspace, Refused, Result, audit::Entry};

/// One use of a credential.
#[derive(Debug, Clone)]
pub struct UseReport {
    /// What became of it.
    pub outcome: UseOutcome,
    /// The id of the token, as it was given with it.
    pub state: String,
    /// How many times.
    pub count: i64,
}

/// What Git said of a credential, or that a cached one was given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseOutcome {
    /// Git's `store`: the provider accepted it.
    Accepted,
    /// Git's `erase`: the provider refused it.
    Refused,
    /// The workspace's agent gave it again from memory.
    CacheHit,
}

/// Reports of one request.
const MOST: usize = 1000;
/// More uses than this in one line are not believed.
const MOST_USES: i64 = 1_000_000;

impl UseOutcome {
    fn action(self) -> &'static str {
        match self {
            Self::Accepted => "credential.accepted",
            Self::Refused => "credential.rejected",
            Self::CacheHit => "credential.cached",
        }
    }
}

impl AsWorkspace {
    /// Notes what became of credentials that this workspace was handed; what it says of others is left out.
    ///
    /// # Errors
    /// `invalid` for more than 1,000 reports.
    pub async fn report(&self, uses: Vec<UseReport>) -> Result<()> {
        if uses.len() > MOST {
            return Err(Refused::invalid(format!(
                "uses: there are more than {MOST}"
            )));
        }
        let handed = self
            .broker
            .store()
            .tokens_handed_to(&self.workspace.id)
            .await?;
        let view = self.broker.store().credential_view(&self.user.id).await?;
        let mut places = HashMap::new();
        for provider in &view.providers {
            let grants = provider.links.iter().flat_map(|link| &link.grants);
            places.extend(grants.map(|grant| (grant.id.clone(), provider)));
        }
        let known = |one: &UseReport| handed.iter().find(|handed| handed.token_id == one.state);
        let entries = uses.iter().filter_map(|one| {
            let provider = places.get(&known(one)?.grant_id)?;
            let entry: Entry = self.entry(one.outcome.action(), &provider.name, &provider.id);
            Some(entry.times(one.count.clamp(1, MOST_USES)))
        });
        self.broker.record(entries).await;
        Ok(())
    }
}
