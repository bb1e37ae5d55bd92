//! A client secret that was just entered, kept by the form itself until the form is done: sealed, for ten
//! minutes, for one site manager, one form and one set of addresses.

use secrecy::SecretString;
use secrets::{Place, Sealed};

use super::ProviderInput;
use crate::{AsSiteManager, Refused, Result};

/// How long a form may wait for its confirmation, seconds.
const KEPT_S: i64 = 600;

impl AsSiteManager {
    /// Seals the client secret of `input`, so that the form `form` (the id of a provider or draft) can carry
    /// it and nobody has to enter it twice. `None` where none was entered.
    pub async fn keep_secret(&self, form: &str, input: &ProviderInput) -> Result<Option<String>> {
        let Some(secret) = &input.client_secret else {
            return Ok(None);
        };
        let until = self.broker.now().await? + KEPT_S;
        let (row, origins) = (row(form, until), origins(input));
        let sealed = self
            .broker
            .keyring()
            .seal(&self.place(&row, &origins), secret);
        Ok(Some(format!("{until} {}", sealed.as_str())))
    }

    /// Opens what [`AsSiteManager::keep_secret`] gave.
    ///
    /// # Errors
    /// `invalid` where it is too old, or was kept for another form, site manager or other addresses.
    pub async fn kept_secret(
        &self,
        form: &str,
        input: &ProviderInput,
        kept: &str,
    ) -> Result<SecretString> {
        let again = || {
            Refused::invalid("client secret: it was entered too long ago or for other addresses")
                .hint("enter it again")
        };
        let (until, sealed) = kept.split_once(' ').ok_or_else(again)?;
        let until: i64 = until.parse().map_err(|_| again())?;
        if until <= self.broker.now().await? {
            return Err(again());
        }
        let (row, origins) = (row(form, until), origins(input));
        let sealed = Sealed::from_text(sealed.to_owned());
        self.broker
            .keyring()
            .open(&self.place(&row, &origins), &sealed)
            .map_err(|_| again())
    }

    fn place<'a>(&'a self, row: &'a str, origins: &'a [String]) -> Place<'a> {
        Place {
            table: "forms",
            column: "client_secret",
            row,
            owner: self.user.id.as_str(),
            origins,
        }
    }
}

/// The end stands in what is authenticated, so nobody can put it off.
fn row(form: &str, until: i64) -> String {
    format!("{form} {until}")
}

/// The addresses as they were entered: whoever changes them enters the secret again.
fn origins(input: &ProviderInput) -> Vec<String> {
    let given = [
        Some(&input.url),
        input.api_url.as_ref(),
        input.git_url.as_ref(),
    ];
    given
        .iter()
        .map(|url| url.map(|url| url.trim().to_owned()).unwrap_or_default())
        .collect()
}
