use std::collections::BTreeMap;

use super::Step;
use crate::event_codec::EventCodecError;

/// What an aggregate declares.
pub(super) struct Declared<E> {
    pub(super) types: BTreeMap<&'static str, Rules<E>>,
    /// What is wrong with the declarations, if anything is: nothing is written or read then.
    pub(super) fault: Option<String>,
}

/// What is declared of one event type.
pub(super) struct Rules<E> {
    /// By the version that they start from.
    pub(super) steps: BTreeMap<u16, Step<E>>,
    /// The version that was declared.
    pub(super) version: Option<u16>,
    pub(super) renamed_to: Option<&'static str>,
    pub(super) skips_all: bool,
    pub(super) skips_newer: bool,
}

impl<E> Default for Rules<E> {
    fn default() -> Self {
        Self {
            steps: BTreeMap::new(),
            version: None,
            renamed_to: None,
            skips_all: false,
            skips_newer: false,
        }
    }
}

impl<E> Rules<E> {
    /// The version that today's events of the type have; `None` where it is the aggregate that says.
    pub(super) fn current(&self) -> Option<u16> {
        let last_step = self.steps.last_key_value();
        let behind_steps = last_step.map(|(from, _)| from.saturating_add(1));
        let first = self.skips_newer.then_some(1);
        self.version.or(behind_steps).or(first)
    }

    /// Whether an event of this type is never one of today.
    fn is_retired(&self) -> bool {
        self.renamed_to.is_some() || self.skips_all
    }
}

impl<E> Rules<E> {
    /// Whether what is declared of the type fits together.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version == Some(0) {
            return Err("versions count from 1".to_owned());
        }
        let last_step = self.steps.last_key_value().map(|(from, _)| *from);
        if let (Some(version), Some(from)) = (self.version, last_step)
            && version <= from
        {
            return Err(format!(
                "its version is {version}, but a step starts from {from}"
            ));
        }
        let has_versions = self.version.is_some() || last_step.is_some() || self.skips_newer;
        let fates = [has_versions, self.renamed_to.is_some(), self.skips_all];
        if fates.into_iter().filter(|fate| *fate).count() > 1 {
            return Err(
                "it is skipped, renamed, or has versions of its own: only one of these".to_owned(),
            );
        }
        Ok(())
    }
}

impl<E> Declared<E> {
    pub(super) fn check(&self) -> Result<(), EventCodecError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(EventCodecError::Upcasters {
                what: fault.clone(),
            }),
        }
    }

    pub(super) fn version_to_record(
        &self,
        event_type: &str,
    ) -> Result<Option<u16>, EventCodecError> {
        self.check()?;
        match self.types.get(event_type) {
            None => Ok(None),
            Some(rules) if rules.is_retired() => Err(EventCodecError::Retired {
                event_type: event_type.to_owned(),
            }),
            Some(rules) => Ok(rules.current()),
        }
    }
}
