//! Azure Repos over SSH: the public key is pasted by hand, since no public API takes one.
//! <https://learn.microsoft.com/en-us/azure/devops/repos/git/use-ssh-keys-to-authenticate>

use url::Url;

use crate::{
    AuthStyle, Defaults, GuideStep, Kind, Narrowing, Ours, Site,
    call::under,
    known_hosts::{AZURE, host_for, owned},
};

pub(crate) struct AzureRepos;

impl Kind for AzureRepos {
    fn id(&self) -> &'static str {
        "azure-repos"
    }

    fn name(&self) -> &'static str {
        "Azure Repos"
    }

    fn usual_url(&self) -> Option<&'static str> {
        Some("https://dev.azure.com")
    }

    fn auth(&self) -> AuthStyle {
        AuthStyle::None
    }

    fn guide(&self, ours: &Ours) -> Vec<GuideStep> {
        let policies = ours.page("_settings/organizationPolicy");
        vec![
            GuideStep::say(
                "Nothing is registered at Azure: each person pastes a public key. Enter the address of your organisation here; for several organisations enter https://dev.azure.com alone.",
            )
            .with("URL", "https://dev.azure.com/<organisation>"),
            GuideStep::say(format!(
                "Make sure that SSH is allowed: Organization settings, Policies, SSH authentication ({policies})."
            )),
            GuideStep::say(
                "Keys are RSA 3072 whatever the site setting says, since Azure takes no other algorithm. Azure ends each key after a year.",
            ),
            GuideStep::say("Repositories have this address.")
                .with("SSH", "git@ssh.dev.azure.com:v3/<organisation>/<project>/<repository>"),
        ]
    }

    fn defaults(&self, url: &Url) -> Result<Defaults, String> {
        let host = host_for(self.id(), url)?;
        if AZURE.addresses.contains(&host) {
            return Err(format!(
                "{host} is the SSH host: enter https://dev.azure.com/<organisation>"
            ));
        }
        let (ssh_addresses, host_keys) = if is_cloud(host) {
            (owned(AZURE.addresses), owned(AZURE.keys))
        } else {
            (vec![host.to_owned()], Vec::new())
        };
        Ok(Defaults {
            api: url.clone(),
            git: None,
            ssh_user: "git".into(),
            ssh_addresses,
            host_keys,
        })
    }

    /// No Ed25519, no ECDSA.
    fn algorithms(&self) -> &'static [&'static str] {
        &["rsa-3072"]
    }

    fn paste_steps(&self) -> &'static [&'static str] {
        &[
            "Open User settings (beside your picture), SSH public keys, and press New Key",
            "Enter a name, paste the public key as one line and press Add",
            "Azure ends the key after a year: make a new one here before that and paste it",
        ]
    }

    /// Without an organisation in the URL the person chooses one on Azure's first page.
    fn key_page(&self, site: &Site) -> Option<Url> {
        let in_path = site.url.path().trim_matches('/');
        let bare = site.url.host_str() == Some(AZURE.web) && in_path.is_empty();
        Some(if bare {
            site.url.clone()
        } else {
            under(&site.url, "_usersSettings/keys")
        })
    }

    fn narrowing(&self) -> Narrowing {
        Narrowing::Impossible("Azure Repos is used over SSH alone, so there is no token to narrow")
    }
}

/// The cloud is reached by its own name and by `<organisation>.visualstudio.com`.
fn is_cloud(host: &str) -> bool {
    host == AZURE.web || host.ends_with(".visualstudio.com")
}
