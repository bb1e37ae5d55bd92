//! GitLab

use url::Url;

use crate::{AuthStyle, Defaults, GuideStep, Kind, Ours};

pub(crate) struct GitLab;

impl Kind for GitLab {
    fn id(&self) -> &'static str { "gitlab" }
    fn name(&self) -> &'static str { "GitLab" }
    fn auth(&self) -> AuthStyle { AuthStyle::OAuth2 }
    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> { Vec::new() }
    fn defaults(&self, _url: &Url) -> Result<Defaults, String> { Err(String::new()) }
    fn algorithms(&self) -> &'static [&'static str] { &[] }
    fn paste_steps(&self) -> &'static [&'static str] { &[] }
}
