//! A Git LFS store beside each repository: the batch API with its basic transfers, behind the credentials
//! of Git over HTTPS (git-lfs, `docs/api/batch.md` and `docs/api/basic-transfers.md`).

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    git::{self, Access},
    git_https::{Admitted, Wish, admit, authorization},
    reply::Remark as _,
    state::Site,
};

const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
/// The largest object, bytes.
const MAX_OBJECT: usize = 64 * 1024 * 1024;
/// The largest batch request, bytes.
const MAX_BATCH: usize = 1024 * 1024;

/// A request to a repository's store.
pub(crate) struct Ask {
    owner: String,
    name: String,
    /// Where the repository's store is, for the addresses that a batch answers with.
    base: String,
    /// `batch` or an object's id.
    what: String,
}

impl Ask {
    /// Whether a request is for a store.
    pub(crate) fn of(site: &Site, request: &Request) -> Option<Self> {
        let (repository, what) = request.uri().path().split_once("/info/lfs/objects/")?;
        let (owner, name) = git::parse_https(site.shape.software(), repository)?;
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| Some(request.uri().authority()?.as_str()))?;
        Some(Self {
            owner,
            name,
            base: format!("https://{host}{repository}/info/lfs/objects"),
            what: what.to_owned(),
        })
    }
}

#[derive(Deserialize)]
struct Batch {
    operation: String,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: usize,
}

/// Answers a request to a store.
pub(crate) async fn serve(site: &Site, ask: Ask, request: Request) -> Response {
    let authorization = authorization(&request);
    let method = request.method().clone();
    let media_type = request.headers().get(header::CONTENT_TYPE).cloned();
    // The body is read before any refusal: a client that still sends would miss the answer.
    let Ok(body) = to_bytes(request.into_body(), MAX_OBJECT).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the object is too large");
    };
    let batch = (ask.what == "batch").then(|| serde_json::from_slice::<Batch>(&body));
    let access = match (&batch, &method) {
        (Some(Ok(batch)), _) if batch.operation == "upload" => Access::Write,
        (None, &Method::PUT) => Access::Write,
        _ => Access::Read,
    };
    let wish = Wish::beside(&ask.owner, &ask.name, access);
    let admitted = match admit(site, &site.lock(), &authorization, &wish) {
        Ok(admitted) => admitted,
        Err(refusal) => return ask_again(refusal.into_response()),
    };
    let store = Store::of(site, &admitted);
    let response = match (batch, method) {
        (Some(batch), Method::POST) => {
            let fits =
                media_type.is_some_and(|found| found.as_bytes().starts_with(MEDIA_TYPE.as_bytes()));
            match batch {
                Ok(batch) if fits && body.len() <= MAX_BATCH => answer(&ask, &store, &batch),
                _ => refuse(StatusCode::UNPROCESSABLE_ENTITY, "this is no batch request"),
            }
        }
        (None, Method::GET) => store.download(&ask.what),
        (None, Method::PUT) => store.upload(&ask.what, &body),
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED, "no such method here"),
    };
    match admitted.login {
        Some(login) => response.by(&login),
        None => response,
    }
}

/// The store names its own header beside the one of Git.
fn ask_again(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"Git LFS\"");
        response.headers_mut().insert("lfs-authenticate", basic);
    }
    response
}

fn answer(ask: &Ask, store: &Store, batch: &Batch) -> Response {
    let objects: Vec<Value> = batch
        .objects
        .iter()
        .map(|object| {
            let there = store.has(&object.oid);
            let href = json!({ "href": format!("{}/{}", ask.base, object.oid) });
            let mut entry = json!({ "oid": object.oid, "size": object.size });
            match (batch.operation.as_str(), there) {
                ("upload", true) => {}
                ("upload", false) => entry["actions"] = json!({ "upload": href }),
                (_, true) => entry["actions"] = json!({ "download": href }),
                (_, false) => {
                    entry["error"] = json!({ "code": 404, "message": "Object does not exist" });
                }
            }
            entry
        })
        .collect();
    reply(
        StatusCode::OK,
        &json!({ "transfer": "basic", "objects": objects }),
    )
}

/// The objects of one repository, in its own folder.
struct Store(PathBuf);

impl Store {
    fn of(site: &Site, admitted: &Admitted) -> Self {
        Self(site.repositories.join(&admitted.folder).join("lfs"))
    }

    fn file(&self, oid: &str) -> Option<PathBuf> {
        let is_hash = oid.len() == 64 && oid.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| self.0.join(oid))
    }

    fn has(&self, oid: &str) -> bool {
        self.file(oid).is_some_and(|file| file.is_file())
    }

    fn download(&self, oid: &str) -> Response {
        match self.file(oid).and_then(|file| std::fs::read(file).ok()) {
            Some(object) => {
                ([(header::CONTENT_TYPE, "application/octet-stream")], object).into_response()
            }
            None => refuse(StatusCode::NOT_FOUND, "no such object"),
        }
    }

    fn upload(&self, oid: &str, object: &[u8]) -> Response {
        let Some(file) = self.file(oid) else {
            return refuse(StatusCode::NOT_FOUND, "no such object");
        };
        let hash: String = digest(&SHA256, object)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if hash != oid {
            return refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the object is not what its id says",
            );
        }
        let written = std::fs::create_dir_all(&self.0).and_then(|()| std::fs::write(file, object));
        match written {
            Ok(()) => StatusCode::OK.into_response(),
            Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

fn refuse(status: StatusCode, message: &str) -> Response {
    reply(status, &json!({ "message": message })).because(message)
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let body = Body::from(body.to_string());
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}
