//! Sets of cookies by well-known programs, which lists of cookies name as `@sessions` or `@analytics`.
//!
//! What is in them stands in docs/cookies.md as well; a test compares the two.

use super::wording;

/// Of analytics, advertisements and consent: read by scripts in the browser, and by no origin.
const ANALYTICS: &[&str] = &[
    "_ga",
    "_ga_*",
    "_gid",
    "_gat*",
    "_gac_*",
    "_gcl_*",
    "__utm*",
    "_fbp",
    "_fbc",
    "_pk_*",
    "_hj*",
    "_uet*",
    "_clck",
    "_clsk",
    "_ttp",
    "_tt_*",
    "_pin_unauth",
    "_scid*",
    "_ym_*",
    "__hs*",
    "hubspotutk",
    "_mkto_trk",
    "ajs_*",
    "amplitude_*",
    "AMP_*",
    "mp_*",
    "OptanonConsent",
    "OptanonAlertBoxClosed",
    "CookieConsent",
    "cookieyes-consent",
    "cookielawinfo-*",
    "euconsent*",
    "has_js",
];

/// By which programs and frameworks know their users, their carts and their forms.
const SESSIONS: &[&str] = &[
    // Django.
    "sessionid",
    "csrftoken",
    "messages",
    // Rails, Phoenix, Laravel.
    "*_session",
    "remember_user_token",
    "_*_key",
    "XSRF-TOKEN",
    "remember_web_*",
    // PHP, Symfony, Shopware, TYPO3, Drupal, Magento, MediaWiki.
    "PHPSESSID",
    "REMEMBERME",
    "session-*",
    "sw-*",
    "fe_typo_user",
    "be_typo_user",
    "SESS*",
    "SSESS*",
    "X-Magento-Vary",
    "private_content_version",
    "form_key",
    "*UserID",
    "*Token",
    // WordPress, WooCommerce, Easy Digital Downloads.
    "wordpress_logged_in_*",
    "wordpress_sec_*",
    "wp-postpass_*",
    "comment_author_*",
    "woocommerce_*",
    "wp_woocommerce_session_*",
    "edd_*",
    // Java, ASP.NET, Express, Flask, Auth.js.
    "JSESSIONID",
    "ASP.NET_SessionId",
    ".AspNet*",
    "connect.sid",
    "session",
    "*next-auth.*",
    "*authjs.*",
];

const SETS: [(&str, &[&str]); 2] = [("analytics", ANALYTICS), ("sessions", SESSIONS)];

/// The cookies of a set, or what is wrong with its name and how to mend it.
pub(super) fn find(name: &str) -> Result<&'static [&'static str], String> {
    let names = SETS.map(|it| it.0);
    let found = SETS.iter().find(|it| it.0 == name);
    found
        .map(|it| it.1)
        .ok_or_else(|| match wording::closest(name, &names) {
            Some(meant) => format!("unknown set of cookies; did you mean `@{meant}`?"),
            None => "unknown set of cookies; known are `@analytics` and `@sessions`".to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn all_are_names_and_stand_in_the_manual() {
        let manual = include_str!("../../docs/cookies.md");
        for cookie in SETS.iter().flat_map(|it| it.1) {
            assert!(names::key_cookies(cookie).is_ok(), "{cookie}");
            assert!(
                manual.contains(&format!("`{cookie}`")),
                "{cookie} is not in docs/cookies.md"
            );
        }
    }
}
