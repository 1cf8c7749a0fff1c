// NumPy's .npy: a Python literal that describes one array, then its bytes.

public import GraftTensors

/// Reads and writes https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html,
/// versions 1 to 3, either byte order, C and Fortran order.
public enum Npy {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

    /// The array of a file, row-major and in native byte order.
    public static func read(_ path: String) throws -> Tensor {
        let storage = try Storage(mapping: path)
        let source = Source(path: path, format: "npy")
        return try read(storage, 0..<storage.byteCount, source).load()
    }

    /// The type and shape of an array whose file is `byteCount` long and begins with `range` of
    /// `storage`.
    static func header(
        _ storage: Storage, _ range: Range<Int>, byteCount: Int, _ source: Source
    ) throws -> NpyHeader {
        try storage.withBytes { bytes in
            let file = UnsafeRawBufferPointer(rebasing: bytes[range])
            return try header(file, byteCount: byteCount, source).header
        }
    }

    private static func header(
        _ bytes: UnsafeRawBufferPointer, byteCount: Int, _ source: Source
    ) throws -> (header: NpyHeader, offset: Int) {
        var cursor = try ByteCursor(bytes, in: source)
        guard try cursor.take(6).elementsEqual(magic) else {
            throw source.malformed(.npy(.noMagic))
        }
        let major = try cursor.byte()
        let minor = try cursor.byte()
        guard (1...3).contains(major), minor == 0 else {
            throw source.unsupported(.npyVersion(major: major, minor: minor))
        }
        let count = major == 1 ? try cursor.size(UInt16.self) : try cursor.size(UInt32.self)
        let header = try NpyHeader(parsing: try cursor.text(count), source)
        let rest = byteCount - cursor.offset
        guard header.shape.checkedByteCount(header.dtype) == rest else {
            throw source.malformed(
                .npy(.wrongSize(descr: header.descr, shape: header.shape, found: rest)))
        }
        return (header, cursor.offset)
    }

    /// The array whose file lies at `range` of `storage`.
    static func read(_ storage: Storage, _ range: Range<Int>, _ source: Source) throws -> LazyTensor
    {
        try storage.withBytes { bytes in
            let file = UnsafeRawBufferPointer(rebasing: bytes[range])
            let (header, start) = try header(file, byteCount: range.count, source)
            return header.array(storage, byteOffset: range.lowerBound + start)
        }
    }

    /// Writes an array; it appears under `path` only when complete. NumPy knows no bfloat16 and
    /// no 8-bit floats: they are widened to 32 bits, without loss.
    public static func write(_ tensor: Tensor, to path: String) throws {
        let tensor = tensor.converted(to: tensor.dtype.npyDType)
        var file = try AtomicFile(replacing: path)
        try file.write(header(tensor.dtype, tensor.shape))
        try tensor.withBytes { try file.write($0) }
        try file.commit()
    }

    /// Everything before the data, padded so that the data is 64-byte aligned.
    static func header(_ dtype: DType, _ shape: Shape) -> [UInt8] {
        var text = "{'descr': '\(dtype.npyDescription)', 'fortran_order': False, "
        text += "'shape': \(shape), }"
        // Version 1 counts the header in 16 bits; a shape that long does not exist.
        let padding = 64 - (10 + text.utf8.count + 1) % 64
        text += String(repeating: " ", count: padding % 64) + "\n"
        let count = UInt16(clamping: text.utf8.count)
        return magic + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)] + Array(text.utf8)
    }
}

extension DType {
    /// The type that NumPy has for this one.
    var npyDType: DType {
        switch self {
        case .bf16, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz:
            .f32
        default: self
        }
    }

    fileprivate var npyDescription: String {
        switch self {
        case .bool: "|b1"
        case .u8: "|u1"
        case .i8: "|i1"
        case .i16: "<i2"
        case .u16: "<u2"
        case .f16: "<f2"
        case .i32: "<i4"
        case .u32: "<u4"
        case .i64: "<i8"
        case .u64: "<u8"
        case .f64: "<f8"
        case .c64: "<c8"
        case .f32, .bf16, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz,
            .f8e5m2fnuz:
            "<f4"
        }
    }
}

/// `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct NpyHeader: Sendable {
    let descr: String
    let dtype: DType
    let isBigEndian: Bool
    let isFortranOrder: Bool
    let shape: Shape

    init(parsing text: String, _ source: Source) throws {
        var literal = PythonLiteral(text, source)
        try literal.expect("{")
        var descr: String?
        var order: Bool?
        var shape: [Int]?
        while !literal.accept("}") {
            let key = try literal.string()
            try literal.expect(":")
            switch key {
            case "descr": descr = try literal.string()
            case "fortran_order": order = try literal.boolean()
            case "shape": shape = try literal.sizes()
            default: throw source.malformed(.npy(.unknownKey(key)))
            }
            guard literal.accept(",") || literal.isNext("}") else {
                throw source.malformed(.npy(.noComma))
            }
        }
        guard literal.isAtEnd, let descr, let order, let shape else {
            throw source.malformed(.npy(.missingKey))
        }
        self.descr = descr
        isFortranOrder = order
        self.shape = Shape(shape)
        isBigEndian = descr.hasPrefix(">")
        let prefix = descr.first.map(String.init) ?? ""
        let types: [String: DType] = [
            "b1": .bool, "i1": .i8, "u1": .u8, "i2": .i16, "u2": .u16, "f2": .f16, "i4": .i32,
            "u4": .u32, "f4": .f32, "i8": .i64, "u8": .u64, "f8": .f64, "c8": .c64,
        ]
        guard "<>|=".contains(prefix), let dtype = types[String(descr.dropFirst())] else {
            throw source.unsupported(.npyElements(descr: descr, read: types.keys.sorted()))
        }
        self.dtype = dtype
    }

    /// The array: in place where the bytes are as graft wants them.
    func array(_ storage: Storage, byteOffset: Int) -> LazyTensor {
        let stored = isFortranOrder ? Shape(shape.dimensions.reversed()) : shape
        var array = LazyTensor(dtype, stored) { [dtype] in
            Tensor(dtype, stored, storage: storage, byteOffset: byteOffset)
        }
        if isFortranOrder { array = array.permuted(Array((0..<shape.rank).reversed())) }
        return isBigEndian ? array.byteSwapped() : array
    }
}

/// The few Python literals of an npy header.
private struct PythonLiteral {
    private let text: [UInt8]
    private let source: Source
    private var at = 0

    init(_ text: String, _ source: Source) {
        self.text = Array(text.utf8)
        self.source = source
    }

    private mutating func skipSpace() {
        while at < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[at]) { at += 1 }
    }

    var isAtEnd: Bool {
        mutating get {
            skipSpace()
            return at == text.count
        }
    }
    mutating func isNext(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        return at < text.count && UInt32(text[at]) == character.value
    }
    mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard isNext(character) else { return false }
        at += 1
        return true
    }
    mutating func expect(_ character: Unicode.Scalar) throws {
        guard accept(character) else {
            throw source.malformed(.npy(.expected("\(character)", at: at)))
        }
    }
    mutating func string() throws -> String {
        skipSpace()
        guard at < text.count, text[at] == UInt8(ascii: "'") || text[at] == UInt8(ascii: "\"")
        else {
            throw source.unsupported(.npyRecords)
        }
        guard let end = text[(at + 1)...].firstIndex(of: text[at]) else {
            throw source.malformed(.npy(.openString))
        }
        defer { at = end + 1 }
        return String(decoding: text[(at + 1)..<end], as: UTF8.self)
    }
    mutating func boolean() throws -> Bool {
        for (word, value) in [("True", true), ("False", false)] {
            skipSpace()
            if text[at...].starts(with: word.utf8) {
                at += word.utf8.count
                return value
            }
        }
        throw source.malformed(.npy(.notBool(at: at)))
    }
    mutating func sizes() throws -> [Int] {
        try expect("(")
        var sizes: [Int] = []
        while !accept(")") {
            skipSpace()
            let end = text[at...].firstIndex { !(0x30...0x39).contains($0) } ?? text.count
            guard let size = Int(String(decoding: text[at..<end], as: UTF8.self)) else {
                throw source.malformed(.npy(.notSize(at: at)))
            }
            at = end
            if at < text.count, text[at] == UInt8(ascii: "L") { at += 1 }  // Python 2
            sizes.append(size)
            guard accept(",") || isNext(")") else {
                throw source.malformed(.npy(.noCommaInShape))
            }
        }
        return sizes
    }
}
