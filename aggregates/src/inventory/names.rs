use crate::text_names::text_names;

text_names! {
    /// What is stocked: a product's code, `8711000`. With a location it names an item's stream, so it has no `/`, no `@`
    /// and no control character; that is checked when it is used.
    ProductId;
    /// Where it is stocked: a warehouse, a store, a van. With a product it names an item's stream, so it has no `/`, no `@`
    /// and no control character; that is checked when it is used.
    LocationId;
    /// A batch of goods that came together and expire together, or the serial number of a single piece.
    LotId;
    /// The caller's id of what is to come from a supplier: a purchase order's line, say.
    SupplyId;
    /// The caller's id of a transfer between two locations.
    TransferId;
}
