//! GitHub

use url::Url;

use crate::{AuthStyle, Defaults, GuideStep, Kind, Ours};

pub(crate) struct GitHub;

impl Kind for GitHub {
    fn id(&self) -> &'static str { "github" }
    fn name(&self) -> &'static str { "GitHub" }
    fn auth(&self) -> AuthStyle { AuthStyle::OAuth2 }
    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> { Vec::new() }
    fn defaults(&self, _url: &Url) -> Result<Defaults, String> { Err(String::new()) }
    fn algorithms(&self) -> &'static [&'static str] { &[] }
    fn paste_steps(&self) -> &'static [&'static str] { &[] }
}
