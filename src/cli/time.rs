//! Moments as people write them: milliseconds since 1970, RFC 3339, or how long ago.

use crate::io::clock::{Clock, SystemClock};

const DAY_MS: i64 = 86_400_000;

/// The system's time, in ms since 1970.
pub(super) fn now_ms() -> i64 {
    SystemClock::new().now().wall_ms
}

/// Reads `1700000000000`, `2026-11-21`, `2026-11-21T16:30:00Z`, `…T16:30:00.5+01:00` or, before `now_ms`, `90s`, `15m`, `2h`, `7d`.
/// Errors: it is none of them.
pub(super) fn parse(text: &str, now_ms: i64) -> Result<i64, String> {
    let wrong =
        || format!("{text:?} is no moment; write 2026-11-21T16:30:00Z, ms since 1970, or 15m for 15 minutes ago");
    if let Ok(ms) = text.parse::<i64>() {
        return if ms >= 0 { Ok(ms) } else { Err(wrong()) };
    }
    let last = text.char_indices().next_back().ok_or_else(wrong)?;
    let unit_ms = match last.1 {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(DAY_MS),
        _ => None,
    };
    if let (Some(unit_ms), Ok(count)) = (unit_ms, text[..last.0].parse::<u32>()) {
        return Ok(now_ms.saturating_sub(i64::from(count).saturating_mul(unit_ms)));
    }
    rfc3339(text).ok_or_else(wrong)
}

fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut date = date.split('-');
    let mut field = |digits: usize| number(date.next()?, digits);
    let (year, month, day) = (field(4)?, field(2)?, field(2)?);
    if date.next().is_some() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':');
    let mut field = || number(clock.next()?, 2);
    let (hour, minute, second) = (field()?, field()?, field()?);
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = milliseconds(fraction)?;
    let day_ms = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    Some(days_since_1970(year, month, day) * DAY_MS + day_ms - zone_ms(zone)?)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction}00").get(..3)?.parse().ok()
}

fn zone_ms(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let ms = (number(hours, 2)? * 60 + number(minutes, 2)?) * 60_000;
    Some(if zone.starts_with('-') { -ms } else { ms })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, counted from years that begin in March, so that the day of leap years is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-11-21T16:30:00.000Z`.
pub(super) fn show(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", "1970-01-01T00:00:00.000Z")]
    #[case("1700000000123", "2023-11-14T22:13:20.123Z")]
    #[case("2026-11-21", "2026-11-21T00:00:00.000Z")]
    #[case("2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000Z")]
    #[case("2000-03-01 00:00:00z", "2000-03-01T00:00:00.000Z")]
    #[case("2026-11-21T16:30:00.5+01:30", "2026-11-21T15:00:00.500Z")]
    #[case("2026-12-31T23:30:00.0019-01:00", "2027-01-01T00:30:00.001Z")]
    #[case("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z")]
    fn a_moment_is_shown_as_it_was_meant(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(parse(text, 0).map(show), Ok(shown.to_owned()));
    }

    #[rstest]
    #[case("90s", 999_910_000)]
    #[case("15m", 999_100_000)]
    #[case("2h", 992_800_000)]
    #[case("1d", 913_600_000)]
    fn an_age_is_counted_back_from_now(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(parse(text, 1_000_000_000), Ok(ms));
    }

    #[rstest]
    #[case("")]
    #[case("m")]
    #[case("-1")]
    #[case("yesterday")]
    #[case("2023-02-29")]
    #[case("2026-13-01")]
    #[case("2026-11-21T24:00:00Z")]
    #[case("2026-11-21T16:30:00")]
    #[case("2026-11-21T16:30Z")]
    #[case("26-11-21")]
    #[case("2026-11-21T16:30:00.Z")]
    fn what_is_no_moment_is_refused(#[case] text: &str) {
        assert!(parse(text, 0).is_err(), "{text}");
    }
}
