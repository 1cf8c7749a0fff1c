// An index over several files: `*.safetensors.index.json`, `pytorch_model.bin.index.json`,
// Keras' `*.weights.json`.

import GraftSystem
import GraftTensors
import OrderedCollections

/// Reads the tensors of all the files that an index names.
enum Shards {
    private static let byteLimit = 100_000_000
    private static let fileLimit = 10_000

    /// Whether the bytes are JSON that may be an index; what it says is checked when it is read.
    static func isIndex(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let first = bytes.prefix(64).first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        guard first == UInt8(ascii: "{"), bytes.count <= byteLimit else { return false }
        return bytes.prefix(1 << 16).contains(UInt8(ascii: "\""))
    }

    static func read(_ storage: Storage, _ source: Source, _ isolation: Isolation) throws
        -> StateDict
    {
        let source = Source(path: source.path, format: "index")
        let json = try storage.withBytes { try JSONTree(strictly: $0, in: source) }
        guard let map = json["weight_map"] else {
            throw FormatError.foreign(
                path: source.path, storage.withBytes { ForeignFile.json($0) })
        }
        guard let members = map.object?.members else {
            throw source.malformed(.shards(.mapNotObject))
        }
        var files: [String] = []
        var known: Set<String> = []
        var places: [(tensor: String, file: String)] = []
        for member in members {
            let names: [String]
            switch member.value {
            case .text(let name): names = [name]
            case .list(let values): names = values.compactMap(\.string)
            default: names = []
            }
            guard !names.isEmpty else {
                throw source.malformed(.shards(.notFile(tensor: member.key)))
            }
            for name in names {
                guard Checkpoint.isPlain(name) else {
                    throw source.unsupported(.notBeside(tensor: member.key, file: name))
                }
                if known.insert(name).inserted { files.append(name) }
                places.append((member.key, name))
            }
        }
        guard files.count <= fileLimit else {
            throw source.malformed(
                .shards(.tooManyFiles(files.count, limit: fileLimit)))
        }
        // Keras' index names groups; its files hold what they hold.
        let isKeras = members.contains { $0.key.hasPrefix("/") }
        return try joined(files, isKeras ? nil : places, source, isolation)
    }

    private static func joined(
        _ files: [String], _ places: [(tensor: String, file: String)]?, _ source: Source,
        _ isolation: Isolation
    ) throws -> StateDict {
        var shards: [String: StateDict] = [:]
        var result = StateDict()
        for (index, name) in files.enumerated() {
            let path = source.sibling(name)
            let storage = try Storage(mapping: path)
            guard try Checkpoint.kind(storage, path) != .shards else {
                throw source.unsupported(.nestedIndex(name))
            }
            let state = try Checkpoint.read(storage, path, isolation)
            if index == 0 { result.axes = state.axes }
            guard state.axes == result.axes else {
                throw source.unsupported(.mixedFormats)
            }
            result.metadata.merge(state.metadata) { first, _ in first }
            shards[name] = state
        }
        guard let places else {
            for name in files {
                for (tensor, value) in shards[name]?.tensors ?? [:] {
                    guard result.tensors.updateValue(value, forKey: tensor) == nil else {
                        throw source.malformed(.shards(.duplicate(tensor: tensor)))
                    }
                }
            }
            return result
        }
        for (tensor, file) in places {
            guard let value = shards[file]?[tensor] else {
                throw source.malformed(.shards(.missing(tensor: tensor, file: file)))
            }
            result[tensor] = value
        }
        return result
    }
}
