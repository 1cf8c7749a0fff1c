// What can be wrong with a safetensors file.

public import GraftTensors

/// One way in which the bytes of a safetensors file contradict the format.
public enum SafetensorsFlaw: Equatable, Sendable, Codable {
    /// A header length beyond the format's limit.
    case headerTooLarge(UInt64, limit: Int)
    /// A header that does not start with `{`.
    case noBrace
    /// Metadata that are not an object.
    case metadataNotObject
    /// A value of the metadata that is not a string.
    case metadataNotText(key: String)
    /// A tensor without a well-formed `dtype`, `shape` or `data_offsets`.
    case incompleteEntry(tensor: String)
    /// Offsets that do not span the tensor; `expected` is nil where its size overflows.
    case wrongSpan(
        tensor: String, dtype: DType, shape: Shape, expected: Int?, begin: Int, end: Int)
    /// A tensor of packed elements that ends within a byte.
    case partialByte(tensor: String, dtype: DType, shape: Shape)
    /// A tensor behind the end of the data.
    case outside(tensor: String, end: Int, dataCount: Int)
    /// Bytes between two tensors.
    case hole(before: String, expected: Int, found: Int)
    /// A tensor that begins before the one before ends.
    case overlap(tensor: String, expected: Int, found: Int)
    /// Bytes after the last tensor.
    case unusedBytes(expected: Int, found: Int)

    var explanation: String {
        switch self {
        case .headerTooLarge(let count, let limit):
            "expected a header of at most \(limit) bytes, found \(count)"
        case .noBrace: "expected its header to start with `{`"
        case .metadataNotObject: "expected `__metadata__` to be an object"
        case .metadataNotText(let key): "expected `\(key)` in `__metadata__` to be a string"
        case .incompleteEntry(let tensor):
            "`\(tensor)` lacks a well-formed `dtype`, `shape` or `data_offsets`"
        case .wrongSpan(let tensor, let dtype, let shape, let expected, let begin, let end):
            "`\(tensor)` of type \(dtype.rawValue) and shape \(shape): expected "
                + (expected.map { "\($0) bytes" } ?? "an overflow")
                + ", found offsets \(begin) to \(end)"
        case .partialByte(let tensor, let dtype, let shape):
            "`\(tensor)` of type \(dtype.rawValue) and shape \(shape) ends within a byte"
        case .outside(let tensor, let end, let count):
            "`\(tensor)` ends at byte \(end), past the data of \(count) bytes"
        case .hole(let tensor, let expected, let found):
            "expected `\(tensor)` to start at byte \(expected) of the data, found \(found): a hole"
        case .overlap(let tensor, let expected, let found):
            "expected `\(tensor)` to start at byte \(expected) of the data, found \(found): "
                + "it overlaps another"
        case .unusedBytes(let expected, let found):
            "expected \(expected) bytes of data, found \(found)"
        }
    }
}

/// One way in which an index of several files contradicts itself.
public enum ShardFlaw: Equatable, Sendable, Codable {
    /// A `weight_map` that is not an object.
    case mapNotObject
    /// An entry that names no file.
    case notFile(tensor: String)
    /// More files than an index has.
    case tooManyFiles(Int, limit: Int)
    /// The same tensor in two files.
    case duplicate(tensor: String)
    /// A tensor that is not in the file that the index names.
    case missing(tensor: String, file: String)

    var explanation: String {
        switch self {
        case .mapNotObject: "expected `weight_map` to be an object"
        case .notFile(let tensor): "expected `\(tensor)` to name a file"
        case .tooManyFiles(let count, let limit):
            "it names \(count) files, expected at most \(limit)"
        case .duplicate(let tensor): "two of its files hold `\(tensor)`"
        case .missing(let tensor, let file): "expected `\(tensor)` in `\(file)`, found none"
        }
    }
}
