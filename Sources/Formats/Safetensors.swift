// The safetensors format: a JSON header and dense little-endian tensors, mapped in place.

public import GraftTensors
import OrderedCollections

/// Reads and writes https://github.com/huggingface/safetensors files.
///
/// Eight bytes of header length, the header, the data. The reader accepts exactly what the
/// reference accepts: data without hole or overlap, spans that equal type times shape.
public enum Safetensors {
    static let headerLimit = 100_000_000
    /// In the metadata of a file whose axes are not PyTorch's: what they are.
    static let axesKey = "graft.axes"

    /// The tensors of a file, in the order of its header.
    public static func read(_ path: String) throws -> StateDict {
        try read(Storage(mapping: path), Source(path: path, format: "safetensors"))
    }

    static func read(_ storage: Storage, _ source: Source) throws -> StateDict {
        try storage.withBytes { bytes in
            var cursor = try ByteCursor(bytes, in: source)
            let headerCount = try cursor.integer(UInt64.self)
            guard headerCount <= headerLimit else {
                throw source.malformed(
                    .safetensors(.headerTooLarge(headerCount, limit: headerLimit)))
            }
            let header = try cursor.take(Int(headerCount))
            guard header.first == UInt8(ascii: "{") else {
                throw source.malformed(.safetensors(.noBrace))
            }
            guard let members = try JSONTree(strictly: header, in: source).object?.members else {
                throw source.malformed(.safetensors(.noBrace))
            }
            var state = StateDict()
            var spans: [Span] = []
            for member in members {
                if member.key == "__metadata__" {
                    state.metadata = try metadata(member.value, source)
                    continue
                }
                let span = try Span(member, source)
                spans.append(span)
                guard span.end <= cursor.remaining else {
                    throw source.malformed(
                        .safetensors(
                            .outside(
                                tensor: span.name, end: span.end, dataCount: cursor.remaining)))
                }
                let offset = cursor.offset + span.begin
                state[span.name] = LazyTensor(span.dtype, span.shape) {
                    Tensor(span.dtype, span.shape, storage: storage, byteOffset: offset)
                }
            }
            try checkDense(spans, dataCount: cursor.remaining, source)
            if let axes = state.metadata.removeValue(forKey: axesKey) {
                state.axes = AxisConvention(rawValue: axes) ?? .torch
            }
            return state
        }
    }

    private struct Span {
        let name: String
        let dtype: DType
        let shape: Shape
        let begin: Int
        let end: Int

        init(_ member: JSONObject.Member, _ source: Source) throws {
            name = member.key
            guard
                let spelled = member.value["dtype"]?.string,
                let extents = member.value["shape"]?.sizes,
                let offsets = member.value["data_offsets"]?.sizes, offsets.count == 2
            else {
                throw source.malformed(.safetensors(.incompleteEntry(tensor: name)))
            }
            guard let dtype = DType(rawValue: spelled) else {
                throw source.unsupported(.typeName(tensor: name, spelled))
            }
            self.dtype = dtype
            shape = Shape(extents)
            begin = offsets[0]
            end = offsets[1]
            let expected = shape.checkedByteCount(dtype)
            guard begin <= end, expected == end - begin else {
                throw source.malformed(
                    .safetensors(
                        .wrongSpan(
                            tensor: name, dtype: dtype, shape: shape, expected: expected,
                            begin: begin, end: end)))
            }
            guard shape.fillsBytes(dtype) else {
                throw source.malformed(
                    .safetensors(.partialByte(tensor: name, dtype: dtype, shape: shape)))
            }
        }
    }

    private static func metadata(_ value: JSONTree, _ source: Source) throws -> [String: String] {
        // The library that defines the format takes null for none.
        if case .null = value { return [:] }
        guard let members = value.object?.members else {
            throw source.malformed(.safetensors(.metadataNotObject))
        }
        var metadata: [String: String] = [:]
        for member in members {
            guard let text = member.value.string else {
                throw source.malformed(.safetensors(.metadataNotText(key: member.key)))
            }
            metadata[member.key] = text
        }
        return metadata
    }

    private static func checkDense(_ spans: [Span], dataCount: Int, _ source: Source) throws {
        var end = 0
        for span in spans.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }) {
            guard span.begin == end else {
                throw source.malformed(
                    .safetensors(
                        span.begin < end
                            ? .overlap(tensor: span.name, expected: end, found: span.begin)
                            : .hole(before: span.name, expected: end, found: span.begin)))
            }
            end = span.end
        }
        guard end == dataCount else {
            throw source.malformed(
                .safetensors(.unusedBytes(expected: end, found: dataCount)))
        }
    }
}

extension Safetensors {
    /// Writes a file, one tensor at a time; it appears under `path` only when complete.
    ///
    /// The header keeps the order of `state`. The data is sorted by falling element size, so that
    /// it is both dense and aligned.
    /// `durably` waits for the disk; what can be converted again need not.
    public static func write(_ state: StateDict, to path: String, durably: Bool = true) throws {
        var offsets: [String: Range<Int>] = [:]
        var order = Array(state.tensors.elements)
        order.sort { $0.value.dtype.byteCount > $1.value.dtype.byteCount }
        var end = 0
        for (name, tensor) in order {
            offsets[name] = end..<(end + tensor.byteCount)
            end += tensor.byteCount
        }
        var header = "{"
        var metadata = state.metadata
        if state.axes != .torch { metadata[axesKey] = state.axes.rawValue }
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }
                .map { "\($0.key.jsonQuoted):\($0.value.jsonQuoted)" }
            header += "\"__metadata__\":{\(pairs.joined(separator: ","))}"
        }
        for (name, tensor) in state.tensors {
            guard tensor.shape.fillsBytes(tensor.dtype) else {
                throw FormatError.unwritable(
                    path: path, .partialByte(tensor: name, tensor.dtype, tensor.shape))
            }
            guard name != "__metadata__", let range = offsets[name] else {
                throw FormatError.unwritable(path: path, .reservedName(name))
            }
            let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
            header += header.utf8.count > 1 ? "," : ""
            header += "\(name.jsonQuoted):{\"dtype\":\"\(tensor.dtype.rawValue)\","
            header += "\"shape\":[\(shape)],"
            header += "\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}"
        }
        header += "}"
        header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
        guard header.utf8.count <= headerLimit else {
            throw FormatError.unwritable(
                path: path, .largeHeader(byteCount: header.utf8.count, limit: headerLimit))
        }
        var file = try AtomicFile(replacing: path)
        let count = UInt64(header.utf8.count)
        try file.write((0..<8).map { UInt8(truncatingIfNeeded: count >> ($0 * 8)) })
        try file.write(Array(header.utf8))
        let start = 8 + header.utf8.count
        try file.write(
            order.map {
                PlacedTensor($0.key, $0.value, at: start + (offsets[$0.key]?.lowerBound ?? 0))
            })
        try file.commit(durably: durably)
    }
}

extension Shape {
    /// Whether the last of these elements ends with a byte, as the format wants of packed ones.
    fileprivate func fillsBytes(_ dtype: DType) -> Bool {
        !dtype.isPacked || count * dtype.bitCount % 8 == 0
    }
}
