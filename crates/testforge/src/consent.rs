//! The page on which a person chooses an account and approves or denies an application.

use std::{fmt::Write as _, sync::Arc};

use axum::{extract::State as Shared, http::StatusCode, response::Response};

use crate::{
    ask::{Ask, Params},
    oauth1,
    oauth2::{Dance, Pending, Request},
    reply::{self, Remark as _, escape},
    shape::Software,
    state::{Site, State},
    world,
};

/// Remembers an authorization request and shows the page for it.
pub(crate) fn show(site: &Site, state: &mut State, ask: &Ask, mut pending: Pending) -> Response {
    pending.id = world::random_text(24);
    let html = form(state, &ask.full_path, &pending);
    state.pending.push(pending);
    reply::page(
        StatusCode::OK,
        &format!("Authorize at {}", site.shape.name()),
        &html,
    )
}

fn form(state: &State, action: &str, pending: &Pending) -> String {
    let mut html = format!(
        "<p><strong>{}</strong> wants to act for you.</p>\n<form method=\"post\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{}\">\n",
        escape(&pending.app_name),
        escape(action),
        pending.id,
    );
    html.push_str("<p><label>Account <select name=\"account\">\n");
    for account in &state.accounts {
        let chosen = pending.login_hint.as_ref() == Some(&account.login);
        let selected = if chosen { " selected" } else { "" };
        let login = escape(&account.login);
        let _ = writeln!(html, "<option value=\"{login}\"{selected}>{login}</option>");
    }
    html.push_str("</select></label></p>\n<fieldset><legend>It asks for</legend>\n");
    for scope in &pending.scopes {
        let scope = escape(scope);
        let _ = match state.software() {
            // Only GitHub lets a person grant less than was asked.
            Software::GitHub => writeln!(
                html,
                "<p><label><input type=\"checkbox\" name=\"scope\" value=\"{scope}\" checked> \
                 {scope}</label></p>"
            ),
            _ => writeln!(html, "<p>{scope}</p>"),
        };
    }
    html.push_str(
        "</fieldset>\n<p><button name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>",
    );
    html
}

/// `POST` of the page: the person's decision.
pub(crate) async fn press(Shared(site): Shared<Arc<Site>>, ask: Ask) -> Response {
    let form = ask.form();
    let mut state = site.lock();
    let place = state
        .pending
        .iter()
        .position(|pending| pending.id == form.text("request"));
    let Some(place) = place else {
        return sorry(StatusCode::BAD_REQUEST, "This page was used before.");
    };
    let pending = state.pending.swap_remove(place);
    if form.text("decision") != "approve" {
        return deny(&site, &mut state, &pending).because("the person denied");
    }
    let login = form.get("account").or(pending.login_hint.as_deref());
    let account = match login {
        Some(login) => state.account_by_login(login),
        None => state.accounts.first(),
    };
    let Some(account) = account.cloned() else {
        return sorry(StatusCode::BAD_REQUEST, "There is no such account.");
    };
    if account.suspended {
        return sorry(StatusCode::FORBIDDEN, "This account is suspended.").by(&account.login);
    }
    match pending.dance {
        Dance::OAuth2(request) => {
            let scopes = granted(&form, state.software(), &pending.scopes);
            let code = state.grant_code(request.clone(), account.id, &scopes);
            back(&site, &request, &[("code", &code)]).by(&account.login)
        }
        Dance::OAuth1 { request_token } => {
            oauth1::approve(&mut state, &request_token, account.id).by(&account.login)
        }
    }
}

/// The scopes that stay ticked; a client that sends no boxes at all leaves the page as it was.
fn granted(form: &Params, software: Software, asked: &[String]) -> Vec<String> {
    let ticked: Vec<&str> = form.all("scope").collect();
    if software != Software::GitHub || ticked.is_empty() {
        return asked.to_vec();
    }
    asked
        .iter()
        .filter(|scope| ticked.contains(&scope.as_str()))
        .cloned()
        .collect()
}

fn deny(site: &Site, state: &mut State, pending: &Pending) -> Response {
    let request = match &pending.dance {
        Dance::OAuth1 { request_token } => return oauth1::deny(state, request_token),
        Dance::OAuth2(request) => request,
    };
    let description = match site.shape.software() {
        Software::GitHub => "The user has denied your application access.",
        _ => "The resource owner or authorization server denied the request.",
    };
    back(
        site,
        request,
        &[
            ("error", "access_denied"),
            ("error_description", description),
        ],
    )
}

/// Sends the browser back to the application with `pairs` and the state.
pub(crate) fn back(site: &Site, request: &Request, pairs: &[(&str, &str)]) -> Response {
    let mut pairs = pairs.to_vec();
    let decoded;
    if let Some(state) = &request.state {
        decoded = match site.shape.software() {
            // Bitbucket Server URL-decodes the state once more on its way back.
            Software::Bitbucket => {
                let spaced = state.replace('+', " ");
                percent_encoding::percent_decode_str(&spaced)
                    .decode_utf8_lossy()
                    .into_owned()
            }
            _ => state.clone(),
        };
        pairs.push(("state", &decoded));
    }
    reply::redirect(&request.redirect_uri, &pairs)
}

/// An error page of the site itself: the browser is not sent back.
pub(crate) fn sorry(status: StatusCode, reason: &str) -> Response {
    reply::page(
        status,
        "This did not work",
        &format!("<p>{}</p>", escape(reason)),
    )
    .because(reason)
}
