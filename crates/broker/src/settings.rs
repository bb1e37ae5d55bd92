//! Site-wide settings: the algorithm of new SSH keys.

use secrets::Algorithm;

use crate::{
    AsSiteManager, Broker, ProviderId, Refused, Result,
    keys::{choose, kind_of},
};

/// The setting's name in the database.
const SSH_ALGORITHM: &str = "ssh.algorithm";

/// What new keys may be made of, the default first. RSA 3072 is what single kinds demand.
pub const SSH_ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::Rsa4096];

/// A provider whose new keys are made of something else than the setting says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// The provider's id.
    pub id: ProviderId,
    /// The provider's name.
    pub provider: String,
    /// What its new keys are made of.
    pub used: Algorithm,
}

impl Broker {
    /// The algorithm of new SSH keys, where a kind demands none.
    pub(crate) async fn ssh_algorithm(&self) -> Result<Algorithm> {
        match self.store().setting(SSH_ALGORITHM).await? {
            Some(word) => word.parse().map_err(Refused::internal),
            None => Ok(SSH_ALGORITHMS[0]),
        }
    }
}

impl AsSiteManager {
    /// The algorithm of new SSH keys.
    pub async fn ssh_algorithm(&self) -> Result<Algorithm> {
        self.broker.ssh_algorithm().await
    }

    /// Sets the algorithm of new SSH keys; keys that exist stay as they are.
    ///
    /// # Errors
    /// `invalid` for an algorithm that is not offered.
    pub async fn set_ssh_algorithm(&self, algorithm: Algorithm) -> Result<()> {
        if !SSH_ALGORITHMS.contains(&algorithm) {
            let offered = SSH_ALGORITHMS.map(Algorithm::as_str).join(", ");
            return Err(
                Refused::invalid(format!("{} is not offered", algorithm.as_str()))
                    .hint(format!("use one of {offered}")),
            );
        }
        self.broker
            .store()
            .set_setting(SSH_ALGORITHM, algorithm.as_str())
            .await?;
        self.note(
            "settings.ssh",
            format!("new SSH keys are {}", algorithm.as_str()),
        )
        .await;
        Ok(())
    }

    /// For each of `algorithms` the enabled providers that do not accept it, by name, with what their new
    /// keys are made of instead.
    pub async fn algorithm_exceptions<const N: usize>(
        &self,
        algorithms: [Algorithm; N],
    ) -> Result<[Vec<Exception>; N]> {
        let mut providers = self.broker.store().providers().await?;
        providers.retain(|provider| provider.disabled_at.is_none());
        let mut exceptions = algorithms.map(|_| Vec::new());
        for (algorithm, exceptions) in algorithms.into_iter().zip(&mut exceptions) {
            for provider in &providers {
                let used = choose(kind_of(provider)?, algorithm)?;
                if used != algorithm {
                    exceptions.push(Exception {
                        id: provider.id.clone(),
                        provider: provider.name.clone(),
                        used,
                    });
                }
            }
        }
        Ok(exceptions)
    }

    /// Working keys by algorithm, each with its name, ten seconds old at most.
    pub async fn key_counts(&self) -> Result<Vec<(String, i64)>> {
        let counts = self.broker.counts().await?;
        let named = counts.algorithms.iter();
        Ok(named
            .map(|count| (count.algorithm.clone(), count.number))
            .collect())
    }
}
