//! How events that earlier builds recorded are read by this one.
//!
//! - this file: what an aggregate declares
//! - `fields`: an event's content without its Rust type
//! - `reading`: how one stored event becomes the events of today
//! - `upcast_error`: what an upcaster says when it cannot

mod fields;
mod reading;
mod upcast_error;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::{SmallVec, smallvec};

pub use self::fields::Fields;
pub(crate) use self::fields::{read_value, to_bytes};
pub use self::reading::{UPCAST_EVENTS_MAX, UPCAST_STEPS_MAX};
pub(crate) use self::reading::{read, steps_taken};
pub use self::upcast_error::UpcastError;

use crate::event_codec::EventCodecError;

/// How the events that were ever recorded are read as the events of today: what
/// [`Aggregate::upcasters`](crate::Aggregate::upcasters) gives.
///
/// Events in the journal never change. Each has a type (the serde name of its variant) and the schema version that its
/// type had when it was recorded. An upcaster takes an event of one type and version one step further: usually to the
/// next version of its type, but it may also become another type, several events, or none. Steps chain: what the step
/// from version 1 gives goes through the step from version 2. Whoever reads events (hydrating, projections,
/// subscriptions, queries over time) gets those of today.
///
/// An event keeps its version, position, times and ids, whatever it becomes.
///
/// **The schema version of a type** follows from what is declared: one more than the highest version that has a step,
/// or what [`Upcasters::version`] says. New events of the type are recorded with it. For types that nothing is said about
/// it is [`Aggregate::event_schema`](crate::Aggregate::event_schema), and reading them costs nothing more than without
/// upcasters.
///
/// # The life of an event, over three versions
///
/// The first build recorded `Debited { amount }`, whole euros. The second called the field `minor_units` and counted
/// cents; the third keeps the currency beside it. And what was one `Transferred` are two events today, notes are not kept
/// any more, and `Debited` was called `Withdrawn` once:
///
/// ```
/// use std::sync::LazyLock;
///
/// use foldhouse::{Aggregate, Fields, OldEvent, Upcasters};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// enum AccountEvent {
///     Debited { minor_units: i64, currency: String },
///     Credited { minor_units: i64, currency: String },
///     FeeTaken { minor_units: i64 },
/// }
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Account {
///     minor_units: i64,
/// }
///
/// /// `Charged`, as the first build recorded it.
/// #[derive(Deserialize)]
/// struct ChargedV1 {
///     amount: i64,
///     fee: i64,
/// }
///
/// impl Aggregate for Account {
///     const TYPE: &'static str = "account";
///     type Event = AccountEvent;
///
///     fn apply(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Debited { minor_units, .. } | AccountEvent::FeeTaken { minor_units } => {
///                 self.minor_units -= minor_units;
///             }
///             AccountEvent::Credited { minor_units, .. } => self.minor_units += minor_units,
///         }
///     }
///
///     fn upcasters() -> &'static Upcasters<AccountEvent> {
///         static UPCASTERS: LazyLock<Upcasters<AccountEvent>> = LazyLock::new(|| {
///             Upcasters::new()
///                 .rename("Withdrawn", "Debited")
///                 // Version 1 to 2: whole euros become cents.
///                 .on("Debited", 1, |fields| {
///                     let euros: i64 = fields.take("amount")?;
///                     fields.set("minor_units", &(euros * 100))
///                 })
///                 // Version 2 to 3: all of them were euros.
///                 .on("Debited", 2, |fields| fields.set("currency", &"EUR"))
///                 // One event to two; each goes on from the version that it is given.
///                 .split("Transferred", 1, |mut old| {
///                     let amount: i64 = old.fields.get("amount")?;
///                     let credited = Fields::of(&AccountCredited { minor_units: amount * 100, currency: "EUR" })?;
///                     Ok(vec![
///                         OldEvent::new("Debited", 1, old.fields),
///                         OldEvent::new("Credited", 1, credited),
///                     ])
///                 })
///                 // The old content as a struct, and what it is today.
///                 .from("Charged", 1, |old: ChargedV1| {
///                     Ok([
///                         AccountEvent::Debited { minor_units: old.amount * 100, currency: "EUR".into() },
///                         AccountEvent::FeeTaken { minor_units: old.fee * 100 },
///                     ])
///                 })
///                 .skip("Noted")
///         });
///         &UPCASTERS
///     }
/// }
///
/// #[derive(Serialize)]
/// struct AccountCredited {
///     minor_units: i64,
///     currency: &'static str,
/// }
///
/// // New events have the latest version, and nothing need be said of that twice.
/// assert_eq!(Account::upcasters().schema_version("Debited"), Some(3));
/// # let recorded = foldhouse::testing::recorded::<Account>("Withdrawn", 1, &Fields::of(&std::collections::BTreeMap::from([("amount", 5)]))?);
/// # let events = foldhouse::decode_events::<Account>(&recorded).expect("an account's")?;
/// # assert_eq!(events[..], [AccountEvent::Debited { minor_units: 500, currency: "EUR".into() }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Upcasters are pure, as `apply` is, and accept every event that was ever recorded. Change one, and old snapshots show
/// what the old one made of the events: raise [`STATE_SCHEMA`](crate::Aggregate::STATE_SCHEMA) then.
/// [`golden_events`](crate::testing::golden_events) keeps a sample of every version for ever and tells when one cannot be
/// read any more.
#[must_use]
pub struct Upcasters<E> {
    /// Without a declaration there is nothing: what nobody uses costs a comparison that the compiler leaves out.
    declared: Option<Box<Declared<E>>>,
}

/// An event on its way from what was recorded to what it is today.
#[derive(Clone, Debug, PartialEq)]
pub struct OldEvent {
    /// Its type.
    pub event_type: Cow<'static, str>,
    /// The version of its shape; the step from this version on is the next.
    pub schema_version: u16,
    /// What it says.
    pub fields: Fields,
}

impl OldEvent {
    /// An event of this type and schema version.
    #[must_use]
    pub fn new(
        event_type: impl Into<Cow<'static, str>>,
        schema_version: u16,
        fields: Fields,
    ) -> Self {
        Self {
            event_type: event_type.into(),
            schema_version,
            fields,
        }
    }
}

/// What a step leads to.
enum Upcast<E> {
    /// Events that go on from their own types and versions.
    Old(SmallVec<[OldEvent; 1]>),
    /// Events of today.
    Today(SmallVec<[E; 1]>),
}

type Step<E> = Box<dyn Fn(OldEvent) -> Result<Upcast<E>, UpcastError> + Send + Sync>;

struct Declared<E> {
    types: BTreeMap<&'static str, Rules<E>>,
    /// What is wrong with the declarations, if anything is: nothing is written or read then.
    fault: Option<String>,
}

/// What is declared of one event type.
struct Rules<E> {
    /// By the version that they start from.
    steps: BTreeMap<u16, Step<E>>,
    /// The version that was declared.
    version: Option<u16>,
    renamed_to: Option<&'static str>,
    skips_all: bool,
    skips_newer: bool,
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
    fn current(&self) -> Option<u16> {
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

impl<E: 'static> Upcasters<E> {
    /// For an aggregate whose events have never changed.
    pub const NONE: &'static Self = &Self { declared: None };
}

impl<E> Upcasters<E> {
    /// Nothing declared yet.
    pub const fn new() -> Self {
        Self { declared: None }
    }

    /// From this version of a type to the next: the fields are changed in place.
    ///
    /// # Errors
    /// `change` fails where the event is not what it was taken for. Who reads it gets
    /// [`EventCodecError::Upcast`], and nothing is changed. A panic counts as an error.
    pub fn on(
        self,
        event_type: &'static str,
        from: u16,
        change: impl Fn(&mut Fields) -> Result<(), UpcastError> + Send + Sync + 'static,
    ) -> Self {
        self.step(event_type, from, move |mut old| {
            change(&mut old.fields)?;
            Ok(Upcast::Old(smallvec![next_version(old)]))
        })
    }

    /// The same over structs: from the one of this version to that of the next.
    pub fn convert<Old, New>(
        self,
        event_type: &'static str,
        from: u16,
        change: impl Fn(Old) -> Result<New, UpcastError> + Send + Sync + 'static,
    ) -> Self
    where
        Old: DeserializeOwned,
        New: Serialize,
    {
        self.step(event_type, from, move |mut old| {
            old.fields = Fields::of(&change(old.fields.read()?)?)?;
            Ok(Upcast::Old(smallvec![next_version(old)]))
        })
    }

    /// From the struct of this version to events of today, of any type and number, over all versions between.
    pub fn from<Old, Today>(
        self,
        event_type: &'static str,
        from: u16,
        upcast: impl Fn(Old) -> Result<Today, UpcastError> + Send + Sync + 'static,
    ) -> Self
    where
        Old: DeserializeOwned,
        Today: IntoIterator<Item = E>,
    {
        self.step(event_type, from, move |old| {
            let today = upcast(old.fields.read()?)?;
            Ok(Upcast::Today(today.into_iter().collect()))
        })
    }

    /// From one event to any number of others, each of its own type and version, from which it goes on; to none if the
    /// event means nothing any more. The events take effect in order, as one.
    pub fn split(
        self,
        event_type: &'static str,
        from: u16,
        split: impl Fn(OldEvent) -> Result<Vec<OldEvent>, UpcastError> + Send + Sync + 'static,
    ) -> Self {
        self.step(event_type, from, move |old| {
            Ok(Upcast::Old(split(old)?.into()))
        })
    }

    /// Events of a type have another one today: those of each version are taken for the same version of the other.
    ///
    /// A variant that is only called otherwise in Rust needs nothing but `#[serde(rename = "...")]`.
    pub fn rename(self, old: &'static str, new: &'static str) -> Self {
        self.declare(old, |rules| {
            if rules.renamed_to.replace(new).is_some() {
                return Err("it is renamed twice".to_owned());
            }
            Ok(())
        })
    }

    /// The schema version of a type today, where it has no step to it: a change that old events need none for (a new field
    /// with `#[serde(default)]`).
    pub fn version(self, event_type: &'static str, version: u16) -> Self {
        self.declare(event_type, |rules| {
            if rules.version.replace(version).is_some() {
                return Err("its version is declared twice".to_owned());
            }
            Ok(())
        })
    }

    /// Events of this type are passed over, of whatever version, known to this build or not.
    pub fn skip(self, event_type: &'static str) -> Self {
        self.declare(event_type, |rules| {
            rules.skips_all = true;
            Ok(())
        })
    }

    /// Events of this type with a newer schema version than this build knows are passed over, instead of being an error.
    /// Only where the state may do without them: the state of an aggregate that passes over a debit is wrong. Where nothing
    /// else is declared of the type, this build knows version 1.
    pub fn skip_newer(self, event_type: &'static str) -> Self {
        self.declare(event_type, |rules| {
            rules.skips_newer = true;
            Ok(())
        })
    }

    /// The schema version that events of this type are recorded with, if anything says so here.
    #[must_use]
    pub fn schema_version(&self, event_type: &str) -> Option<u16> {
        self.rules(event_type)?.current()
    }

    /// The event types and versions that have a step, in order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.declared.iter().flat_map(|declared| {
            let of_type = |(name, rules): (&&'static str, &Rules<E>)| {
                let name = *name;
                let versions: Vec<_> = rules.steps.keys().copied().collect();
                versions.into_iter().map(move |from| (name, from))
            };
            declared.types.iter().flat_map(of_type)
        })
    }

    /// The version to record an event of this type with; `None` where it is the aggregate that says.
    #[inline]
    pub(crate) fn version_to_record(
        &self,
        event_type: &str,
    ) -> Result<Option<u16>, EventCodecError> {
        match &self.declared {
            None => Ok(None),
            Some(declared) => declared.version_to_record(event_type),
        }
    }

    fn rules(&self, event_type: &str) -> Option<&Rules<E>> {
        self.declared.as_ref()?.types.get(event_type)
    }

    fn step(
        self,
        event_type: &'static str,
        from: u16,
        step: impl Fn(OldEvent) -> Result<Upcast<E>, UpcastError> + Send + Sync + 'static,
    ) -> Self {
        self.declare(event_type, |rules| {
            if from == 0 || from == u16::MAX {
                return Err(format!(
                    "no step starts from version {from}: versions count from 1"
                ));
            }
            if rules.steps.insert(from, Box::new(step)).is_some() {
                return Err(format!("two steps start from version {from}"));
            }
            Ok(())
        })
    }

    /// Notes what is declared of a type, and what is wrong with it: who declares it is asked for no `Result`.
    fn declare(
        mut self,
        event_type: &'static str,
        change: impl FnOnce(&mut Rules<E>) -> Result<(), String>,
    ) -> Self {
        let declared = self.declared.get_or_insert_with(|| {
            Box::new(Declared {
                types: BTreeMap::new(),
                fault: None,
            })
        });
        let rules = declared.types.entry(event_type).or_default();
        if let Err(fault) = change(rules).and_then(|()| rules.check()) {
            declared
                .fault
                .get_or_insert_with(|| format!("{event_type}: {fault}"));
        }
        self
    }
}

impl<E> Rules<E> {
    /// Whether what is declared of the type fits together.
    fn check(&self) -> Result<(), String> {
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
    fn check(&self) -> Result<(), EventCodecError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => Err(EventCodecError::Upcasters {
                what: fault.clone(),
            }),
        }
    }

    fn version_to_record(&self, event_type: &str) -> Result<Option<u16>, EventCodecError> {
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

fn next_version(old: OldEvent) -> OldEvent {
    OldEvent {
        schema_version: old.schema_version.saturating_add(1),
        ..old
    }
}

impl<E> Default for Upcasters<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Upcasters<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}

#[cfg(test)]
mod tests;
