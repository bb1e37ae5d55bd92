//! B

use url::Url;

use crate::{AuthStyle, Defaults, GuideStep, Kind, Ours};

pub(crate) struct BitbucketServer { auth: AuthStyle }
pub(crate) const OVER_OAUTH2: BitbucketServer = BitbucketServer { auth: AuthStyle::OAuth2 };
pub(crate) const OVER_OAUTH1: BitbucketServer = BitbucketServer { auth: AuthStyle::OAuth1 };

impl Kind for BitbucketServer {
    fn id(&self) -> &'static str { if self.auth == AuthStyle::OAuth2 { "bitbucket-server" } else { "bitbucket-server-oauth1" } }
    fn name(&self) -> &'static str { "x" }
    fn auth(&self) -> AuthStyle { self.auth }
    fn guide(&self, _ours: &Ours) -> Vec<GuideStep> { Vec::new() }
    fn defaults(&self, _url: &Url) -> Result<Defaults, String> { Err(String::new()) }
    fn algorithms(&self) -> &'static [&'static str] { &[] }
    fn paste_steps(&self) -> &'static [&'static str] { &[] }
}
