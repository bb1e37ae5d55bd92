//! `/preferences/linked-accounts`: every provider with this user's links there, and the rules between them.

use askama::Template;
use axum::extract::{Path, State};
use axum_extra::extract::Form;
use broker::{AsUser, LinkId, OfferedProvider, RuleId, RuleView};
use serde::Deserialize;

use super::{Answer, Frame, done, show, show_as};
use crate::{app::App, problem::Failure};

const RULES: &str = "/preferences/linked-accounts#rules";

#[derive(Template)]
#[template(path = "linked_accounts.html")]
struct LinkedAccountsPage {
    frame: Frame,
    fault: Option<Failure>,
    providers: Vec<OfferedProvider>,
    rules: Vec<RuleView>,
    entered: NewRule,
    manager: bool,
}

impl LinkedAccountsPage {
    async fn of(user: &AsUser, frame: Frame) -> Result<Self, Failure> {
        let (providers, rules) = tokio::try_join!(user.offered(), user.rules())?;
        Ok(Self {
            frame,
            fault: None,
            providers,
            rules,
            entered: NewRule::default(),
            manager: user.site_manager().is_ok(),
        })
    }

    /// Whether there is anything to choose between.
    fn chooses(&self) -> bool {
        !self.rules.is_empty() || self.providers.iter().any(|one| one.links.len() > 1)
    }
}

/// `GET /preferences/linked-accounts`.
pub async fn page(user: AsUser, frame: Frame) -> Answer {
    show(&LinkedAccountsPage::of(&user, frame).await?)
}

/// The form of a new rule.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NewRule {
    pattern: String,
    link: String,
}

/// `POST /preferences/linked-accounts/rules`: lets a link answer for a pattern.
pub async fn add_rule(
    State(app): State<App>,
    user: AsUser,
    frame: Frame,
    Form(form): Form<NewRule>,
) -> Answer {
    match user
        .add_rule(&form.pattern, &LinkId(form.link.clone()))
        .await
    {
        Ok(rule) => {
            let words = format!("{} answers for {} from now on.", rule.login, rule.pattern);
            Ok(done(&app, RULES, &words))
        }
        Err(refused) => {
            let failure = Failure::from(refused).mendable()?;
            let status = failure.status;
            let mut page = LinkedAccountsPage::of(&user, frame).await?;
            (page.fault, page.entered) = (Some(failure), form);
            show_as(status, &page)
        }
    }
}

/// `POST /preferences/linked-accounts/rules/{id}/remove`: removes a rule.
pub async fn remove_rule(State(app): State<App>, user: AsUser, Path(id): Path<String>) -> Answer {
    user.remove_rule(&RuleId(id)).await?;
    Ok(done(&app, RULES, "The rule is removed."))
}
