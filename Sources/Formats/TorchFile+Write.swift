// Writes what `torch.load(weights_only=True)` reads.

public import GraftTensors
import OrderedCollections

/// Writes PyTorch's zip archive: a pickle that describes tensors, and a member for each storage.
public enum TorchWriter {
    /// The metadata under which a state dict has the version of its module, which a few modules ask for
    /// (torchvision's MNASNet): PyTorch keeps it in `_metadata`, an attribute of the dictionary.
    public static let versionKey = "torch.version"

    /// Writes a state dict; it appears under `path` only when complete.
    public static func write(_ state: StateDict, to path: String) throws {
        let archive = try ZipWriter(replacing: path)
        // PyTorch calls the folder in the archive like the file.
        let folder = "archive"
        try archive.add("\(folder)/data.pkl", pickle(state, path))
        try archive.add("\(folder)/byteorder", Array("little".utf8))
        for (index, tensor) in state.tensors.values.enumerated() {
            try archive.add("\(folder)/data/\(index)", byteCount: tensor.byteCount) { emit in
                try tensor.stream(emit)
            }
        }
        try archive.add("\(folder)/version", Array("3\n".utf8))
        try archive.finish()
    }

    private static func pickle(_ state: StateDict, _ path: String) throws -> [UInt8] {
        var pickle = PickleWriter()
        pickle.begin()
        for (index, (name, tensor)) in state.tensors.enumerated() {
            pickle.text(name)
            try pickle.tensor(tensor, name, key: String(index), path)
        }
        return pickle.end(version: state.metadata[versionKey].flatMap { Int($0) })
    }
}

/// Protocol 2, as `torch.save` uses it: an `OrderedDict` of `_rebuild_tensor_v2` calls.
private struct PickleWriter {
    private var bytes: [UInt8] = [0x80, 2]

    mutating func begin() {
        orderedDict()
        bytes.append(PickleOpcode.mark.rawValue)
    }

    mutating func end(version: Int?) -> [UInt8] {
        bytes.append(PickleOpcode.setItems.rawValue)
        if let version {
            // `state._metadata = OrderedDict({"": {"version": version}})`
            bytes.append(PickleOpcode.emptyDict.rawValue)
            text("_metadata")
            orderedDict()
            text("")
            bytes.append(PickleOpcode.emptyDict.rawValue)
            text("version")
            integer(version)
            bytes += Array(repeating: PickleOpcode.setItem.rawValue, count: 3)
            bytes.append(PickleOpcode.build.rawValue)
        }
        bytes.append(PickleOpcode.stop.rawValue)
        return bytes
    }

    private mutating func global(_ module: String, _ name: String) {
        bytes.append(PickleOpcode.global.rawValue)
        bytes += Array("\(module)\n\(name)\n".utf8)
    }

    private mutating func orderedDict() {
        global("collections", "OrderedDict")
        bytes.append(PickleOpcode.emptyTuple.rawValue)
        bytes.append(PickleOpcode.reduce.rawValue)
    }

    mutating func text(_ text: String) {
        bytes.append(PickleOpcode.binUnicode.rawValue)
        little(UInt32(clamping: text.utf8.count))
        bytes += Array(text.utf8)
    }

    private mutating func little<I: FixedWidthInteger>(_ value: I) {
        withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
    }

    private mutating func integer(_ value: Int) {
        if let small = Int32(exactly: value) {
            bytes.append(PickleOpcode.binInt.rawValue)
            little(small)
        } else {
            bytes += [PickleOpcode.long1.rawValue, 8]
            little(Int64(value))
        }
    }

    private mutating func tuple(_ values: [Int]) {
        bytes.append(PickleOpcode.mark.rawValue)
        for value in values { integer(value) }
        bytes.append(PickleOpcode.tuple.rawValue)
    }

    mutating func tensor(_ tensor: LazyTensor, _ name: String, key: String, _ path: String) throws {
        guard let (storage, isUntyped) = tensor.dtype.torchStorage,
            let scalar = tensor.dtype.torchScalar
        else {
            throw FormatError.unwritable(path: path, .torchType(tensor: name, tensor.dtype))
        }
        global("torch._utils", isUntyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
        bytes.append(PickleOpcode.mark.rawValue)
        // The storage, by a persistent id.
        bytes.append(PickleOpcode.mark.rawValue)
        text("storage")
        global(isUntyped ? "torch.storage" : "torch", storage)
        text(key)
        text("cpu")
        integer(isUntyped ? tensor.byteCount : tensor.count)
        bytes.append(PickleOpcode.tuple.rawValue)
        bytes.append(PickleOpcode.binPersistentID.rawValue)
        integer(0)
        tuple(tensor.shape.dimensions)
        var strides = [Int](repeating: 1, count: tensor.shape.rank)
        for axis in stride(from: tensor.shape.rank - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] * max(tensor.shape[axis + 1], 1)
        }
        tuple(strides)
        bytes.append(PickleOpcode.newFalse.rawValue)
        orderedDict()
        if isUntyped { global("torch", scalar.rawValue) }
        bytes.append(PickleOpcode.tuple.rawValue)
        bytes.append(PickleOpcode.reduce.rawValue)
    }
}

extension DType {
    /// The class of storage, and whether it holds bytes whose type is said elsewhere; nil if PyTorch
    /// has no such numbers.
    fileprivate var torchStorage: (name: String, isUntyped: Bool)? {
        switch self {
        case .bool: ("BoolStorage", false)
        case .u8: ("ByteStorage", false)
        case .i8: ("CharStorage", false)
        case .i16: ("ShortStorage", false)
        case .i32: ("IntStorage", false)
        case .i64: ("LongStorage", false)
        case .f16: ("HalfStorage", false)
        case .bf16: ("BFloat16Storage", false)
        case .f32: ("FloatStorage", false)
        case .f64: ("DoubleStorage", false)
        case .c64: ("ComplexFloatStorage", false)
        case .u16, .u32, .u64, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
            ("UntypedStorage", true)
        case .f4, .f6e2m3, .f6e3m2: nil
        }
    }

    fileprivate var torchScalar: TorchScalar? {
        switch self {
        case .bool: .bool
        case .u8: .uint8
        case .i8: .int8
        case .i16: .int16
        case .i32: .int32
        case .i64: .int64
        case .u16: .uint16
        case .u32: .uint32
        case .u64: .uint64
        case .f16: .float16
        case .bf16: .bfloat16
        case .f32: .float32
        case .f64: .float64
        case .c64: .complex64
        case .f8e5m2: .float8E5M2
        case .f8e4m3: .float8E4M3
        case .f8e8m0: .float8E8M0
        case .f8e4m3fnuz: .float8E4M3FNUZ
        case .f8e5m2fnuz: .float8E5M2FNUZ
        case .f4, .f6e2m3, .f6e3m2: nil
        }
    }
}
