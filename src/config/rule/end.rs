//! `answer`, `deny` and `redirect` of a rule: what ends the way of a request.

use http::StatusCode;

use super::super::action::{Answer, RawAnswer, RawRedirect, Redirect};
use super::super::report::{Given, Report};
use super::super::table::Written;
use super::super::units::Count;

/// What a request gets in place of what it asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// An answer of our own.
    Answer(Answer),
    /// A refusal with this status, 400 to 599.
    Deny(StatusCode),
    /// A redirection.
    Redirect(Redirect),
}

/// The first of them that is written.
pub(super) fn resolve(
    answer: &Option<Written<RawAnswer>>,
    deny: &Given<Count>,
    redirect: &Option<Written<RawRedirect>>,
    report: &mut Report,
) -> Option<End> {
    if let Some(answer) = answer {
        return Some(End::Answer(answer.get_ref().resolve(report)));
    }
    if let Some(status) = deny {
        let code = u16::try_from(status.get_ref().0).ok();
        let code = code.filter(|it| (400..600).contains(it));
        let code = code.and_then(|it| StatusCode::from_u16(it).ok());
        if code.is_none() {
            let text = "refuses nothing; write 403, or another status from 400 to 599";
            report.at(status.span(), text);
        }
        return code.map(End::Deny);
    }
    let redirect = redirect.as_ref()?;
    let resolved = redirect.get_ref().resolve(redirect.span(), None, report);
    resolved.map(End::Redirect)
}
