//! Azure

use url::Url;

use crate::{AuthStyle, Defaults, GuideStep, Kind, Ours};

pub(crate) struct AzureRepos;

impl Kind for AzureRepos {
    fn id(&self) -> &'static str { "azure-repos" }
    fn name(&self) -> &'static str { "Azure Repos" }
    fn auth(&self) -> AuthStyle { AuthStyle::None }
    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> { Vec::new() }
    fn defaults(&self, _url: &Url) -> Result<Defaults, String> { Err(String::new()) }
    fn algorithms(&self) -> &'static [&'static str] { &[] }
    fn paste_steps(&self) -> &'static [&'static str] { &[] }
}
