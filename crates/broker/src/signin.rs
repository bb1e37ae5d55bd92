//! Signing in: the first site manager, passwords, one-time links, browser sessions.

use secrecy::{ExposeSecret, SecretString};
use secrets::{hash_bearer, hash_password, new_bearer, random_id, verify_password};
use store::{OneTimeLink, OneTimePurpose, PasswordHash, Role, Session, SessionId, User, UserId};

use crate::{
    AsUser, Broker, Refused, RefusedKind, Result,
    audit::Entry,
    authority::Via,
    lifetimes,
    users::{self, UserView},
};

/// Who knocks, as far as the connection tells.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// Their address, as the audit log shows it.
    pub address: String,
    /// Their browser's own words.
    pub agent: String,
}

/// The first site manager, as entered.
#[derive(Debug)]
pub struct NewAccount {
    /// Sign-in name.
    pub name: String,
    /// E-mail address; blank counts as absent.
    pub email: Option<String>,
    /// Password.
    pub password: SecretString,
}

/// A browser session, shown to the browser this once.
#[derive(Debug)]
pub struct NewSession {
    /// The bearer token for the cookie.
    pub token: SecretString,
    /// When it ends, whatever happens.
    pub expires_at: i64,
}

/// What an invitation says before it is accepted.
#[derive(Debug, Clone)]
pub struct InvitationView {
    /// For whom.
    pub user: UserView,
    /// When it dies.
    pub expires_at: i64,
}

/// Shortest password, characters (NIST SP 800-63B asks for 8; there is no second factor here).
const SHORTEST_PASSWORD: usize = 10;
/// Longest password, bytes.
const LONGEST_PASSWORD: usize = 1024;
/// Failed sign-ins of one name from one address before it must wait.
const MOST_FAILURES: i64 = 10;
/// Longest text we keep of what a browser says of itself, characters.
const LONGEST_AGENT: usize = 200;

impl Broker {
    /// The first-run set-up link, a whole address, while there is no site manager. Earlier ones die.
    pub async fn setup_link(&self) -> Result<Option<SecretString>> {
        if self.store().count_site_managers().await? > 0 {
            return Ok(None);
        }
        let bearer = new_bearer("fps");
        let expires_at = self.now().await? + lifetimes::SETUP_LINK;
        let link = OneTimeLink {
            user_id: None,
            purpose: OneTimePurpose::Setup,
            expires_at,
        };
        self.store().add_one_time_link(&bearer.hash, &link).await?;
        Ok(Some(self.one_time_page("/setup", &bearer.plain)))
    }

    /// Whether the set-up was done: there is a site manager.
    pub async fn is_set_up(&self) -> Result<bool> {
        Ok(self.store().count_site_managers().await? > 0)
    }

    /// The page of a one-time link.
    pub(crate) fn one_time_page(&self, path: &str, token: &SecretString) -> SecretString {
        format!(
            "{}?token={}",
            self.config().page(path),
            token.expose_secret()
        )
        .into()
    }

    /// Whether a set-up link still works, before anything is entered.
    ///
    /// # Errors
    /// `not-found` once it was used or is too old.
    pub async fn check_setup(&self, token: &SecretString) -> Result<()> {
        let now = self.now().await?;
        let link = self.store().one_time_link(&hash_bearer(token), now).await?;
        link.filter(|link| link.purpose == OneTimePurpose::Setup)
            .map(|_| ())
            .ok_or_else(dead_setup)
    }

    /// Makes the first site manager and signs them in. The link is used up by success alone.
    ///
    /// # Errors
    /// `invalid` for name or password, `not-found` for a dead link, `conflict` for a name in use.
    pub async fn complete_setup(
        &self,
        token: &SecretString,
        account: NewAccount,
        visitor: &Visitor,
    ) -> Result<NewSession> {
        self.check_setup(token).await?;
        let name = users::name(&account.name)?;
        let email = users::email(account.email.as_deref())?;
        check_password(&account.password, &name)?;
        let password_hash = Some(self.hashed(account.password).await?);
        let now = self.now().await?;
        let hash = hash_bearer(token);
        let link = self.store().take_one_time_link(&hash, now).await?;
        let link = link.filter(|link| link.purpose == OneTimePurpose::Setup);
        let link = link.ok_or_else(dead_setup)?;
        if self.store().count_site_managers().await? > 0 {
            return Err(dead_setup());
        }
        let id = UserId(random_id("usr"));
        let role = Role::SiteManager;
        let user = User {
            id,
            name,
            email,
            role,
            password_hash,
            created_at: now,
            suspended_at: None,
        };
        if let Err(error) = self.store().add_user(&user).await {
            self.store().add_one_time_link(&hash, &link).await?;
            return Err(users::taken(error, &user.name));
        }
        let detail = format!("{} set the site up from {}", user.name, visitor.address);
        self.record([Entry::new("setup.complete", detail).by(&user.id)])
            .await;
        self.begin_session(&user, visitor).await
    }

    /// Signs in by name and password.
    ///
    /// # Errors
    /// `unauthenticated`, in the same words and after the same work whether the name is unknown, the
    /// password wrong or the user suspended; with `retry_after_s` after too many failures.
    pub async fn sign_in(
        &self,
        name: &str,
        password: &SecretString,
        visitor: &Visitor,
    ) -> Result<NewSession> {
        let name = name.trim().to_ascii_lowercase();
        let throttle = format!("sign-in\n{name}\n{}", visitor.address);
        self.count_try(&throttle, MOST_FAILURES, "failed sign-ins")
            .await?;
        let user = self.store().user_by_name(&name).await?;
        let known = user.as_ref().and_then(|user| user.password_hash.clone());
        let matches = self.password_matches(password.clone(), known).await?;
        match user.filter(|user| matches && user.suspended_at.is_none()) {
            Some(user) => {
                self.forget_tries(&throttle).await?;
                self.begin_session(&user, visitor).await
            }
            None => {
                let shown: String = name.chars().take(users::LONGEST_NAME).collect();
                let detail = format!("sign-in as {shown:?} from {} refused", visitor.address);
                self.record([Entry::new("session.refuse", detail)]).await;
                Err(
                    Refused::new(RefusedKind::Unauthenticated, "name or password is wrong")
                        .hint("a site manager can make a link for a forgotten password"),
                )
            }
        }
    }

    /// What an invitation, or a link for a forgotten password, is for.
    ///
    /// # Errors
    /// `not-found` once it was used, replaced or is too old.
    pub async fn invitation(&self, token: &SecretString) -> Result<InvitationView> {
        let link = self
            .store()
            .one_time_link(&hash_bearer(token), self.now().await?)
            .await?;
        let (user, expires_at) = self.invited(link).await?;
        Ok(InvitationView {
            user: UserView::of(&user),
            expires_at,
        })
    }

    /// Sets the password of an invited user, ends their other sessions, and signs them in.
    ///
    /// # Errors
    /// `invalid` for the password (the link stays good), `not-found` for a dead link.
    pub async fn accept_invitation(
        &self,
        token: &SecretString,
        password: SecretString,
        visitor: &Visitor,
    ) -> Result<NewSession> {
        let hash = hash_bearer(token);
        let (user, _) = self
            .invited(self.store().one_time_link(&hash, self.now().await?).await?)
            .await?;
        check_password(&password, &user.name)?;
        let password_hash = self.hashed(password).await?;
        let link = self
            .store()
            .take_one_time_link(&hash, self.now().await?)
            .await?;
        let (user, _) = self.invited(link).await?;
        self.store().set_password(&user.id, &password_hash).await?;
        self.store().drop_sessions_of(&user.id).await?;
        let detail = format!("{} set a password from {}", user.name, visitor.address);
        self.record([Entry::new("user.password", detail).by(&user.id)])
            .await;
        self.begin_session(&user, visitor).await
    }

    async fn invited(&self, link: Option<OneTimeLink>) -> Result<(User, i64)> {
        let dead = || {
            Refused::new(
                RefusedKind::NotFound,
                "this link was used already or is too old",
            )
            .hint("ask a site manager for a new one")
        };
        let link = link
            .filter(|link| link.purpose == OneTimePurpose::Password)
            .ok_or_else(dead)?;
        let id = link.user_id.ok_or_else(dead)?;
        let user = self.store().user(&id).await?.ok_or_else(dead)?;
        if user.suspended_at.is_some() {
            return Err(dead());
        }
        Ok((user, link.expires_at))
    }

    /// The user of a browser session.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is unknown, ended, idle too long, or of a suspended user.
    pub async fn session(&self, token: &SecretString) -> Result<AsUser> {
        let now = self.now().await?;
        let found = self
            .store()
            .session_by_token(&hash_bearer(token), now)
            .await?;
        let idle_since = now - lifetimes::SESSION_IDLE;
        let found = found.filter(|found| found.session.last_seen_at > idle_since);
        let found =
            found.ok_or_else(|| unauthenticated("this session has ended", "sign in again"))?;
        if found.session.last_seen_at + lifetimes::SEEN <= now {
            self.store().touch_session(&found.session.id, now).await?;
        }
        let via = Via::Session(found.session.id);
        Ok(AsUser {
            broker: self.clone(),
            user: found.user,
            via,
        })
    }

    /// The user of an API token.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is unknown, ended, revoked, or of a suspended user.
    pub async fn api_token(&self, token: &SecretString) -> Result<AsUser> {
        let now = self.now().await?;
        let found = self
            .store()
            .api_token_by_token(&hash_bearer(token), now)
            .await?;
        let found = found.ok_or_else(|| {
            let hint = "make a new one under Preferences > Sign-in";
            unauthenticated(
                "this API token is unknown, revoked or has ended, or its user is suspended",
                hint,
            )
        })?;
        if found
            .api_token
            .last_used_at
            .is_none_or(|at| at + lifetimes::SEEN <= now)
        {
            self.store()
                .touch_api_token(&found.api_token.id, now)
                .await?;
        }
        Ok(AsUser {
            broker: self.clone(),
            user: found.user,
            via: Via::ApiToken,
        })
    }

    async fn begin_session(&self, user: &User, visitor: &Visitor) -> Result<NewSession> {
        let now = self.now().await?;
        let bearer = new_bearer("fpb");
        let session = Session {
            id: SessionId(random_id("ses")),
            user_id: user.id.clone(),
            address: visitor.address.clone(),
            agent: visitor
                .agent
                .chars()
                .filter(|c| !c.is_control())
                .take(LONGEST_AGENT)
                .collect(),
            created_at: now,
            last_seen_at: now,
            expires_at: now + lifetimes::SESSION,
        };
        self.store().add_session(&bearer.hash, &session).await?;
        let detail = format!("{} signed in from {}", user.name, visitor.address);
        self.record([Entry::new("session.begin", detail).by(&user.id)])
            .await;
        Ok(NewSession {
            token: bearer.plain,
            expires_at: session.expires_at,
        })
    }

    async fn hashed(&self, password: SecretString) -> Result<PasswordHash> {
        let _turn = self
            .inner
            .passwords
            .acquire()
            .await
            .map_err(Refused::internal)?;
        let phc = self.blocking(move || hash_password(&password)).await?;
        Ok(PasswordHash::from_text(
            phc.map_err(|error| Refused::invalid(error.to_string()))?,
        ))
    }

    /// Checks a password, against a hash nobody has where the user has none: the same work each time.
    async fn password_matches(
        &self,
        password: SecretString,
        known: Option<PasswordHash>,
    ) -> Result<bool> {
        let _turn = self
            .inner
            .passwords
            .acquire()
            .await
            .map_err(Refused::internal)?;
        self.blocking(move || match known {
            Some(known) => verify_password(&password, known.as_str()),
            None => {
                // The result does not matter, the time it takes does.
                let _ = verify_password(&password, NOBODYS_PASSWORD);
                false
            }
        })
        .await
    }
}

/// A hash of 32 random bytes nobody kept, with the parameters of every new hash (a test compares).
const NOBODYS_PASSWORD: &str = "$argon2id$v=19$m=19456,t=2,p=1$qpzpHdw7uuNoAcJAh8nteg$FvYazzSvuQcM0o+RjOP1oSTlGce4xNzwS3O1mJ0aoXw";

pub(crate) fn unauthenticated(detail: &str, hint: &str) -> Refused {
    Refused::new(RefusedKind::Unauthenticated, detail).hint(hint)
}

fn dead_setup() -> Refused {
    Refused::new(
        RefusedKind::NotFound,
        "this set-up link was used already or is too old",
    )
    .hint("restart the server for a new one; there is none once a site manager exists")
}

fn check_password(password: &SecretString, name: &str) -> Result<()> {
    let text = password.expose_secret();
    if text.chars().count() < SHORTEST_PASSWORD {
        return Err(Refused::invalid("the password is too short")
            .hint(format!("use at least {SHORTEST_PASSWORD} characters")));
    }
    if text.len() > LONGEST_PASSWORD {
        return Err(Refused::invalid("the password is too long").hint("use at most 1024 bytes"));
    }
    if text.eq_ignore_ascii_case(name) {
        return Err(Refused::invalid("the password is the name").hint("choose another"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_unknown_name_costs_as_much_as_a_known_one() {
        let parameters = |phc: &str| phc.rsplitn(3, '$').last().unwrap().to_owned();
        let fresh = hash_password(&"correct horse battery".into()).unwrap();
        assert_eq!(parameters(NOBODYS_PASSWORD), parameters(&fresh));
    }
}
