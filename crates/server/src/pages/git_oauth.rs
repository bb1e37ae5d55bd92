//! `/manage/admin/git-oauth`: the providers, each with its state; and the form that adding and editing share.

use askama::Template;
use broker::{AsSiteManager, DraftId, ProviderInput, ProviderView};
use secrecy::SecretString;
use serde::Deserialize;

use super::{Answer, Frame, show, text};
use crate::problem::Failure;

/// The list's path.
pub(super) const GIT_OAUTH: &str = "/manage/admin/git-oauth";

#[derive(Template)]
#[template(path = "git_oauth.html")]
struct GitOauthPage {
    frame: Frame,
    providers: Vec<ProviderView>,
}

/// `GET /manage/admin/git-oauth`.
pub async fn page(manager: AsSiteManager, frame: Frame) -> Answer {
    show(&GitOauthPage {
        frame,
        providers: manager.providers().await?,
    })
}

/// How accounts are linked at a kind, in words.
pub fn way(auth: &str) -> &'static str {
    match auth {
        "oauth2" => "OAuth 2.0 application",
        "oauth1" => "OAuth 1.0a application link",
        _ => "SSH key pasted by hand",
    }
}

/// A provider as the form has it. Text fields are empty where nothing was entered.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ProviderForm {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) url: String,
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    /// The client secret of the last sending, sealed.
    pub(super) kept: String,
    pub(super) consumer_name: String,
    pub(super) description: String,
    pub(super) api_url: String,
    pub(super) git_url: String,
    pub(super) ssh_user: String,
    pub(super) ssh_addresses: String,
    pub(super) host_keys: String,
    /// Host keys of a test that were ticked, to be pinned.
    pub(super) pin: Vec<String>,
    pub(super) ca_pem: String,
    pub(super) internal: Option<String>,
    pub(super) narrowing_off: Option<String>,
    pub(super) disabled: Option<String>,
    pub(super) confirm: Option<String>,
    /// Which button was pressed.
    #[serde(rename = "do")]
    pub(super) action: String,
}

impl ProviderForm {
    /// The form filled with what is stored; the secret stays out.
    pub(super) fn of(provider: &ProviderView) -> Self {
        let yes = |set: bool| set.then(|| "yes".to_owned());
        let entered = |entered: bool, url: Option<&str>| {
            if entered {
                url.unwrap_or_default().to_owned()
            } else {
                String::new()
            }
        };
        Self {
            kind: provider.kind.clone(),
            name: provider.name.clone(),
            url: provider.url.clone(),
            client_id: provider.client_id.clone(),
            client_secret: SecretString::default(),
            kept: String::new(),
            consumer_name: provider.consumer_name.clone().unwrap_or_default(),
            description: provider.description.clone().unwrap_or_default(),
            api_url: entered(provider.api_url_entered, Some(&provider.api_url)),
            git_url: entered(provider.git_url_entered, provider.git_url.as_deref()),
            ssh_user: provider.ssh_user.clone(),
            ssh_addresses: provider.ssh_addresses.join("\n"),
            host_keys: provider.host_keys.join("\n"),
            pin: Vec::new(),
            ca_pem: provider.ca_pem.clone().unwrap_or_default(),
            internal: yes(provider.internal),
            narrowing_off: yes(provider.narrowing_off),
            disabled: yes(provider.disabled),
            confirm: None,
            action: String::new(),
        }
    }

    /// What the broker takes.
    pub(super) fn input(&self, draft: Option<DraftId>) -> ProviderInput {
        use secrecy::ExposeSecret;
        let has_secret = !self.client_secret.expose_secret().is_empty();
        ProviderInput {
            kind: self.kind.clone(),
            name: self.name.clone(),
            url: self.url.clone(),
            client_id: self.client_id.clone(),
            client_secret: has_secret.then(|| self.client_secret.clone()),
            consumer_name: text::filled(&self.consumer_name),
            draft,
            description: text::filled(&self.description),
            api_url: text::filled(&self.api_url),
            git_url: text::filled(&self.git_url),
            ssh_user: text::filled(&self.ssh_user),
            ssh_addresses: text::lines(&self.ssh_addresses),
            host_keys: text::lines(&self.host_keys),
            ca_pem: text::filled(&self.ca_pem),
            internal: self.internal.is_some(),
            narrowing_off: self.narrowing_off.is_some(),
            disabled: self.disabled.is_some(),
            confirm: self.confirm.is_some(),
        }
    }

    /// What the broker takes, with the client secret that was entered or the one that is kept. From here on
    /// the form keeps it, so that it is asked for once, whatever else has to be mended or confirmed.
    ///
    /// # Errors
    /// `invalid` where what is kept is too old or for other addresses; the form then keeps none.
    pub(super) async fn input_kept(
        &mut self,
        manager: &AsSiteManager,
        id: &str,
        draft: Option<DraftId>,
    ) -> Result<ProviderInput, Failure> {
        self.pin_ticked();
        let mut input = self.input(draft);
        let kept = std::mem::take(&mut self.kept);
        if input.client_secret.is_none() && !kept.is_empty() {
            input.client_secret = Some(manager.kept_secret(id, &input, &kept).await?);
        }
        self.kept = manager.keep_secret(id, &input).await?.unwrap_or_default();
        Ok(input)
    }

    /// Host keys that were ticked join those in the field.
    fn pin_ticked(&mut self) {
        for key in std::mem::take(&mut self.pin) {
            if !self.host_keys.lines().any(|line| line.trim() == key) {
                let gap = if self.host_keys.is_empty() { "" } else { "\n" };
                self.host_keys = format!("{}{gap}{key}", self.host_keys.trim_end());
            }
        }
    }

    /// Whether the folded part holds anything, so that it should be open.
    pub(super) fn is_special(&self) -> bool {
        let texts = [&self.api_url, &self.git_url, &self.ca_pem];
        texts.iter().any(|text| !text.is_empty())
            || [&self.internal, &self.narrowing_off, &self.disabled]
                .iter()
                .any(|it| it.is_some())
    }
}
