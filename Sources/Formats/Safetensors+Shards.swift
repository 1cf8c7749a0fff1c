// Many files and an index: how weights of gigabytes are published.

internal import FoundationEssentials
public import GraftTensors
import OrderedCollections

extension Safetensors {
    /// `model.safetensors.index.json`, as `transformers` writes and reads it.
    private struct Index: Codable {
        struct Metadata: Codable { let total_size: Int }
        let metadata: Metadata?
        let weight_map: [String: String]
    }

    /// Writes `model-00001-of-00003.safetensors`… and `model.safetensors.index.json` for the path
    /// `model.safetensors`; one plain file if everything fits `shardByteCount`. A tensor is never
    /// split. Gives the paths, the index last. As with `cp`, the system writes to the disk later.
    @discardableResult
    public static func write(_ state: StateDict, to path: String, shardByteCount: Int) throws
        -> [String]
    {
        guard state.byteCount > shardByteCount else {
            try write(state, to: path, durably: false)
            return [path]
        }
        var shards: [StateDict] = []
        var size = Int.max
        for (name, tensor) in state.tensors {
            let (sum, overflow) = size.addingReportingOverflow(tensor.byteCount)
            if overflow || sum > shardByteCount {
                shards.append(StateDict(metadata: state.metadata, axes: state.axes))
                size = 0
            }
            size += tensor.byteCount
            shards[shards.count - 1][name] = tensor
        }
        let stem = path.hasSuffix(".safetensors") ? String(path.dropLast(12)) : path
        let folder = stem.lastIndex(of: "/").map { stem.index(after: $0) } ?? stem.startIndex
        var map: [String: String] = [:]
        var paths: [String] = []
        for (index, shard) in shards.enumerated() {
            func padded(_ number: Int) -> String {
                String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
            }
            let suffix = "-\(padded(index + 1))-of-\(padded(shards.count)).safetensors"
            try write(shard, to: stem + suffix, durably: false)
            paths.append(stem + suffix)
            for name in shard.tensors.keys { map[name] = stem[folder...] + suffix }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let index = Index(metadata: .init(total_size: state.byteCount), weight_map: map)
        var file = try AtomicFile(replacing: stem + ".safetensors.index.json")
        try file.write(Array(try encoder.encode(index)) + [0x0A])
        try file.commit(durably: false)
        return paths + [file.path]
    }
}
