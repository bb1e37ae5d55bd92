//! `/device`: a person compares a code and lets a workspace in, or not.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
};
use axum_extra::extract::Form;
use broker::{AsUser, Decision, PendingDevice};
use serde::Deserialize;

use super::{Answer, Frame, done, show_as};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    frame: Frame,
    fault: Option<Failure>,
    code: String,
    device: Option<PendingDevice>,
}

/// The code, as typed or as the workspace's link fills it in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Code {
    code: String,
}

/// `GET /device`, `GET /device?code=`.
pub async fn page(user: AsUser, frame: Frame, Query(Code { code }): Query<Code>) -> Answer {
    if code.trim().is_empty() {
        let page = DevicePage {
            frame,
            fault: None,
            code: String::new(),
            device: None,
        };
        return show_as(StatusCode::OK, &page);
    }
    match user.pending_device(&code).await {
        Ok(device) => {
            let code = device.user_code.clone();
            let page = DevicePage {
                frame,
                fault: None,
                code,
                device: Some(device),
            };
            show_as(StatusCode::OK, &page)
        }
        Err(refused) => again(frame, code, refused.into()),
    }
}

/// The decision.
#[derive(Debug, Deserialize)]
pub struct Decided {
    code: String,
    decision: String,
    unbound_allowed: Option<String>,
}

/// `POST /device`.
pub async fn decide(
    State(app): State<App>,
    user: AsUser,
    frame: Frame,
    Form(form): Form<Decided>,
) -> Answer {
    let decision = match (form.decision.as_str(), &form.unbound_allowed) {
        ("approve", None) => Decision::Approve,
        ("approve", Some(_)) => Decision::ApproveUnbound,
        ("deny", _) => Decision::Deny,
        _ => {
            return Err(Failure::invalid(
                "decision: it is neither `approve` nor `deny`",
            ));
        }
    };
    if let Err(refused) = user.decide_device(&form.code, decision).await {
        return again(frame, form.code, refused.into());
    }
    let notice = match decision {
        Decision::Deny => "Denied. The machine gets nothing.",
        Decision::Approve | Decision::ApproveUnbound => {
            "Approved. The workspace goes on by itself within a few seconds."
        }
    };
    Ok(done(&app, "/preferences/workspaces", notice))
}

/// A wrong code is asked for again; what is not the person's to mend is an error page.
fn again(frame: Frame, code: String, failure: Failure) -> Answer {
    if failure.code != api::code::NOT_FOUND && !failure.is_mendable() {
        return Err(failure);
    }
    let (status, fault) = (failure.status, Some(failure));
    show_as(
        status,
        &DevicePage {
            frame,
            fault,
            code,
            device: None,
        },
    )
}
