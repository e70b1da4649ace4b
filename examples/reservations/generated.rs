use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::Args;
use crate::basket::{Baskets, Gathering};

const LINES_MAX: u32 = 20;
const QUANTITY_MAX: u64 = 5;

/// Baskets as a shop has them: the first products are in most of them, and some hold one product on two lines.
pub(crate) fn generate(args: &Args) -> Baskets {
    let mut random = StdRng::seed_from_u64(args.seed);
    let mut gathering = Gathering::default();
    for basket in 1..=args.baskets {
        for _ in 0..random.random_range(1..=LINES_MAX) {
            // The lower of three draws: a few products are hot, most are not.
            let draws =
                std::array::from_fn::<u32, 3, _>(|_| random.random_range(1..=args.products));
            let product = draws.into_iter().min().unwrap_or(1);
            let quantity = random.random_range(1..=QUANTITY_MAX);
            gathering.add(basket.to_string(), product.to_string(), quantity);
        }
    }
    gathering.finish()
}
