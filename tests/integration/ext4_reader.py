# SPDX-License-Identifier: MIT
"""A small reader of ext4 images: what a kernel would show, without mounting. It shares no code with the writer."""
import hashlib
import mmap
import stat
import struct

ROOT_INODE = 2
EXTENTS_FL = 0x80000
INDEX_FL = 0x1000  # of a folder with a hash index
XATTR_MAGIC = 0xEA020000
PREFIX = {1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security."}


class Inode:
    def __init__(self, image, number):
        raw = image.inode_bytes(number)
        self.number, self.raw = number, raw
        (self.mode, uid, size, _, _, mtime, _, gid, self.links, self.sectors, self.flags) = struct.unpack_from(
            "<HHIIIIIHHII", raw, 0)
        self.iblock = raw[40:100]
        (self.xattr_block, size_high) = struct.unpack_from("<II", raw, 104)
        (uid_high, gid_high) = struct.unpack_from("<HH", raw, 120)
        (extra,) = struct.unpack_from("<I", raw, 136)
        self.size = size | size_high << 32
        self.uid, self.gid = uid | uid_high << 16, gid | gid_high << 16
        signed = mtime - (1 << 32) if mtime & 1 << 31 else mtime
        self.mtime_ns = (signed + ((extra & 3) << 32)) * 10**9 + (extra >> 2)


class Image:
    def __init__(self, path):
        self.file = open(path, "rb")
        self.data = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        sb = self.data[1024:2048]
        assert struct.unpack_from("<H", sb, 56)[0] == 0xEF53, "no ext4"
        (self.inode_count, blocks) = struct.unpack_from("<II", sb, 0)
        self.block = 1024 << struct.unpack_from("<I", sb, 24)[0]
        (self.group_blocks,) = struct.unpack_from("<I", sb, 32)
        (self.group_inodes,) = struct.unpack_from("<I", sb, 40)
        (self.inode_size,) = struct.unpack_from("<H", sb, 88)
        (self.compat, self.incompat, self.ro_compat) = struct.unpack_from("<III", sb, 92)
        (self.desc_size,) = struct.unpack_from("<H", sb, 254)
        self.blocks = blocks | struct.unpack_from("<I", sb, 0x150)[0] << 32
        self.seen = {}

    def close(self):
        self.data.close()
        self.file.close()

    def inode_bytes(self, number):
        group, index = divmod(number - 1, self.group_inodes)
        at = self.block + group * self.desc_size
        table = struct.unpack_from("<I", self.data, at + 8)[0] | struct.unpack_from("<I", self.data, at + 0x28)[0] << 32
        start = table * self.block + index * self.inode_size
        return self.data[start:start + self.inode_size]

    def extents(self, inode):
        """(logical, physical, count) in order."""
        def walk(node):
            magic, entries, _, depth = struct.unpack_from("<HHHH", node, 0)
            assert magic == 0xF30A, f"inode {inode.number}: no extents"
            for i in range(entries):
                entry = node[12 + i * 12:24 + i * 12]
                if depth == 0:
                    logical, count, high, low = struct.unpack("<IHHI", entry)
                    assert count <= 32768, "unwritten extent"
                    yield logical, low | high << 32, count
                else:
                    _, low, high, _ = struct.unpack("<IIHH", entry)
                    at = (low | high << 32) * self.block
                    yield from walk(self.data[at:at + self.block])
        assert inode.flags & EXTENTS_FL
        return walk(inode.iblock)

    def pieces(self, inode):
        """The content, holes as zeros."""
        done = 0
        for logical, physical, count in self.extents(inode):
            if done < logical * self.block:
                yield from zeros(min(logical * self.block, inode.size) - done)
                done = logical * self.block
            size = min(count * self.block, inode.size - done)
            yield self.data[physical * self.block:physical * self.block + size]
            done += size
        yield from zeros(inode.size - done)

    def read(self, inode):
        return b"".join(self.pieces(inode))

    def digest(self, inode):
        h = hashlib.sha256()
        for p in self.pieces(inode):
            h.update(p)
        return h.hexdigest()

    def link_target(self, inode):
        return inode.iblock[:inode.size] if inode.size < 60 else self.read(inode)

    def names(self, inode):
        data = self.read(inode)
        at = 0
        while at < len(data):
            number, size, name_size, _ = struct.unpack_from("<IHBB", data, at)
            assert size >= 8
            name = data[at + 8:at + 8 + name_size]
            if number and name not in (b".", b".."):
                yield name, number
            at += size  # index blocks look like one entry that is unused, or "..", up to their end

    def xattrs(self, inode):
        found = {}
        extra = struct.unpack_from("<H", inode.raw, 128)[0]
        area = inode.raw[128 + extra:]
        if struct.unpack_from("<I", area, 0)[0] == XATTR_MAGIC:
            read_xattrs(area[4:], area[4:], found)
        if inode.xattr_block:
            block = self.data[inode.xattr_block * self.block:(inode.xattr_block + 1) * self.block]
            assert struct.unpack_from("<I", block, 0)[0] == XATTR_MAGIC
            read_xattrs(block[32:], block, found)
        return found

    def walk(self):
        """{path: Inode} of everything, the root as ''."""
        result = {"": Inode(self, ROOT_INODE)}
        todo = [""]
        while todo:
            folder = todo.pop()
            for name, number in self.names(result[folder]):
                path = (folder + "/" if folder else "") + name.decode(errors="surrogateescape")
                inode = self.seen[number] = self.seen.get(number) or Inode(self, number)
                assert path not in result, f"{path} is there twice"
                result[path] = inode
                if stat.S_ISDIR(inode.mode):
                    todo.append(path)
        return result

    def describe(self, with_content=True):
        """{path: tuple} to be compared with describe_tree()."""
        out, digests = {}, {}
        for path, inode in self.walk().items():
            content = None
            if stat.S_ISREG(inode.mode) and with_content:
                content = digests.get(inode.number) or self.digest(inode)
                digests[inode.number] = content
            elif stat.S_ISLNK(inode.mode):
                content = self.link_target(inode)
            elif stat.S_ISCHR(inode.mode) or stat.S_ISBLK(inode.mode):
                content = device(inode.iblock)
            links = 0 if stat.S_ISDIR(inode.mode) else inode.links
            size = inode.size if stat.S_ISREG(inode.mode) else 0
            out[path] = (oct(inode.mode), inode.uid, inode.gid, size, inode.mtime_ns, links, content,
                         tuple(sorted(self.xattrs(inode).items())))
        return out


def zeros(count):
    while count > 0:
        yield bytes(min(count, 1 << 20))
        count -= 1 << 20


def device(iblock):
    old, new = struct.unpack_from("<II", iblock, 0)
    if old:
        return old >> 8, old & 0xFF
    return (new & 0xFFF00) >> 8, (new & 0xFF) | (new >> 12 & 0xFFF00)


def read_xattrs(entries, base, found):
    at = 0
    while struct.unpack_from("<I", entries, at)[0]:
        name_size, index, offset, inum, size, _ = struct.unpack_from("<BBHIII", entries, at)
        assert inum == 0
        name = PREFIX[index] + entries[at + 16:at + 16 + name_size].decode()
        value = bytes(base[offset:offset + size])
        assert name not in found
        found[name] = acl(value) if index in (2, 3) else value
        at += 16 + (name_size + 3) // 4 * 4


def acl(value):
    """ext4's form of an ACL as getxattr gives it."""
    assert struct.unpack_from("<I", value, 0)[0] == 1
    out, at = struct.pack("<I", 2), 4
    while at < len(value):
        tag, perm = struct.unpack_from("<HH", value, at)
        at += 4
        number = 0xFFFFFFFF
        if tag in (2, 8):
            (number,) = struct.unpack_from("<I", value, at)
            at += 4
        out += struct.pack("<HHI", tag, perm, number)
    return out
