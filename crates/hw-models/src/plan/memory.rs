//! Where values lie: values that live at different times share memory.

/// Something of `len` floats that lives from `first` to `last`, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) len: usize,
}

/// Starts for all blocks, and the length of the whole. Blocks that live at the same time do not
/// overlap; the largest are placed first, each as low as it fits.
pub(super) fn place(blocks: &[Block]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(blocks[i].len), i));
    let (mut starts, mut end) = (vec![0; blocks.len()], 0);
    let mut placed: Vec<usize> = Vec::new();
    for &i in &order {
        let block = blocks[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| blocks[j].first <= block.last && block.first <= blocks[j].last)
            .map(|&j| (starts[j], starts[j] + blocks[j].len))
            .collect();
        taken.sort_unstable();
        let mut start = 0;
        for (from, to) in taken {
            if start + block.len <= from {
                break;
            }
            start = start.max(to);
        }
        starts[i] = start;
        end = end.max(start + block.len);
        placed.push(i);
    }
    (starts, end)
}

#[cfg(test)]
mod tests {
    use super::{Block, place};
    use proptest::prelude::{prop_assert, proptest};

    proptest! {
        #[test]
        fn blocks_that_live_together_lie_apart(
            spans in proptest::collection::vec((0usize..20, 0usize..6, 1usize..50), 0..30),
        ) {
            let block = |&(first, life, len): &(usize, usize, usize)| Block { first, last: first + life, len };
            let blocks: Vec<Block> = spans.iter().map(block).collect();
            let (starts, end) = place(&blocks);
            for (i, a) in blocks.iter().enumerate() {
                prop_assert!(starts[i] + a.len <= end);
                for (j, b) in blocks.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = starts[i] + a.len <= starts[j] || starts[j] + b.len <= starts[i];
                    prop_assert!(!together || apart);
                }
            }
        }
    }
}
