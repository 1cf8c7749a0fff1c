// Weights as the kernels want them, kept in a file that the next run maps: reordered, folded and
// transformed once for each machine and model.
//
//     magic "GRAFTPL1"   count u64   bytes of the table u64   bytes of the file u64   checksum u64
//     table: identity, then for each entry name, offset, byte count, checksum
//     entries, each from a multiple of 64 on
//
// Little-endian as the machine is: such a file serves the machine that wrote it. A string is its
// byte count (u64) and its bytes.

import CDNNL
import CKernels
import GraftTensors

/// The file of a plan's prepared weights, and the plans that they serve.
public struct PlanFilePlace: Sendable, Hashable {
    /// The file.
    public var path: String
    /// The origin and purpose of the weights: a file for anything else is not used.
    public var identity: String

    /// A place.
    public init(path: String, identity: String) {
        self.path = path
        self.identity = identity
    }
}

/// The contents of a plan file, and what has to be put there.
final class PlanFile {
    private struct Entry {
        var bytes: UnsafeRawBufferPointer
        var checksum: UInt64
        var owner: AnyObject
    }
    private let place: PlanFilePlace?
    private let identity: String
    /// By name: what the file holds, whether this plan uses it or not.
    private var found: [String: Entry] = [:]
    /// The entries that this plan uses, in order.
    private var used: [(name: String, entry: Entry)] = []
    private var places: [String: Int] = [:]
    private var missed = 0

    private static let magic: [UInt8] = Array("GRAFTPL1".utf8)
    private static let headSize = 40
    /// Less than this is made sooner than a file is opened.
    private static let smallest = 1 << 20

    /// Without a place, what one lane prepares serves the others and is forgotten.
    init(_ place: PlanFilePlace?) {
        self.place = place
        guard let place else {
            identity = ""
            return
        }
        let version = dnnl_version().pointee
        let hash = version.hash.map { String(cString: $0) } ?? ""
        identity =
            "\(place.identity) oneDNN \(version.major).\(version.minor).\(version.patch) \(hash) "
            + "isa \(dnnl_get_effective_cpu_isa().rawValue) block \(graft_vector_block(16))"
        if let storage = try? Storage(mapping: place.path) { read(storage) }
    }

    /// The bytes under a name as the file has them, verified, or as `make` makes them.
    func buffer(_ name: String, byteCount: Int, make: () throws -> Buffer) rethrows -> Buffer {
        if let entry = places[name].map({ used[$0].entry }), let base = entry.bytes.baseAddress,
            entry.bytes.count == byteCount
        {
            return Buffer(reading: base, byteCount: byteCount, of: entry.owner)
        }
        places[name] = used.count
        if let entry = found[name], let base = entry.bytes.baseAddress,
            entry.bytes.count == byteCount,
            graft_checksum(base, byteCount) == entry.checksum
        {
            used.append((name, entry))
            return Buffer(reading: base, byteCount: byteCount, of: entry.owner)
        }
        let buffer = try make()
        let bytes = UnsafeRawBufferPointer(start: buffer.pointer, count: byteCount)
        used.append((name, Entry(bytes: bytes, checksum: 0, owner: buffer)))
        missed += byteCount
        return buffer
    }

    /// Writes what the file lacks, in a new file that takes its place. What cannot be written costs
    /// the next run the same work and nothing else.
    func save() {
        defer { (found, used, places) = ([:], [], [:]) }
        guard let place, missed >= Self.smallest else { return }
        var entries = used
        var names = Set(used.map(\.name))
        let total = used.reduce(0) { $0 + $1.entry.bytes.count }
        // Other batches and choices of the same model, as long as they are not most of the file.
        var others = 0
        for (name, entry) in found.sorted(by: { $0.key < $1.key })
        where others + entry.bytes.count <= 2 * total && names.insert(name).inserted {
            others += entry.bytes.count
            entries.append((name, entry))
        }
        try? write(entries, to: place.path)
    }

    private func write(_ entries: [(name: String, entry: Entry)], to path: String) throws {
        var table: [UInt8] = []
        func put(_ value: UInt64) { withUnsafeBytes(of: value) { table += $0 } }
        func put(_ text: String) {
            put(UInt64(text.utf8.count))
            table += text.utf8
        }
        func rounded(_ count: Int) -> Int { (count + 63) / 64 * 64 }
        put(identity)
        let tableSize =
            table.count + entries.reduce(0) { $0 + 32 + $1.name.utf8.count }
        var offset = rounded(Self.headSize + tableSize)
        for (name, entry) in entries {
            put(name)
            put(UInt64(offset))
            put(UInt64(entry.bytes.count))
            put(graft_checksum(entry.bytes.baseAddress, entry.bytes.count))
            offset = rounded(offset + entry.bytes.count)
        }
        var head = Self.magic
        for value in [
            UInt64(entries.count), UInt64(table.count), UInt64(offset),
            graft_checksum(table, table.count),
        ] { withUnsafeBytes(of: value) { head += $0 } }
        var file = try AtomicFile(replacing: path)
        try file.write(head + table)
        var at = head.count + table.count
        for (_, entry) in entries {
            try file.write([UInt8](repeating: 0, count: rounded(at) - at))
            try file.write(entry.bytes)
            at = rounded(at) + entry.bytes.count
        }
        try file.write([UInt8](repeating: 0, count: rounded(at) - at))
        // What a power cut leaves is found out by its checksums.
        try file.commit(durably: false)
    }

    /// Lists what a file holds, if all that it says of itself is true and it is meant for this plan.
    private func read(_ storage: Storage) {
        storage.withBytes { bytes in
            func number(_ at: Int) -> Int? {
                guard at >= 0, at + 8 <= bytes.count else { return nil }
                return Int(exactly: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            }
            guard bytes.count > Self.headSize, bytes.starts(with: Self.magic),
                let count = number(8), let tableSize = number(16), number(24) == bytes.count,
                tableSize <= bytes.count - Self.headSize, count <= tableSize / 32
            else { return }
            let table = UnsafeRawBufferPointer(
                rebasing: bytes[Self.headSize..<(Self.headSize + tableSize)])
            guard
                graft_checksum(table.baseAddress, table.count)
                    == bytes.loadUnaligned(fromByteOffset: 32, as: UInt64.self)
            else { return }
            var at = 0
            func next() -> Int? {
                guard at + 8 <= table.count else { return nil }
                defer { at += 8 }
                return Int(exactly: table.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            }
            func text() -> String? {
                guard let count = next(), count <= table.count - at else { return nil }
                defer { at += count }
                return String(decoding: table[at..<(at + count)], as: UTF8.self)
            }
            guard text() == identity else { return }
            for _ in 0..<count {
                guard let name = text(), let offset = next(), let size = next(),
                    at + 8 <= table.count, offset % 64 == 0, offset <= bytes.count,
                    size <= bytes.count - offset
                else { return found.removeAll() }
                let checksum = table.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                at += 8
                found[name] = Entry(
                    bytes: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + size)]),
                    checksum: checksum, owner: storage)
            }
        }
    }
}
