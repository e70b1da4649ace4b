use std::collections::HashMap;

use foldhouse_store::RecordedEvent;
use tokio::sync::watch;

use super::scope::Shape;
use super::topics::News;

/// How many shapes there are: each of tenant, aggregate type and event type may be given or not.
const SHAPES: usize = 8;

/// The scopes that somebody follows, by what they have given: an event is looked for once among those of each shape, so
/// it costs no more with many of them.
#[derive(Default)]
pub(super) struct ScopeTopics {
    by_shape: [HashMap<String, watch::Sender<News>>; SHAPES],
}

impl ScopeTopics {
    pub(super) fn entry(&mut self, shape: &Shape) -> Option<&mut watch::Sender<News>> {
        let (index, key) = place_of(shape);
        let topics = self.by_shape.get_mut(index)?;
        Some(
            topics
                .entry(key)
                .or_insert_with(|| watch::Sender::new(News::Look)),
        )
    }

    /// Drops a topic that nobody follows any more.
    pub(super) fn forget(&mut self, shape: &Shape) {
        let (index, key) = place_of(shape);
        if let Some(topics) = self.by_shape.get_mut(index)
            && topics
                .get(&key)
                .is_some_and(|topic| topic.receiver_count() == 0)
        {
            topics.remove(&key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_shape.iter().all(HashMap::is_empty)
    }

    pub(super) fn clear(&mut self) {
        self.by_shape.iter_mut().for_each(HashMap::clear);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &watch::Sender<News>> {
        self.by_shape.iter().flat_map(HashMap::values)
    }

    /// Tells the followers of every scope that an event is in. `key` is a buffer.
    pub(super) fn tell(&self, event: &RecordedEvent, news: News, key: &mut String) {
        for (index, topics) in self.by_shape.iter().enumerate() {
            if topics.is_empty() {
                continue;
            }
            let given = |bit: usize, text| (index & bit != 0).then_some(text);
            put_key(
                key,
                given(TENANT, event.stream.tenant()),
                given(AGGREGATE_TYPE, event.stream.aggregate_type()),
                given(EVENT_TYPE, &event.event_type),
            );
            if let Some(topic) = topics.get(key.as_str()) {
                topic.send_replace(news);
            }
        }
    }
}

const TENANT: usize = 1;
const AGGREGATE_TYPE: usize = 1 << 1;
const EVENT_TYPE: usize = 1 << 2;

fn place_of(shape: &Shape) -> (usize, String) {
    let bit = |is_given: bool, bit: usize| if is_given { bit } else { 0 };
    let index = bit(shape.tenant.is_some(), TENANT)
        | bit(shape.aggregate_type.is_some(), AGGREGATE_TYPE)
        | bit(shape.event_type.is_some(), EVENT_TYPE);
    let mut key = String::new();
    put_key(
        &mut key,
        shape.tenant.as_deref(),
        shape.aggregate_type.as_deref(),
        shape.event_type.as_deref(),
    );
    (index, key)
}

/// Neither tenant nor aggregate type of a stream holds a control character, so keys are not taken for each other.
fn put_key(
    key: &mut String,
    tenant: Option<&str>,
    aggregate_type: Option<&str>,
    event_type: Option<&str>,
) {
    key.clear();
    key.push_str(tenant.unwrap_or_default());
    key.push('\0');
    key.push_str(aggregate_type.unwrap_or_default());
    key.push('\0');
    key.push_str(event_type.unwrap_or_default());
}
