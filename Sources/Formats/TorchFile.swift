// PyTorch's .pth: a pickle that describes tensors, and their storages.

import GraftSystem
import GraftTensors
import OrderedCollections
internal import Synchronization

/// Reads what `torch.save` writes: the zip archive of PyTorch 1.6 and later, and the row of pickles
/// of before. No pickle code is ever run.
enum TorchFile {
    /// The magic number 0x1950a86a20f9469cfc6c, as a pickle has it.
    private static let legacyMagic: [UInt8] = [
        0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
    ]

    /// Whether the bytes begin with the pickle of the magic number, of protocol 2 to 5.
    static func isLegacy(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > 24, bytes[0] == 0x80, (2...5).contains(bytes[1]) else { return false }
        // Protocols 4 and 5 put a frame of 9 bytes around it.
        let start = bytes[2] == PickleOpcode.frame.rawValue ? 11 : 2
        return bytes[start..<(start + legacyMagic.count)].elementsEqual(legacyMagic)
    }

    /// A storage of tensors: how many bytes it has, and where they are once they are asked for.
    struct Place: Sendable {
        let byteCount: Int
        let find: @Sendable () throws -> (storage: Storage, byteOffset: Int)

        /// What lies in the mapped file.
        init(_ storage: Storage, _ range: Range<Int>) {
            byteCount = range.count
            find = { (storage, range.lowerBound) }
        }

        /// What has to be inflated; `last` keeps it for the next tensor of the same storage.
        init(_ archive: ZipArchive, _ member: ZipArchive.Member, _ last: LastMember) {
            byteCount = member.count
            find = { (try last.content(archive, member), 0) }
        }
    }

    /// The member of an archive that was inflated last.
    final class LastMember: Sendable {
        private let kept = Mutex<(offset: Int, storage: Storage)?>(nil)

        func content(_ archive: ZipArchive, _ member: ZipArchive.Member) throws -> Storage {
            try kept.withLock { kept in
                if let kept, kept.offset == member.offset { return kept.storage }
                kept = nil
                let storage = try archive.content(member).storage
                kept = (member.offset, storage)
                return storage
            }
        }
    }

    /// The state dict of a file, and whether it is the one that was wanted by its key.
    static func read(
        _ storage: Storage, _ source: Source, _ isolation: Isolation, wanted: String? = nil
    ) throws -> (state: StateDict, isWanted: Bool) {
        try storage.withBytes { bytes in
            isLegacy(bytes)
                ? try readLegacy(storage, bytes, source, wanted)
                : try readArchive(storage, source, isolation, wanted)
        }
    }

    private static func readArchive(
        _ storage: Storage, _ source: Source, _ isolation: Isolation, _ wanted: String?
    ) throws -> (state: StateDict, isWanted: Bool) {
        let archive = try ZipArchive(storage, source, isolation)
        guard
            let pickle = archive.members.values.first(where: {
                $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl")
            })
        else { throw source.malformed(.torch(.noPickle)) }
        let prefix = pickle.name.dropLast("data.pkl".count)
        if let order = archive.members[prefix + "byteorder"],
            try archive.text(order) != "little"
        {
            throw source.unsupported(.bigEndian)
        }
        let (data, range) = try archive.content(pickle)
        let (value, machine) = try data.withBytes { bytes in
            var cursor = try ByteCursor(
                UnsafeRawBufferPointer(rebasing: bytes[range]), in: source)
            return try PickleMachine.run(&cursor)
        }
        var places: [String: Place] = [:]
        let last = LastMember()
        for reference in machine.storages where places[reference.key] == nil {
            guard let member = archive.members["\(prefix)data/\(reference.key)"] else {
                throw source.malformed(.torch(.missingStorage(reference.key)))
            }
            let span = try archive.check(member)
            places[reference.key] =
                member.method == 0 ? Place(storage, span) : Place(archive, member, last)
        }
        return try TorchTensors(machine, places, storage.byteCount, source).state(
            value, wanted: wanted)
    }

    private static func readLegacy(
        _ storage: Storage, _ bytes: UnsafeRawBufferPointer, _ source: Source, _ wanted: String?
    ) throws -> (state: StateDict, isWanted: Bool) {
        var cursor = try ByteCursor(bytes, in: source)
        _ = try PickleMachine.run(&cursor)
        guard case .integer(1001) = try PickleMachine.run(&cursor).value else {
            throw source.unsupported(.torchProtocol)
        }
        let system = try PickleMachine.run(&cursor)
        if case .dict(let index) = system.value,
            system.machine.dicts[index]["little_endian"] == .bool(false)
        {
            throw source.unsupported(.bigEndian)
        }
        let (value, machine) = try PickleMachine.run(&cursor)
        let keys = try PickleMachine.run(&cursor)
        guard case .list(let list) = keys.value else {
            throw source.malformed(.torch(.noStorageList(at: cursor.offset)))
        }
        var scalars: [String: TorchScalar] = [:]
        for reference in machine.storages { scalars[reference.key] = reference.scalar }
        var places: [String: Place] = [:]
        for case .string(let key) in keys.machine.lists[list] {
            let count = try cursor.size(Int64.self)
            guard let scalar = scalars[key] else {
                throw source.malformed(.torch(.unusedStorage(key)))
            }
            let (byteCount, overflow) = count.multipliedReportingOverflow(
                by: scalar.dtype.byteCount)
            guard !overflow else { throw source.malformed(.torch(.largeStorage(key))) }
            let start = cursor.offset
            _ = try cursor.take(byteCount)
            places[key] = Place(storage, start..<cursor.offset)
        }
        return try TorchTensors(machine, places, storage.byteCount, source).state(
            value, wanted: wanted)
    }
}

extension TorchScalar {
    var dtype: DType {
        switch self {
        case .bool: .bool
        case .uint8: .u8
        case .int8: .i8
        case .int16: .i16
        case .int32: .i32
        case .int64: .i64
        case .uint16: .u16
        case .uint32: .u32
        case .uint64: .u64
        case .float16: .f16
        case .bfloat16: .bf16
        case .float32: .f32
        case .float64: .f64
        case .complex64: .c64
        case .float8E5M2: .f8e5m2
        case .float8E4M3: .f8e4m3
        case .float8E8M0: .f8e8m0
        case .float8E4M3FNUZ: .f8e4m3fnuz
        case .float8E5M2FNUZ: .f8e5m2fnuz
        }
    }
}
