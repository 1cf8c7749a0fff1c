// Opens a file of weights, whatever its format.

public import GraftSystem
public import GraftTensors
import OrderedCollections

/// A file of weights of any format that graft reads.
public enum Checkpoint {
    /// The formats that graft reads.
    public enum Kind: String, Sendable, CaseIterable {
        /// A safetensors file.
        case safetensors
        /// HDF5: Keras weights, or any file of data sets.
        case hdf5
        /// PyTorch, the zip archive of 1.6 and later or the pickle of before.
        case torch
        /// One NumPy array.
        case npy
        /// A zip archive of NumPy arrays.
        case npz
        /// A Keras 3 model: a zip archive of a configuration and HDF5 weights.
        case keras
        /// An index over files of one of these kinds (`model.safetensors.index.json`).
        case shards
        /// TensorFlow's checkpoint or SavedModel: an index and its shards.
        case tensorflow
        /// A TensorFlow Lite model.
        case tflite
        /// An ONNX model.
        case onnx
        /// A program of torch.export (`.pt2`).
        case exportedProgram
    }

    /// The format of a file, by its content and not by its name. For a folder, that of the file in
    /// it that ``open(_:isolation:)`` opens.
    public static func kind(of path: String) throws -> Kind {
        let path = try file(at: path)
        return try kind(Storage(mapping: path), path)
    }

    /// The tensors of a file, read when they are asked for.
    ///
    /// `path` may also be a folder that holds one set of weights, or the prefix of a TensorFlow
    /// checkpoint. Keras' and TensorFlow's files keep Keras' order of axes; ``StateDict/axes`` says
    /// so. `isolation` says where libhdf5 may run, by default what ``Isolation/current`` says.
    /// Of a file with several state dicts, `stateDict` names the one to read: its key in a
    /// checkpoint of PyTorch, or what its names begin with. Unless `mapped`, all numbers are read into
    /// memory now, and the files may change afterwards.
    public static func open(
        _ path: String, stateDict: String? = nil, isolation: Isolation = .current,
        mapped: Bool = true
    ) throws -> StateDict {
        let path = try file(at: path)
        let storage = try mapped ? Storage(mapping: path) : Storage(reading: path)
        let state = try read(storage, path, isolation, stateDict: stateDict)
        guard !mapped else { return state }
        switch try kind(storage, path) {
        case .safetensors, .npy: return state  // All of it lies in these bytes.
        default: return try state.loaded()
        }
    }

    private static func read(
        _ storage: Storage, _ path: String, _ isolation: Isolation, stateDict: String?
    ) throws -> StateDict {
        guard let stateDict else { return try read(storage, path, isolation) }
        guard !stateDict.isEmpty else { throw FormatError.noStateDict(path: path, "", found: []) }
        if try kind(storage, path) == .torch {
            let source = Source(path: path, format: Kind.torch.rawValue)
            let found = try TorchFile.read(storage, source, isolation, wanted: stateDict)
            if found.isWanted { return found.state }
            return try found.state.under(stateDict, in: path)
        }
        return try read(storage, path, isolation).under(stateDict, in: path)
    }

    /// The tensors of one file, or of those that an index names.
    static func read(_ storage: Storage, _ path: String, _ isolation: Isolation) throws -> StateDict
    {
        let kind = try kind(storage, path)
        let source = Source(path: path, format: kind.rawValue)
        switch kind {
        case .safetensors: return try Safetensors.read(storage, source)
        case .npy:
            return StateDict(["array": try Npy.read(storage, 0..<storage.byteCount, source)])
        case .npz: return try Npz.read(storage, source, isolation)
        case .torch: return try TorchFile.read(storage, source, isolation).state
        case .hdf5: return try KerasFile.read(storage, source, isolation)
        case .keras: return try KerasFile.readArchive(storage, source, isolation)
        case .shards: return try Shards.read(storage, source, isolation)
        case .tensorflow: return try TensorBundle.read(storage, source)
        case .tflite: return try TFLite.read(storage, source)
        case .onnx: return try ONNXFile.read(storage, source)
        case .exportedProgram:
            return try ExportedProgramFile.read(storage, in: source, isolation: isolation)
        }
    }

    static func kind(_ storage: Storage, _ path: String) throws -> Kind {
        try storage.withBytes { bytes in
            func starts(_ prefix: [UInt8], at offset: Int = 0) -> Bool {
                bytes.count >= offset + prefix.count
                    && bytes[offset..<(offset + prefix.count)].elementsEqual(prefix)
            }
            if starts(Npy.magic) { return .npy }
            if TorchFile.isLegacy(bytes) { return .torch }
            if starts(HDF5.signature) { return .hdf5 }
            if starts([0x50, 0x4B, 3, 4]) || starts([0x50, 0x4B, 5, 6]) {
                let source = Source(path: path, format: "zip")
                let names = try ZipArchive(storage, source, .contiguousOnly).members.keys
                if names.contains("config.json"),
                    names.contains(where: { $0.hasPrefix("model.weights") })
                {
                    return .keras
                }
                if ExportedProgramFile.isProgram(names) { return .exportedProgram }
                let other = ForeignFile.archive(names)
                if case .archive = other {
                    if names.contains(where: { $0.hasSuffix("/data.pkl") || $0 == "data.pkl" }) {
                        return .torch
                    }
                    // numpy.savez() of nothing is an archive of nothing.
                    if names.isEmpty || names.contains(where: { $0.hasSuffix(".npy") }) {
                        return .npz
                    }
                }
                throw FormatError.foreign(path: path, other)
            }
            if bytes.count > 8, bytes[8] == UInt8(ascii: "{"), starts([0, 0], at: 6) {
                return .safetensors
            }
            if starts(TFLite.identifier, at: 4) { return .tflite }
            if SortedTable.isTable(bytes) { return .tensorflow }
            if Shards.isIndex(bytes) { return .shards }
            // HDF5 allows a block of the user's before its signature, of 512 bytes or a doubling.
            var offset = 512
            while offset < bytes.count, offset <= 1 << 26 {
                if starts(HDF5.signature, at: offset) { return .hdf5 }
                offset *= 2
            }
            // Protobufs have no first bytes of their own.
            if ONNXFile.isModel(bytes) { return .onnx }
            guard let file = ForeignFile.identify(bytes, path: path) else {
                throw FormatError.unknownFormat(path: path)
            }
            throw FormatError.foreign(path: path, file)
        }
    }
}

extension StateDict {
    /// The tensors whose names begin with `prefix`, without it.
    fileprivate func under(_ prefix: String, in path: String) throws -> StateDict {
        var result = self
        result.tensors = [:]
        let separators: [Character] = [".", "/"]
        let isWhole = prefix.last.map(separators.contains) ?? false
        let prefixes = isWhole ? [prefix] : separators.map { prefix + String($0) }
        for (name, tensor) in tensors {
            guard let prefix = prefixes.first(where: name.hasPrefix),
                name.utf8.count > prefix.utf8.count
            else { continue }
            result[String(name.dropFirst(prefix.count))] = tensor
        }
        guard !result.tensors.isEmpty else {
            var found: OrderedSet<String> = []
            for name in tensors.keys where found.count < 20 {
                found.append(String(name.prefix { !separators.contains($0) }))
            }
            throw FormatError.noStateDict(path: path, prefix, found: Array(found))
        }
        return result
    }
}
