//! A person's browser for the demo: keeps cookies, follows redirects and pages that go on, fills and sends forms.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

/// How many redirects one click may cause before we call it a loop.
const MAX_REDIRECTS: usize = 10;

/// One person's browser.
pub struct Browser {
    agent: ureq::Agent,
    /// Cookies by host, as `name=value`.
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// A page that was loaded.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it came from, after redirects.
    pub url: Url,
    /// The HTTP status.
    pub status: u16,
    /// Its HTML.
    pub html: String,
}

/// One form of a page.
#[derive(Debug, Clone)]
pub struct Form {
    action: Url,
    fields: Vec<(String, String)>,
}

impl Browser {
    /// A browser that trusts the certificates in `ca_pem`, and no others.
    ///
    /// # Errors
    /// When `ca_pem` is no PEM certificate.
    pub fn new(ca_pem: &str) -> Result<Self> {
        let roots = Certificate::from_pem(ca_pem.as_bytes())
            .context("the test CA")?
            .to_owned();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&[roots]))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            cookies: BTreeMap::new(),
        })
    }

    /// Loads a page.
    ///
    /// # Errors
    /// When a server cannot be reached or redirects without end.
    pub fn open(&mut self, url: &str) -> Result<Page> {
        self.go(Method::GET, Url::parse(url)?, None)
    }

    /// Sends a form with `values` filled in.
    ///
    /// # Errors
    /// As [`Browser::open`].
    pub fn submit(&mut self, form: &Form, values: &[(&str, &str)]) -> Result<Page> {
        let mut fields = form.fields.clone();
        for (name, value) in values {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        self.go(Method::POST, form.action.clone(), Some(fields))
    }

    /// What it sends `host` as `Cookie`, where it keeps something for it.
    pub fn cookies(&self, host: &str) -> Option<String> {
        let kept = self.cookies.get(host)?.iter();
        let pairs: Vec<String> = kept.map(|(k, v)| format!("{k}={v}")).collect();
        Some(pairs.join("; "))
    }

    fn go(
        &mut self,
        method: Method,
        url: Url,
        fields: Option<Vec<(String, String)>>,
    ) -> Result<Page> {
        let (mut method, mut url, mut fields) = (method, url, fields);
        for _ in 0..MAX_REDIRECTS {
            let mut response = self.send(&method, &url, fields.as_deref())?;
            self.keep_cookies(&url, &response);
            let status = response.status().as_u16();
            let location = response
                .headers()
                .get("location")
                .and_then(|to| to.to_str().ok());
            if let Some(location) = location.filter(|_| (300..400).contains(&status)) {
                url = url.join(location)?;
                (method, fields) = (Method::GET, None);
                continue;
            }
            let html = response.body_mut().read_to_string()?;
            if let Some(next) = onward(&html) {
                url = url.join(&next)?;
                (method, fields) = (Method::GET, None);
                continue;
            }
            return Ok(Page { url, status, html });
        }
        bail!(
            "{} redirects without end",
            url.origin().ascii_serialization()
        );
    }

    fn send(
        &self,
        method: &Method,
        url: &Url,
        fields: Option<&[(String, String)]>,
    ) -> Result<Response<ureq::Body>> {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if let Some(cookies) = url.host_str().and_then(|host| self.cookies(host)) {
            request = request.header("cookie", cookies);
        }
        if method == Method::POST {
            // What a browser tells a server about the page that holds the form.
            request = request
                .header("origin", url.origin().ascii_serialization())
                .header("sec-fetch-site", "same-origin")
                .header("content-type", "application/x-www-form-urlencoded");
        }
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields.unwrap_or_default());
        let sent = match method {
            &Method::POST => self.agent.run(request.body(body.finish())?),
            _ => self.agent.run(request.body(())?),
        };
        sent.with_context(|| format!("cannot reach {}", url.origin().ascii_serialization()))
    }

    fn keep_cookies(&mut self, url: &Url, response: &Response<ureq::Body>) {
        let jar = self
            .cookies
            .entry(url.host_str().unwrap_or_default().to_owned())
            .or_default();
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie
                .to_str()
                .unwrap_or_default()
                .split(';')
                .next()
                .unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                jar.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}

impl Page {
    /// The first form that sends to an address whose path contains `part`.
    ///
    /// # Errors
    /// When there is none; the error says what the page is.
    pub fn form(&self, part: &str) -> Result<Form> {
        let forms = self.html.split("<form").skip(1).map(|rest| {
            let end = rest.find("</form>").unwrap_or(rest.len());
            rest.split_at(end).0
        });
        for form in forms {
            let (tag, inside) = form.split_once('>').unwrap_or((form, ""));
            let action = self
                .url
                .join(&attribute(tag, "action").unwrap_or_default())?;
            if action.path().contains(part) {
                return Ok(Form {
                    action,
                    fields: inputs(inside),
                });
            }
        }
        bail!(
            "{} ({}) has no form for {part}:\n{}",
            self.url.path(),
            self.status,
            self.text()
        )
    }

    /// The page as a person reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for piece in self.html.split('<').skip(1) {
            let (tag, words) = piece.split_once('>').unwrap_or(("", piece));
            if !tag.starts_with("style") && !tag.starts_with("script") {
                text.push_str(words.trim());
                text.push(if words.trim().is_empty() { '\n' } else { ' ' });
            }
        }
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        unescape(&lines.join("\n"))
    }
}

impl Form {
    /// The value of one of its fields as the page filled it in.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Where a page goes on to by itself.
fn onward(html: &str) -> Option<String> {
    let tag = html.split_once("<meta http-equiv=\"refresh\"")?.1;
    let content = attribute(tag.split('>').next()?, "content")?;
    Some(content.strip_prefix("0; url=")?.to_owned())
}

/// The hidden and pre-filled fields of a form; ticks that are off and buttons are not sent.
fn inputs(html: &str) -> Vec<(String, String)> {
    let tags = html
        .split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next());
    tags.filter(|tag| match attribute(tag, "type").as_deref() {
        Some("checkbox" | "radio") => tag.contains(" checked"),
        Some("submit" | "button") => false,
        _ => true,
    })
    .filter_map(|tag| {
        let value = attribute(tag, "value").unwrap_or_default();
        Some((attribute(tag, "name")?, value))
    })
    .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag.get(start..)?.split('"').next()?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
