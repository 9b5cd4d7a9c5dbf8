//! Kind of a file that is no TOML, guessed by the look of its lines.
//!
//! Asked only of a text that the parser could not read, so that no good file is taken for another.

/// What it is, and whether lines look like it.
type Kind = (&'static str, fn(&[&str]) -> bool);

/// What is said of a file that is of another kind; `None` for TOML with mistakes.
pub(in crate::config) fn of_file(text: &str) -> Option<String> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("//"))
        .collect();
    let kinds: [Kind; 8] = [
        ("is JSON", is_json),
        ("is XML or HTML", is_markup),
        ("is VCL", is_vcl),
        ("is an Apache configuration", is_apache),
        ("is a haproxy.cfg", is_haproxy),
        ("is a Caddyfile", is_caddy),
        ("is an nginx.conf", is_nginx),
        ("is YAML", is_yaml),
    ];
    let (kind, _) = kinds.iter().find(|(_, fits)| fits(&lines))?;
    let example = "[[listen]] and below it `address = \"127.0.0.1:8080\"`";
    let manual = "docs/config.md says what the settings of others are here";
    Some(format!(
        "{kind}, and Copal reads TOML: write {example}; {manual}"
    ))
}

/// What is said of a line that TOML does not take and YAML would; `None` for any other.
pub(in crate::config) fn of_line(line: &str) -> Option<&'static str> {
    let (key, _) = line.trim().split_once(':')?;
    let is_key = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '"');
    let is_pair = !key.is_empty() && key.trim_end().chars().all(is_key);
    is_pair.then_some("a key and its value have `=` between them, as `ttl = \"1h\"`")
}

/// JSON begins with a brace, which TOML never does.
fn is_json(lines: &[&str]) -> bool {
    let first = lines.first().copied().unwrap_or_default();
    let is_open = first.starts_with('{') || first == "[" || first.starts_with("[{");
    is_open
        && lines
            .iter()
            .any(|line| line.contains("\":") || line.contains("\" :"))
}

fn is_markup(lines: &[&str]) -> bool {
    let first = lines.first().copied().unwrap_or_default();
    first.starts_with("<?xml") || first.starts_with("<!") || first.starts_with("<html")
}

fn is_vcl(lines: &[&str]) -> bool {
    begins(lines, "vcl 4") || begins(lines, "sub vcl_")
}

fn is_apache(lines: &[&str]) -> bool {
    begins(lines, "<VirtualHost") || begins(lines, "ProxyPass ") || begins(lines, "<Location")
}

fn is_haproxy(lines: &[&str]) -> bool {
    let is_section = |line: &&&str| {
        let mut words = line.split_whitespace();
        let first = words.next();
        let is_alone =
            matches!(first, Some("global" | "defaults")) && words.clone().next().is_none();
        let is_named = matches!(first, Some("frontend" | "backend" | "listen"));
        is_alone || is_named && words.count() == 1
    };
    lines.iter().filter(is_section).count() >= 1 && !lines.iter().any(|line| line.ends_with('{'))
}

fn is_caddy(lines: &[&str]) -> bool {
    begins(lines, "reverse_proxy ") && !lines.iter().any(|line| line.ends_with(';'))
}

fn is_nginx(lines: &[&str]) -> bool {
    let ends = |line: &&&str| line.ends_with([';', '{', '}']);
    let is_block = ["server", "location", "http", "upstream", "events"]
        .iter()
        .any(|block| {
            lines
                .iter()
                .any(|line| line.starts_with(block) && line.ends_with('{'))
        });
    (is_block || begins(lines, "proxy_pass ")) && most(lines.iter().filter(ends).count(), lines)
}

fn is_yaml(lines: &[&str]) -> bool {
    let is_pair = |line: &&&str| {
        let line = line.trim_start_matches("- ");
        let key = line.split(':').next().unwrap_or_default();
        let has_colon = line.len() > key.len();
        has_colon && !key.is_empty() && !key.contains(['=', '[', '"'])
    };
    let is_line = |line: &&&str| **line == "---" || line.starts_with("- ") || is_pair(line);
    most(lines.iter().filter(is_line).count(), lines)
}

fn begins(lines: &[&str], front: &str) -> bool {
    lines.iter().any(|line| line.starts_with(front))
}

/// More than half, so that a slip in TOML, or a comment left over, decides nothing.
fn most(count: usize, lines: &[&str]) -> bool {
    count * 2 > lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_files() {
        for (text, kind) in [
            ("{\n  \"listen\": 8080\n}", Some("JSON")),
            ("[{\"listen\": 8080}]", Some("JSON")),
            ("---\nlisten:\n  - address: 127.0.0.1:8080\n", Some("YAML")),
            ("listen: 8080\norigins:\n  app: http://a\n", Some("YAML")),
            (
                "server {\n  listen 80;\n  location / {\n proxy_pass http://a;\n }\n}",
                Some("nginx.conf"),
            ),
            (
                "# mine\nhttp {\n server { listen 80; }\n}\n",
                Some("nginx.conf"),
            ),
            (
                "vcl 4.1;\nbackend default {\n .host = \"a\";\n}",
                Some("VCL"),
            ),
            (
                "global\n  maxconn 4\nfrontend web\n  bind :80\n",
                Some("haproxy.cfg"),
            ),
            (
                "shop.example {\n  reverse_proxy localhost:80\n}",
                Some("Caddyfile"),
            ),
            (
                "<VirtualHost *:80>\nProxyPass / http://a/\n</VirtualHost>",
                Some("Apache"),
            ),
            ("<?xml version=\"1.0\"?>\n<a/>", Some("XML")),
            ("[[listen]]\naddress = 127.0.0.1:8080\n", None),
            ("[server\nheader_timeout = \"1s\"\n", None),
            ("[[listen]]\naddress: \"127.0.0.1:8080\"\n[server]\n", None),
            ("", None),
        ] {
            let said = of_file(text);
            let is_right = match (&said, kind) {
                (Some(said), Some(kind)) => said.contains(kind),
                (said, kind) => said.is_none() && kind.is_none(),
            };
            assert!(is_right, "{text}: {said:?}");
        }
    }
}
