use std::collections::BTreeSet;
use std::fmt::Write;

use rmpv::Value;

/// A value for people: one line for each field, with its type.
pub(super) fn lines(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    write_value(&mut lines, 0, "", value);
    lines
}

fn write_value(lines: &mut Vec<String>, depth: usize, name: &str, value: &Value) {
    let indent = "    ".repeat(depth);
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            lines.push(format!("{indent}{name}{{"));
            for (key, value) in entries {
                write_value(lines, depth + 1, &format!("{}: ", key_text(key)), value);
            }
            lines.push(format!("{indent}}}"));
        }
        Value::Array(values) if !values.is_empty() => {
            lines.push(format!("{indent}{name}["));
            for value in values {
                write_value(lines, depth + 1, "", value);
            }
            lines.push(format!("{indent}]"));
        }
        single => lines.push(format!("{indent}{name}{}", single_text(single))),
    }
}

fn key_text(key: &Value) -> String {
    match key.as_str() {
        Some(name) if is_plain(name) => name.to_owned(),
        _ => single_text(key),
    }
}

fn is_plain(name: &str) -> bool {
    let mut characters = name.chars();
    characters.all(|character| character.is_alphanumeric() || character == '_')
}

fn single_text(value: &Value) -> String {
    match value {
        Value::Nil => "nothing".to_owned(),
        Value::String(text) => match text.as_str() {
            Some(text) => format!("text {text:?}"),
            None => format!("text, not UTF-8 {}", hex(text.as_bytes())),
        },
        Value::Binary(bytes) => format!("bytes {}", hex(bytes)),
        Value::Ext(kind, bytes) => format!("extension {kind} {}", hex(bytes)),
        Value::Map(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => format!("{} {other}", kind(other)),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Boolean(_) => "truth",
        Value::Integer(_) => "integer",
        Value::F32(_) | Value::F64(_) => "float",
        Value::String(_) => "text",
        Value::Binary(_) => "bytes",
        Value::Array(_) => "list",
        Value::Map(_) => "fields",
        Value::Ext(..) => "extension",
    }
}

/// The fields of a value with their types, whatever they hold.
pub(super) fn shape(value: &Value) -> BTreeSet<String> {
    let mut shape = BTreeSet::new();
    add_shape(&mut shape, "", value);
    shape
}

fn add_shape(shape: &mut BTreeSet<String>, path: &str, value: &Value) {
    let name = if path.is_empty() { "all of it" } else { path };
    shape.insert(format!("{name}: {}", kind(value)));
    match value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let dot = if path.is_empty() { "" } else { "." };
                add_shape(shape, &format!("{path}{dot}{}", key_text(key)), value);
            }
        }
        Value::Array(values) => {
            for value in values {
                add_shape(shape, &format!("{path}[]"), value);
            }
        }
        _ => {}
    }
}

/// What is in `now` and was not, and what was and is not; empty if they are equal.
pub(super) fn shape_difference(before: &BTreeSet<String>, now: &BTreeSet<String>) -> String {
    let gone = before.difference(now).map(|line| format!("    - {line}"));
    let new = now.difference(before).map(|line| format!("    + {line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

/// The first and the last line that differ and all between, before and now.
pub(super) fn line_difference(before: &[String], now: &[String]) -> String {
    let same_head = before.iter().zip(now).take_while(|(a, b)| a == b).count();
    let (before, now) = (skip(before, same_head), skip(now, same_head));
    let tails = before.iter().rev().zip(now.iter().rev());
    let same_tail = tails.take_while(|(a, b)| a == b).count();
    let mut difference = String::new();
    for (sign, lines) in [('-', before), ('+', now)] {
        for line in lines.iter().take(lines.len() - same_tail) {
            let _ = writeln!(difference, "    {sign} {line}");
        }
    }
    difference.trim_end().to_owned()
}

fn skip(lines: &[String], head: usize) -> &[String] {
    lines.get(head..).unwrap_or_default()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

pub(super) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}
