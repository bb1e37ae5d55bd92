//! Stylesheet, script and icon: embedded, under addresses that change with their content.

use axum::{
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use crate::problem::Failure;

/// One embedded file.
struct Asset {
    extension: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// Of the bytes, made by the compiler: every page names every file.
    hash: u64,
}

const CSS: Asset = Asset::new(
    "css",
    "text/css; charset=utf-8",
    include_bytes!("../assets/forgepass.css"),
);

const JS: Asset = Asset::new(
    "js",
    "text/javascript; charset=utf-8",
    include_bytes!("../assets/forgepass.js"),
);

const ICON: Asset = Asset::new(
    "svg",
    "image/svg+xml",
    include_bytes!("../assets/forgepass.svg"),
);

/// Every file, in one list.
const ASSETS: &[&Asset] = &[&CSS, &JS, &ICON];

impl Asset {
    const fn new(
        extension: &'static str,
        content_type: &'static str,
        bytes: &'static [u8],
    ) -> Self {
        Self {
            extension,
            content_type,
            bytes,
            hash: fnv1a(bytes),
        }
    }

    /// The name under `/assets/`: it holds a hash of the content, so it can be kept for ever.
    fn file_name(&self) -> String {
        format!("forgepass-{:016x}.{}", self.hash, self.extension)
    }

    fn path(&self) -> String {
        format!("/assets/{}", self.file_name())
    }
}

/// FNV-1a, 64 bit: tells versions of our own files apart; nothing secret depends on it.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

/// Address of the stylesheet.
pub fn css_path() -> String {
    CSS.path()
}

/// Address of the script.
pub fn js_path() -> String {
    JS.path()
}

/// Address of the icon.
pub fn icon_path() -> String {
    ICON.path()
}

/// `GET /assets/{file}`.
pub async fn file(Path(file): Path<String>) -> Result<Response, Failure> {
    let asset = ASSETS.iter().find(|asset| asset.file_name() == file);
    let asset = asset.ok_or_else(Failure::not_found)?;
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(asset.content_type),
    );
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, forever);
    Ok(response)
}
