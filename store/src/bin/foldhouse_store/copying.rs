//! What `backup` and `restore` share: how a copy that was not made ends.

use foldhouse_store::{CopyError, OpenError};

use crate::{Outcome, complain};

/// Tells a copy that was refused for what the directories hold from one that could not be tried at all.
pub(crate) fn not_copied(error: &CopyError) -> Result<Outcome, String> {
    let needs_attention = match error {
        CopyError::Source(cause) | CopyError::Target(cause) => matches!(
            cause,
            OpenError::Corrupt(_) | OpenError::OlderThanIndex { .. }
        ),
        CopyError::NotEmpty { .. }
        | CopyError::OtherStore { .. }
        | CopyError::OtherHistory { .. }
        | CopyError::BeyondHead { .. } => true,
        _ => false,
    };
    if !needs_attention {
        return Err(error.to_string());
    }
    complain(&error.to_string());
    Ok(Outcome::NeedsAttention)
}
