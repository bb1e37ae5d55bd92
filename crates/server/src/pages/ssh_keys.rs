//! `/preferences/ssh-keys`: the public half of every key, where it stands, and how to paste it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use broker::{AsUser, KeyId, KeyView, OfferedProvider};

use super::{Answer, Frame, done, show};
use crate::{app::App, problem::Failure};

#[derive(Template)]
#[template(path = "ssh_keys.html")]
struct SshKeysPage {
    frame: Frame,
    groups: Vec<KeyGroup>,
}

/// The keys of one link, or of one provider without OAuth: the live one and those it replaces.
struct KeyGroup {
    provider: String,
    login: Option<String>,
    /// How to paste the key, where that is done by hand.
    steps: Vec<&'static str>,
    keys: Vec<KeyView>,
}

/// `GET /preferences/ssh-keys`. Keys of kinds without OAuth are made at the first view.
pub async fn page(user: AsUser, frame: Frame) -> Answer {
    let (keys, offered) = user.keys_and_offered().await?;
    let groups = grouped(keys, &offered);
    show(&SshKeysPage { frame, groups })
}

fn grouped(keys: Vec<KeyView>, offered: &[OfferedProvider]) -> Vec<KeyGroup> {
    let mut groups: BTreeMap<(String, Option<String>), KeyGroup> = BTreeMap::new();
    for key in keys {
        let provider = offered
            .iter()
            .find(|provider| provider.id == key.provider_id);
        let of_link = |provider: &OfferedProvider| {
            let link = provider
                .links
                .iter()
                .find(|link| key.link.as_ref() == Some(&link.id));
            link.map(|link| link.login.clone())
        };
        let group = groups.entry((key.provider.clone(), key.link.clone()));
        let group = group.or_insert_with(|| KeyGroup {
            provider: key.provider.clone(),
            login: provider.and_then(of_link),
            steps: provider
                .map(|it| it.paste_steps.clone())
                .unwrap_or_default(),
            keys: Vec::new(),
        });
        group.keys.push(key);
    }
    groups.into_values().collect()
}

#[derive(Template)]
#[template(path = "regenerate.html")]
struct RegeneratePage {
    frame: Frame,
    key: KeyView,
}

/// `GET /preferences/ssh-keys/{id}/regenerate`: says what it does.
pub async fn confirm_regenerate(user: AsUser, frame: Frame, Path(id): Path<String>) -> Answer {
    let key = user.keys().await?.into_iter().find(|key| key.id == id);
    show(&RegeneratePage {
        frame,
        key: key.ok_or_else(Failure::not_found)?,
    })
}

/// `POST /preferences/ssh-keys/{id}/regenerate`.
pub async fn regenerate(State(app): State<App>, user: AsUser, Path(id): Path<String>) -> Answer {
    let key = user.regenerate_key(&KeyId(id)).await?;
    let notice = if key.state == "by-hand" {
        format!(
            "A new key for {} is made. Paste it there; the old one works until then.",
            key.provider
        )
    } else {
        format!("A new key for {} is made and being uploaded.", key.provider)
    };
    Ok(done(&app, "/preferences/ssh-keys", &notice))
}
