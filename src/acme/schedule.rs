//! Times of renewals, and of tries after what failed: times in, times out.

use std::time::{Duration, SystemTime};

/// A CA may say that it wants to be asked again at once, or in a year (RFC 9773 §4.3.2).
const ASK_AGAIN_MIN: Duration = Duration::from_secs(60);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(24 * 3600);

/// No wait after failures is longer.
const WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

/// How long a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) from: SystemTime,
    pub(super) until: SystemTime,
}

/// The time in which the CA wants a certificate to be renewed (RFC 9773 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
}

// === impl Lifetime ===

impl Lifetime {
    fn length(&self) -> Duration {
        self.until.duration_since(self.from).unwrap_or_default()
    }

    /// When it is renewed. `part`, from 0 to 1, spreads many certificates over the time that there is.
    ///
    /// RFC 9773 §4.2: "Select a uniform random time within the suggested window." Without one it is at
    /// two thirds of the lifetime or up to a thirtieth of it before. A window that begins when the
    /// certificate has all but expired is none: whoever waits for it has no second try.
    pub(super) fn renewal(&self, window: Option<Window>, part: f64) -> SystemTime {
        let length = self.length();
        let last = self.from + length.mul_f64(0.95);
        match window.filter(|it| it.start <= it.end) {
            Some(window) => {
                let width = window.end.duration_since(window.start).unwrap_or_default();
                last.min(window.start + width.mul_f64(part))
            }
            None => self.from + length.mul_f64(2.0 / 3.0 - part / 30.0),
        }
    }

    /// The longest wait between two tries: there are always several before it expires.
    pub(super) fn wait_max(&self) -> Duration {
        (self.length() / 30).min(WAIT_MAX)
    }
}

/// When the CA is asked for its window again.
pub(super) fn ask_again(wanted: Duration) -> Duration {
    wanted.clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX)
}

/// The wait after so many failures in a row: `first`, twice that, and so on up to `max`, each a
/// quarter shorter or longer by `part`, from 0 to 1.
pub(super) fn wait(failures: u32, first: Duration, max: Option<Duration>, part: f64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(30)));
    let max = max.unwrap_or(WAIT_MAX).max(first);
    doubled.min(max).mul_f64(0.75 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn day(number: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * number
    }

    #[test]
    fn renewals_of_long_and_short_certificates() {
        let ninety = Lifetime {
            from: day(0),
            until: day(90),
        };
        assert_eq!(ninety.renewal(None, 0.0), day(60));
        assert_eq!(ninety.renewal(None, 1.0), day(57));
        // Six days: a fixed month before the end would be for ever.
        let six = Lifetime {
            from: day(0),
            until: day(6),
        };
        assert_eq!(six.renewal(None, 0.0), day(4));
        let window = |start, end| {
            Some(Window {
                start: day(start),
                end: day(end),
            })
        };
        assert_eq!(ninety.renewal(window(50, 54), 0.5), day(52));
        // The CA has a reason to want it back at once.
        assert_eq!(ninety.renewal(window(0, 0), 0.5), day(0));
        // What comes too late, or makes no sense, does not hold.
        assert!(ninety.renewal(window(100, 110), 0.5) < day(86));
        assert_eq!(ninety.renewal(window(54, 50), 0.0), day(60));
        let never = Lifetime {
            from: day(9),
            until: day(9),
        };
        assert_eq!(never.renewal(None, 0.5), day(9));
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let first = Duration::from_secs(120);
        let waits: Vec<_> = (1..=9)
            .map(|it| wait(it, first, None, 0.5).as_secs())
            .collect();
        assert_eq!(
            waits,
            [120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600]
        );
        // Let's Encrypt takes five failures of a name in an hour.
        let within_hour = waits.iter().scan(0, |at, it| {
            *at += it;
            Some(*at)
        });
        assert!(within_hour.filter(|it| *it < 3600).count() < 5);
        assert_eq!(wait(u32::MAX, first, None, 1.0), WAIT_MAX.mul_f64(1.25));
        assert_eq!(
            wait(3, first, Some(Duration::from_secs(300)), 0.0).as_secs(),
            225
        );
        let six = Lifetime {
            from: day(0),
            until: day(6),
        };
        assert!(six.wait_max() < Duration::from_secs(5 * 3600));
    }

    #[test]
    fn a_ca_is_asked_again_within_reason() {
        assert_eq!(ask_again(Duration::ZERO), ASK_AGAIN_MIN);
        assert_eq!(ask_again(6 * DAY), ASK_AGAIN_MAX);
        assert_eq!(ask_again(DAY / 4), DAY / 4);
    }
}
