//! What all OAuth 2.0 sites share: authorizations under way, codes, tokens and their rotation.

use crate::{
    ask::Params,
    shape::Software,
    state::{App, AppStyle, State, Token, TokenSort},
    world,
};

/// An authorization request that waits for its person's decision.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) app_name: String,
    pub(crate) scopes: Vec<String>,
    /// The account the page proposes.
    pub(crate) login_hint: Option<String>,
    pub(crate) dance: Dance,
}

/// Which protocol the decision belongs to.
#[derive(Clone)]
pub(crate) enum Dance {
    OAuth2(Request),
    OAuth1 { request_token: String },
}

/// What an accepted OAuth 2.0 authorization request asked for.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) client_id: String,
    /// Where the browser goes.
    pub(crate) redirect_uri: String,
    /// What the request said, which the exchange must repeat.
    pub(crate) sent_redirect_uri: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<Challenge>,
}

/// A PKCE challenge (RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) method: Method,
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    S256,
    Plain,
}

impl Challenge {
    /// The challenge of an authorization request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(query: &Params, software: Software) -> Result<Option<Self>, &'static str> {
        let Some(value) = query.get("code_challenge") else {
            return Ok(None);
        };
        let method = match (software, query.get("code_challenge_method")) {
            (_, Some("S256")) | (Software::Bitbucket, Some("s256" | "sha256")) => Method::S256,
            (Software::GitLab | Software::Bitbucket, Some("plain") | None) => Method::Plain,
            _ => return Err("the code_challenge_method must be S256"),
        };
        if method == Method::S256 && value.len() != 43 {
            return Err("the code_challenge of S256 has 43 characters");
        }
        Ok(Some(Self {
            method,
            value: value.to_owned(),
        }))
    }

    fn answers(&self, verifier: &str) -> bool {
        if !(43..=128).contains(&verifier.len()) {
            return false;
        }
        match self.method {
            Method::S256 => world::s256(verifier) == self.value,
            Method::Plain => verifier == self.value,
        }
    }
}

/// An authorization code.
pub(crate) struct Code {
    code: String,
    pub(crate) request: Request,
    pub(crate) account: u64,
    pub(crate) scopes: Vec<String>,
    expires_at: i64,
}

/// Why an exchange was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Unknown, expired, used or issued to another client.
    BadCode,
    /// Another redirect URI than at authorization.
    RedirectMismatch,
    /// The PKCE verifier is missing.
    NoVerifier,
    /// The PKCE verifier does not fit.
    WrongVerifier,
}

impl Problem {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::BadCode => "the code is unknown, expired, used or another client's",
            Self::RedirectMismatch => "the redirect_uri differs from that at authorization",
            Self::NoVerifier => "the code_verifier is missing",
            Self::WrongVerifier => "the code_verifier does not fit the code_challenge",
        }
    }
}

impl State {
    /// Makes a code for an approved request.
    pub(crate) fn grant_code(
        &mut self,
        request: Request,
        account: u64,
        scopes: &[String],
    ) -> String {
        // Bitbucket's default is short on purpose: `max.client.delay.seconds`.
        let usual = if self.software() == Software::Bitbucket {
            10
        } else {
            600
        };
        let code = world::random_hex(20);
        self.note_issued([&code]);
        let expires_at = self.now() + self.knobs.code_s.unwrap_or(usual);
        let withheld = self.knobs.withheld_scope.clone();
        let scopes = scopes
            .iter()
            .filter(|scope| withheld.as_ref() != Some(scope))
            .cloned()
            .collect();
        self.codes.push(Code {
            code: code.clone(),
            request,
            account,
            scopes,
            expires_at,
        });
        code
    }

    /// Redeems a code; right or wrong, it cannot be used again.
    pub(crate) fn take_code(&mut self, client_id: &str, form: &Params) -> Result<Code, Problem> {
        let wanted = form.text("code");
        let place = self.codes.iter().position(|code| code.code == wanted);
        let code = self.codes.swap_remove(place.ok_or(Problem::BadCode)?);
        if code.request.client_id != client_id || code.expires_at <= self.now() {
            return Err(Problem::BadCode);
        }
        let repeated = match form.get("redirect_uri") {
            // GitHub alone lets the exchange leave it out.
            None => self.software() == Software::GitHub,
            Some(uri) => {
                uri == code
                    .request
                    .sent_redirect_uri
                    .as_ref()
                    .unwrap_or(&code.request.redirect_uri)
            }
        };
        if !repeated {
            return Err(Problem::RedirectMismatch);
        }
        match (&code.request.challenge, form.get("code_verifier")) {
            (None, _) => Ok(code),
            (Some(_), None) => Err(Problem::NoVerifier),
            (Some(challenge), Some(verifier)) if challenge.answers(verifier) => Ok(code),
            (Some(_), Some(_)) => Err(Problem::WrongVerifier),
        }
    }

    /// Issues a token and, where the site has them, a refresh token.
    pub(crate) fn issue(&mut self, app: &App, account: u64, scopes: Vec<String>) -> Token {
        let now = self.now();
        let lives = Lives::of(self.software(), app);
        let access_s = self.knobs.access_token_s.or(lives.access_s);
        let refresh_s = self.knobs.refresh_token_s.or(lives.refresh_s);
        let token = Token {
            id: self.next_id(),
            access: format!("{}{}", lives.access_prefix, world::random_letters(36)),
            refresh: lives
                .refreshes
                .then(|| format!("{}{}", lives.refresh_prefix, world::random_letters(40))),
            refresh_expires_at: refresh_s.filter(|_| lives.refreshes).map(|life| now + life),
            client_id: Some(app.client_id.clone()),
            account,
            scopes,
            issued_at: now,
            expires_at: access_s.map(|life| now + life),
            revoked: false,
            sort: TokenSort::OAuth2,
        };
        self.note_issued([&token.access].into_iter().chain(&token.refresh));
        self.tokens.push(token.clone());
        token
    }

    /// Redeems a refresh token; the old access and refresh tokens end at once.
    pub(crate) fn rotate(&mut self, app: &App, refresh: &str) -> Option<Token> {
        let now = self.now();
        let old = self.tokens.iter_mut().find(|token| {
            !refresh.is_empty()
                && token.refresh.as_deref() == Some(refresh)
                && token.client_id.as_ref() == Some(&app.client_id)
                && !token.revoked
                && token.refresh_expires_at.is_none_or(|end| end > now)
        })?;
        old.revoked = true;
        old.refresh = None;
        let (id, account, scopes) = (old.id, old.account, old.scopes.clone());
        self.refreshes += 1;
        let mut token = self.issue(app, account, scopes);
        for key in self
            .keys
            .iter_mut()
            .filter(|key| key.made_by_token == Some(id))
        {
            key.made_by_token = Some(token.id);
        }
        if self.knobs.keep_refresh_token {
            if let Some(kept) = self.tokens.last_mut() {
                kept.refresh = Some(refresh.to_owned());
            }
            token.refresh = None;
        }
        Some(token)
    }
}

/// What the tokens of a site look like and how long they live.
struct Lives {
    access_prefix: &'static str,
    refresh_prefix: &'static str,
    /// `None`: no end.
    access_s: Option<i64>,
    refreshes: bool,
    refresh_s: Option<i64>,
}

impl Lives {
    fn of(software: Software, app: &App) -> Self {
        let (access_prefix, refresh_prefix, access_s, refreshes, refresh_s) =
            match (software, &app.style) {
                (Software::GitHub, AppStyle::GitHubApp) => {
                    ("ghu_", "ghr_", Some(28_800), true, Some(15_811_200))
                }
                (Software::GitHub, _) => ("gho_", "", None, false, None),
                (Software::Bitbucket, _) => ("", "", Some(3_600), true, Some(7_776_000)),
                _ => ("", "", Some(7_200), true, None),
            };
        Self {
            access_prefix,
            refresh_prefix,
            access_s,
            refreshes,
            refresh_s,
        }
    }
}
