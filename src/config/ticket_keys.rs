//! File of the keys that session tickets are sealed with.

use super::file;

/// The keys of a file, one a line of 64 hexadecimal digits; the first seals, all open.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn ticket_keys(path: &str) -> Result<Vec<[u8; 32]>, String> {
    const KEYS_MAX: usize = 16;
    let bytes = file::read(path, 64 << 10)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|it| !it.is_empty() && !it.starts_with('#'));
    let keys: Option<Vec<_>> = lines.take(KEYS_MAX).map(key_of_hex).collect();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(format!(
            "{path} holds no ticket keys: one a line of 64 hexadecimal digits, as `openssl rand -hex 32` writes"
        )),
    }
}

fn key_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect();
    let digits = digits.filter(|it| it.len() == 64)?;
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_tickets_are_hexadecimal() {
        let digits = "0f".repeat(32);
        assert_eq!(key_of_hex(&digits), Some([0x0f; 32]));
        for text in ["", "0f", &digits.replace('f', "g"), &format!("{digits}0")] {
            assert_eq!(key_of_hex(text), None, "{text}");
        }
    }
}
