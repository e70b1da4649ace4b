"""Lists the events of a journal: python3 format_reader.py DIRECTORY. Written from store/FORMAT.md, and from nothing else."""

import datetime, json, pathlib, struct, sys, uuid, zlib

import blake3

BLOCK, SECTOR, EPOCH = 4096, 512, datetime.datetime(1970, 1, 1)


class Damage(Exception):
    pass


def check(holds, what, *place):
    if not holds:
        raise Damage(" ".join(map(str, (what, *place))))


def padded(body):
    return -(-(128 + body + 8) // BLOCK) * BLOCK


def zero_sectors(frame):
    return sum(not any(frame[at : at + SECTOR]) for at in range(0, len(frame), SECTOR))


def frame_header(data, at):
    """(body, records, events, position, zero sectors, hash before, hash), or None where there is no sound header."""
    head = data[at : at + 128]
    if len(head) < 128 or head[:8] != b"FOLDFRM\n" or (zlib.crc32(head[:124]) or 1) != struct.unpack_from("<I", head, 124)[0]:
        return None
    version, length, body, records, events, position, _, zeros = struct.unpack_from("<HHIIIQqI", head, 8)
    check((version, length) == (1, 128), "a frame of another format at", at)
    return body, records, events, position, zeros, head[60:92], head[92:124]


def is_whole(data, at, head):
    frame = data[at : at + 128 + head[0] + 8]
    return len(frame) == 128 + head[0] + 8 and frame[-8:] == b"FOLDEND\n" and blake3.hash(frame[:92] + frame[128:]) == head[6]


def is_torn(data, at, position, last):
    """Whether what stands behind the last frame that holds is a write that did not complete."""
    head, end = frame_header(data, at), len(data.rstrip(b"\0"))
    follows = head and (head[5], head[3]) == (last, position)
    for later in range(at + (padded(head[0]) if follows else BLOCK), end, BLOCK):
        other = frame_header(data, later)
        check(not (other and other[3] >= position and is_whole(data, later, other)), "damage before a whole frame, at", at)
    if not head:
        return not any(data[at : at + SECTOR]) or (not any(data[at + 128 : at + BLOCK]) and end <= at + BLOCK)
    frame = data[at : at + 128 + head[0] + 8]
    started = frame[-8:].rstrip(b"\0")
    cut_short = started != b"FOLDEND\n" and b"FOLDEND\n".startswith(started)
    return follows and end <= at + padded(head[0]) and (cut_short or zero_sectors(frame) > head[4])


class Fields:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        check(self.at + count <= len(self.data), "a record is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))[0]

    def leb128(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    def text(self, length):
        return self.take(length).decode("utf-8")


def listing(record, position):
    fields = Fields(record)
    _, flags, codec = fields.take(3)
    schema, recorded, event_id = fields.number("H"), fields.number("q"), uuid.UUID(bytes=fields.take(16))
    version, lengths = fields.leb128(), fields.take(3)
    stream, event_type = "/".join(map(fields.text, lengths)), fields.text(fields.number("B"))
    check(flags < 64 and codec < 3, "an unknown flag or codec at position", position)
    has = lambda bit: flags >> bit & 1
    some = lambda bit, read, show=str: f"Some({show(read())})" if has(bit) else "None"
    quoted = lambda text: json.dumps(text, ensure_ascii=False)
    an_id = lambda: uuid.UUID(bytes=fields.take(16))
    effective = fields.number("q") if has(0) else recorded
    correlation, causation = some(1, an_id), some(2, an_id)
    user = some(3, lambda: fields.text(fields.number("B")), quoted)
    entries = fields.leb128() if has(4) else 0
    metadata = quoted({fields.text(fields.leb128()): fields.text(fields.leb128()) for _ in range(entries)})
    key_id = some(5, lambda: fields.number("I"))
    payload = fields.take(len(record) - fields.at)
    total = sum(byte * place for place, byte in enumerate(payload, 1))
    when = [(EPOCH + datetime.timedelta(microseconds=at)).isoformat(timespec="microseconds") + "Z" for at in (recorded, effective)]
    codec = ("Raw", "MessagePack", "Json")[codec]
    return f"{position} {stream} {version} {event_id} {event_type} {schema} {when[0]} {when[1]} {correlation} {causation} {user} {metadata} {codec} {key_id} {len(payload)} {total}"


def events_of(body, records, position):
    fields, count = Fields(body), 0
    while fields.at < len(body):
        length, crc = fields.number("I"), fields.number("I")
        record, count = fields.take(length), count + 1
        if length and record[0] >= 128:
            continue
        check(length and record[0] == 1, "a record of a kind that must be known, before position", position)
        check(zlib.crc32(struct.pack("<Q", position) + record) == crc, "a record does not match its checksum: position", position)
        print(listing(record, position))
        position += 1
    check(count == records, "a frame holds another number of records than it says: position", position)
    return position


def read(directory):
    store = last = None
    position, paths = 1, sorted(pathlib.Path(directory, "journal").glob("[0-9]" * 20 + ".segment"))
    for number, path in enumerate(paths):
        data, head = path.read_bytes(), path.read_bytes()[:160]
        magic, version, length, _, store_id, found, first, capacity, _ = struct.unpack_from("<8sHHI16sQQQq", head)
        store = store or store_id
        last = last or blake3.derive_key("foldhouse 2026 journal genesis", store)
        check(magic == b"FOLDSEG\n" and (version, length) == (1, 160) and head[128:] == blake3.hash(head[:128]), "no header of format 1:", path)
        check((found, first, store_id, head[64:96]) == (number, position, store, last), "a segment does not follow:", path)
        check(path.name == f"{first:020}.segment" and (path is not paths[-1] or len(data) >= capacity), "another name or length:", path)
        at = BLOCK
        while (frame := frame_header(data, at)) and frame[5] == last and frame[3] == position and is_whole(data, at, frame):
            position = events_of(data[at + 128 : at + 128 + frame[0]], frame[1], position)
            check(position == frame[3] + frame[2], "a frame holds another number of events than it says:", path, at)
            at, last = at + padded(frame[0]), frame[6]
        if any(data[at:]):
            check(path is paths[-1] and is_torn(data, at, position, last), "damage:", path, "offset", at, "position", position)
            print(f"torn write at {path.name} {at}", file=sys.stderr)


if __name__ == "__main__":
    read(sys.argv[1])
