use crate::journal::segment::BLOCK_BYTES;

/// A reusable buffer whose bytes start at a block boundary in memory, as `O_DIRECT` demands.
#[derive(Debug, Default)]
pub(crate) struct BlockBuffer {
    memory: Vec<u8>,
}

impl BlockBuffer {
    /// The first `bytes` bytes, of whatever content they had.
    pub(crate) fn of(&mut self, bytes: usize) -> &mut [u8] {
        if self.memory.len() < bytes + BLOCK_BYTES {
            // A fresh vector, not a grown one: the old content is not worth copying.
            self.memory = vec![0; bytes + BLOCK_BYTES];
        }
        let start = self.memory.as_ptr().align_offset(BLOCK_BYTES);
        self.memory
            .get_mut(start..start + bytes)
            .unwrap_or_default()
    }

    /// The first `bytes` bytes, all zero.
    pub(crate) fn zeroed(&mut self, bytes: usize) -> &mut [u8] {
        let blocks = self.of(bytes);
        blocks.fill(0);
        blocks
    }

    /// Gives memory back if it holds much more than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if self.memory.len() > bytes + BLOCK_BYTES {
            self.memory = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_start_at_a_block_boundary() {
        let mut buffer = BlockBuffer::default();
        for bytes in [BLOCK_BYTES, 5 * BLOCK_BYTES, 2 * BLOCK_BYTES] {
            let blocks = buffer.of(bytes);
            assert_eq!(
                (blocks.len(), blocks.as_ptr().align_offset(BLOCK_BYTES)),
                (bytes, 0)
            );
        }
    }
}
