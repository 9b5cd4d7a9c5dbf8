//! Addresses of listeners and servers in forms that other programs take.

use std::net::IpAddr;

/// What is said of a text that is no IP address with a port.
pub(in crate::config) fn listener(text: &str) -> String {
    let port = port_alone(text.trim_start_matches('*'));
    let name = text.rsplit_once(':').map_or(text, |it| it.0);
    if let Some(port) = port {
        return format!(
            "has no IP address; write \"127.0.0.1:{port}\" for this machine alone, or \
             \"0.0.0.0:{port}\" for all"
        );
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        let shown = std::net::SocketAddr::new(address, 8080);
        return format!("has no port; write \"{shown}\"");
    }
    if let Some((_, rest)) = text.split_once("://") {
        let rest = rest.trim_end_matches('/');
        return format!("is a URL; write the address and the port alone, as \"{rest}\"");
    }
    if text.starts_with('/') {
        return format!("is a path; write \"unix:{text}\" for a socket there");
    }
    if let Some((host, port)) = text.rsplit_once(':')
        && host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        && !port.is_empty()
    {
        return "the port must be a number from 0 to 65535".to_owned();
    }
    if name.starts_with(|it: char| it.is_ascii_alphabetic()) {
        let port = text.rsplit_once(':').map_or("8080", |it| it.1);
        return format!(
            "is a name, and a listener has an address; write \"127.0.0.1:{port}\" for this machine \
             alone, or \"0.0.0.0:{port}\" for all"
        );
    }
    "is not an IP address and a port; write \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned()
}

/// What is said of a server that is no URL.
pub(in crate::config) fn server(text: &str) -> String {
    let rest = text
        .trim_start_matches("https:")
        .trim_start_matches("http:")
        .trim_start_matches('/');
    let meant = match port_alone(text) {
        Some(port) => format!("http://127.0.0.1:{port}"),
        None if text.starts_with('/') && !text.starts_with("//") => format!("unix:{text}"),
        None if rest.is_empty() => "http://127.0.0.1:8081".to_owned(),
        None if text.starts_with("https:") => format!("https://{rest}"),
        None => format!("http://{rest}"),
    };
    format!("is not a URL; write \"{meant}\"")
}

/// The port, where the text is that and nothing else but a colon.
fn port_alone(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_in_other_forms() {
        for (text, wanted) in [
            ("8080", "\"0.0.0.0:8080\""),
            (":8080", "\"127.0.0.1:8080\""),
            ("*:80", "\"0.0.0.0:80\""),
            ("127.0.0.1", "has no port; write \"127.0.0.1:8080\""),
            ("::1", "has no port; write \"[::1]:8080\""),
            ("[::]", "has no port; write \"[::]:8080\""),
            (
                "localhost:80",
                "is a name, and a listener has an address; write \"127.0.0.1:80\"",
            ),
            ("localhost", "write \"127.0.0.1:8080\""),
            (
                "http://127.0.0.1:80/",
                "is a URL; write the address and the port alone, as \"127.0.0.1:80\"",
            ),
            ("127.0.0.1:99999", "the port must be"),
            ("unix:/run/copal.sock", "is a path"),
            ("", "is not an IP address and a port"),
        ] {
            let said = listener(text);
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }

    #[test]
    fn servers_in_other_forms() {
        for (text, meant) in [
            ("9011", "http://127.0.0.1:9011"),
            (":9011", "http://127.0.0.1:9011"),
            ("localhost:9011", "http://localhost:9011"),
            ("app", "http://app"),
            ("/run/app.sock", "unix:/run/app.sock"),
            ("//app", "http://app"),
            ("http:/app", "http://app"),
            ("https:app", "https://app"),
            ("", "http://127.0.0.1:8081"),
        ] {
            assert_eq!(server(text), format!("is not a URL; write \"{meant}\""));
        }
    }
}
