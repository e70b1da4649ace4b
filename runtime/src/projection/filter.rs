use std::collections::BTreeSet;

use foldhouse_store::RecordedEvent;

/// Which events a projection wants. The others are passed over without being decoded, and move its position all the same.
///
/// What is said of tenants, aggregate types and event types must hold together; what is not said holds for every event.
///
/// ```
/// use foldhouse::ProjectionFilter;
///
/// let postings = ProjectionFilter::all()
///     .aggregate_types(["gl-account"])
///     .event_types(["Debited", "Credited"]);
/// assert_eq!(postings.to_string(), "aggregate type gl-account, event type Credited or Debited");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectionFilter {
    tenants: OneOf,
    aggregate_types: OneOf,
    event_types: OneOf,
}

/// `None` lets everything through.
type OneOf = Option<BTreeSet<Box<str>>>;

impl ProjectionFilter {
    /// Every event of the store.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only events of these tenants. Said twice, the later counts.
    #[must_use]
    pub fn tenants<T: Into<Box<str>>>(mut self, tenants: impl IntoIterator<Item = T>) -> Self {
        self.tenants = one_of(tenants);
        self
    }

    /// Only events of these aggregate types (categories): [`Aggregate::TYPE`](crate::Aggregate::TYPE). Said twice, the
    /// later counts.
    #[must_use]
    pub fn aggregate_types<T: Into<Box<str>>>(
        mut self,
        types: impl IntoIterator<Item = T>,
    ) -> Self {
        self.aggregate_types = one_of(types);
        self
    }

    /// Only events of these event types, as the journal names them. Said twice, the later counts.
    #[must_use]
    pub fn event_types<T: Into<Box<str>>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.event_types = one_of(types);
        self
    }

    /// Whether it lets this event through.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        holds(&self.event_types, &event.event_type)
            && holds(&self.aggregate_types, event.stream.aggregate_type())
            && holds(&self.tenants, event.stream.tenant())
    }

    /// Whether it lets every event through.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.tenants.is_none() && self.aggregate_types.is_none() && self.event_types.is_none()
    }
}

fn one_of<T: Into<Box<str>>>(texts: impl IntoIterator<Item = T>) -> OneOf {
    Some(texts.into_iter().map(Into::into).collect())
}

fn holds(one_of: &OneOf, text: &str) -> bool {
    one_of.as_ref().is_none_or(|texts| texts.contains(text))
}

impl std::fmt::Display for ProjectionFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            ("tenant", &self.tenants),
            ("aggregate type", &self.aggregate_types),
            ("event type", &self.event_types),
        ];
        let mut is_first = true;
        for (what, texts) in parts {
            let Some(texts) = texts else { continue };
            if !std::mem::take(&mut is_first) {
                f.write_str(", ")?;
            }
            let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
            write!(f, "{what} {}", texts.join(" or "))?;
        }
        if is_first {
            f.write_str("all events")?;
        }
        Ok(())
    }
}
