//! Which way to register suits an installation, asked of the installation itself.

use forge::Kind;

use super::{ProviderInput, input::check, known_kind};
use crate::{AsSiteManager, Refused, Result, http::SendError};

/// What an installation answered, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The kind's id.
    pub kind: &'static str,
    /// Product and version, such as `Bitbucket 9.4.1`.
    pub found: String,
}

impl AsSiteManager {
    /// Asks the installation at `input`'s URL whether its kind suits it, or else the sibling of that kind. Of
    /// the input only kind, URL, certificates and "internal" count: the rest is not known yet.
    ///
    /// # Errors
    /// `invalid` where the URL is wrong, nothing answers there, or neither kind suits what does.
    pub async fn propose_kind(&self, input: &ProviderInput) -> Result<Proposal> {
        let chosen = known_kind(&input.kind)?;
        let is_way =
            |kind: &&dyn Kind| [Some(kind.id()), kind.sibling()].contains(&Some(chosen.id()));
        let mut reason = None;
        for kind in forge::KINDS.iter().copied().filter(is_way) {
            match self.ask_software(kind, input).await? {
                Ok(found) => {
                    return Ok(Proposal {
                        kind: kind.id(),
                        found,
                    });
                }
                Err(SendError::Refused(refusal)) => {
                    let software = chosen.software();
                    reason = Some(format!("this does not answer like {software}: {refusal}"));
                }
                Err(error) => {
                    // Nothing answers: it would not answer the sibling either.
                    reason = Some(error.to_string());
                    break;
                }
            }
        }
        let reason = reason.unwrap_or_else(|| format!("{} tells no version", chosen.software()));
        Err(Refused::invalid(format!("URL: {reason}"))
            .hint("compare the address, or choose by the version yourself"))
    }

    /// What answers there, where it is this kind.
    async fn ask_software(
        &self,
        kind: &'static dyn Kind,
        input: &ProviderInput,
    ) -> Result<std::result::Result<String, SendError>> {
        let asked = ProviderInput {
            kind: kind.id().to_owned(),
            url: input.url.clone(),
            ca_pem: input.ca_pem.clone(),
            internal: input.internal,
            // Nothing is sent of these two: the probe goes without any authentication.
            name: kind.software().to_owned(),
            client_id: kind.id().to_owned(),
            ..ProviderInput::default()
        };
        let provider = self.broker.unsaved(check(&asked)?, None)?;
        let Some(probe) = kind.probe(&provider.site) else {
            return Ok(Err(SendError::Misconfigured(format!(
                "{} cannot be asked for its version",
                kind.software()
            ))));
        };
        let answer = self.broker.door().send(&provider, None, probe).await;
        Ok(answer.map(|probe| probe.to_string()))
    }
}
