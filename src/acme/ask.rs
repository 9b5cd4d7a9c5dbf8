//! Question to whoever knows which names are ours: may a certificate be fetched for this one?

use std::error::Error as StdError;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::warn;

use super::caller::exchange;
use crate::config::{AcmeName, OnDemand};

/// Whoever knows the names answers from a table, or not at all.
const ASK_TAKES_MAX: Duration = Duration::from_secs(3);

/// Asks whether a name may be had: 200 says yes, whatever else no; `None` where nobody answers.
pub(super) async fn ask(rules: &OnDemand, name: &AcmeName, client: Option<IpAddr>) -> Option<bool> {
    let asked = timeout(ASK_TAKES_MAX, ask_once(rules, name, client)).await;
    let error = match asked {
        Ok(Ok(status)) if status.is_server_error() => status.to_string(),
        Ok(Ok(status)) => return Some(status == StatusCode::OK),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in 3 s".to_owned(),
    };
    warn!(
        url = &*rules.ask,
        error, "whoever knows which names are ours has not answered"
    );
    None
}

async fn ask_once(
    rules: &OnDemand,
    name: &AcmeName,
    client: Option<IpAddr>,
) -> Result<StatusCode, Box<dyn StdError + Send + Sync>> {
    let joint = if rules.ask.contains('?') { '&' } else { '?' };
    let escaped = |text: String| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
    let mut url = format!("{}{joint}domain={name}", rules.ask);
    if let Some(client) = client {
        url += &format!("&client={}", escaped(client.to_string()));
    }
    let url: Uri = url.parse()?;
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let tcp = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await?;
    let request = Request::builder().uri(&url).body(Empty::<Bytes>::new())?;
    Ok(exchange(tcp, request).await?.status())
}
