// Python's pickle as data: the opcodes, the values they build, and the few globals that are known.

import OrderedCollections

/// The opcodes that files of tensors use (CPython's `pickletools`, protocols 0 to 5).
enum PickleOpcode: UInt8 {
    case mark = 0x28  // (
    case stop = 0x2E  // .
    case pop = 0x30  // 0
    case popMark = 0x31  // 1
    case dup = 0x32  // 2
    case binFloat = 0x47  // G
    case binInt = 0x4A  // J
    case binInt1 = 0x4B  // K
    case binInt2 = 0x4D  // M
    case none = 0x4E  // N
    case binPersistentID = 0x51  // Q
    case reduce = 0x52  // R
    case binString = 0x54  // T
    case shortBinString = 0x55  // U
    case binUnicode = 0x58  // X
    case append = 0x61  // a
    case build = 0x62  // b
    case global = 0x63  // c
    case emptyDict = 0x7D  // }
    case appends = 0x65  // e
    case binGet = 0x68  // h
    case longBinGet = 0x6A  // j
    case emptyList = 0x5D  // ]
    case emptyTuple = 0x29  // )
    case binPut = 0x71  // q
    case longBinPut = 0x72  // r
    case setItem = 0x73  // s
    case tuple = 0x74  // t
    case setItems = 0x75  // u
    case binBytes = 0x42  // B
    case shortBinBytes = 0x43  // C
    case proto = 0x80
    case newObject = 0x81
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case newTrue = 0x88
    case newFalse = 0x89
    case long1 = 0x8A
    case long4 = 0x8B
    case shortBinUnicode = 0x8C
    case binUnicode8 = 0x8D
    case binBytes8 = 0x8E
    case emptySet = 0x8F
    case addItems = 0x90
    case frozenSet = 0x91
    case newObjectEx = 0x92
    case stackGlobal = 0x93
    case memoize = 0x94
    case frame = 0x95
    case byteArray8 = 0x96
}

/// A value that a pickle builds. Containers are numbers into ``PickleMachine``'s arenas, so that a
/// value that contains itself, or nests a million deep, is only a number.
enum PickleValue: Equatable, Sendable {
    case mark
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    /// Bytes and long integers: kept as their length, for nothing needs them.
    case bytes(Int)
    case tuple(Int)
    case list(Int)
    case dict(Int)
    case global(PickleGlobal)
    case storage(Int)
    case tensor(Int)
    /// What a class that graft does not know would have made: never made, only remembered.
    case object(Int)
}

/// The Python names that may occur. They are matched, never imported or called.
enum PickleGlobal: Equatable, Sendable {
    case orderedDict
    /// `set`, of a list of items.
    case set
    case size
    case rebuildTensor
    case rebuildTensorV3
    case rebuildParameter
    /// A tensor of a subclass: a function that rebuilds it, the class, the arguments, the state.
    case rebuildFromType
    /// `torch.FloatStorage`, `torch.storage.UntypedStorage`…
    case storageType(TorchScalar)
    /// `torch.float32`…
    case dtype(TorchScalar)
    /// Any other name, by its place among the machine's.
    case unknown(Int)

    init?(module: String, name: String) {
        switch (module, name) {
        case ("collections", "OrderedDict"): self = .orderedDict
        case ("builtins", "set"), ("__builtin__", "set"), ("builtins", "frozenset"),
            ("__builtin__", "frozenset"):
            self = .set
        case ("torch", "Size"): self = .size
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensorV3
        case ("torch._utils", "_rebuild_parameter"),
            ("torch._utils", "_rebuild_parameter_with_state"):
            self = .rebuildParameter
        case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildFromType
        case ("torch", _), ("torch.storage", _), ("torch.cuda", _):
            if let scalar = TorchScalar(storage: name) {
                self = .storageType(scalar)
            } else if module == "torch", let scalar = TorchScalar(rawValue: name) {
                self = .dtype(scalar)
            } else {
                return nil
            }
        default: return nil
        }
    }
}

extension PickleGlobal {
    /// Whether a class or function of this name exists in pickles only to run programs. Such a
    /// file is refused whole, whatever else it holds.
    static func runsPrograms(module: String, name: String) -> Bool {
        switch module {
        case "os", "posix", "nt":
            name.first?.isLowercase ?? false
        case "builtins", "__builtin__":
            ["eval", "exec", "execfile", "compile", "__import__", "open", "input", "apply"]
                .contains(name)
        case "torch": name == "load"
        case "subprocess", "commands", "pty", "runpy", "importlib", "imp", "socket", "shutil",
            "webbrowser", "ctypes", "sys", "pip", "code", "timeit", "pdb", "bdb", "torch.hub",
            "pickle", "_pickle", "marshal", "urllib.request", "requests", "requests.api", "asyncio",
            "multiprocessing", "threading", "signal", "tempfile", "venv", "ensurepip":
            true
        default: false
        }
    }
}

/// PyTorch's element types, spelled as its dtypes are.
enum TorchScalar: String, Sendable {
    case bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64
    case uint16, uint32, uint64
    case float8E5M2 = "float8_e5m2"
    case float8E4M3 = "float8_e4m3fn"
    case float8E8M0 = "float8_e8m0fnu"
    case float8E4M3FNUZ = "float8_e4m3fnuz"
    case float8E5M2FNUZ = "float8_e5m2fnuz"

    init?(storage name: String) {
        switch name {
        case "FloatStorage": self = .float32
        case "DoubleStorage": self = .float64
        case "HalfStorage": self = .float16
        case "BFloat16Storage": self = .bfloat16
        case "LongStorage": self = .int64
        case "IntStorage": self = .int32
        case "ShortStorage": self = .int16
        case "CharStorage": self = .int8
        case "ByteStorage", "UntypedStorage", "_UntypedStorage": self = .uint8
        case "BoolStorage": self = .bool
        case "ComplexFloatStorage": self = .complex64
        default: return nil
        }
    }
}
