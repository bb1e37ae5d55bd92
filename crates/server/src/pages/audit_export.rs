//! `/manage/audit/export`: all events that match, as a file, sent page by page.

use std::io;

use axum::body::Body;
use axum::extract::Query;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use broker::{AsAuditor, EventId, EventQuery, NamedEvent};
use futures_util::stream;
use serde::Deserialize;

use super::audit::Asked;
use super::text;

/// Events that are held in memory at a time.
const PAGE: i64 = 500;

/// How the file is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// RFC 4180, with a line of names.
    #[default]
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Which file.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    format: Format,
}

/// `GET /manage/audit/export`.
pub async fn file(
    auditor: AsAuditor,
    Query(asked): Query<Asked>,
    Query(Wanted { format }): Query<Wanted>,
) -> Response {
    let state = Reader {
        auditor,
        query: asked.query(),
        format,
        next: Next::First,
    };
    let body = Body::from_stream(stream::try_unfold(state, Reader::page));
    let (media_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "audit.csv"),
        Format::Jsonl => ("application/jsonl; charset=utf-8", "audit.jsonl"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
    ];
    (headers, body).into_response()
}

struct Reader {
    auditor: AsAuditor,
    query: EventQuery,
    format: Format,
    next: Next,
}

enum Next {
    First,
    Before(EventId),
    End,
}

impl Reader {
    /// Reads the next page; none after the last.
    async fn page(mut self) -> io::Result<Option<(String, Self)>> {
        let before = match &self.next {
            Next::First => None,
            Next::Before(last) => Some(last),
            Next::End => return Ok(None),
        };
        let found = self.auditor.find_events(&self.query, before, PAGE).await;
        // Headers are out already: the file ends early, and the browser says that it did.
        let events = found.map_err(|error| {
            tracing::error!(%error, "an export of the audit log broke off");
            io::Error::other("the events cannot be read")
        })?;
        let mut text = String::new();
        if self.format == Format::Csv && matches!(self.next, Next::First) {
            text.push_str("at,user,workspace,provider,action,detail,count\r\n");
        }
        for event in &events {
            match self.format {
                Format::Csv => csv_line(&mut text, event),
                Format::Jsonl => json_line(&mut text, event),
            }
        }
        let is_full = i64::try_from(events.len()).is_ok_and(|count| count == PAGE);
        self.next = match events.last() {
            Some(last) if is_full => Next::Before(last.event.id.clone()),
            _ => Next::End,
        };
        Ok(Some((text, self)))
    }
}

fn csv_line(text: &mut String, line: &NamedEvent) {
    let cells = [
        text::iso(&line.event.at),
        line.user.clone().unwrap_or_default(),
        line.workspace.clone().unwrap_or_default(),
        line.provider.clone().unwrap_or_default(),
        line.event.action.clone(),
        line.event.detail.clone(),
        line.event.count.to_string(),
    ];
    text.push_str(&cells.map(|cell| csv_cell(&cell)).join(","));
    text.push_str("\r\n");
}

/// A cell of RFC 4180. A spreadsheet runs what begins like a formula, and names come from strangers, so
/// such a cell begins with an apostrophe.
fn csv_cell(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let value = if formula {
        format!("'{value}")
    } else {
        value.to_owned()
    };
    if value.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}

fn json_line(text: &mut String, line: &NamedEvent) {
    let value = serde_json::json!({
        "id": line.event.id.as_str(),
        "at": text::iso(&line.event.at),
        "user": line.user,
        "workspace": line.workspace,
        "provider": line.provider,
        "action": line.event.action,
        "detail": line.event.detail,
        "count": line.event.count,
    });
    text.push_str(&value.to_string());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::csv_cell;

    #[test]
    fn no_cell_is_a_formula_or_ends_its_line() {
        assert_eq!(csv_cell("plain"), "plain");
        assert_eq!(csv_cell("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(csv_cell("@ann"), "'@ann");
        assert_eq!(csv_cell("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }
}
