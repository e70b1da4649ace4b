use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use crate::error::ReadError;
use crate::read_model::{Change, Checkpoint, Row, check_commit};

/// The read models of all projections by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadModels {
    models: HashMap<String, ReadModel>,
}

#[derive(Clone, Debug, Default)]
struct ReadModel {
    checkpoint: Checkpoint,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl ReadModels {
    pub(crate) fn commit(
        &mut self,
        projection: String,
        checkpoint: Checkpoint,
        changes: Vec<Change>,
    ) -> Result<(), ReadError> {
        check_commit(&projection, &changes)?;
        let model = self.models.entry(projection).or_default();
        model.checkpoint = checkpoint;
        for Change { key, value } in changes {
            match value {
                Some(value) => model.rows.insert(key, value),
                None => model.rows.remove(&key),
            };
        }
        Ok(())
    }

    pub(crate) fn checkpoint(&self, projection: &str) -> Option<Checkpoint> {
        self.models.get(projection).map(|model| model.checkpoint)
    }

    pub(crate) fn rows(&self, projection: &str, after: Option<&[u8]>, limit: usize) -> Vec<Row> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.models
            .get(projection)
            .into_iter()
            .flat_map(|model| model.rows.range::<[u8], _>((start, Bound::Unbounded)))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    pub(crate) fn reset(&mut self, projection: &str) {
        self.models.remove(projection);
    }
}
