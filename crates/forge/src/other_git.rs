//! Other

use url::Url;

use crate::{AuthStyle, Defaults, GuideStep, Kind, Ours};

pub(crate) struct OtherGit;

impl Kind for OtherGit {
    fn id(&self) -> &'static str { "other-git" }
    fn name(&self) -> &'static str { "Other Git host" }
    fn auth(&self) -> AuthStyle { AuthStyle::None }
    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> { Vec::new() }
    fn defaults(&self, _url: &Url) -> Result<Defaults, String> { Err(String::new()) }
    fn algorithms(&self) -> &'static [&'static str] { &[] }
    fn paste_steps(&self) -> &'static [&'static str] { &[] }
}
