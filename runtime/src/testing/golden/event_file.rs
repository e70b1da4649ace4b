use super::rendition::{from_hex, hex, lines};
use crate::upcasters::read_value;

/// An event as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::testing) struct Stored {
    pub(in crate::testing) event_type: String,
    pub(in crate::testing) schema_version: u16,
    pub(in crate::testing) payload: Vec<u8>,
}

impl Stored {
    /// Its type and schema version, by which its file is named.
    pub(super) fn kind(&self) -> (&str, u16) {
        (&self.event_type, self.schema_version)
    }

    /// `Debited, schema version 2: 81a6...`
    pub(super) fn line(&self) -> String {
        let Self {
            event_type,
            schema_version,
            payload,
        } = self;
        let payload = match payload.len() {
            0 => NO_PAYLOAD.to_owned(),
            _ => hex(payload),
        };
        format!("{event_type}{SCHEMA_VERSION}{schema_version}: {payload}")
    }

    pub(super) fn from_line(line: &str) -> Option<Self> {
        let (kind, payload) = line.rsplit_once(": ")?;
        let (event_type, schema_version) = kind.rsplit_once(SCHEMA_VERSION)?;
        let payload = match payload {
            NO_PAYLOAD => Vec::new(),
            hex => from_hex(hex)?,
        };
        Some(Self {
            event_type: event_type.to_owned(),
            schema_version: schema_version.parse().ok()?,
            payload,
        })
    }

    fn rendition(&self) -> Vec<String> {
        if self.payload.is_empty() {
            return vec!["{}".to_owned()];
        }
        match read_value(&self.payload) {
            Ok(value) => lines(&value),
            Err(error) => vec![error.to_string()],
        }
    }
}

const SCHEMA_VERSION: &str = ", schema version ";
const NO_PAYLOAD: &str = "no payload";
const AGGREGATE: &str = "aggregate ";
const EVENT: &str = "event ";

const HEAD: &str = "\
# An event as it is recorded: the bytes of its payload, and what they say. Commit this file and never edit it;
# foldhouse::testing::golden_events reads it with every build to come.
";

/// The text of a golden file, with the stored events of one type and version.
pub(super) fn write(aggregate: &str, stored: &[Stored]) -> String {
    let mut text = format!("{HEAD}{AGGREGATE}{aggregate}\n");
    for event in stored {
        text.push_str(&format!("\n{EVENT}{}\n", event.line()));
        for line in event.rendition() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// The stored events of a golden file.
pub(super) fn read(aggregate: &str, text: &str) -> Result<Vec<Stored>, String> {
    let mut stored = Vec::new();
    let mut found = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(AGGREGATE) {
            found = Some(name);
        } else if let Some(event) = line.strip_prefix(EVENT) {
            let event = Stored::from_line(event)
                .ok_or_else(|| format!("this line cannot be read: {line:?}"))?;
            stored.push(event);
        } else if !(line.is_empty() || line.starts_with('#') || line.starts_with(' ')) {
            return Err(format!("this line cannot be read: {line:?}"));
        }
    }
    match found {
        Some(name) if name == aggregate => {}
        Some(name) => {
            return Err(format!(
                "it is of {name}; each aggregate has a directory of its own"
            ));
        }
        None => return Err("it does not name its aggregate".to_owned()),
    }
    let same_kind = stored.windows(2).all(|pair| match pair {
        [a, b] => a.kind() == b.kind(),
        _ => true,
    });
    match stored.is_empty() || !same_kind {
        true => Err("it does not hold the events of one type and version".to_owned()),
        false => Ok(stored),
    }
}
