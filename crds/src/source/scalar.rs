//! What a YAML scalar means: as `kubectl` reads it, so that a file means the same here and there.

use super::node::Value;

/// The value of a scalar; only a plain one is anything but a text.
pub(super) fn resolve(text: String, plain: bool) -> Value {
    if !plain {
        return Value::Text(text);
    }
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => match number(&text) {
            Some(number) => Value::Number(number),
            None => Value::Text(text),
        },
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some(value) = unsigned(digits) {
        return if negative {
            0_i64.checked_sub_unsigned(value).map(Into::into)
        } else {
            Some(value.into())
        };
    }
    let float = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let value: f64 = if float { digits.parse().ok()? } else { return None };
    serde_json::Number::from_f64(if negative { -value } else { value })
}

/// A leading zero means octal, as in file modes.
fn unsigned(digits: &str) -> Option<u64> {
    let (radix, digits) = if let Some(hex) = digits.strip_prefix("0x") {
        (16, hex)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        (8, octal)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_mean_what_kubectl_takes_them_for() {
        let cases = [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("~", json!(null)),
            ("", json!(null)),
            ("12", json!(12)),
            ("-12", json!(-12)),
            ("+3", json!(3)),
            ("0644", json!(420)),
            ("0x1f", json!(31)),
            ("1.5", json!(1.5)),
            ("-1e3", json!(-1000.0)),
            ("08", json!(8.0)),
            ("1.5.1", json!("1.5.1")),
            ("5.2", json!(5.2)),
            ("pts/0", json!("pts/0")),
            ("-", json!("-")),
            ("1_000", json!("1_000")),
            ("18446744073709551615", json!(u64::MAX)),
            ("2026-11-24", json!("2026-11-24")),
            (".", json!(".")),
            ("..", json!("..")),
            ("e1", json!("e1")),
        ];
        for (text, expected) in cases {
            let found = match resolve(text.to_owned(), true) {
                Value::Null => json!(null),
                Value::Bool(value) => json!(value),
                Value::Number(number) => number.into(),
                Value::Text(text) => json!(text),
                Value::List(_) | Value::Map(_) => panic!("a scalar is no collection"),
            };
            assert_eq!(found, expected, "{text:?}");
        }
        assert_eq!(resolve("12".to_owned(), false), Value::Text("12".to_owned()));
    }
}
