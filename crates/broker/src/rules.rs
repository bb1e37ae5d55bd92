//! A user's rules: which of their links answers for which host, owner or path.

use secrets::random_id;
use store::{Link, LinkId, NamedRule, Provider, Rule, RuleId, StoreError, Unique};
use url::Url;

use crate::{
    AsUser, ProviderContext, Refused, Result, audit::Entry, matching::rule_path, views::RuleView,
};

/// The longest pattern that is kept.
const LONGEST_PATTERN: usize = 400;
/// More rules than anyone writes by hand.
const MOST_RULES: usize = 200;

impl AsUser {
    /// The user's rules, by pattern.
    pub async fn rules(&self) -> Result<Vec<RuleView>> {
        let rules = self.broker.store().named_rules_of(&self.user.id).await?;
        let view = |it: &NamedRule| view(&it.rule, &it.login, &it.provider);
        Ok(rules.iter().map(view).collect())
    }

    /// Lets `link` answer for `pattern`: `HOST` (its provider's default), `HOST/OWNER` or `HOST/PATH`,
    /// where `*` and `?` are wildcards inside a segment.
    ///
    /// # Errors
    /// `not-found` where the user has no such link, `invalid` for a pattern of another host or with
    /// letters that no path has, `conflict` where the user has a rule for the pattern.
    pub async fn add_rule(&self, pattern: &str, link: &LinkId) -> Result<RuleView> {
        let store = self.broker.store();
        let found = store.link(&self.user.id, link).await?;
        let link = found
            .filter(|link| link.unlinking_at.is_none())
            .ok_or_else(|| Refused::not_found("link"))?;
        let provider = self.broker.provider_context(&link.provider_id).await?;
        let pattern = normal(pattern, &provider)?;
        if store.rules_of(&self.user.id).await?.len() >= MOST_RULES {
            return Err(
                Refused::invalid(format!("there are {MOST_RULES} rules already"))
                    .hint("remove rules that a shorter pattern with a wildcard can replace"),
            );
        }
        let rule = Rule {
            id: RuleId(random_id("rul")),
            user_id: self.user.id.clone(),
            link_id: link.id.clone(),
            pattern,
            created_at: self.broker.now().await?,
        };
        let added = store.add_rule(&rule).await;
        if !added.map_err(|error| taken(error, &rule.pattern))? {
            return Err(Refused::not_found("link"));
        }
        self.record_rule("rule.add", &rule, &link).await;
        Ok(view(&rule, &link.login, &provider.row.name))
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// `not-found` where the user has no such rule.
    pub async fn remove_rule(&self, id: &RuleId) -> Result<()> {
        let store = self.broker.store();
        let rules = store.rules_of(&self.user.id).await?;
        let rule = rules.into_iter().find(|rule| rule.id == *id);
        let rule = rule.ok_or_else(|| Refused::not_found("rule"))?;
        let link = store.link(&self.user.id, &rule.link_id).await?;
        if !store.remove_rule(&self.user.id, id).await? {
            return Err(Refused::not_found("rule"));
        }
        if let Some(link) = link {
            self.record_rule("rule.remove", &rule, &link).await;
        }
        Ok(())
    }

    async fn record_rule(&self, action: &'static str, rule: &Rule, link: &Link) {
        let words = format!("{} for {}", link.login, rule.pattern);
        let entry = Entry::new(action, words)
            .by(&self.user.id)
            .at(&link.provider_id);
        self.broker.record([entry]).await;
    }
}

/// The link that answers where no path is known or no rule fits: the one with the bare host's rule, else
/// the oldest. Puts it first.
pub(crate) fn default_first(links: &mut [&Link], rules: &[Rule], git: Option<&Url>) {
    let bare = |link: &Link| {
        let mut own = rules.iter().filter(|rule| rule.link_id == link.id);
        git.is_some_and(|git| own.any(|rule| rule_path(&rule.pattern, git).is_empty()))
    };
    links.sort_by_key(|link| !bare(link));
}

fn view(rule: &Rule, login: &str, provider: &str) -> RuleView {
    RuleView {
        id: rule.id.to_string(),
        pattern: rule.pattern.clone(),
        link: rule.link_id.to_string(),
        login: login.to_owned(),
        provider: provider.to_owned(),
        created_at: rule.created_at,
    }
}

/// A pattern as it is kept: with the address of Git over HTTPS in front, so that one rule serves HTTPS
/// and SSH whatever host it was written with.
fn normal(pattern: &str, at: &ProviderContext) -> Result<String> {
    let (provider, site) = (&at.row, &at.site);
    let written = pattern.trim().trim_start_matches("https://");
    let Some(git) = &site.git else {
        return Err(Refused::invalid(format!(
            "{} offers no Git over HTTPS, and one key serves all of it",
            provider.name
        )));
    };
    let (host, path) = written.split_once('/').unwrap_or((written, ""));
    let address = bare_address(git);
    if !hosts(&address, provider).contains(&host.to_ascii_lowercase()) {
        return Err(Refused::invalid(format!(
            "the pattern's host {host:?} is not {}'s",
            provider.name
        ))
        .hint(format!("begin the pattern with {address}")));
    }
    check(pattern, &rules::segments(path))?;
    let below = rules::path_below(path, git.path(), at.kind.https_segment());
    let whole = format!("{}/{below}", rule_address(git));
    Ok(whole.trim_end_matches('/').to_owned())
}

fn check(pattern: &str, segments: &[String]) -> Result<()> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\\[]{}\"'#:@".contains(c);
    let unlike = |segment: &String| segment == "." || segment == ".." || segment.contains(odd);
    if pattern.len() > LONGEST_PATTERN || segments.iter().any(unlike) {
        return Err(Refused::invalid(
            "the pattern has letters that no repository's path has, or is too long",
        )
        .hint("write HOST, HOST/OWNER or HOST/OWNER/REPOSITORY; * and ? are wildcards"));
    }
    if segments.iter().any(|segment| segment.contains("**")) {
        return Err(Refused::invalid("`**` is no wildcard here")
            .hint("a pattern fits everything below it: leave `**` out"));
    }
    Ok(())
}

/// Where a provider's rules begin: its address for Git over HTTPS without the scheme.
pub(crate) fn rule_address(git: &Url) -> String {
    let mut parts = vec![bare_address(git)];
    parts.extend(rules::segments(git.path()));
    parts.join("/")
}

/// `host` or `host:port`, as Git over HTTPS calls it.
fn bare_address(git: &Url) -> String {
    let host = git.host_str().unwrap_or_default();
    match git.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Every name that a person may know a provider by: its addresses for Git, and its pages.
fn hosts(address: &str, provider: &Provider) -> Vec<String> {
    let page = Url::parse(&provider.url)
        .map(|url| bare_address(&url))
        .unwrap_or_default();
    let mut hosts = vec![address.to_owned(), page];
    for ssh in &provider.ssh_addresses {
        let ssh = ssh.to_ascii_lowercase();
        let name = ssh.rsplit_once(':').map_or(ssh.as_str(), |(host, _)| host);
        hosts.push(name.to_owned());
        hosts.push(ssh);
    }
    hosts.retain(|host| !host.is_empty());
    hosts
}

fn taken(error: StoreError, pattern: &str) -> Refused {
    match error {
        StoreError::Duplicate(Unique::RulePattern) => {
            Refused::conflict(format!("there is a rule for {pattern} already"))
                .hint("remove it first, with `forgepass account rule remove` or on the page")
        }
        error => error.into(),
    }
}
