use super::event_file::Stored;
use super::rendition::hex;

/// The states that golden events lead to, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct States {
    pub(super) state_schema: u32,
    pub(super) after: Vec<After>,
}

/// An event, and the state after it, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) event: Stored,
    pub(super) state: Vec<String>,
}

const STATE_SCHEMA: &str = "state schema ";
const FINGERPRINT: &str = "fingerprint ";
const AFTER: &str = "after ";

const HEAD: &str = "\
# The aggregate's state after each of these recorded events, folded in this order. Commit this file and never edit it;
# foldhouse::testing::golden_events compares every build's states with it.
";

impl States {
    pub(super) fn write(&self) -> String {
        let mut text = format!(
            "{HEAD}{STATE_SCHEMA}{}\n{FINGERPRINT}{}\n",
            self.state_schema,
            self.fingerprint()
        );
        for After { event, state } in &self.after {
            text.push_str(&format!("\n{AFTER}{}\n", event.line()));
            for line in state {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text
    }

    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut states = Self {
            state_schema: 0,
            after: Vec::new(),
        };
        let mut fingerprint = "";
        for line in text.lines() {
            let unreadable = || format!("this line cannot be read: {line:?}");
            if let Some(schema) = line.strip_prefix(STATE_SCHEMA) {
                states.state_schema = schema.parse().map_err(|_| unreadable())?;
            } else if let Some(found) = line.strip_prefix(FINGERPRINT) {
                fingerprint = found;
            } else if let Some(event) = line.strip_prefix(AFTER) {
                states.after.push(After {
                    event: Stored::from_line(event).ok_or_else(unreadable)?,
                    state: Vec::new(),
                });
            } else if let Some(state_line) = line.strip_prefix("    ") {
                let after = states.after.last_mut().ok_or_else(unreadable)?;
                after.state.push(state_line.to_owned());
            } else if !(line.is_empty() || line.starts_with('#')) {
                return Err(unreadable());
            }
        }
        if states.fingerprint() != fingerprint {
            return Err(
                "its fingerprint is not that of its states: it was edited, or merged by lines; \
                 write it anew with FOLDHOUSE_GOLDEN=update"
                    .to_owned(),
            );
        }
        Ok(states)
    }

    /// A hash of all that it says.
    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("foldhouse 2026 golden states");
        hasher.update(&self.state_schema.to_le_bytes());
        for After { event, state } in &self.after {
            for line in std::iter::once(&event.line()).chain(state) {
                hasher.update(&(line.len() as u64).to_le_bytes());
                hasher.update(line.as_bytes());
            }
        }
        let mut fingerprint = [0; 16];
        hasher.finalize_xof().fill(&mut fingerprint);
        hex(&fingerprint)
    }
}
