use std::fmt;

use foldhouse::StreamId;
use serde::{Deserialize, Serialize};

use super::names::{LocationId, ProductId};

/// A product at a location, of a tenant: what an item is. Its id is `product@location`; one without a location stands for a
/// product that is stocked at one place only, which has no name.
///
/// Persisted with its field names; the order is by tenant, product and location.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemPlace {
    /// The tenant.
    pub tenant: Box<str>,
    /// What is stocked.
    pub product: ProductId,
    /// Where.
    pub location: LocationId,
}

impl ItemPlace {
    /// That of a product at a location.
    #[must_use]
    pub fn new(
        tenant: &str,
        product: impl Into<ProductId>,
        location: impl Into<LocationId>,
    ) -> Self {
        Self {
            tenant: tenant.into(),
            product: product.into(),
            location: location.into(),
        }
    }

    /// That of an item's stream.
    #[must_use]
    pub fn of(stream: &StreamId) -> Self {
        let id = stream.aggregate_id();
        let (product, location) = id.rsplit_once('@').unwrap_or((id, ""));
        Self::new(stream.tenant(), product, location)
    }

    /// The same product at another location.
    #[must_use]
    pub fn at(&self, location: impl Into<LocationId>) -> Self {
        Self {
            location: location.into(),
            ..self.clone()
        }
    }

    /// The item's id, the last part of its stream's.
    #[must_use]
    pub fn id(&self) -> String {
        match self.location.as_str() {
            "" => self.product.as_str().to_owned(),
            location => format!("{}@{location}", self.product),
        }
    }
}

impl fmt::Display for ItemPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}
