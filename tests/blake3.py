"""BLAKE3 in plain Python, from its specification: slow, and nothing to install.

hash(data) and derive_key(context, key_material) give 32 bytes.
"""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
DERIVE_KEY_CONTEXT, DERIVE_KEY_MATERIAL = 32, 64
BLOCK, CHUNK, MASK = 64, 1024, 0xFFFFFFFF
# The quarter rounds: the four columns, then the four diagonals.
QUARTERS = tuple(
    (column, 4 + (column + shift) % 4, 8 + (column + 2 * shift) % 4, 12 + (column + 3 * shift) % 4)
    for shift in (0, 1)
    for column in range(4)
)


def rounds():
    """The order of the message words in each of the seven rounds."""
    order = tuple(range(16))
    for _ in range(7):
        yield order
        order = tuple(order[place] for place in PERMUTATION)


ROUNDS = tuple(rounds())


def compress(chaining, words, counter, length, flags):
    v = [*chaining, *IV[:4], counter & MASK, counter >> 32 & MASK, length, flags]
    for order in ROUNDS:
        for number, (a, b, c, d) in enumerate(QUARTERS):
            va = v[a] + v[b] + words[order[2 * number]] & MASK
            vd = v[d] ^ va
            vd = (vd >> 16 | vd << 16) & MASK
            vc = v[c] + vd & MASK
            vb = v[b] ^ vc
            vb = (vb >> 12 | vb << 20) & MASK
            va = va + vb + words[order[2 * number + 1]] & MASK
            vd ^= va
            vd = (vd >> 8 | vd << 24) & MASK
            vc = vc + vd & MASK
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & MASK, vc, vd
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk(key, data, counter, flags, root):
    chaining = key
    blocks = range(0, len(data), BLOCK) or range(1)
    for start in blocks:
        block = data[start : start + BLOCK]
        block_flags = flags
        if start == 0:
            block_flags |= CHUNK_START
        if start == blocks[-1]:
            block_flags |= CHUNK_END | root
        words = struct.unpack("<16I", block.ljust(BLOCK, b"\0"))
        chaining = compress(chaining, words, counter, len(block), block_flags)
    return chaining


def tree(key, data, counter, flags, root):
    """The chaining value of a subtree: the left half takes the largest power of two of chunks."""
    if len(data) <= CHUNK:
        return chunk(key, data, counter, flags, root)
    left = CHUNK
    while 2 * left < len(data):
        left *= 2
    words = tree(key, data[:left], counter, flags, 0)
    words += tree(key, data[left:], counter + left // CHUNK, flags, 0)
    return compress(key, words, 0, BLOCK, flags | PARENT | root)


def hash(data, key=IV, flags=0):
    return struct.pack("<8I", *tree(key, bytes(data), 0, flags, ROOT))


def derive_key(context, key_material):
    key = struct.unpack("<8I", hash(context.encode(), flags=DERIVE_KEY_CONTEXT))
    return hash(key_material, key, DERIVE_KEY_MATERIAL)
